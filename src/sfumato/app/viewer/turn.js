/* <sf-turn src="…" views='["identity","rotate:180"]' captions='["6","9"]'>: an anagram in the hand.
 *
 * Beside or below it every reading, as a button. The picture itself is turned by the pointer about its middle, turned over as a card
 * is, or faded, whatever leads to the next reading; let go, it goes to the nearest one. Arrow keys, Home and End go there too.
 *
 *   views, captions   one for each reading, as JSON; `verdicts` likewise: "right", "wrong" or ""
 *   seen              for a view that is no turn, mirror or negative: what is seen through it, a source for each reading, "" for
 *                     none. Without `src` the k-th <img> inside is what is seen through the k-th view
 *   moves             for such a view, where its pixels come from (see glide.js), "" for none: they glide; without it they fade
 *   smooth            pixels are not shown as squares
 *
 * `element.reading` is the index of the one that is shown; the event `reading` tells of another.
 */

import { Problem, Viewer, clamp, h, keyed, sheet, travel } from "./shared.js";
import { label } from "./views.js";
import { glide, lay, motion, reading, turned } from "./readings.js";

const MILLISECONDS = 700; // of half a turn
const FINE = 640; // pixels a side of what glides
const HINTS = { turn: "Drag to turn it", card: "Drag to turn it over", fade: "Drag sideways to fade it", mix: "Drag sideways" };
const MARKS = {
  right: { class: "right", sign: "✓", words: "read as wanted" },
  wrong: { class: "wrong", sign: "✗", words: "not read as wanted" },
};

class Turn extends Viewer {
  static observedAttributes = ["src", "views", "captions", "verdicts", "seen", "moves", "label"];
  #readings = [];
  #here = 0; // the reading at rest, or where a motion began
  #motion = null; // from there, while it lasts
  #amount = 0; // of it, in degrees; where nothing turns 180 are all of it
  #stop = () => {};
  #grip = null; // what the pointer holds
  #parts;

  get reading() {
    return this.#here;
  }

