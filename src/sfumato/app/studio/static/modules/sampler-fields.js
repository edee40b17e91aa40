/* The "Advanced" disclosure: how a picture is sampled. See fields.js, which hands it out. */

import { makeField, numberField, selectField } from "./controls.js";
import { fill, h } from "./dom.js";
import { promptField } from "./prompt-field.js";

const OWN = ""; // the model's own: left out of the Job, so that the server fills it in
const UNSEEN = ["variance", "quantile", "largest", "last_step", "dtype"];
const LIKE_MODEL = { value: OWN, text: "the model’s own" };

export function samplerFields(studio, model, { without = [] } = {}) {
  const names = (list) => [LIKE_MODEL, ...list.map((name) => ({ value: name, text: name }))];
  const sampler = selectField({ label: "Sampler", options: names(studio.hello.samplers), value: OWN });
  const spacing = selectField({ label: "Spacing of the steps", options: names(studio.hello.spacings), value: OWN });
  const eta = numberField({ label: "η of ddim", value: 0, min: 0, max: 1, step: 0.1, whole: false, hint: "0: no noise on the way; 1: as much as ddpm" });
  const threshold = selectField({ label: "Threshold of x̂₀", options: names(["none", "static", "dynamic"]), value: OWN });
  const negative = promptField(studio, model, { label: "Not", anything: "nothing", compact: true, placeholder: null, hint: "What guidance leads away from." });
  const larger = selectField({ label: "Make it larger", options: [{ value: OWN, text: "no" }], value: OWN });
  let unseen = {}; // of a Job that was loaded: what no field here shows
  let stages = null; // its later stages, as it has them
  const kept = h("p", { class: "hint kept", hidden: true });

  const has = (name) => !without.includes(name);
  const body = h(
    "div",
    { class: "fields" },
    has("sampler") && sampler.element,
    has("sampler") && eta.element,
    has("spacing") && spacing.element,
    has("threshold") && threshold.element,
    has("negative") && negative.element,
    has("upscale") && larger.element,
    kept,
  );
  const details = h("details", { class: "advanced" }, h("summary", {}, "Advanced"), body);

  /* The model's own chain of later stages: [[name, size], …]. */
  function chain() {
    const found = [];
    for (let at = model.model?.larger; at && found.length < 4; at = studio.model(at.name)?.larger) found.push(at);
    return found;
  }

  function show() {
    eta.element.hidden = sampler.value !== "ddim";
    negative.element.hidden = (model.model?.conditions ?? "none") === "none";
    const sizes = chain();
    larger.options([{ value: OWN, text: "no" }, ...sizes.map((stage, k) => ({ value: String(k + 1), text: `${stage.size} pixels` }))]);
    larger.element.hidden = sizes.length === 0;
    const said = Object.entries(unseen).map(([name, value]) => `${name.replace("_", " ")} ${value}`);
    if (stages) said.push(`made larger by ${stages.map((stage) => stage.model ?? stage).join(", ")}`);
    kept.hidden = said.length === 0;
    fill(kept, `From the job: ${said.join(", ")}. `, h("button", { type: "button", class: "link", onclick: forget }, "Leave it to the model"));
  }

  function forget() {
    unseen = {};
    stages = null;
    field.changed();
  }

  const field = makeField({
    element: details,
    read: () => {
      const value = { ...unseen };
      if (has("sampler") && sampler.value !== OWN) value.sampler = sampler.value;
      if (has("sampler") && sampler.value === "ddim") value.eta = eta.value; // also over what a job said
      if (has("spacing") && spacing.value !== OWN) value.spacing = spacing.value;
      if (has("threshold") && threshold.value !== OWN) value.threshold = threshold.value;
      if (has("negative") && !negative.element.hidden && negative.value !== null) value.negative = negative.value;
      if (has("upscale") && stages) value.larger = stages;
      else if (has("upscale") && larger.value !== OWN) value.larger = chain().slice(0, Number(larger.value)).map((stage) => stage.name);
      return value;
    },
    write: (job) => {
      sampler.value = job.sampler ?? OWN;
      spacing.value = job.spacing ?? OWN;
      threshold.value = job.threshold ?? OWN;
      eta.value = job.eta ?? 0;
      negative.value = job.negative ?? null;
      unseen = Object.fromEntries(UNSEEN.filter((name) => job[name] !== undefined && job[name] !== null).map((name) => [name, job[name]]));
      if (job.eta && job.sampler !== "ddim") unseen.eta = job.eta; // means nothing, but belongs to the job
      const names = (job.larger ?? []).map((stage) => (typeof stage === "string" ? stage : null));
      const own = names.length > 0 && names.every((name, k) => name !== null && name === chain()[k]?.name);
      stages = job.larger?.length && !own ? job.larger : null;
      show();
      larger.value = own ? String(names.length) : OWN;
    },
  });
  for (const one of [sampler, spacing, threshold, eta, negative, larger]) one.on(() => field.changed());
  field.on(show);
  let name = model.value;
  model.on(() => {
    if (model.value === name) return show();
    name = model.value;
    field.value = {};
  });
  show();
  return field;
}
