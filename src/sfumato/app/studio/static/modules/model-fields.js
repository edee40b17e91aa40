/* Fields that know the models: which one, and its steps and guidance. See fields.js, which hands them out. */

import { labelled, makeField, numberField, textField } from "./controls.js";
import { fill, h } from "./dom.js";
import { parseWeight, spellWeight } from "./weights.js";

export function modelField(studio, { label = "Model", accept = (model) => model.low_res === null } = {}) {
  const select = h("select", { name: "model" });
  const list = () => {
    const models = studio.hello.models.filter(accept);
    const option = (model) => h("option", { value: model.name }, model.name.replace(/^run:/, ""));
    const own = models.filter((model) => model.name.startsWith("run:"));
    const bundled = models.filter((model) => !model.name.startsWith("run:"));
    const before = select.value;
    fill(select, bundled.map(option), own.length ? h("optgroup", { label: "Trained here" }, own.map(option)) : null);
    if (models.some((model) => model.name === before)) select.value = before;
    return models;
  };
  list();
  const about = h("p", { class: "hint" });
  const field = makeField({
    element: labelled(label, select),
    read: () => select.value,
    write: (name) => {
      if ([...select.options].some((option) => option.value === name)) select.value = name;
    },
  });
  Object.defineProperty(field, "model", { get: () => studio.model(select.value) });
  field.element.append(about);
  const tell = () => {
    const title = field.model?.title ?? "";
    about.textContent = title === select.value ? "" : title;
  };
  field.on(tell);
  tell();
  select.addEventListener("change", field.changed);
  studio.on("hello", () => {
    const before = select.value;
    list();
    if (select.value !== before) field.changed();
    else tell();
  });
  return field;
}

export function stepsField(model, { label = "Steps", hint = null, usual = null } = {}) {
  const own = () => Math.min(usual ?? model.model?.steps ?? 1, model.model?.most_steps ?? 1);
  const field = numberField({ label, hint, value: own(), min: 1, max: model.model?.most_steps ?? null });
  let name = model.value;
  model.on(() => {
    if (model.value === name || !model.model) return;
    name = model.value;
    field.limits({ min: 1, max: model.model.most_steps });
    field.value = own();
  });
  return field;
}

/** Guidance: a number, or two with dots between. */
export function weightField({ label, value }) {
  const text = textField({ label, value: spellWeight(value) });
  text.element.title = "1 is none; 4..1 goes from 4 at pure noise to 1 at the picture";
  const field = makeField({
    element: text.element,
    read: () => parseWeight(text.value) ?? text.value, // of what is no weight the server says so
    write: (next) => (text.value = spellWeight(next)),
  });
  text.on(() => field.changed());
  return field;
}

export function guidanceField(model, { label = "Guidance γ", usual = "guidance" } = {}) {
  const field = weightField({ label, value: model.model?.[usual] ?? 1 });
  const show = () => (field.element.hidden = (model.model?.conditions ?? "none") === "none");
  let name = model.value;
  show();
  model.on(() => {
    show();
    if (model.value === name || !model.model) return;
    name = model.value;
    field.value = model.model[usual];
  });
  return field;
}

export function fillFrom(job, fields) {
  const order = Object.keys(fields).sort((one, other) => (other === "model") - (one === "model"));
  for (const name of order) if (name in job) fields[name].value = job[name];
}
