/* How a hybrid is parted, and what each part shows.
 *
 *   factorsField(studio, model)   a field; value: a text such as "frequency:2" or "motion:7:angle=45". `.parts`: how many prompts it
 *        wants. A list of the known kinds with their numbers, and a text for all else
 *   partsField(studio, model, factors, hidden)   a field; value: a list of prompts, each named by how its part is seen;
 *        hidden(): how many of the first parts a reference picture takes the place of
 */

import { fill, h } from "./dom.js";
import { makeField, numberField, promptField, selectField, textField } from "./fields.js";
import { lookNames, parsed } from "./hybrid-viewer.js";

const FREE = "…";
const MOST = 5;
const TITLES = { frequency: "from afar and from near", triple: "from afar, midway and near", colour: "in grey and in colour", motion: "in motion and still", scale: "both at once" };

const ABOUT = {
  frequency: "What is coarser than the blur is seen from afar, what is finer from near.",
  triple: "Two blurs part three bands.",
  colour: "Without its colour it is one thing, with it another.",
  motion: "Moved along a line it is one thing, standing still another.",
  scale: "Two prompts at once, weighted.",
};

/** How many parts a text of factors has. */
export function partsOf(text) {
  const { name, values } = parsed(text);
  if (name === "frequency") return Math.max(1, values.length) + 1;
  if (name === "triple") return 3;
  return name === "scale" ? Math.max(2, values.length) : 2;
}

/** The numbers of a kind as fields, with how they are read from its text and written into it. */
function numbers(text) {
  const { name, values, settings } = parsed(text);
  const number = (options) => numberField({ whole: false, step: 0.5, ...options });
  if (name === "frequency") {
    const sigma = number({ label: "Blur σ", value: values[0] ?? 2, min: 0.25, max: 64, unit: "px" });
    return { fields: [sigma], read: () => `frequency:${sigma.value}` };
  }
  if (name === "triple") {
    const near = number({ label: "Blur σ of midway", value: values[0] ?? 1, min: 0.25, max: 64, unit: "px" });
    const far = number({ label: "Blur σ of afar", value: values[1] ?? 2, min: 0.25, max: 64, unit: "px" });
    return { fields: [near, far], read: () => `triple:${near.value},${far.value}` };
  }
  if (name === "motion") {
    const width = numberField({ label: "Way it moves", value: values[0] ?? 7, min: 1, max: 63, step: 2, unit: "px", hint: "An odd number." });
    const angle = number({ label: "Direction", value: Number(settings.angle ?? -45), min: -180, max: 180, step: 15, unit: "°" });
    return { fields: [width, angle], read: () => `motion:${width.value}:angle=${angle.value}` };
  }
  if (name === "scale") {
    const weight = number({ label: "Weight of the first", value: values[0] ?? 0.5, min: -20, max: 20, step: 0.25, hint: "The second has the rest; below 0 it is led away from." });
    return { fields: [weight], read: () => `scale:${weight.value},${Number((1 - weight.value).toFixed(6))}` };
  }
  return { fields: [], read: () => name };
}

export function factorsField(studio, model) {
  const kinds = new Map(); // by name: its numbers
  const names = () => studio.hello.factors.map((each) => parsed(each.text).name);
  for (const each of studio.hello.factors) {
    const kind = numbers(each.text);
    kinds.set(parsed(each.text).name, kind);
    for (const field of kind.fields) field.on(() => changed());
  }
  const select = selectField({
    label: "Kind",
    options: [...names().map((name) => ({ value: name, text: TITLES[name] ?? name })), { value: FREE, text: "other factors …" }],
    value: "frequency",
  });
  const free = textField({ label: "Factors", value: "frequency:1,2,4", hint: "Such as frequency:1,2,4 for four bands, or triple:1,2:kernel=25." });
  const note = h("p", { class: "hint" });
  const own = h("div", { class: "fields" });

  function show() {
    const about = ABOUT[select.value] ?? studio.hello.factors.find((each) => parsed(each.text).name === select.value)?.about;
    const grey = select.value === "colour" && model.model?.shape[0] === 1;
    note.textContent = grey ? "This model makes grey pictures: there is no colour to part." : (about ?? "");
    note.classList.toggle("bad", grey);
    fill(own, (select.value === FREE ? [free] : kinds.get(select.value).fields).map((field) => field.element));
    own.hidden = own.children.length === 0;
  }
  const read = () => (select.value === FREE ? free.value.trim() : kinds.get(select.value).read());
  function changed() {
    show();
    field.changed();
  }
  const field = makeField({
    element: h("div", { class: "field" }, select.element, note, own),
    read,
    write: (text) => {
      if (typeof text !== "string" || text === "") return;
      const { name, values, settings } = parsed(text);
      if (kinds.has(name)) {
        const { fields } = kinds.get(name);
        const given = name === "motion" ? [values[0] ?? 7, Number(settings.angle ?? -45)] : values;
        fields.forEach((one, k) => given[k] !== undefined && (one.value = given[k]));
      }
      const same = kinds.has(name) && JSON.stringify(parsed(kinds.get(name).read())) === JSON.stringify(normal(parsed(text)));
      select.value = same ? name : FREE;
      if (!same) free.value = text;
      show();
    },
  });
  Object.defineProperty(field, "parts", { get: () => partsOf(read()) });
  select.on(changed);
  free.on(changed);
  model.on(show);
  show();
  return field;
}

/** With the defaults said that the fields say. */
function normal({ name, values, settings }) {
  if (name === "frequency") return { name, values: values.length ? values : [2], settings };
  if (name === "triple") return { name, values: values.length ? values : [1, 2], settings };
  if (name === "motion") return { name, values: values.length ? values : [7], settings: { angle: String(Number(settings.angle ?? -45)), ...omit(settings) } };
  if (name === "scale") return { name, values: values.length ? values : [0.5, 0.5], settings };
  return { name, values, settings };
}
const omit = ({ angle, ...rest }) => rest;

export function partsField(studio, model, factors, hidden) {
  const rows = Array.from({ length: MOST }, () => promptField(studio, model, { label: "Shows", anything: null, compact: true }));
  const list = h("div", { class: "fields parts" });
  const shownRows = () => rows.slice(hidden(), Math.min(MOST, factors.parts));

  function show() {
    const names = lookNames(factors.value, factors.parts);
    rows.forEach((row, k) => {
      const label = row.element.querySelector("label");
      if (label && names[k]) label.textContent = `${names[k][0].toUpperCase()}${names[k].slice(1)}`;
    });
    fill(list, shownRows().map((row) => row.element));
  }
  const field = makeField({
    element: list,
    read: () => shownRows().map((row) => row.value),
    write: (parts) => {
      if (!Array.isArray(parts)) return;
      parts.slice(0, MOST).forEach((prompt, k) => rows[k + hidden()] && (rows[k + hidden()].value = prompt));
      show();
    },
  });
  field.show = show;
  for (const row of rows) row.on(() => field.changed());
  // After the fields themselves, which may build their controls anew.
  for (const other of [factors, model]) other.on(show);
  studio.on("hello", show);
  show();
  return field;
}
