/* The plain fields of forms, and what all fields are made of: see fields.js, which hands them out.
 *
 *   group(label, control, hint)   a group of buttons with its label, as `labelled` is for one control
 */

import { fill, h, iconButton, uid } from "./dom.js";

export function makeField({ element, read, write, disable = null }) {
  const handlers = new Set();
  let off = false;
  const field = {
    element,
    get value() {
      return read();
    },
    set value(value) {
      write(value);
      field.changed();
    },
    get disabled() {
      return off;
    },
    set disabled(value) {
      off = value;
      if (disable) disable(value);
      else for (const control of element.querySelectorAll("input, select, textarea, button")) control.disabled = value;
    },
    on(handler) {
      handlers.add(handler);
      return () => handlers.delete(handler);
    },
    changed() {
      for (const handler of handlers) handler(read());
    },
  };
  return field;
}

export function labelled(label, control, hint = null) {
  const id = control.id || (control.id = uid("field"));
  const note = hint === null ? null : h("p", { class: "hint", id: `${id}-hint` }, hint);
  if (note) control.setAttribute("aria-describedby", note.id);
  return h("div", { class: "field" }, h("label", { for: id }, label), control, note);
}

/* A group of buttons under a label. */
export function group(label, control, hint = null) {
  const id = uid("group");
  control.setAttribute("role", "group");
  control.setAttribute("aria-labelledby", id);
  const note = hint === null ? null : h("p", { class: "hint", id: `${id}-hint` }, hint);
  if (note) control.setAttribute("aria-describedby", note.id);
  return h("div", { class: "field" }, h("span", { class: "label", id }, label), control, note);
}

export function numberField({
  label, value = 0, min = null, max = null, step = 1, hint = null, whole = Number.isInteger(step), unit = null, after = null,
}) {
  let last = value;
  const input = h("input", { type: "number", inputmode: whole ? "numeric" : "decimal", value, min, max, step: whole ? step : "any" });
  const bound = (number) => {
    let bounded = whole ? Math.round(number) : number;
    if (input.min !== "") bounded = Math.max(bounded, Number(input.min));
    if (input.max !== "") bounded = Math.min(bounded, Number(input.max));
    return bounded;
  };
  const field = makeField({
    element: labelled(label, input, hint),
    read: () => last,
    write: (number) => {
      if (!Number.isFinite(number)) return;
      last = bound(number);
      input.value = last;
    },
  });
  if (unit || after) {
    const row = h("div", { class: "beside" });
    input.replaceWith(row);
    row.append(input, ...(unit ? [h("span", { class: "unit" }, unit)] : []), ...(after ? [after] : []));
  }
  // While it is typed it may be anything; what is read is the last number that it can be.
  input.addEventListener("input", () => {
    const number = input.valueAsNumber;
    if (!Number.isFinite(number) || bound(number) !== number) return;
    last = number;
    field.changed();
  });
  input.addEventListener("change", () => {
    field.value = Number.isFinite(input.valueAsNumber) ? input.valueAsNumber : last;
    input.value = last;
  });
  field.limits = ({ min: least = null, max: most = null }) => {
    if (least !== null) input.min = least;
    if (most !== null) input.max = most;
    if (bound(last) !== last) field.value = last;
  };
  field.input = input;
  return field;
}

export function seedField({ label = "Seed" } = {}) {
  const die = iconButton("die", "Another seed", () => field.roll());
  const field = numberField({ label, value: 0, min: 0, max: Number.MAX_SAFE_INTEGER, after: die });
  field.roll = () => {
    field.value = randomSeed();
    return field.value;
  };
  return field;
}

/* Short enough to be told to somebody else. */
export const randomSeed = () => crypto.getRandomValues(new Uint32Array(1))[0] % 1_000_000;

export function selectField({ label, options = [], value = null, hint = null }) {
  const select = h("select");
  const put = (list) => fill(select, list.map((option) => h("option", { value: option.value }, option.text ?? option.value)));
  put(options);
  if (value !== null) select.value = value;
  const field = makeField({
    element: labelled(label, select, hint),
    read: () => select.value,
    write: (next) => {
      if ([...select.options].some((option) => option.value === String(next))) select.value = next;
    },
  });
  select.addEventListener("change", field.changed);
  field.options = (list) => {
    const before = select.value;
    put(list);
    if (list.some((option) => String(option.value) === before)) select.value = before;
  };
  return field;
}

export function chipsField({ label, options, value, several = false, hint = null, least = several ? 1 : 0 }) {
  let chosen = value;
  const has = (one) => (several ? chosen.includes(one) : chosen === one);
  const bar = h("div", { class: "chips" });
  const show = () => [...bar.children].forEach((chip, k) => chip.setAttribute("aria-pressed", String(has(options[k].value))));
  const press = (one) => {
    if (!several) chosen = one;
    else if (has(one)) {
      if (chosen.length <= least) return;
      chosen = chosen.filter((other) => other !== one);
    } else chosen = options.map((option) => option.value).filter((other) => other === one || has(other));
    show();
    field.changed();
  };
  const build = () => {
    fill(bar, options.map((option) => h("button", { type: "button", class: "chip", onclick: () => press(option.value) }, option.text ?? String(option.value))));
    show();
  };
  const field = makeField({
    element: group(label, bar, hint),
    read: () => chosen,
    write: (next) => {
      const known = options.map((option) => option.value);
      if (several) {
        if (!Array.isArray(next)) return;
        const kept = known.filter((one) => next.includes(one));
        if (kept.length >= least) chosen = kept;
      } else if (known.includes(next)) chosen = next;
      show();
    },
  });
  field.options = (list) => {
    options = list;
    if (several) chosen = chosen.filter((one) => list.some((option) => option.value === one));
    build();
  };
  build();
  return field;
}

export function textField({ label, value = "", placeholder = null, hint = null, lines = 1 }) {
  const input = lines > 1 ? h("textarea", { rows: lines, value, placeholder }) : h("input", { type: "text", value, placeholder, autocomplete: "off" });
  const field = makeField({
    element: labelled(label, input, hint),
    read: () => input.value,
    write: (next) => (input.value = String(next ?? "")),
  });
  input.addEventListener("input", field.changed);
  return field;
}

export function checkField({ label, value = false, hint = null }) {
  const input = h("input", { type: "checkbox", checked: value, id: uid("check") });
  const note = hint === null ? null : h("p", { class: "hint", id: `${input.id}-hint` }, hint);
  if (note) input.setAttribute("aria-describedby", note.id);
  const field = makeField({
    element: h("div", { class: "field check" }, h("label", { for: input.id }, input, h("span", {}, label)), note),
    read: () => input.checked,
    write: (next) => (input.checked = Boolean(next)),
  });
  input.addEventListener("change", field.changed);
  return field;
}
