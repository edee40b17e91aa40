/* A training as it goes: the loss as a curve, where it stands, and what it can draw after each epoch.
 *
 *   trainingView(studio, {again})   { element, show(run) }: a Run of the kind training; again(run) is called with what goes on
 */

import { createCurve, short } from "./curve.js";
import { announce, duration, fill, h, icon, plural } from "./dom.js";
import { ENDED } from "./runs.js";

export function trainingView(studio, { again }) {
  let run = null;
  let chosen = null; // an epoch of the samples; null is the newest
  let drawn = ""; // what the buttons are for
  const title = h("h3", {});
  const state = h("p", { class: "state", role: "status" });
  const notes = h("div", {});
  const progress = h("progress", { max: 1, value: 0, "aria-label": "Progress of the training" });
  const numbers = h("dl", { class: "numbers" });
  const buttons = h("div", { class: "actions" });
  const curve = createCurve({ x: "step", y: "loss", title: "The loss" }, { follow: true, height: 280 });
  const log = h("input", { type: "checkbox", checked: true, onchange: draw });
  const smooth = h("input", { type: "range", min: 0, max: 0.95, step: 0.05, value: 0, "aria-label": "Smoothing of the curve", oninput: draw });
  const controls = h("div", { class: "curve-controls" }, h("label", {}, log, " logarithmic"), h("label", {}, "smooth ", smooth));
  const sheet = h("img", { class: "pixels sheet", alt: "" });
  const epoch = h("input", { type: "range", min: 1, max: 1, step: 1, value: 1, "aria-label": "Epoch of the samples", oninput: pick });
  const which = h("p", { class: "hint" });
  const samples = h("figure", { class: "samples", hidden: true }, h("figcaption", {}, h("h4", {}, "Samples")), sheet, epoch, which);
  const charted = h("figure", { class: "loss" }, h("figcaption", {}, h("h4", {}, "Loss"), controls), curve.element);
  const element = h("section", { class: "training", "aria-label": "Training" }, title, state, notes, progress, numbers, buttons, h("div", { class: "training-figures" }, charted, samples));

  function draw() {
    curve.show(run?.training?.curve ?? [], { log: log.checked, smooth: Number(smooth.value) });
  }

  function pick() {
    const sheets = run.training.samples;
    const index = Number(epoch.value) - 1;
    chosen = index === sheets.length - 1 ? null : sheets[index].epoch;
    showSamples();
  }

  function showSamples() {
    const sheets = run.training?.samples ?? [];
    samples.hidden = sheets.length === 0;
    if (sheets.length === 0) return;
    const found = sheets.findIndex((each) => each.epoch === chosen);
    const index = found < 0 ? sheets.length - 1 : found;
    const now = sheets[index];
    epoch.max = sheets.length;
    epoch.value = index + 1;
    epoch.hidden = sheets.length < 2;
    epoch.setAttribute("aria-valuetext", `after epoch ${now.epoch}`);
    if (sheet.getAttribute("src") !== now.url) sheet.src = now.url;
    sheet.alt = `samples after epoch ${now.epoch}`;
    which.textContent = `After epoch ${now.epoch}${index === sheets.length - 1 ? ", the newest" : ""}.`;
  }

  function words() {
    const training = run.training;
    const at = training && training.step ? `at step ${short(training.step)} of ${short(training.of)}` : "before its first step";
    switch (run.state) {
      case "queued":
        return run.ahead ? `Waiting: ${plural(run.ahead, "run")} before it.` : "Waiting for its turn.";
      case "running":
        return training?.step ? `Training${run.eta ? `, about ${duration(run.eta)} left` : ""}.` : "Making ready: the data are read.";
      case "done":
        return `Trained${run.started && run.finished ? ` in ${duration(run.finished - run.started)}` : ""}.`;
      case "cancelled":
        return `Stopped ${at}. It is saved and can go on.`;
      default:
        return run.error ?? "It failed.";
    }
  }

  function act() {
    const key = `${run.id}/${run.state}/${studio.model(run.model) !== undefined}`;
    if (key === drawn) return;
    drawn = key;
    const usable = studio.model(run.model) !== undefined;
    const report = h("a", { class: "button quiet", href: `/api/reports/${run.id}`, target: "_blank", rel: "noopener" }, "Report");
    const use = h("button", { type: "button", onclick: () => studio.send("generate", { job: { kind: "generate", model: run.model, ...own() } }) }, icon("send"), "Use it in Generate");
    const stop = h("button", { type: "button", class: "quiet", data: { action: "cancel" }, onclick: () => cancel() }, icon("close"), "Stop and save");
    const goOn = h("button", { type: "button", data: { action: "again" }, onclick: () => resume(goOn) }, icon("play"), "Go on");
    const ended = ENDED.has(run.state);
    fill(
      buttons,
      !ended && stop,
      (run.state === "cancelled" || run.state === "failed") && goOn,
      usable && use,
      ended && run.training?.samples?.length > 0 && report,
    );
  }

  /** What its model is used to, so that the form has it. */
  function own() {
    const { steps, guidance } = studio.model(run.model);
    return { steps, guidance, seed: 0 };
  }

  async function resume(button) {
    const next = await studio.attempt(() => studio.api.post(`/api/runs/${run.id}/again`), button);
    if (next) again(next);
  }

  async function cancel() {
    if (run === null || ENDED.has(run.state)) return;
    const now = await studio.attempt(() => studio.api.post(`/api/runs/${run.id}/cancel`));
    if (now) studio.emit("run", now);
  }

  function show(next) {
    const before = run;
    if (before?.id !== next.id) chosen = null;
    run = next;
    const training = run.training;
    title.textContent = run.title;
    state.textContent = words();
    state.classList.toggle("bad", run.state === "failed");
    fill(notes, (run.notes ?? []).map((note) => h("p", { class: "hint" }, note)));
    progress.hidden = ENDED.has(run.state);
    if (training?.of) [progress.max, progress.value] = [training.of, training.step];
    else progress.removeAttribute("value");
    const row = (name, value) => h("div", {}, h("dt", {}, name), h("dd", {}, value));
    fill(
      numbers,
      training?.step
        ? [
            row("epoch", `${training.epoch} of ${training.epochs}`),
            row("step", `${short(training.step)} of ${short(training.of)}`),
            row("loss", short(training.loss)),
            row("learning rate", short(training.lr)),
            run.state === "running" && training.per_second > 0 ? row("pictures a second", short(training.per_second)) : null,
          ]
        : null,
    );
    charted.hidden = !training?.curve?.length;
    act();
    draw();
    showSamples();
    if (before?.id === run.id && before.state !== run.state && ENDED.has(run.state)) announce(`${run.title}: ${words()}`);
  }

  return {
    element,
    show,
    cancel,
    get run() {
      return run;
    },
    refresh: () => run && show(run),
  };
}
