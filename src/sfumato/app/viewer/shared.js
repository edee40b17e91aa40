/* What the elements of the viewer have in common: making nodes, the look, motion, and how an element is built.
 *
 * No library, no inline style or handler: a content security policy of `script-src 'self'; style-src 'self'` is enough.
 */

/** A constructed style sheet. */
export function sheet(text) {
  const made = new CSSStyleSheet();
  made.replaceSync(text);
  return made;
}

/** A node: attributes as in HTML, `onclick: f` listens; null and false leave an attribute or a child out. */
export function h(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== false));
  return node;
}

export const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

/** Whether the reader wants things to keep still. */
export const calm = matchMedia("(prefers-reduced-motion: reduce)");

/** Calls draw(value) all the way from one value to another, gently; at once for a calm reader. Returns what stops it. */
export function travel(from, to, milliseconds, draw, arrived) {
  if (calm.matches || from === to) {
    draw(to);
    arrived();
    return () => {};
  }
  const begin = performance.now();
  let frame = requestAnimationFrame(function step(now) {
    const s = clamp((now - begin) / milliseconds, 0, 1);
    draw(from + (to - from) * s * s * (3 - 2 * s));
    if (s < 1) frame = requestAnimationFrame(step);
    else arrived();
  });
  return () => cancelAnimationFrame(frame);
}

/** What keeps an element from showing anything, in a sentence: it is shown instead. */
export class Problem extends Error {}

/** A picture that is there to be drawn. */
export async function load(url) {
  const image = new Image();
  image.src = url;
  try {
    await image.decode();
  } catch {
    throw new Problem("The picture cannot be read.");
  }
  return image;
}

/** The pixels of a picture on a canvas of its own, `zoom` times as large; each pixel a square unless `smooth`. */
export function pixels(image, zoom = 1, smooth = false) {
  const [width, height] = [image.naturalWidth * zoom, image.naturalHeight * zoom];
  const context = h("canvas", { width, height }).getContext("2d", { willReadFrequently: true });
  context.imageSmoothingEnabled = smooth;
  context.drawImage(image, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}

/** Shows on a native slider how far it is. */
export function fill(range) {
  const share = (range.value - range.min) / (range.max - range.min || 1);
  range.style.setProperty("--at", `${100 * share}%`);
}

/** Where an arrow, Home, End or a page key leads on a line of so many places; null for any other key. */
export function keyed(key, at, last, page) {
  const step = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -page, PageUp: page }[key];
  if (step !== undefined) return clamp(at + step, 0, last);
  return { Home: 0, End: last }[key] ?? null;
}

/** An element that is built anew, once, whenever attributes of it have changed.
 *
 * A subclass says in `prepare` what it needs (pictures, loaded) and in `build` which nodes it then consists of; in either it may
 * throw a Problem. Its pictures are
 * those of its attributes or, where these are missing, <img> children, which are all there is to see where no script runs.
 */
export class Viewer extends HTMLElement {
  #asked = 0;

  constructor() {
    super();
    this.attachShadow({ mode: "open" }).adoptedStyleSheets = [LOOK, this.constructor.look];
  }

  connectedCallback() {
    this.refresh();
  }

  attributeChangedCallback() {
    if (this.isConnected) this.refresh();
  }

  async refresh() {
    const asked = (this.#asked += 1);
    await null; // other attributes may be set in the same breath
    if (asked !== this.#asked) return;
    let nodes;
    try {
      const prepared = await this.prepare();
      if (asked !== this.#asked) return;
      nodes = this.build(prepared);
    } catch (error) {
      if (asked !== this.#asked) return;
      if (!(error instanceof Problem)) throw error;
      nodes = [h("p", { class: "problem" }, error.message)];
    }
    this.shadowRoot.replaceChildren(...nodes);
    this.built?.();
  }

  /** The sources of the pictures inside. */
  get inside() {
    return [...this.querySelectorAll("img")].map((image) => image.src);
  }

  /** The list in an attribute, as JSON. */
  list(name) {
    const text = this.getAttribute(name);
    if (text === null) return [];
    try {
      const value = JSON.parse(text);
      if (Array.isArray(value)) return value;
    } catch {
      // it is told below
    }
    throw new Problem(`<${this.localName}>: the attribute ${name} wants a JSON list, not ${text.slice(0, 40)}`);
  }

  /** The number in an attribute, above 0. */
  number(name) {
    const value = Number(this.getAttribute(name));
    if (value > 0) return value;
    throw new Problem(`<${this.localName}>: the attribute ${name} wants a number above 0, not ${this.getAttribute(name)}`);
  }
}

const LOOK = sheet(`
  :host {
    display: block; width: 100%; container-type: inline-size; text-align: left;
    --sf-ink: var(--ink, #23211d); --sf-soft: var(--soft, #6b675f); --sf-line: var(--line, #e3dfd6);
    --sf-card: var(--card, #fff); --sf-accent: var(--accent, #8a5a2b); --sf-good: var(--good, #2f7d4f); --sf-bad: var(--bad, #b3402f);
    font: .84rem/1.5 var(--sans, system-ui, sans-serif); color: var(--sf-ink); font-variant-numeric: tabular-nums;
  }
  @media (prefers-color-scheme: dark) {
    :host {
      --sf-ink: var(--ink, #e9e5dc); --sf-soft: var(--soft, #a19b8f); --sf-line: var(--line, #34312c);
      --sf-card: var(--card, #1f1d1a); --sf-accent: var(--accent, #d9a679); --sf-good: var(--good, #76c893); --sf-bad: var(--bad, #f0907f);
    }
  }
  :host([hidden]) { display: none; }
  * { box-sizing: border-box; }
  p { margin: 0; }
  .picture { display: block; image-rendering: pixelated; }
  :host([smooth]) .picture { image-rendering: auto; }
  .framed { border-radius: 3px; outline: 1px solid var(--sf-line); outline-offset: -1px; }
  .name { font: 1.05rem/1.3 var(--serif, Georgia, serif); overflow-wrap: anywhere; }
  .soft { color: var(--sf-soft); }
  .problem { padding: .7rem .9rem; border: 1px solid var(--sf-line); border-radius: 8px; color: var(--sf-bad); }
  :focus-visible { outline: 2px solid var(--sf-accent); outline-offset: 3px; }

  button { font: inherit; color: inherit; background: none; border: 0; padding: 0; cursor: pointer; }
  input[type="range"] { appearance: none; -webkit-appearance: none; width: 100%; min-width: 0; height: 2rem; margin: 0; background: none; cursor: pointer; touch-action: pan-y; border-radius: 6px; }
  input[type="range"]:focus-visible { outline-offset: 0; }
  ::-webkit-slider-runnable-track { height: 4px; border-radius: 2px; background: linear-gradient(to right, var(--sf-accent) var(--at), var(--sf-line) var(--at)); }
  ::-moz-range-track { height: 4px; border-radius: 2px; background: var(--sf-line); }
  ::-moz-range-progress { height: 4px; border-radius: 2px; background: var(--sf-accent); }
  ::-webkit-slider-thumb { -webkit-appearance: none; width: 20px; height: 20px; margin-top: -8px; border-radius: 50%; background: var(--sf-card); border: 2px solid var(--sf-accent); }
  ::-moz-range-thumb { width: 16px; height: 16px; border-radius: 50%; background: var(--sf-card); border: 2px solid var(--sf-accent); }
`);
