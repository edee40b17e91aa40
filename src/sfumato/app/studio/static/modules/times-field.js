/* timesField(model): the times that a picture is noised to, as sliders. A field; value: one to five numbers, ascending.
 *
 * They are those of the model's schedule: 0 … T − 1, or from 0 to below 1 where it is not in steps; of a one-step denoiser they are the standard
 * deviations of the noise. With another model they keep their places.
 */

import { fill, h, icon, iconButton } from "./dom.js";
import { makeField } from "./fields.js";

const MOST = 5;

export function timesField(model) {
  const span = () => model.model?.times ?? 1000;
  const step = () => (span() === 1 ? 0.05 : 1);
  const letter = () => (model.model?.most_steps === 1 ? "σ" : "t");
  /* At t = 1 of a flow nothing is left of the picture. */
  const last = () => (letter() === "σ" ? span() : span() - step());
  const near = (t) => Math.min(last(), Math.max(0, Number((Math.round(t / step()) * step()).toFixed(2))));
  const quarters = () => [1, 2, 3].map((k) => near((span() * k) / 4));
  let whole = span();
  let times = quarters();
  const list = h("div", { class: "times" });
  const add = h("button", { type: "button", class: "quiet", onclick: grow }, icon("plus"), "Another time");

  function row(t, k) {
    const shown = h("output", {}, String(t));
    const slide = (event) => {
      times[k] = Number(event.target.value);
      shown.textContent = event.target.value;
      field.changed();
    };
    const name = `Time ${k + 1} of ${times.length}`;
    const range = h("input", { type: "range", min: 0, max: last(), step: step(), value: t, "aria-label": name, oninput: slide });
    const away = iconButton("close", `Take time ${k + 1} away`, () => {
      times.splice(k, 1);
      show();
      list.querySelectorAll("input")[Math.min(k, times.length - 1)]?.focus();
      field.changed();
    });
    away.hidden = times.length === 1;
    return h("div", { class: "time" }, h("span", { "aria-hidden": "true" }, h("i", {}, letter())), range, shown, away);
  }

  function grow() {
    times.push(quarters().find((t) => !times.includes(t)) ?? near(span() / 8));
    show();
    [...list.querySelectorAll("input")].at(-1).focus();
    field.changed();
  }

  function show() {
    fill(list, times.map(row));
    add.hidden = times.length >= MOST;
  }

  const field = makeField({
    element: h(
      "div",
      { class: "field", role: "group", "aria-label": "Times to noise it to" },
      h("span", { class: "label" }, "Noise it to the times"),
      list,
      add,
      h("p", { class: "hint" }, "0 is the picture; at the right end hardly anything of it is left."),
    ),
    read: () => [...new Set(times)].sort((one, other) => one - other),
    write: (next) => {
      const good = Array.isArray(next) ? next.filter(Number.isFinite).map(near) : [];
      if (good.length === 0) return;
      times = good.slice(0, MOST);
      show();
    },
  });
  model.on(() => {
    const ratio = span() / whole;
    whole = span();
    times = times.map((t) => near(t * ratio));
    show();
  });
  show();
  return field;
}
