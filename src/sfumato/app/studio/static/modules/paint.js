/* The canvas to draw on, and its tools. Mouse, pen with pressure, touch, and keys alone.
 *
 *   paintArea(studio, {name, label, mask}) -> {
 *     element, ready       `ready`: promise that what was drawn before a reload is back
 *     setModel(model)      the sheet takes its shape, at a multiple of its size, and its colours
 *     setPicture(upload, own)   -> Promise; a picture to draw over; with `mask` the picture under the mask (another one clears the mask)
 *                          own: the Picture of a Job that the upload was made from, handed back by `source` and `picture`
 *     setMask(upload, own) -> Promise; with `mask`: a mask as it is     forget()   with `mask`: neither picture nor mask any more
 *     picture              with `mask`: {upload, picture: own}, or null
 *     empty                nothing was drawn and there is no picture; with `mask`: nothing is masked
 *     source()             {upload, invert, picture: own} where the sheet is a picture of the server's (or the mask one that was set) that
 *                          nobody has drawn on, else null
 *     blob()               -> Promise<Blob>: a PNG of the sheet; of a mask at the size of its picture
 *     clear(), on(handler) -> off, keys   for the tab's list of keys
 *   }
 * The element takes dropped pictures (event "take", see drop.js).
 */

import { debounce, h, icon, uid } from "./dom.js";
import { brushTools } from "./brush-tools.js";
import { Drawing, coverCrop, surfaceOf } from "./drawing.js";
import { makeHand } from "./hand.js";
import { chooseFile, loadPicture } from "./picture-input.js";
import { keep } from "./settings.js";

const AROUND = 448; // pixels of the sheet's longer side: a multiple of 28, 32 and 64
const BLACK = [0, 0, 0];
const WHITE = [255, 255, 255];

/* Stripes of two colours, so that a mask is seen on any picture: `shown` of a rectangle of the mask. */
function hatch(shown, { data, width }, area) {
  for (let row = 0; row < area.height; row += 1) {
    for (let column = 0; column < area.width; column += 1) {
      const covered = data[((area.y + row) * width + area.x + column) * 4];
      const stripe = ((area.x + column + area.y + row) >> 3) & 1;
      const at = (row * area.width + column) * 4;
      [shown[at], shown[at + 1], shown[at + 2]] = stripe ? [214, 96, 36] : [255, 238, 218];
      shown[at + 3] = covered * (stripe ? 0.72 : 0.62);
    }
  }
}

/* Whether the edge of a picture is light: a drawing in ink, most likely. */
function inkOnPaper({ width, height, data }) {
  let sum = 0;
  for (let x = 0; x < width; x += 1) sum += data[x * 4 + 1] + data[((height - 1) * width + x) * 4 + 1];
  for (let y = 0; y < height; y += 1) sum += data[y * width * 4 + 1] + data[(y * width + width - 1) * 4 + 1];
  return sum / (2 * (width + height)) > 150;
}

