/* What a model is asked for: buttons or a select of its classes, a text, or nothing. See fields.js, which hands it out. */

import { group, labelled, makeField } from "./controls.js";
import { fill, h } from "./dom.js";

export function promptField(
  studio,
  model,
  { label = "Prompt", several = false, anything = "anything", hint = null, compact = false, placeholder = "a rocket ship" } = {},
) {
  const place = h("div", { class: "prompt" });
  let kind = null; // "none", "words", or the classes as text: what is built at the moment
  let chosen = several ? [null] : null; // as `value`
  let text = ""; // as typed: a space at its end is no change of the prompt

  const asList = (value) => (several ? value : [value]);
  const set = (prompts) => (chosen = several ? (prompts.length ? prompts : [null]) : (prompts[0] ?? null));

  function build() {
    const now = model.model;
    const conditions = now?.conditions ?? "none";
    const wanted = conditions === "classes" ? JSON.stringify(now.classes) : conditions;
    if (wanted === kind) return;
    kind = wanted;
    if (conditions === "classes") {
      set(asList(chosen).filter((prompt) => prompt === null || now.classes.includes(prompt)));
      fill(place, compact && !several ? choice(now.classes) : buttons(now.classes));
    } else if (conditions === "words") {
      text = asList(chosen).filter((prompt) => prompt !== null).join("\n");
      fill(place, words());
    } else {
      set([null]);
      fill(place);
    }
    place.hidden = conditions === "none";
  }

  function choice(classes) {
    const options = [...(anything === null ? [] : [h("option", { value: "" }, anything)]), ...classes.map((name) => h("option", { value: name }, name))];
    if (anything === null && chosen === null) chosen = classes[0];
    const select = h("select", { value: chosen ?? "" }, options);
    select.addEventListener("change", () => {
      chosen = select.value || null;
      field.changed();
    });
    return labelled(label, select, hint);
  }

  function buttons(classes) {
    if (anything === null && asList(chosen)[0] === null) set([classes[0]]);
    const press = (name) => {
      const before = asList(chosen);
      if (!several || name === null) set([name]);
      else if (before.includes(name)) set(before.filter((one) => one !== name && one !== null));
      else set(classes.filter((one) => one === name || before.includes(one)));
      show();
      field.changed();
    };
    const one = (name, shown) =>
      h("button", { type: "button", class: "chip", data: { prompt: name ?? "" }, onclick: () => press(name) }, shown);
    const bar = h(
      "div",
      { class: classes.every((name) => name.length < 3) ? "chips digits" : "chips" },
      classes.map((name) => one(name, name)),
      anything === null ? null : one(null, anything),
    );
    const show = () => {
      for (const button of bar.children) {
        button.setAttribute("aria-pressed", String(asList(chosen).includes(button.dataset.prompt || null)));
      }
    };
    show();
    return group(label, bar, hint);
  }

  function words() {
    const input = several
      ? h("textarea", { rows: 3, value: text, placeholder, spellcheck: "false" })
      : h("input", { type: "text", value: text, placeholder, spellcheck: "false", autocomplete: "off" });
    input.addEventListener("input", () => {
      text = input.value;
      set(text.split("\n").map((line) => line.trim()).filter(Boolean));
      field.changed();
    });
    return labelled(label, input, hint ?? (several ? "One prompt a line. Nothing: whatever the model makes of noise." : null));
  }

  const field = makeField({
    element: place,
    read: () => chosen,
    write: (value) => {
      const given = (Array.isArray(value) ? value : [value]).filter((one) => one === null || typeof one === "string");
      const classes = model.model?.conditions === "classes" ? model.model.classes : null;
      set(classes ? given.filter((one) => one === null || classes.includes(one)) : given);
      kind = null;
      build();
    },
  });
  build();
  model.on(() => {
    const before = JSON.stringify(chosen);
    build();
    if (JSON.stringify(chosen) !== before) field.changed();
  });
  studio.on("hello", build);
  return field;
}
