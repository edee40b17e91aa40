/* A drawing: pixels, what lies under them, and the way back. No element of the page is known here but canvases for PNGs.
 *
 *   new Drawing(width, height, paper)   paper: [r, g, b] of the empty sheet
 *     .surface  {width, height, data}   .source  {upload, invert} where it is a picture of the server's, or null   .marked  whether drawn on
 *     .empty    neither picture nor marks
 *     .begin(), .extend(from, to, {ink, softness}), .end()   a line; ink null: the eraser, which shows what lies under
 *     .flood(x, y, ink), .clear(), .invert({under}), .place(image, source), .mark(image)   each can be undone; an image covers the sheet, cropped
 *     .undo(), .redo(), .canUndo, .canRedo
 *     .resize(width, height), .repaper(paper)
 *     .toBlob(), .save() -> something for IndexedDB, Drawing.load(saved)
 *     .onchange(area)   called whenever pixels have changed
 *   coverCrop(width, height, shape)     the centred part of a picture that a model sees: {x, y, width, height}
 */

import { copyIn, copyOut, flood, line, paint, unite } from "./brush.js";

const MOST = 48 * 2 ** 20; // bytes of history

export function coverCrop(width, height, shape) {
  const scale = Math.min(width / shape.width, height / shape.height);
  const crop = { width: shape.width * scale, height: shape.height * scale };
  return { x: (width - crop.width) / 2, y: (height - crop.height) / 2, ...crop };
}

function canvasOf({ width, height, data }) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  canvas.getContext("2d").putImageData(new ImageData(data, width, height), 0, 0);
  return canvas;
}

const blobOf = (canvas) => new Promise((resolve) => canvas.toBlob(resolve, "image/png"));

/* An image (or a canvas) on a surface of this size, covering it; a small one keeps its pixels. */
export function surfaceOf(image, width, height) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const [from, to] = [image.naturalWidth ?? image.width, image.naturalHeight ?? image.height];
  const crop = coverCrop(from, to, { width, height });
  context.fillRect(0, 0, width, height); // what is transparent becomes black, as for the command line
  context.imageSmoothingEnabled = crop.width > width;
  context.imageSmoothingQuality = "high";
  context.drawImage(image, crop.x, crop.y, crop.width, crop.height, 0, 0, width, height);
  return { width, height, data: context.getImageData(0, 0, width, height).data };
}

const negative = (data) => data.map((value, at) => (at % 4 === 3 ? value : 255 - value));

export class Drawing {
  constructor(width, height, paper) {
    this.onchange = () => {};
    this.surface = { width, height, data: new Uint8ClampedArray(width * height * 4) };
    this.base = [...paper]; // a colour, or the pixels of a picture
    this.source = null;
    this.marked = false;
    this.past = [];
    this.future = [];
    this.#lay();
  }

  get empty() {
    return !this.marked && this.source === null && this.base.length === 3;
  }

  get canUndo() {
    return this.past.length > 0;
  }

  get canRedo() {
    return this.future.length > 0;
  }

  get whole() {
    return { x: 0, y: 0, width: this.surface.width, height: this.surface.height };
  }

