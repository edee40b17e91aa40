/* The tools of a canvas: brush, eraser, fill, size, softness, colour.
 *
 *   brushTools({mask, undo, redo, negate, wipe, changed}) -> { element, tool, size, softness, ink, how(), setColours(colour), negateInk(), show(drawing), keys }
 *     size: of the brush in percent of the sheet's longer side; how(): what Drawing.extend is given; changed(): the brush is another one
 *     show(drawing): which of the buttons there is something to do for
 */

import { fill, h, iconButton } from "./dom.js";

const GREYS = [["white", "#ffffff"], ["light grey", "#bfbfbf"], ["grey", "#808080"], ["dark grey", "#404040"], ["black", "#000000"]];
const COLOURS = [
  ["white", "#ffffff"], ["grey", "#8d8d8d"], ["black", "#1d1d1b"], ["red", "#d7372f"], ["orange", "#ef8c2c"], ["yellow", "#f7d038"],
  ["green", "#4f9d45"], ["teal", "#2a9d8f"], ["blue", "#2f6db5"], ["purple", "#7a4fa3"], ["pink", "#ee8fb2"], ["brown", "#7b4b2a"],
];
const TOOLS = [["brush", "Brush (b)"], ["eraser", "Eraser (e)"], ["bucket", "Fill (f)"]];
const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
const hex = (ink) => `#${ink.map((value) => value.toString(16).padStart(2, "0")).join("")}`;
const press = (button, on) => button.setAttribute("aria-pressed", String(on));

export function brushTools({ mask, undo, redo, negate, wipe, changed }) {
  let tool = "brush";
  let softness = mask;
  let size = mask ? 14 : 8;
  let ink = mask ? [255, 255, 255] : null;
  let chosen = false;

  const buttons = Object.fromEntries(TOOLS.map(([id, text]) => [id, iconButton(id, text, () => pick(id), { data: { tool: id } })]));
  const soft = iconButton("soft", "Soft edge", () => setSoft(!softness), { data: { tool: "soft" } });
  const back = iconButton("undo", "Undo (z)", undo, { data: { tool: "undo" } });
  const forth = iconButton("redo", "Redo (Shift z)", redo, { data: { tool: "redo" } });
  const invert = iconButton("invert", mask ? "Invert the mask (i)" : "Negative (i)", negate, { data: { tool: "invert" } });
  const clear = iconButton("bin", "Clear", wipe, { data: { tool: "clear" } });
  const slider = h("input", { type: "range", min: 1, max: mask ? 50 : 30, step: 1, value: size, "aria-label": "Size of the brush", oninput: () => setSize(slider.valueAsNumber) });
  const inks = h("div", { class: "inks", role: "group", "aria-label": "Colour" });

  function pick(id) {
    tool = id;
    for (const [other, button] of Object.entries(buttons)) press(button, other === id);
  }

  function setSoft(on) {
    softness = on;
    press(soft, on);
  }

  function setSize(next) {
    size = Math.min(Number(slider.max), Math.max(1, next));
    slider.value = size;
    changed();
  }

  function setInk(next) {
    ink = next;
    for (const one of inks.children) if (one.dataset.ink) press(one, one.dataset.ink === hex(ink));
    if (tool === "eraser") pick("brush");
  }

  function chooseInk(next) {
    chosen = true;
    setInk(next);
  }

  function setColours(colour) {
    if (mask) return;
    const one = ([text, value]) =>
      h("button", { type: "button", class: "ink", title: text, "aria-label": text, data: { ink: value }, style: { "--ink-colour": value }, onclick: () => chooseInk(rgb(value)) });
    const any = () => h("input", { type: "color", value: "#2a6f97", title: "any colour", "aria-label": "any colour", oninput: (event) => chooseInk(rgb(event.target.value)) });
    fill(inks, (colour ? COLOURS : GREYS).map(one), colour ? any() : null);
    // On dark paper light, on light paper dark, until somebody chooses.
    const usable = chosen && (colour || ink.every((value) => value === ink[0]));
    setInk(usable ? ink : rgb(colour ? "#1d1d1b" : "#ffffff"));
  }

  function show(drawing) {
    back.disabled = !drawing.canUndo;
    forth.disabled = !drawing.canRedo;
    clear.disabled = drawing.empty;
    const what = !mask && !drawing.marked && drawing.source ? "Take the picture away" : "Clear";
    clear.title = what;
    clear.setAttribute("aria-label", what);
  }

  pick(tool);
  setSoft(softness);
  setColours(false);
  return {
    element: [
      h("div", { class: "actions", role: "group", "aria-label": "Tools" }, Object.values(buttons), soft, h("span", { class: "gap" }), back, forth, invert, clear),
      h("label", { class: "size" }, h("span", {}, "Brush"), slider),
      inks,
    ],
    get tool() {
      return tool;
    },
    get size() {
      return size;
    },
    get ink() {
      return ink;
    },
    how: () => ({ ink: tool !== "eraser" ? ink : mask ? [0, 0, 0] : null, softness }),
    setColours,
    negateInk: () => chooseInk(ink.map((value) => 255 - value)),
    show,
    keys: [
      { keys: "b", what: "brush", run: () => pick("brush") },
      { keys: "e", what: "eraser", run: () => pick("eraser") },
      { keys: "f", what: "fill", run: () => pick("bucket") },
      { keys: "[", what: "smaller brush", run: () => setSize(size - 1) },
      { keys: "]", what: "larger brush", run: () => setSize(size + 1) },
      { keys: "i", what: mask ? "invert the mask" : "negative", run: negate },
      { keys: "z", what: "undo", run: undo },
      { keys: ["Z", "y"], shown: ["Shift z"], what: "redo", run: redo },
    ],
  };
}
