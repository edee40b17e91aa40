/* The lesson: a picture is noised, and cleaned by a blur, in one step, and step by step; and every step can be looked at. */

import "/viewer/compare.js";
import { ApiError } from "../api.js";
import { WAYS, denoiseTable, originalOf } from "../denoise-table.js";
import { h, icon } from "../dom.js";
import { ended } from "../ended.js";
import { numberField, promptField, randomSeed } from "../fields.js";
import { COURSE_STEPS, broughtPicture, mainButton, makingFields } from "../making.js";
import { paintArea } from "../paint.js";
import { pictureOf, resultPanel } from "../result.js";
import { remember } from "../settings.js";
import { stepsPanel } from "../steps-panel.js";
import { timesField } from "../times-field.js";

function mount(root, studio) {
  const making = makingFields(studio, { steps: COURSE_STEPS, without: ["upscale"] });
  const { model } = making;
  const paint = paintArea(studio, { name: "denoise", label: "The picture that is noised" });
  const times = timesField(model);
  const prompt = promptField(studio, model, { label: "Denoise it as", compact: true });
  const sigma = numberField({ label: "Blur, σ", value: 1, min: 0.1, max: 32, step: 0.5, whole: false, unit: "px" });
  const steps = stepsPanel(studio, "denoise");

  const result = resultPanel(studio, {
    name: "denoise",
    empty: h(
      "div",
      {},
      h("p", {}, "A picture is noised, and then cleaned in three ways: by a blur, in one step, and step by step."),
      h("p", { class: "hint" }, "Give a picture, or let one be made; or watch a picture come out of pure noise."),
    ),
    show: compared,
    caption: (shown) => `t ${shown.job.t} · ${WAYS[shown.job.method]}`,
    before: originalOf,
    order: mostWorkFirst,
    summary: (pictures) => denoiseTable(pictures, (k) => result.choose(k)),
    again: null,
    sends: ["edit", "inpaint"],
  });

  /* What a way has made of the noised picture, over it. */
  function compared(shown) {
    const noised = result.pictures.find((one) => one.job.t === shown.job.t && one.job.method === "noised");
    if (shown.job.method === "noised" || !noised) return pictureOf(shown);
    return h("sf-compare", { before: noised.url, after: shown.url, labels: JSON.stringify([WAYS.noised, WAYS[shown.job.method]]) });
  }

  const asked = () => ({ ...making.job(), ...(prompt.value === null ? {} : { prompt: prompt.value }) });

  async function run() {
    await paint.ready;
    if (paint.empty) return studio.toast("First a picture: draw one, drop one, or let one be made.", "bad");
    const sent = await studio.attempt(async () => {
      const job = { kind: "denoise", ...asked(), sigma: sigma.value, image: await image() };
      const all = await studio.submit({ ...job, times: times.value });
      const [last] = times.value.slice(-1);
      return { all, walk: model.model.most_steps > 1 ? await studio.submit({ ...job, t: last, method: "iterative" }, { keep: "steps" }) : null };
    }, go);
    if (!sent) return;
    result.follow(sent.all);
    if (sent.walk) steps.follow(sent.walk);
  }
  const go = mainButton("Noise it and clean it", run);

  async function image() {
    const source = paint.source() ?? { upload: await studio.api.upload(await paint.blob(), "drawing.png") };
    return source.picture ?? { upload: source.upload.id, invert: source.invert ?? false };
  }

  async function watch() {
    const walk = await studio.attempt(() => studio.submit({ kind: "generate", ...asked() }, { keep: "steps" }), noise);
    if (!walk) return;
    steps.follow(walk);
    steps.element.scrollIntoView({ block: "nearest" });
  }
  const noise = h("button", { type: "button", onclick: watch }, icon("play"), "Watch it from pure noise");

  /* A picture of the model itself, to begin with. */
  async function make() {
    const one = await studio.attempt(async () => {
      const job = { kind: "generate", model: model.value, seed: randomSeed() };
      if (model.model.conditions === "classes") job.prompt = prompt.value ?? model.model.classes[job.seed % model.model.classes.length];
      if (model.model.conditions === "words") {
        if (prompt.value === null) throw new ApiError("Say below what it is to be denoised as: that is what is made.");
        job.prompt = prompt.value;
      }
      const done = await ended(studio, await studio.submit(job));
      if (done.state !== "done" || !done.pictures.length) throw new ApiError(done.error ?? "The picture was not made.");
      const [shown] = done.pictures;
      const blob = await (await fetch(shown.url)).blob();
      return studio.api.upload(blob, `${shown.title}.png`);
    }, maker);
    if (one !== null) await studio.attempt(() => paint.setPicture(one));
  }
  const maker = h("button", { type: "button", class: "quiet", onclick: make }, icon("die"), "Let one be made");

  function fit() {
    if (!model.model) return;
    paint.setModel(model.model);
    noise.hidden = model.model.most_steps < 2;
  }
  model.on(fit);
  fit();

  making.sampler.element.querySelector(".fields").prepend(sigma.element);
  root.append(
    h(
      "div",
      { class: "bench wide-form" },
      h(
        "form",
        { class: "form", onsubmit: (event) => event.preventDefault() },
        h("div", { class: "field" }, h("div", { class: "title-line" }, h("span", { class: "label" }, "Picture"), maker), paint.element),
        times.element,
        prompt.element,
        h("div", { class: "main-action" }, go, noise),
        model.element,
        h("div", { class: "fields" }, making.seed.element, making.steps.element, making.guidance.element),
        making.sampler.element,
      ),
      h("div", { class: "lesson" }, result.element, steps.element),
    ),
  );
  remember("denoise", { ...making.all, times, prompt, sigma });

  return {
    run,
    cancel: () => (result.busy ? result.cancel() : steps.cancel()),
    takesPicture: true,
    async receive({ job, picture }) {
      if (job?.kind === "denoise") {
        making.fill(job);
        times.value = [job.t];
        prompt.value = job.prompt ?? null;
        sigma.value = job.sigma ?? 1;
        await studio.attempt(async () => paint.setPicture(await broughtPicture(studio, job.image), job.image));
        go.focus({ preventScroll: true });
      } else if (picture) await studio.attempt(() => paint.setPicture(picture));
    },
    keys: [
      { keys: "r", what: "roll the die: another seed", run: () => making.seed.roll() },
      { keys: "n", what: "watch it from pure noise", run: watch },
      ...paint.keys,
    ],
  };
}

/** What comes first is what took most: the noisiest one, cleaned step by step. */
function mostWorkFirst({ job: one }, { job: other }) {
  const way = ({ method }) => Object.keys(WAYS).indexOf(method);
  return way(other) - way(one) || other.t - one.t;
}

export default { id: "denoise", title: "Denoise", key: "6", mount };
