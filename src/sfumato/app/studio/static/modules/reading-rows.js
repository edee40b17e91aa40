/* The readings of an anagram: what is to be seen, and how one looks.
 *
 *   readingRows(studio, model)   a field; value: [{prompt, view, weight?, guidance?}], two to six of them.
 *        `.weights`: an element with the weight and the guidance of each; `.picture(image)` as a viewField has it
 *   parseEnds(text)              "2" -> 2, "2..0.5" -> [2, 0.5], "" -> null; throws an ApiError for anything else
 */

import { ApiError } from "./api.js";
import { fill, h, icon, iconButton } from "./dom.js";
import { makeField, promptField, textField } from "./fields.js";
import { viewField } from "./view-field.js";
import { parseWeight, spellWeight } from "./weights.js";

const LEAST = 2;
const MOST = 6;
const VIEWS = ["identity", "rotate:180", "rotate:90", "rotate:270", "flip", "mirror"]; // of new rows

export function parseEnds(text, what) {
  const weight = parseWeight(text);
  if (weight === undefined) throw new ApiError(`${what} wants a number, or two such as 2..0.5, not “${text}”`);
  return weight;
}

export function readingRows(studio, model) {
  let count = LEAST;
  // All rows are made once: their fields listen to the model and to the server for as long as the page is there.
  const rows = Array.from({ length: MOST }, (_, k) => makeRow(k));
  const list = h("div", { class: "reading-rows" });
  const add = h("button", { type: "button", class: "quiet", onclick: grow }, icon("plus"), "Another reading");
  const weights = h("div", { class: "reading-weights" });

  function makeRow(k) {
    const prompt = promptField(studio, model, { label: "Shows", anything: null, compact: true });
    const view = viewField(studio, model, { label: "Seen", value: VIEWS[k] });
    const weight = textField({ label: "Weight", placeholder: "1" });
    const guidance = textField({ label: "Guidance γ", placeholder: "as above" });
    const remove = iconButton("close", `Take reading ${k + 1} away`, () => shrink(k), { class: "icon-button remove" });
    const element = h(
      "fieldset",
      { class: "reading" },
      h("legend", {}, `Reading ${k + 1}`),
      view.thumb,
      h("div", { class: "fields" }, prompt.element, view.element),
      remove,
    );
    for (const field of [prompt, view, weight, guidance]) field.on(() => field_.changed());
    return { prompt, view, weight, guidance, remove, element };
  }

  const read = (row) => ({
    prompt: row.prompt.value,
    view: row.view.value,
    ...(row.weight.value.trim() ? { weight: row.weight.value.trim() } : {}),
    ...(row.guidance.value.trim() ? { guidance: row.guidance.value.trim() } : {}),
  });

  function put(row, reading) {
    row.prompt.value = reading.prompt;
    row.view.value = reading.view ?? "identity";
    row.weight.value = spellWeight(reading.weight === 1 ? null : reading.weight);
    row.guidance.value = spellWeight(reading.guidance);
  }

  function grow() {
    if (count === MOST) return;
    const used = rows.slice(0, count).map((row) => row.view.value);
    count += 1;
    put(rows[count - 1], { prompt: rows[count - 1].prompt.value, view: VIEWS.find((view) => !used.includes(view)) });
    show();
    rows[count - 1].element.querySelector("select, input")?.focus();
    field_.changed();
  }

  function shrink(k) {
    const kept = rows.slice(0, count).map(read).filter((_, index) => index !== k);
    count -= 1;
    kept.forEach((reading, index) => put(rows[index], reading));
    show();
    rows[Math.min(k, count - 1)].element.querySelector("select, input")?.focus();
    field_.changed();
  }

  function show() {
    fill(list, rows.slice(0, count).map((row) => row.element));
    for (const row of rows) row.remove.hidden = count === LEAST;
    add.hidden = count === MOST;
    fill(
      weights,
      rows.slice(0, count).map((row, k) =>
        h("div", { class: "weight-row", role: "group", "aria-label": `Reading ${k + 1}` }, h("span", { class: "label" }, `Reading ${k + 1}`), row.weight.element, row.guidance.element),
      ),
      h("p", { class: "hint" }, "How much a reading counts, and its own guidance. Two numbers such as 2..0.5 go from the one at pure noise to the other at the picture."),
    );
  }

  const field_ = makeField({
    element: h("div", { class: "field readings-field" }, list, add),
    read: () => rows.slice(0, count).map(read),
    write: (readings) => {
      if (!Array.isArray(readings) || readings.length === 0) return;
      count = Math.min(MOST, Math.max(LEAST, readings.length));
      readings.slice(0, count).forEach((reading, k) => put(rows[k], reading));
      show();
    },
  });
  field_.weights = weights;
  field_.picture = (image) => rows.forEach((row) => row.view.picture(image));
  /** As a Job has them; throws an ApiError for what cannot be. */
  field_.readings = () =>
    rows.slice(0, count).map((row, k) => {
      const what = `Reading ${k + 1}`;
      if (row.prompt.value === null) throw new ApiError(`${what}: say what it shows`);
      if (row.view.problem !== null) throw new ApiError(`${what}: ${row.view.problem}`);
      const [weight, guidance] = [parseEnds(row.weight.value, `${what}: the weight`), parseEnds(row.guidance.value, `${what}: the guidance`)];
      return { prompt: row.prompt.value, view: row.view.value, ...(weight === null ? {} : { weight }), ...(guidance === null ? {} : { guidance }) };
    });
  show();
  return field_;
}
