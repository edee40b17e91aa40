/* A drawing or a photo, noised and denoised again (SDEdit). */

import { h, plural } from "../dom.js";
import { chipsField, promptField } from "../fields.js";
import { broughtPicture, compared, COURSE_STEPS, dataUrl, isSampler, keptField, mainButton, makingFields } from "../making.js";
import { paintArea } from "../paint.js";
import { resultPanel } from "../result.js";
import { remember } from "../settings.js";

const STARTS = [1, 3, 5, 7, 10, 15, 20, 25, 30];
const USUAL = [1, 3, 5, 7, 10, 20];

function mount(root, studio) {
  const paint = paintArea(studio, { name: "edit", label: "What the edit begins from" });
  const making = makingFields(studio, { accept: isSampler, count: studio.hello.limits.count, steps: COURSE_STEPS });
  making.count.value = 1;
  const prompt = promptField(studio, making.model, { label: "What it is to be" });
  const starts = chipsField({ label: "Starts", options: [], value: USUAL, several: true, hint: "The later the start, the more of the picture stays." });
  const inside = keptField({ mask: () => "inside a mask", resample: (times) => `resampled ${times} times`, jump: (steps) => `jumps of ${plural(steps, "step")}` });
  const result = resultPanel(studio, {
    name: "edit",
    empty: h("div", {}, h("p", {}, "Draw something, and see it become what you meant."), h("p", { class: "hint" }, "The picture is noised to each start and denoised again.")),
    show: (shown) => compared(shown, ["original", `start ${shown.job.begin}`]),
    caption: (shown, pictures) => `start ${shown.job.begin}${pictures.some(({ seed }) => seed !== shown.seed) ? ` · seed ${shown.seed}` : ""}`,
    before: (shown) => ({ url: dataUrl(shown.job.image), text: "original" }),
  });

  let more = []; // starts of a job that was loaded
  function offer() {
    const last = making.steps.value - 2;
    const list = [...new Set([...STARTS, ...more])].sort((one, other) => one - other).filter((start) => start <= last);
    const before = starts.value;
    starts.options((list.length ? list : [0]).map((value) => ({ value, text: String(value) })));
    if (starts.value.length === 0) starts.value = list.length ? list.slice(-1) : [0];
    if (before.length !== starts.value.length) starts.changed();
  }

  async function picture() {
    const source = paint.source();
    if (source?.picture) return source.picture;
    if (source) return { upload: source.upload.id, invert: source.invert };
    const upload = await studio.api.upload(await paint.blob(), "drawing.png");
    return { upload: upload.id };
  }

  async function run() {
    await paint.ready;
    if (paint.empty) return studio.toast("Draw something first, or drop a picture on the canvas.");
    const made = await studio.attempt(async () => {
      const job = { kind: "edit", ...making.job(), ...inside.value, image: await picture(), begins: starts.value };
      if (!prompt.element.hidden) job.prompt = prompt.value;
      return studio.submit(job, { count: making.count.value });
    }, go);
    if (made) result.follow(made);
  }
  const go = mainButton("Edit", run);

  const follow = () => making.model.model && paint.setModel(making.model.model);
  making.model.on(follow);
  making.steps.on(offer);
  follow();
  offer();
  root.append(
    h(
      "div",
      { class: "bench wide-form" },
      h(
        "form",
        { class: "form", onsubmit: (event) => event.preventDefault() },
        paint.element,
        prompt.element,
        starts.element,
        h("div", { class: "main-action" }, go),
        making.model.element,
        making.grid,
        inside.element,
        making.sampler.element,
      ),
      result.element,
    ),
  );
  remember("edit", { ...making.all, prompt, starts, inside });

  return {
    run,
    cancel: result.cancel,
    keys: paint.keys,
    takesPicture: true,
    async receive({ job, picture: upload }) {
      if (job?.kind !== "edit") return upload && studio.attempt(() => paint.setPicture(upload));
      making.fill(job);
      prompt.value = job.prompt ?? null;
      more = [job.begin];
      offer();
      starts.value = [job.begin];
      inside.value = job.mask ? job : {};
      await studio.attempt(async () => paint.setPicture(await broughtPicture(studio, job.image), job.image));
      go.focus({ preventScroll: true });
    },
  };
}

export default { id: "edit", title: "Edit", key: "2", mount };