export function paintArea(studio, { name, label = "Drawing", mask = false }) {
  const handlers = new Set();
  let drawing = new Drawing(AROUND, AROUND, BLACK);
  let shape = { width: 28, height: 28, colour: false };
  let picture = null; // under a mask: {upload, picture}
  let given = null; // a mask that was set, and the entry of the history that it is

  const under = mask ? h("canvas", { class: "pixels under", width: AROUND, height: AROUND, "aria-hidden": "true" }) : null;
  const help = uid("paint-help");
  const canvas = h("canvas", {
    class: "sheet", width: AROUND, height: AROUND, tabIndex: 0, role: "application", "aria-roledescription": "canvas", "aria-label": label, "aria-describedby": help,
  });
  const context = canvas.getContext("2d");
  const ring = h("span", { class: "ring", hidden: true });
  const easel = h("div", { class: "easel", "data-takes-picture": true }, under, canvas, ring);
  const eye = mask ? null : h("canvas", { class: "pixels eye", width: 28, height: 28, role: "img", "aria-label": "as the model sees it" });
  const photo = h("button", { type: "button", class: "quiet", onclick: choose, data: { tool: "photo" } }, icon("picture"), mask ? "Picture" : "Photo");

  const undo = () => drawing.undo();
  const redo = () => drawing.redo();
  const tools = brushTools({ mask, undo, redo, negate, wipe, changed: () => hand.ringSize() });
  const hand = makeHand(canvas, ring, { drawing: () => drawing, shape: () => shape, tools, blocked, lifted: () => changed(null) });

  /* Showing */

  function draw(area = null) {
    const { surface } = drawing;
    if (canvas.width !== surface.width || canvas.height !== surface.height) Object.assign(canvas, { width: surface.width, height: surface.height });
    const part = area ?? drawing.whole;
    if (!mask) return context.putImageData(new ImageData(surface.data, surface.width, surface.height), 0, 0, part.x, part.y, part.width, part.height);
    const shown = context.createImageData(part.width, part.height);
    hatch(shown.data, surface, part);
    context.putImageData(shown, part.x, part.y);
  }

  const look = debounce(() => {
    if (eye === null) return;
    Object.assign(eye, { width: shape.width, height: shape.height });
    const small = eye.getContext("2d");
    small.imageSmoothingQuality = "high";
    if (!shape.colour) small.filter = "grayscale(1)";
    small.drawImage(canvas, 0, 0, shape.width, shape.height);
  }, 60);

  const save = debounce(() => keep.set(`drawing.${name}`, { ...drawing.save(), picture }), 150);
  addEventListener("pagehide", save.flush);

  /* `area` of the pixels that are others now; null where only what can be done with them is. */
  function changed(area) {
    if (area) draw(area);
    look();
    if (drawing.stroke) return;
    showTools();
    save();
    tell();
  }

  function tell() {
    for (const handler of handlers) handler();
  }

  function take(next) {
    drawing = next;
    drawing.onchange = changed;
    draw();
    look();
    showTools();
  }

  function showTools() {
    tools.show(drawing);
    easel.classList.toggle("blank", drawing.empty);
  }

  const fresh = () => new Drawing(drawing.surface.width, drawing.surface.height, BLACK);
  const paper = () => (shape.colour && !mask ? WHITE : BLACK);

  function wipe() {
    drawing.clear(paper());
  }

  function negate() {
    drawing.invert({ under: !mask });
    if (!mask && !shape.colour) tools.negateInk();
  }

  function blocked() {
    return mask && picture === null;
  }

  /* Pictures */

  async function choose() {
    const file = await chooseFile();
    if (!file) return;
    const upload = await studio.attempt(() => studio.api.upload(file, file.name), photo);
    if (upload) await studio.attempt(() => setPicture(upload));
  }

  async function setPicture(upload, own = null) {
    const image = await loadPicture(upload.url);
    await ready;
    if (!mask) {
      drawing.place(image, { upload, invert: false, picture: own });
      if (own === null && !shape.colour && inkOnPaper(drawing.surface)) {
        studio.toast("This is dark on light, and what this model has learned is light on dark.", "info", { text: "Take the negative", run: negate });
      }
      return null;
    }
    if (picture?.upload.id !== upload.id || own) {
      picture = { upload, picture: own };
      drawing.clear(BLACK); // and undo brings it back
    }
    showUnder(image);
    return changed(null);
  }

  async function setMask(upload, own = null) {
    const image = await loadPicture(upload.url);
    await ready;
    drawing.mark(image);
    given = { upload, picture: own, state: drawing.past.at(-1) };
  }

  function forget() {
    picture = null;
    given = null;
    take(fresh());
    under.getContext("2d").clearRect(0, 0, under.width, under.height);
    easel.classList.remove("filled");
    changed(null);
  }

  function showUnder(image) {
    const { width, height } = drawing.surface;
    Object.assign(under, { width, height });
    under.getContext("2d").putImageData(new ImageData(surfaceOf(image, width, height).data, width, height), 0, 0);
    easel.classList.add("filled");
  }

  function setModel(model) {
    const [channels, height, width] = model.shape;
    shape = { width, height, colour: channels === 3 };
    const times = Math.max(1, Math.round(AROUND / Math.max(width, height)));
    drawing.resize(width * times, height * times);
    if (drawing.empty) drawing.repaper(paper());
    easel.classList.toggle("grey", !shape.colour);
    easel.style.aspectRatio = `${width} / ${height}`;
    tools.setColours(shape.colour);
    draw();
    look();
    if (mask && picture) loadPicture(picture.upload.url).then(showUnder, () => {});
  }

  async function blob() {
    if (!mask) return drawing.toBlob();
    const { width, height } = picture.upload;
    const full = Object.assign(document.createElement("canvas"), { width, height });
    const on = full.getContext("2d");
    const crop = coverCrop(width, height, shape);
    on.fillRect(0, 0, width, height);
    on.imageSmoothingQuality = "high";
    on.drawImage(drawing.toCanvas(), crop.x, crop.y, crop.width, crop.height);
    return new Promise((resolve) => full.toBlob(resolve, "image/png"));
  }

  const element = h(
    "div",
    { class: mask ? "paint masking" : "paint" },
    easel,
    h("p", { class: "off-screen", id: help }, hand.help),
    h(
      "div",
      { class: "paint-tools" },
      tools.element,
      h("div", { class: "paint-foot" }, photo, eye && h("span", { class: "eye-box" }, eye, h("span", { class: "hint" }, "as the model sees it"))),
    ),
  );
  canvas.addEventListener("click", () => blocked() && choose());
  canvas.addEventListener("keydown", (event) => blocked() && event.key === "Enter" && choose());
  easel.addEventListener("take", (event) => studio.attempt(() => setPicture(event.detail)));
  element.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.altKey || !["z", "Z", "y"].includes(event.key)) return;
    event.preventDefault();
    if (event.key === "z") undo();
    else redo();
  });
  take(drawing);

  /* Put back what was drawn before a reload. */
  async function restore() {
    const saved = await keep.get(`drawing.${name}`);
    if (!saved) return;
    try {
      const before = Drawing.load(saved);
      const { width, height } = drawing.surface;
      take(before);
      before.resize(width, height);
      if (!mask || !saved.picture) return;
      picture = saved.picture;
      showUnder(await loadPicture(picture.upload.url));
    } catch {
      picture = null; // not there any more; the mask without it is of no use
      if (mask) take(fresh());
    } finally {
      tell();
    }
  }
  const ready = restore();

  return {
    element,
    ready,
    setModel,
    setPicture,
    setMask,
    forget,
    blob,
    clear: wipe,
    source() {
      if (mask) return given !== null && drawing.past.at(-1) === given.state ? given : null;
      return drawing.marked ? null : drawing.source;
    },
    get picture() {
      return picture;
    },
    get empty() {
      return mask ? !drawing.marked : drawing.empty;
    },
    on(handler) {
      handlers.add(handler);
      return () => handlers.delete(handler);
    },
    keys: [...tools.keys, ...hand.keys],
  };
}
