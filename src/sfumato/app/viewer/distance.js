/* <sf-distance src="…" far="3" near="8" sigma="2">: a hybrid, from which one walks away.
 *
 * To the right the picture on its wall, as small as it is from there; to the left what an eye still sees of it: the picture under a
 * Gaussian blur that grows with the distance. `sigma` is the blur that parts far from near, in pixels of the picture; there the walk
 * ends. Without `src` the picture is the <img> inside.
 *
 * `element.blur` is the blur that is shown, in pixels of the picture; `element.distance` how many times as far away one stands.
 */

import { Problem, Viewer, clamp, fill, h, load, pixels, sheet } from "./shared.js";
import { Blurred } from "./blur.js";

const FARTHEST = 8;
const FINE = 224; // the picture is enlarged about so far before it is blurred: an eye blurs the squares of its pixels too
// A diagonal, along which the hall's edges run.
const LINE = "transparent calc(50% - .6px), var(--sf-line) calc(50% - .5px) calc(50% + .5px), transparent calc(50% + .6px)";

class Distance extends Viewer {
  static observedAttributes = ["src", "far", "near", "sigma", "smooth", "label"];
  #walked = 0; // from 0 to 1
  #parts;

  get distance() {
    return FARTHEST ** this.#walked;
  }

  get blur() {
    return (this.number("sigma") * (this.distance - 1)) / (FARTHEST - 1);
  }

  async prepare() {
    this.number("sigma");
    const source = this.getAttribute("src") ?? this.inside[0];
    if (source === undefined) throw new Problem("<sf-distance>: there is no picture");
    return load(source);
  }

  build(image) {
    const zoom = Math.max(1, Math.floor(FINE / Math.max(image.naturalWidth, image.naturalHeight)));
    const enlarged = pixels(image, zoom, this.hasAttribute("smooth"));
    const [near, far] = [this.getAttribute("near") ?? "near", this.getAttribute("far") ?? "far"];
    const name = this.getAttribute("label") ?? `A hybrid of ${near} and ${far}`;
    this.#parts = {
      zoom,
      blurred: new Blurred(enlarged),
      eye: h("canvas", { class: "picture framed", width: enlarged.width, height: enlarged.height, role: "img", "aria-label": name }),
      small: h("img", { class: "picture", src: image.src, alt: "" }),
      wall: h("div", { class: "wall" }),
      near: h("span", { class: "end near" }, h("span", { class: "name" }, near), h("span", { class: "soft" }, "near")),
      far: h("span", { class: "end far" }, h("span", { class: "name" }, far), h("span", { class: "soft" }, "far")),
      range: h("input", { type: "range", min: 0, max: 1, step: 0.01, value: this.#walked, "aria-label": "Distance", oninput: () => this.#walk() }),
      told: h("p", { class: "soft told" }),
    };
    const { eye, small, wall, range, told } = this.#parts;
    wall.append(small);
    return [
      h(
        "div",
        { class: "distance" },
        h("div", { class: "scene" }, eye, h("div", { class: "hall" }, wall)),
        range,
        h("div", { class: "walk" }, this.#parts.near, told, this.#parts.far),
      ),
    ];
  }

  built() {
    if (this.#parts) this.#walk();
  }

  #walk() {
    const { zoom, blurred, eye, small, wall, near, far, range, told } = this.#parts;
    this.#walked = Number(range.value);
    fill(range);
    const { blur, distance } = this;
    eye.getContext("2d").putImageData(blurred.by(blur * zoom), 0, 0);
    // Squares have edges as long as they can be seen.
    for (const node of [eye, small]) node.classList.toggle("soft-edged", blur * zoom > 1);
    wall.style.width = wall.style.height = `${100 / distance}%`;
    const gone = clamp(blur / this.number("sigma"), 0, 1);
    near.style.setProperty("--seen", `${100 * (1 - gone)}%`);
    far.style.setProperty("--seen", `${100 * gone}%`);
    const numbers = [`${distance.toFixed(1)} times as far`, `blurred by σ = ${blur.toFixed(2)} px`];
    told.replaceChildren(...numbers.map((text) => h("span", {}, text)));
    range.setAttribute("aria-valuetext", numbers.join(", "));
  }

  static look = sheet(`
    .distance { max-width: 30.5rem; }
    .scene { display: grid; grid-template-columns: minmax(0, 2fr) minmax(0, 1fr); gap: .8rem; align-items: stretch; }
    .scene > canvas { width: 100%; height: auto; }
    .hall {
      display: grid; place-items: center; overflow: clip; border: 1px solid var(--sf-line); border-radius: 3px;
      background: linear-gradient(to top right, ${LINE}), linear-gradient(to bottom right, ${LINE}), var(--sf-card);
    }
    .wall { display: grid; place-items: center; background: var(--sf-card); box-shadow: 0 0 0 1px var(--sf-line); }
    .wall .picture { width: 84%; height: auto; }
    .picture.soft-edged { image-rendering: auto; }
    .distance > input { margin-top: .4rem; }
    .walk { display: grid; grid-template-columns: 1fr auto 1fr; gap: .3rem 1.2rem; align-items: start; }
    .end { display: grid; position: relative; justify-self: start; min-width: 3.5rem; padding-bottom: .3rem; }
    .end.far { justify-self: end; text-align: right; }
    .end .soft { font-size: .76rem; }
    .end .name { color: color-mix(in srgb, var(--sf-ink) var(--seen), var(--sf-soft)); }
    .end::after { content: ""; position: absolute; inset: auto 0 0 0; height: 2px; border-radius: 1px; background: var(--sf-accent); opacity: var(--seen); }
    .told { display: flex; flex-direction: column; align-items: center; }
    @container (max-width: 26rem) { .walk { grid-template-columns: 1fr 1fr; } .told { grid-area: 2 / 1 / 3 / 3; flex-flow: wrap; justify-content: center; gap: 0 .7rem; } }
  `);
}

customElements.define("sf-distance", Distance);
