/* <sf-compare before="…" after="…" labels='["before","after"]'>: two pictures and a divider between them.
 *
 * It is dragged anywhere on the picture, or moved by arrow keys, Home and End. Without the attributes the two <img> inside are
 * compared. `element.share` is how much of the first is shown, from 0 to 1.
 */

import { Problem, Viewer, clamp, h, keyed, load, sheet } from "./shared.js";

class Compare extends Viewer {
  static observedAttributes = ["before", "after", "labels", "label"];
  #share = 0.5;
  #parts;

  get share() {
    return this.#share;
  }

  set share(value) {
    this.#divide(value);
  }

  async prepare() {
    const sources = [this.getAttribute("before") ?? this.inside[0], this.getAttribute("after") ?? this.inside[1]];
    if (sources.includes(undefined)) throw new Problem("<sf-compare>: there are no two pictures");
    return Promise.all(sources.map(load));
  }

  build([before, after]) {
    const [one, other] = [...this.list("labels"), "before", "after"].slice(0, 2);
    const image = ({ src }, alt) => h("img", { class: "picture", src, alt, draggable: "false" });
    const divider = h("div", {
      class: "divider",
      role: "slider",
      tabindex: 0,
      "aria-label": this.getAttribute("label") ?? `Divider between ${one} and ${other}`,
      "aria-valuemin": 0,
      "aria-valuemax": 100,
      onkeydown: (event) => this.#key(event),
    });
    const above = image(before, one);
    const stage = h("div", { class: "stage", onpointerdown: (event) => this.#grab(event), onpointermove: (event) => this.#drag(event) }, image(after, other), above, divider);
    stage.style.aspectRatio = `${before.naturalWidth} / ${before.naturalHeight}`;
    this.#parts = { stage, above, divider, one };
    return [h("div", { class: "compare" }, stage, h("p", { class: "labels soft" }, h("span", {}, one), h("span", {}, other)))];
  }

  built() {
    if (this.#parts) this.#divide(this.#share);
  }

  #divide(share) {
    this.#share = clamp(share, 0, 1);
    if (!this.#parts) return;
    const { above, divider, one } = this.#parts;
    const percent = 100 * this.#share;
    above.style.clipPath = `inset(0 ${100 - percent}% 0 0)`;
    divider.style.left = `${percent}%`;
    divider.setAttribute("aria-valuenow", Math.round(percent));
    divider.setAttribute("aria-valuetext", `${Math.round(percent)} % ${one}`);
  }

  #grab(event) {
    if (event.button !== 0) return;
    const { stage, divider } = this.#parts;
    stage.setPointerCapture(event.pointerId);
    divider.focus({ preventScroll: true, focusVisible: false });
    event.preventDefault();
    this.#drag(event);
  }

  #drag(event) {
    const { stage } = this.#parts;
    if (!stage.hasPointerCapture(event.pointerId)) return;
    const box = stage.getBoundingClientRect();
    this.#divide((event.clientX - box.left) / box.width);
  }

  #key(event) {
    const to = keyed(event.key, Math.round(100 * this.#share), 100, 10);
    if (to === null) return;
    event.preventDefault();
    this.#divide(to / 100);
  }

  static look = sheet(`
    .compare { max-width: 20rem; }
    .stage { position: relative; overflow: clip; cursor: ew-resize; touch-action: pan-y; user-select: none; -webkit-user-select: none; border-radius: 3px; outline: 1px solid var(--sf-line); outline-offset: -1px; }
    .stage .picture { position: absolute; inset: 0; width: 100%; height: 100%; pointer-events: none; }
    .divider { position: absolute; top: 0; bottom: 0; width: 2.2rem; margin-left: -1.1rem; outline: none; }
    .divider::before { content: ""; position: absolute; inset: 0 calc(50% - 1.5px); background: #fff; box-shadow: 0 0 0 1px #0009; }
    .divider::after { content: "↔"; position: absolute; inset: calc(50% - 1.1rem) 0 auto; height: 2.2rem; display: grid; place-items: center; border-radius: 50%; background: #fff; color: #23211d; box-shadow: 0 0 0 1px #0009; font: 1rem/1 var(--sans, system-ui, sans-serif); }
    .divider:focus-visible::after { outline: 3px solid var(--sf-accent); outline-offset: 2px; }
    .labels { display: flex; justify-content: space-between; gap: 1rem; margin-top: .35rem; }
  `);
}

customElements.define("sf-compare", Compare);
