/* The settings of a recipe as fields: the important ones, and the others in a disclosure.
 *
 *   recipeFields(studio)   a field; value: {recipe, settings}, the settings only where they differ from the recipe's own
 */

import { fill, h } from "./dom.js";
import { checkField, makeField, numberField, selectField, textField, weightField } from "./fields.js";

const FIRST = ["epochs", "steps", "width", "batch_size", "lr"];
const CALLED = { lr: "learning rate", lr_decay: "its decay", ema: "decay of the average", width: "width of the network", batch_size: "pictures a step" };
const ABOUT = { steps: "Nothing: as many as the epochs take.", width: "The wider, the better and the slower." };

/** A field for a value of the kind that the recipe has there; what is no number, text or switch is written as JSON. */
function fieldFor(name, usual) {
  const words = CALLED[name] ?? name.replaceAll("_", " ");
  const label = words[0].toUpperCase() + words.slice(1);
  const hint = ABOUT[name] ?? null;
  if (typeof usual === "boolean") return checkField({ label, value: usual, hint });
  if (name === "guidance") return weightField({ label, value: usual });
  if (typeof usual === "number") {
    const whole = Number.isInteger(usual) && !["lr", "shift", "gamma", "signal", "clip", "lr_decay", "ema"].includes(name);
    return numberField({ label, value: usual, whole, step: whole ? 1 : "any", hint });
  }
  const text = textField({ label, value: usual === null ? "" : typeof usual === "string" ? usual : JSON.stringify(usual), placeholder: usual === null ? "nothing" : null, hint });
  if (typeof usual === "string") return text;
  return makeField({
    element: text.element,
    read: () => {
      if (text.value.trim() === "") return null;
      try {
        return JSON.parse(text.value);
      } catch {
        return text.value; // the server says what is wrong with it
      }
    },
    write: (value) => (text.value = value === null ? "" : typeof value === "string" ? value : JSON.stringify(value)),
  });
}

const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

export function recipeFields(studio) {
  const recipes = () => studio.hello.recipes;
  const select = selectField({ label: "Recipe", options: recipes().map((recipe) => ({ value: recipe.name, text: recipe.name })), value: "class" });
  const summary = h("p", { class: "hint" });
  const first = h("div", { class: "fields" });
  const rest = h("div", { class: "fields" });
  const more = h("details", { class: "advanced" }, h("summary", {}, "All settings of the recipe"), rest);
  let fields = {};

  function build(settings = {}) {
    const recipe = recipes().find((each) => each.name === select.value);
    if (recipe === undefined) return;
    summary.textContent = recipe.summary;
    fields = Object.fromEntries(Object.entries(recipe.settings).map(([name, usual]) => [name, fieldFor(name, usual)]));
    for (const [name, one] of Object.entries(fields)) {
      if (name in settings) one.value = settings[name];
      one.on(() => field.changed());
      // A field that wraps a text hears of its typing only so.
      one.element.addEventListener("input", () => field.changed());
    }
    const names = Object.keys(fields);
    fill(first, FIRST.filter((name) => names.includes(name)).map((name) => fields[name].element));
    fill(rest, names.filter((name) => !FIRST.includes(name)).map((name) => fields[name].element));
    more.hidden = rest.children.length === 0;
  }

  const field = makeField({
    element: h("div", { class: "recipe-fields" }, select.element, summary, first, more),
    read: () => {
      const usual = recipes().find((each) => each.name === select.value)?.settings ?? {};
      const changed = Object.entries(fields).filter(([name, one]) => !same(one.value, usual[name]));
      return { recipe: select.value, settings: Object.fromEntries(changed.map(([name, one]) => [name, one.value])) };
    },
    write: ({ recipe, settings }) => {
      select.value = recipe;
      build(settings);
    },
  });
  select.on(() => {
    build();
    field.changed();
  });
  build();
  return field;
}
