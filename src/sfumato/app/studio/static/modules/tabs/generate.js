/* Pictures from noise. */

import { h } from "../dom.js";
import { promptField } from "../fields.js";
import { isSampler, mainButton, makingFields } from "../making.js";
import { resultPanel } from "../result.js";
import { remember } from "../settings.js";

function mount(root, studio) {
  const making = makingFields(studio, { accept: isSampler, count: studio.hello.limits.count });
  const prompts = promptField(studio, making.model, { label: "What", several: true });
  const result = resultPanel(studio, {
    name: "generate",
    empty: h("div", {}, h("p", {}, "Here a picture emerges from noise, step by step."), h("p", { class: "hint" }, "Choose what it is to be, or anything, and press ", h("kbd", {}, "g"), ".")),
    async again(shown) {
      await send({ ...shown.job, model: shown.model, seed: making.seed.roll() });
    },
  });

  async function send(job, options = {}) {
    const made = await studio.attempt(() => studio.submit(job, options), go);
    if (made) result.follow(made);
  }

  const run = () => {
    const asked = prompts.value;
    const what = asked.length > 1 ? { prompts: asked } : { prompt: asked[0] };
    return send({ kind: "generate", ...making.job(), ...what }, { count: making.count.value });
  };
  const go = mainButton("Generate", run);

  root.append(
    h(
      "div",
      { class: "bench" },
      h("form", { class: "form", onsubmit: (event) => event.preventDefault() }, making.model.element, prompts.element, making.grid, making.sampler.element, h("div", { class: "main-action" }, go)),
      result.element,
    ),
  );
  remember("generate", { ...making.all, prompts });

  return {
    run,
    cancel: result.cancel,
    receive({ job }) {
      if (job?.kind !== "generate") return;
      making.fill(job);
      prompts.value = [job.prompt ?? null];
      go.focus();
    },
    keys: [
      { keys: "r", what: "roll the die: another seed", run: () => making.seed.roll() },
    ],
  };
}

export default { id: "generate", title: "Generate", key: "1", mount };