  set reading(index) {
    if (index in this.#readings && index !== this.#here) this.#go(index);
  }

  disconnectedCallback() {
    this.#stop();
  }

  async prepare() {
    const [views, captions, verdicts, seen, moves] = ["views", "captions", "verdicts", "seen", "moves"].map((name) => this.list(name));
    if (views.length === 0) throw new Problem("<sf-turn>: the attribute views wants at least one view");
    const base = this.getAttribute("src");
    const readings = views.map((view, k) => reading(view, base, seen[k] || (base === null && this.inside[k]), moves[k]));
    return (await Promise.all(readings)).map((each, k) => ({ ...each, caption: captions[k] ?? "", mark: MARKS[verdicts[k]] }));
  }

  build(readings) {
    this.#stop();
    [this.#readings, this.#motion, this.#grip] = [readings, null, null];
    if (!(this.#here in readings)) this.#here = 0;
    this.#parts = {
      front: h("img", { class: "picture framed", alt: "" }),
      back: h("img", { class: "picture framed", alt: "" }),
      canvas: h("canvas", { class: "picture", width: FINE, height: FINE }),
      name: h("span", { class: "name" }),
      hint: h("span", { class: "soft" }),
      buttons: readings.map((each, k) => this.#button(each, k)),
    };
    const { front, back, canvas, name, hint, buttons } = this.#parts;
    const slides = { role: "slider", tabindex: 0, "aria-valuemin": 1, "aria-valuemax": readings.length };
    const stage = h("div", {
      class: "stage",
      ...(readings.length > 1 ? slides : { role: "img" }),
      "aria-label": this.getAttribute("label") ?? "The picture, to be turned",
      onpointerdown: (event) => this.#grab(event),
      onpointermove: (event) => this.#drag(event),
      onpointerup: () => this.#release(),
      onpointercancel: () => this.#settle(),
      onkeydown: (event) => this.#key(event),
    });
    stage.append(front, back, canvas);
    this.#parts.stage = stage;
    const others = h("div", { class: "readings", role: "group", "aria-label": "Readings" }, ...buttons);
    others.style.setProperty("--across", clamp(readings.length, 2, 3));
    return [h("div", { class: "turn" }, h("div", {}, stage, h("p", { class: "below" }, name, hint)), others)];
  }

  built() {
    if (this.#parts) this.#arrive(this.#here);
  }

  #button(each, k) {
    const image = h("img", { class: "picture framed", alt: "" });
    lay(image, each);
    const { caption, view, mark } = each;
    const sign = mark && h("span", { class: mark.class, role: "img", "aria-label": mark.words }, mark.sign);
    return h(
      "button",
      { type: "button", class: "reading", onclick: () => k !== this.#here && this.#go(k) },
      h("span", { class: "still" }, image),
      h("span", { class: "name" }, caption, ...(sign ? [" ", sign] : [])),
      h("span", { class: "soft view" }, ...label(view).split(/(?<=[+:])/).flatMap((part) => [part, h("wbr")])),
    );
  }

  // At rest, and on the way.

  #arrive(index) {
    const changed = index !== this.#here;
    [this.#here, this.#motion, this.#amount] = [index, null, 0];
    const { front, name, hint, buttons, stage } = this.#parts;
    const { caption, view } = this.#readings[index];
    lay(front, this.#readings[index]);
    this.#only(front);
    name.textContent = caption;
    buttons.forEach((button, k) => button.setAttribute("aria-pressed", k === index));
    if (this.#readings.length > 1) {
      const { kind, axis } = motion(this.#readings[index], this.#readings[this.#next]);
      hint.textContent = HINTS[kind];
      stage.dataset.kind = kind;
      // What is pulled to the side leaves a finger free to scroll the page.
      stage.style.touchAction = kind === "turn" || (kind === "card" && Math.abs(axis[0]) > 0.1) ? "none" : "pan-y";
      stage.setAttribute("aria-valuenow", index + 1);
      stage.setAttribute("aria-valuetext", [caption, label(view)].filter(Boolean).join(", "));
    }
    if (changed) this.dispatchEvent(new CustomEvent("reading", { detail: { index } }));
  }

  get #next() {
    return (this.#here + 1) % this.#readings.length;
  }

  #only(...shown) {
    const { front, back, canvas } = this.#parts;
    for (const node of [front, back, canvas]) node.hidden = !shown.includes(node);
  }

  #begin(to) {
    this.#finish();
    this.#motion = { ...motion(this.#readings[this.#here], this.#readings[to]), to };
    if (this.#motion.kind === "mix") this.#motion.glide = glide(this.#readings[this.#here], this.#readings[to]);
  }

  /** Ends a motion at once, where it was to end. */
  #finish() {
    this.#stop();
    [this.#stop, this.#grip] = [() => {}, null];
    if (this.#motion) this.#arrive(this.#motion.goal ?? this.#here);
  }

  #draw(amount) {
    this.#amount = amount;
    const { front, back, canvas, hint } = this.#parts;
    const { kind, axis, negative, to, glide: way } = this.#motion;
    const [here, there] = [this.#readings[this.#here], this.#readings[to]];
    const share = Math.abs(amount) / 180;
    hint.textContent = kind === "turn" || kind === "card" ? `${Math.round(Math.abs(amount))}°` : `${Math.round(100 * share)} %`;
    if (kind === "turn") lay(front, here, turned(amount, here), this.#negated(amount));
    else if (kind === "card") lay(front, here, `perspective(80rem) rotate3d(${axis}, 0, ${amount}deg) `, negative ? share : 0);
    else if (kind === "fade") lay(front, here, "", negative ? share : 0);
    else if (way) {
      way.draw(canvas.getContext("2d"), share);
      this.#only(canvas);
    } else {
      lay(back, there);
      back.style.opacity = share;
      this.#only(front, back);
    }
  }

  /** The readings that a turn passes, with their angles up to a whole turn before and after this one, in order. */
  #stops(amount) {
    const around = this.#readings
      .map((each, to) => ({ angle: 0, ...motion(this.#readings[this.#here], each), to }))
      .filter(({ kind, to }) => kind === "turn" || to === this.#here);
    const whole = 360 * Math.floor(amount / 360);
    const turns = [-360, 0, 360, 720].map((more) => more + whole);
    return turns.flatMap((turn) => around.map((stop) => ({ ...stop, angle: stop.angle + turn }))).sort((one, other) => one.angle - other.angle);
  }

  /** How much of a negative of what is seen here it is, at an angle between two readings. */
  #negated(amount) {
    const stops = this.#stops(amount);
    const [low, high] = [stops.filter((stop) => stop.angle <= amount).at(-1), stops.find((stop) => stop.angle > amount)];
    const share = (amount - low.angle) / (high.angle - low.angle);
    return (1 - share) * low.negative + share * high.negative;
  }

  #go(to) {
    this.#begin(to);
    this.#travel(this.#motion.angle ?? 180, to);
  }

  #travel(amount, goal) {
    this.#motion.goal = goal;
    const time = MILLISECONDS * Math.max(0.25, Math.abs(amount - this.#amount) / 180);
    this.#stop = travel(this.#amount, amount, time, (value) => this.#draw(value), () => this.#arrive(goal));
  }

  /** Goes to the nearest reading. */
  #settle() {
    if (!this.#grip) return;
    this.#grip = null;
    const { kind, to } = this.#motion;
    if (kind === "turn") {
      const off = ({ angle }) => Math.abs(angle - this.#amount);
      const nearest = this.#stops(this.#amount).reduce((best, stop) => (off(stop) < off(best) ? stop : best));
      this.#travel(nearest.angle, nearest.to);
    } else if (Math.abs(this.#amount) > 90) this.#travel(180 * Math.sign(this.#amount), to);
    else this.#travel(0, this.#here);
  }

  // Hands.

  #grab(event) {
    if (event.button !== 0 || this.#readings.length < 2) return;
    this.#begin(this.#next);
    const { stage } = this.#parts;
    stage.setPointerCapture(event.pointerId);
    const { left, top, width, height } = stage.getBoundingClientRect();
    const middle = [left + width / 2, top + height / 2];
    this.#grip = { x: event.clientX, y: event.clientY, size: width, middle, angle: direction(event, middle), moved: false };
  }

  #drag(event) {
    const grip = this.#grip;
    if (!grip) return;
    const [right, down] = [event.clientX - grip.x, event.clientY - grip.y];
    grip.moved ||= Math.hypot(right, down) > 4;
    if (!grip.moved) return;
    const { kind, axis } = this.#motion;
    if (kind === "turn") {
      const angle = direction(event, grip.middle);
      const step = ((angle - grip.angle + 540) % 360) - 180; // the short way
      grip.angle = angle;
      this.#draw(this.#amount + step);
    } else {
      const along = kind === "card" ? right * axis[1] - down * axis[0] : right; // a card goes across its axis
      this.#draw(180 * clamp(along / grip.size, -1, 1));
    }
  }

  /** A picture that was only touched goes to the next reading. */
  #release() {
    if (!this.#grip || this.#grip.moved) this.#settle();
    else this.#go(this.#next);
  }

  #key(event) {
    if (this.#readings.length < 2) return;
    const last = this.#readings.length - 1;
    const at = this.#motion?.goal ?? this.#here;
    const to = event.key === " " || event.key === "Enter" ? (at + 1) % (last + 1) : keyed(event.key, at, last, last);
    if (to === null) return;
    event.preventDefault();
    this.#finish();
    if (to !== this.#here) this.#go(to);
  }

  static look = sheet(`
    .turn { display: grid; gap: .9rem 1.6rem; max-width: 20rem; }
    .stage { position: relative; aspect-ratio: 1; cursor: grab; user-select: none; -webkit-user-select: none; border-radius: 4px; }
    .stage:active { cursor: grabbing; }
    .stage[role="img"] { cursor: default; }
    .stage[data-kind="fade"], .stage[data-kind="mix"] { cursor: ew-resize; }
    .stage .picture, .still .picture { position: absolute; inset: 0; margin: auto; pointer-events: none; }
    .stage .picture[hidden] { display: none; }
    .stage canvas { width: 100%; height: 100%; }
    .below { display: flex; justify-content: space-between; align-items: baseline; gap: 1rem; min-height: 1.9rem; margin-top: .5rem; }
    .below .soft { flex: none; }
    .readings { display: grid; grid-template-columns: repeat(var(--across), minmax(0, 9.5rem)); gap: .6rem; place-content: start; margin: 0 -.45rem; }
    .reading { display: flex; flex-direction: column; text-align: left; padding: .45rem; border: 1px solid transparent; border-radius: 8px; transition: border-color .2s; }
    .reading:hover { border-color: var(--sf-line); }
    .reading[aria-pressed="true"] { border-color: var(--sf-accent); background: var(--sf-card); }
    .still { position: relative; aspect-ratio: 1; margin-bottom: .4rem; }
    .view { font-size: .76rem; overflow-wrap: anywhere; }
    .right { color: var(--sf-good); } .wrong { color: var(--sf-bad); }
    @container (min-width: 30rem) { .turn { grid-template-columns: minmax(0, 20rem) minmax(0, 1fr); max-width: none; } .readings { margin: -.45rem 0; } }
    @media (prefers-reduced-motion: reduce) { .reading { transition: none; } }
  `);
}

/** The direction of the pointer from a point, in degrees counter-clockwise. */
const direction = (event, [x, y]) => (Math.atan2(y - event.clientY, event.clientX - x) * 180) / Math.PI;

customElements.define("sf-turn", Turn);
