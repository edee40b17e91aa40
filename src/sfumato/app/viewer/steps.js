/* <sf-steps src="…" columns="34" rows="2" labels='["t = 990", …]' row-labels='["x_t", "x̂₀"]'>: the steps of a run, one at a time.
 *
 * `src` is a strip, a column of pictures for each step; without it the <img> inside is. Arrow keys, Home and End go from step to step,
 * the space bar plays. `element.step` is the index of the step that is shown; the event `step` tells of another.
 */

import { Problem, Viewer, clamp, fill, h, load, sheet } from "./shared.js";

const ALL = 4000; // milliseconds that a run plays

class Steps extends Viewer {
  static observedAttributes = ["src", "columns", "rows", "labels", "row-labels", "label"];
  #step = Infinity; // the last one, however many there will be
  #timer;
  #parts;

  get step() {
    return Number(this.#parts?.range.value ?? 0);
  }

  set step(index) {
    if (this.#parts) this.#show(clamp(index, 0, Number(this.#parts.range.max)));
  }

  get playing() {
    return this.#timer !== undefined;
  }

  disconnectedCallback() {
    this.#pause();
  }

  async prepare() {
    const source = this.getAttribute("src") ?? this.inside[0];
    if (source === undefined) throw new Problem("<sf-steps>: there is no picture");
    const [strip, columns, rows] = [await load(source), this.number("columns"), this.number("rows")];
    if (strip.naturalWidth % columns || strip.naturalHeight % rows) {
      throw new Problem(`A strip of ${strip.naturalWidth} × ${strip.naturalHeight} pixels has no ${columns} columns and ${rows} rows.`);
    }
    return { strip, columns, rows, labels: this.list("labels"), names: this.list("row-labels") };
  }

  build({ strip, columns, rows, labels, names }) {
    this.#pause();
    const [width, height] = [strip.naturalWidth / columns, strip.naturalHeight / rows];
    const cells = Array.from({ length: rows }, () => h("canvas", { class: "picture framed", role: "img", width, height }));
    const range = h("input", { type: "range", min: 0, max: columns - 1, step: 1, "aria-label": this.getAttribute("label") ?? "Step" });
    range.value = Math.min(this.#step, columns - 1);
    range.addEventListener("input", () => {
      this.#pause();
      this.#show(Number(range.value));
    });
    range.addEventListener("keydown", (event) => {
      if (event.key !== " ") return;
      event.preventDefault();
      this.toggle();
    });
    const play = h("button", { type: "button", class: "play", onclick: () => this.toggle() }, h("span", { class: "sign" }));
    this.#parts = { strip, cells, range, play, labels, names, told: h("p", { class: "told" }) };
    const figures = cells.map((cell, row) => h("div", { class: "cell" }, cell, names[row] ? h("span", { class: "soft" }, names[row]) : null));
    const grid = h("div", { class: "cells" }, ...figures);
    grid.style.setProperty("--columns", rows > 2 ? Math.min(4, Math.ceil(rows / 2)) : rows);
    return [h("div", { class: "steps" }, grid, h("div", { class: "line" }, play, range), this.#parts.told)];
  }

  built() {
    if (!this.#parts) return;
    this.#show(this.step);
    this.#pause();
  }

  #show(step) {
    const { strip, cells, range, labels, names, told } = this.#parts;
    const last = Number(range.max);
    const changed = this.#parts.shown !== undefined && this.#parts.shown !== step;
    this.#parts.shown = step;
    this.#step = step === last ? Infinity : step;
    range.value = step;
    fill(range);
    const label = labels[step] === undefined ? "" : String(labels[step]);
    cells.forEach((cell, row) => {
      const { width, height } = cell;
      cell.getContext("2d").drawImage(strip, step * width, row * height, width, height, 0, 0, width, height);
      cell.setAttribute("aria-label", [names[row] ?? `Picture ${row + 1}`, label].filter(Boolean).join(", "));
    });
    told.replaceChildren(h("span", { class: "name" }, label), h("span", { class: "soft" }, `step ${step} of ${last}`));
    range.setAttribute("aria-valuetext", label ? `${label}, step ${step} of ${last}` : `step ${step} of ${last}`);
    if (changed) this.dispatchEvent(new CustomEvent("step", { detail: { step } }));
  }

  /** Plays from here, or from the start where it has ended; or pauses. */
  toggle() {
    if (this.playing) {
      this.#pause();
      return;
    }
    const last = Number(this.#parts.range.max);
    if (this.step === last) this.#show(0);
    this.#timer = setInterval(() => {
      if (this.step < last) this.#show(this.step + 1);
      if (this.step === last) this.#pause();
    }, clamp(ALL / (last + 1), 60, 400));
    this.#sign("Pause", true);
  }

  #pause() {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#sign("Play", false);
  }

  #sign(label, playing) {
    this.#parts?.play.setAttribute("aria-label", label);
    this.#parts?.play.classList.toggle("playing", playing);
  }

  static look = sheet(`
    .cells { display: grid; grid-template-columns: repeat(var(--columns), minmax(0, 15rem)); gap: .8rem; }
    .cell .picture { width: 100%; height: auto; }
    .cell .soft { display: block; margin-top: .25rem; }
    .line { display: grid; grid-template-columns: auto 1fr; gap: .8rem; align-items: center; max-width: 30.8rem; margin-top: .6rem; }
    .play { display: grid; place-items: center; width: 2.4rem; height: 2.4rem; border: 1px solid var(--sf-line); border-radius: 50%; background: var(--sf-card); transition: border-color .2s; }
    .play:hover { border-color: var(--sf-accent); }
    .sign { width: .8rem; height: .9rem; background: var(--sf-accent); clip-path: polygon(12% 0, 100% 50%, 12% 100%); }
    .playing .sign { clip-path: polygon(0 0, 35% 0, 35% 100%, 65% 100%, 65% 0, 100% 0, 100% 100%, 0 100%); }
    .told { display: flex; justify-content: space-between; align-items: baseline; gap: 1rem; max-width: 30.8rem; min-height: 1.6rem; padding-left: 3.2rem; }
    @container (max-width: 26rem) { .cells { gap: .5rem; } }
    @media (prefers-reduced-motion: reduce) { .play { transition: none; } }
  `);
}

customElements.define("sf-steps", Steps);