  begin() {
    const { width, height, data } = this.surface;
    this.stroke = { before: data.slice(), cover: new Uint8ClampedArray(width * height), area: null, state: this.#state() };
  }

  extend(from, to, { ink, softness = false }) {
    const { stroke, surface } = this;
    const area = line(stroke.cover, surface.width, surface.height, from, to, softness);
    if (area === null) return;
    paint(surface, stroke.before, stroke.cover, area, ink ?? this.base);
    stroke.area = unite(stroke.area, area);
    this.onchange(area);
  }

  end() {
    const { stroke, surface } = this;
    this.stroke = null;
    if (!stroke?.area) return;
    this.marked = true;
    const before = copyOut({ ...surface, data: stroke.before }, stroke.area);
    this.#remember(stroke.area, before, stroke.state);
  }

  flood(x, y, ink) {
    this.#change(() => {
      flood(this.surface, Math.floor(x), Math.floor(y), ink);
      this.marked = true;
    });
  }

  /* First what was drawn, then the picture under it. */
  clear(paper = [0, 0, 0]) {
    if (this.empty) return;
    this.#change(() => {
      if (!this.marked) {
        this.base = [...paper];
        this.source = null;
      }
      this.marked = false;
      this.#lay();
    });
  }

  /* The negative of what is drawn; with what lies under it, unless that is to stay. */
  invert({ under = true } = {}) {
    this.#change(() => {
      this.surface.data.set(negative(this.surface.data));
      if (!under) {
        this.marked = true;
        return;
      }
      this.base = this.base.length === 3 ? this.base.map((value) => 255 - value) : negative(this.base);
      if (this.source) this.source = { ...this.source, invert: !this.source.invert, picture: null };
    });
  }

  /* Marks as they are in an image, as if they had been drawn. */
  mark(image) {
    this.#change(() => {
      this.surface.data.set(surfaceOf(image, this.surface.width, this.surface.height).data);
      this.marked = true;
    });
  }

  place(image, source) {
    this.#change(() => {
      const { data } = surfaceOf(image, this.surface.width, this.surface.height);
      this.base = source?.invert ? negative(data) : data;
      this.source = source;
      this.marked = false;
      this.#lay();
    });
  }

  undo() {
    this.#step(this.past, this.future, "before");
  }

  redo() {
    this.#step(this.future, this.past, "after");
  }

  resize(width, height) {
    if (width === this.surface.width && height === this.surface.height) return;
    const scaled = (data) => surfaceOf(canvasOf({ ...this.surface, data }), width, height).data;
    const data = scaled(this.surface.data);
    if (this.base.length !== 3) this.base = scaled(this.base);
    this.surface = { width, height, data };
    this.past = [];
    this.future = [];
    this.onchange(this.whole);
  }

  /* Another colour of an empty sheet. */
  repaper(paper) {
    if (!this.empty) return;
    this.base = [...paper];
    this.#lay();
    this.past = [];
    this.future = [];
    this.onchange(this.whole);
  }

  toCanvas() {
    return canvasOf(this.surface);
  }

  toBlob() {
    return blobOf(this.toCanvas());
  }

  /* Raw pixels: to write a PNG a browser takes its time, and the page may be gone before. */
  save() {
    const { surface, base, source, marked } = this;
    return { width: surface.width, height: surface.height, data: surface.data.slice(), base: base.slice(), source, marked };
  }

  static load({ width, height, data, base, source, marked }) {
    const drawing = new Drawing(width, height, [0, 0, 0]);
    if (data.length !== width * height * 4) throw new RangeError("not a drawing");
    return Object.assign(drawing, { surface: { width, height, data }, base, source, marked });
  }

  #lay() {
    const { data } = this.surface;
    if (this.base.length !== 3) return data.set(this.base);
    const [r, g, b] = this.base;
    for (let at = 0; at < data.length; at += 4) {
      data[at] = r;
      data[at + 1] = g;
      data[at + 2] = b;
      data[at + 3] = 255;
    }
  }

  #state() {
    return { base: this.base, source: this.source, marked: this.marked };
  }

  /* Something that may touch every pixel. */
  #change(act) {
    if (this.stroke) this.end();
    const state = this.#state();
    const before = this.surface.data.slice();
    act();
    this.#remember(this.whole, before, state);
    this.onchange(this.whole);
  }

  #remember(area, before, state) {
    this.past.push({ area, before: { block: before, state }, after: { block: copyOut(this.surface, area), state: this.#state() } });
    this.future = [];
    let bytes = 0;
    const first = this.past.findLastIndex((entry) => (bytes += 2 * entry.before.block.length) > MOST);
    if (first >= 0 && first < this.past.length - 1) this.past.splice(0, first + 1);
    this.onchange(null); // what can be undone
  }

  #step(from, to, side) {
    if (this.stroke) return;
    const entry = from.pop();
    if (!entry) return;
    to.push(entry);
    copyIn(this.surface, entry.area, entry[side].block);
    Object.assign(this, entry[side].state);
    this.onchange(entry.area);
  }
}
