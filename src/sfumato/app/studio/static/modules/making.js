/* What all forms that make pictures share, so that a tab only has to add its own.
 *
 *   makingFields(studio, {accept, count, steps, illusion, without}) -> { model, steps, guidance, seed, count, sampler, all, grid, job(), fill(job) }
 *     all: {name: field} for remember(), the model first; grid: the element with steps, guidance, seed and count;
 *     job(): model, steps, guidance, seed and what `sampler` adds; fill(job): from a whole Job -> whether its model is here
 *     illusion: whether the picture is read in several ways, each with the guidance that its model has for that
 *     steps: how many where no Job says, by default the model's own; count: the most pictures that can be asked for
 *   isSampler(model)   whether it makes pictures in steps, from noise: no later stage of a cascade, no one-step denoiser
 *   COURSE_STEPS   those of jobs that begin from a picture: their starts count in the schedule of the course
 *   keptField(names)        a field without a control: these parts of a Job that was loaded, said in a line and taken back by a button
 *   dataUrl(picture)        a Picture of a Job as a URL
 *   broughtPicture(studio, picture)   a Picture of a Job as an upload -> Promise<Upload>
 *   compared(shown)         <sf-compare> of a picture with the one that its Job began from
 *   mainButton(text, run)   the main action's button and its key
 */

import "/viewer/compare.js";

import { fill, h } from "./dom.js";
import { guidanceField, makeField, modelField, numberField, samplerFields, seedField, stepsField } from "./fields.js";

export function makingFields(studio, { accept = undefined, count: most = 1, steps: usual = null, illusion = false, without = [] } = {}) {
  const model = modelField(studio, accept ? { accept } : {});
  const steps = stepsField(model, { usual });
  const guidance = guidanceField(model, { usual: illusion ? "illusion_guidance" : "guidance" });
  const seed = seedField();
  const count = most > 1 ? numberField({ label: "Pictures", value: Math.min(4, most), min: 1, max: most }) : null;
  const sampler = samplerFields(studio, model, { without });
  const grid = h("div", { class: "fields" }, count?.element, seed.element, steps.element, guidance.element);
  return {
    model,
    steps,
    guidance,
    seed,
    count,
    sampler,
    grid,
    all: { model, steps, guidance, seed, ...(count ? { count } : {}), sampler },
    job: () => ({
      model: model.value,
      steps: steps.value,
      seed: seed.value,
      guidance: guidance.value,
      ...sampler.value,
    }),
    fill(job) {
      const here = studio.model(job.model) !== undefined;
      if (here) model.value = job.model;
      else studio.toast(`The model ${job.model} is not in this studio; the rest of the job is filled in.`, "bad");
      steps.value = job.steps;
      guidance.value = job.guidance;
      seed.value = job.seed;
      if (count) count.value = 1;
      sampler.value = job;
      return here;
    },
  };
}

export const COURSE_STEPS = 34;

export const isSampler = (model) => model.low_res === null && model.most_steps > 1;

export function keptField(names) {
  let kept = {};
  const line = h("p", { class: "hint kept", hidden: true });
  const field = makeField({
    element: line,
    read: () => kept,
    write: (job) => {
      kept = Object.fromEntries(Object.keys(names).filter((name) => job[name] !== undefined && job[name] !== null).map((name) => [name, job[name]]));
      line.hidden = Object.keys(kept).length === 0;
      const said = Object.entries(kept).map(([name, value]) => names[name](value));
      fill(line, `From the job: ${said.join(", ")}. `, h("button", { type: "button", class: "link", onclick: () => (field.value = {}) }, "Leave it out"));
    },
  });
  return field;
}

export const dataUrl = (picture) => `data:image/png;base64,${picture.png}`;

export function broughtPicture(studio, picture) {
  const bytes = Uint8Array.from(atob(picture.png), (letter) => letter.charCodeAt(0));
  return studio.api.upload(new Blob([bytes], { type: "image/png" }), picture.name);
}

export function compared(shown, labels = ["before", "after"]) {
  return h("sf-compare", { before: dataUrl(shown.job.image), after: shown.url, labels: JSON.stringify(labels) });
}

export function mainButton(text, run) {
  const button = h("button", { type: "button", class: "primary", "aria-keyshortcuts": "g", title: `${text} (g)`, onclick: () => run() }, text);
  return button;
}
