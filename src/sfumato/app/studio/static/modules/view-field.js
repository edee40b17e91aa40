/* Choosing a view, and seeing what it does.
 *
 *   viewField(studio, model, {label, value})   a field; value: a view as text, such as "rotate:180" or "rotate:90+negate".
 *        A list of the known ones, and a text for chains and other numbers. `.problem`: why it cannot be, or null.
 *        `.picture(image)`: an ImageData, square, that the small drawing shows in place of the letter F; null for the F again
 *   fineSide(side)                             the multiple of a model's side that these drawings have
 */

import { fill, h, uid } from "./dom.js";
import { makeField } from "./fields.js";
import { inWords, shortWords } from "./readings.js";
import { seenThrough, viewProblem } from "./views.js";

const FREE = "…"; // what the list says of a view that is not in it

/** A multiple of the model's side that is fine enough to see what a view does. */
export const fineSide = (side) => side * Math.max(1, Math.ceil(112 / side));

/** The server names one view of a kind; all three turns are usual. */
function turns(view) {
  const turned = { 180: "Upside down.", 90: "Turned counter-clockwise by 90 degrees.", 270: "Turned counter-clockwise by 270 degrees." };
  if (!view.text.startsWith("rotate:")) return [view];
  return [180, 90, 270].map((degrees) => ({ text: `rotate:${degrees}`, about: turned[degrees] }));
}

/** An F: neither turned nor turned over nor negated does it look like itself. */
function letterF(side) {
  const context = h("canvas", { width: side, height: side }).getContext("2d");
  context.fillStyle = "#26221c";
  context.fillRect(0, 0, side, side);
  context.fillStyle = "#e8c49b";
  const at = (x, y, width, height) => context.fillRect(x * side, y * side, width * side, height * side);
  at(0.29, 0.17, 0.14, 0.66);
  at(0.29, 0.17, 0.46, 0.14);
  at(0.29, 0.43, 0.34, 0.14);
  return context.getImageData(0, 0, side, side);
}

export function viewField(studio, model, { label = "Seen", value = "identity" } = {}) {
  let chosen = value;
  let free = false; // whether it is typed
  let shown = null; // an ImageData in place of the F
  let problem = null;
  const list = () => studio.hello.views.flatMap(turns);
  const known = () => list().map((view) => view.text);
  const side = () => model.model?.shape.at(-1) ?? 64;

  const thumb = h("canvas", { class: "view-thumb", role: "img" });
  const select = h("select", { id: uid("view"), onchange: pick });
  const note = h("p", { class: "hint", id: `${select.id}-hint` });
  const text = h("input", {
    type: "text", value, hidden: true, spellcheck: "false", autocomplete: "off", placeholder: "rotate:90+negate",
    "aria-label": `${label}, as text`, "aria-describedby": note.id, oninput: type,
  });
  select.setAttribute("aria-describedby", note.id);

  function options() {
    const usual = list().map((view) => {
      const no = viewProblem(view.text, side());
      const words = shortWords(view.text);
      const name = words === view.text ? words : `${words} · ${view.text}`;
      return h("option", { value: view.text, disabled: no !== null }, no === null ? name : `${name} (not at ${side()} pixels)`);
    });
    fill(select, usual, h("option", { value: FREE }, "a chain, or other numbers …"));
  }

  function pick() {
    free = select.value === FREE;
    if (!free) chosen = select.value;
    show();
    if (free) {
      text.focus();
      text.select();
    }
    field.changed();
  }

  function type() {
    chosen = text.value.trim();
    show();
    field.changed();
  }

  function show() {
    problem = viewProblem(chosen, side());
    select.value = free || !known().includes(chosen) ? FREE : chosen;
    text.hidden = select.value !== FREE;
    if (text.value.trim() !== chosen) text.value = chosen;
    text.setAttribute("aria-invalid", String(problem !== null));
    const about = list().find((view) => view.text === chosen)?.about;
    const words = inWords(chosen);
    note.textContent = problem ?? about?.replaceAll("`", "") ?? `${words[0].toUpperCase()}${words.slice(1)}.`;
    note.classList.toggle("bad", problem !== null);
    draw();
  }

  function draw() {
    const fine = fineSide(side());
    const picture = shown?.width === fine ? shown : letterF(fine);
    [thumb.width, thumb.height] = [fine, fine];
    thumb.classList.toggle("unusable", problem !== null);
    const what = shown === null ? "the letter F" : "the picture";
    thumb.setAttribute("aria-label", problem === null ? `${what} ${inWords(chosen)}` : "no such view");
    // A chain may fit the model's size and not this multiple, or be half typed.
    if (problem === null && viewProblem(chosen, fine) === null) {
      thumb.getContext("2d").putImageData(seenThrough(chosen, picture), 0, 0);
    }
  }

  const element = h("div", { class: "field view-field" }, h("label", { for: select.id }, label), select, text, note);
  const field = makeField({
    element,
    read: () => chosen,
    write: (next) => {
      if (typeof next !== "string") return;
      chosen = next;
      free = !known().includes(next);
      show();
    },
  });
  field.thumb = thumb;
  field.picture = (image) => {
    shown = image;
    draw();
  };
  Object.defineProperty(field, "problem", { get: () => problem });
  const refresh = () => {
    options();
    show();
  };
  model.on(refresh);
  studio.on("hello", refresh);
  refresh();
  return field;
}
