/* Part of a picture made anew: a mask is painted over it, and everything outside stays exactly as it is. */

import { h } from "../dom.js";
import { numberField, promptField } from "../fields.js";
import { broughtPicture, compared, COURSE_STEPS, dataUrl, isSampler, keptField, mainButton, makingFields } from "../making.js";
import { paintArea } from "../paint.js";
import { resultPanel } from "../result.js";
import { remember } from "../settings.js";

const JUMP = 5; // as the command line has it

function mount(root, studio) {
  const paint = paintArea(studio, { name: "inpaint", label: "The mask", mask: true });
  const making = makingFields(studio, { accept: isSampler, count: studio.hello.limits.count, steps: COURSE_STEPS });
  making.count.value = 1;
  const prompt = promptField(studio, making.model, { label: "What it is to be" });
  const resample = numberField({ label: "Resample", value: 1, min: 1, max: 50, unit: "×", hint: "RePaint walks each stretch so often: joins better, takes longer." });
  const jump = numberField({ label: "Jump", value: JUMP, min: 1, max: 1000, unit: "steps" });
  const inside = keptField({ begin: (start) => `start ${start}` });
  const result = resultPanel(studio, {
    name: "inpaint",
    empty: h("div", {}, h("p", {}, "Bring a picture, paint over a part of it, and it is made anew."), h("p", { class: "hint" }, "What is outside the mask is kept exactly, pixel by pixel.")),
    show: (shown) => h("div", {}, compared(shown), h("p", { class: "hint" }, "Outside the mask kept exactly.")),
    caption: (shown) => `seed ${shown.seed}`,
    before: (shown) => ({ url: dataUrl(shown.job.image), text: "original" }),
  });

  async function run() {
    await paint.ready;
    if (paint.picture === null) return studio.toast("First a picture: drop one on the canvas, paste it, or choose a file.");
    if (paint.empty) return studio.toast("Paint over the part that is to be made anew.");
    const made = await studio.attempt(async () => {
      const mask = paint.source()?.picture ?? { upload: (await studio.api.upload(await paint.blob(), "mask.png")).id };
      const image = paint.picture.picture ?? { upload: paint.picture.upload.id };
      const job = { kind: "inpaint", ...making.job(), ...inside.value, image, mask, resample: resample.value, jump: jump.value };
      if (!prompt.element.hidden) job.prompt = prompt.value;
      return studio.submit(job, { count: making.count.value });
    }, go);
    if (made) result.follow(made);
  }
  const go = mainButton("Inpaint", run);

  const follow = () => making.model.model && paint.setModel(making.model.model);
  making.model.on(follow);
  follow();
  resample.on(() => (jump.element.hidden = resample.value === 1));
  jump.element.hidden = true;
  root.append(
    h(
      "div",
      { class: "bench wide-form" },
      h(
        "form",
        { class: "form", onsubmit: (event) => event.preventDefault() },
        paint.element,
        prompt.element,
        h("div", { class: "main-action" }, go),
        making.model.element,
        making.grid,
        h("div", { class: "fields halves" }, resample.element, jump.element),
        inside.element,
        making.sampler.element,
      ),
      result.element,
    ),
  );
  remember("inpaint", { ...making.all, prompt, resample, jump, inside });

  return {
    run,
    cancel: result.cancel,
    keys: paint.keys,
    takesPicture: true,
    async receive({ job, picture: upload }) {
      if (job?.kind !== "inpaint") return upload && studio.attempt(() => paint.setPicture(upload));
      making.fill(job);
      prompt.value = job.prompt ?? null;
      resample.value = job.resample ?? 1;
      jump.value = job.jump ?? JUMP;
      inside.value = job;
      await studio.attempt(async () => {
        await paint.setPicture(await broughtPicture(studio, job.image), job.image);
        await paint.setMask(await broughtPicture(studio, job.mask), job.mask);
      });
      go.focus({ preventScroll: true });
    },
  };
}

export default { id: "inpaint", title: "Inpaint", key: "3", mount };
