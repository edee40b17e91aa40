/* One picture whose components show different things: one from afar and another from near, one in grey and another in colour. */

import { ApiError } from "../api.js";
import { h } from "../dom.js";
import { factorsField, partsField } from "../factors-field.js";
import { numberField } from "../fields.js";
import { hybridViewer } from "../hybrid-viewer.js";
import { broughtPicture, dataUrl, mainButton, makingFields } from "../making.js";
import { originFields } from "../origin.js";
import { pictureInput } from "../picture-input.js";
import { byWeakest, percent, tally, weakest } from "../readings.js";
import { resultPanel } from "../result.js";
import { remember } from "../settings.js";

const TRIES = 8;

function mount(root, studio) {
  const making = makingFields(studio, { accept: (model) => model.low_res === null && model.conditions !== "none", illusion: true });
  const { model } = making;
  const factors = factorsField(studio, model);
  const reference = pictureInput(studio, { label: "Keep the first part of a picture", hint: "Its coarse part stays, and the model makes the rest." });
  const parts = partsField(studio, model, factors, () => (reference.value === null ? 0 : 1));
  const origin = originFields(studio, making, "hybrid");
  const own = new Map(); // by upload: the Picture of a Job that it was made from
  const tries = numberField({ label: "Seeds to try", value: Math.min(TRIES, studio.hello.limits.count), min: 1, max: studio.hello.limits.count });
  const classes = model.model?.classes ?? [];
  parts.value = classes.includes("3") ? ["0", "3"] : classes.length > 1 ? classes : ["a lion", "a teapot"];
  reference.on(parts.show);

  const result = resultPanel(studio, {
    name: "hybrid",
    empty: h(
      "div",
      {},
      h("p", {}, "One picture that is one thing from afar and another from near."),
      h("p", { class: "hint" }, "Several seeds are tried; a judge reads each in every way, and the best comes first."),
    ),
    show: (shown) => hybridViewer(shown, shown.width / (studio.model(shown.model)?.shape[2] ?? shown.width)),
    caption: (shown) => (shown.readings.length ? `seed ${shown.seed} · ${percent(weakest(shown.readings))}` : `seed ${shown.seed}`),
    before: (shown) => (shown.job.reference ? { url: dataUrl(shown.job.reference), text: "the reference" } : null),
    order: byWeakest,
    summary: (pictures) => (tally(pictures) ? h("p", { class: "hint" }, tally(pictures)) : null),
    again: null,
  });

  async function run() {
    const made = await studio.attempt(async () => {
      if (parts.value.includes(null)) throw new ApiError("Say what each part shows.");
      const job = { kind: "hybrid", ...making.job(), parts: parts.value, factors: factors.value, ...(await origin.job()) };
      if (reference.value !== null) job.reference = own.get(reference.value.id) ?? { upload: reference.value.id };
      return studio.submit(job, { count: tries.value });
    }, go);
    if (made) result.follow(made);
  }
  const go = mainButton("Make the hybrid", run);

  function others() {
    const tried = result.pictures.length ? Math.max(...result.pictures.map((shown) => shown.seed)) : making.seed.value - 1;
    making.seed.value = tried + 1;
    return run();
  }
  const next = h("button", { type: "button", class: "quiet", onclick: others }, "Try the next seeds");
  const keeping = h("details", { class: "advanced" }, h("summary", {}, "Keep part of a picture"), h("div", { class: "origin" }, reference.element));
  reference.on((upload) => upload && (keeping.open = true));

  root.append(
    h(
      "div",
      { class: "bench" },
      h(
        "form",
        { class: "form", onsubmit: (event) => event.preventDefault() },
        factors.element,
        parts.element,
        h("div", { class: "fields" }, tries.element, making.seed.element),
        h("div", { class: "main-action" }, go, next),
        model.element,
        h("div", { class: "fields" }, making.steps.element, making.guidance.element),
        keeping,
        origin.element,
        making.sampler.element,
      ),
      result.element,
    ),
  );
  remember("hybrid", { ...making.all, factors, reference, parts, tries, ...origin.all });

  return {
    run,
    cancel: result.cancel,
    takesPicture: true,
    async receive({ job, picture }) {
      if (job?.kind === "hybrid") {
        making.fill(job);
        factors.value = job.factors;
        await studio.attempt(async () => {
          reference.value = job.reference ? await broughtPicture(studio, job.reference) : null;
          if (job.reference) own.set(reference.value.id, job.reference);
          await origin.receive(job);
        });
        parts.value = job.parts;
        tries.value = 1;
        go.focus({ preventScroll: true });
      } else if (picture) reference.value = picture;
    },
    keys: [
      { keys: "r", what: "roll the die: another seed", run: () => making.seed.roll() },
      { keys: "n", what: "try the next seeds", run: others },
    ],
  };
}

export default { id: "hybrid", title: "Hybrid", key: "5", mount };
