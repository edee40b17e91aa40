/* A run step by step: x_t above x̂₀, the level of the step that is shown, and where it stands on the curve of ᾱ.
 *
 *   stepsPanel(studio, name)  -> { element, follow(run), cancel(), busy }   remembers its run under `name`
 */

import { createCurve } from "./curve.js";
import { duration, fill, h, icon } from "./dom.js";
import { pictureOf } from "./result.js";
import { ENDED } from "./runs.js";
import { setting } from "./settings.js";
import "/viewer/steps.js";

const exact = (value) => (value === 0 || value >= 0.001 ? value.toFixed(3) : value.toExponential(1));
const named = (t) => `t = ${Number.isInteger(t) ? t : t.toFixed(1)}`;

/** A strip as the viewer's element, with the numbers of the level that it shows. */
export function stepsView(frames, title) {
  const { levels, columns, rows } = frames;
  const clean = (level) => level.sigma === 0;
  const labels = levels.map((level) => (clean(level) ? "the picture" : named(level.t)));
  const many = rows > 2;
  const names = Array.from({ length: rows }, (_, k) => `${many ? `${1 + Math.floor(k / 2)}: ` : ""}${k % 2 ? "x̂₀, the picture that the model sees in it" : "xₜ, the canvas"}`);
  const steps = h("sf-steps", { src: frames.url, columns, rows, labels: JSON.stringify(labels), "row-labels": JSON.stringify(names), label: `${title}: step` });
  const curve = createCurve({ x: "step", y: "ᾱ", title: "ᾱ, the share of the picture in the canvas, over the steps" }, { range: [0, 1], height: 190 });
  const points = levels.map((level, k) => [k, level.alpha ** 2]);
  const numbers = h("dl", { class: "level" });

  function show(k) {
    const level = levels[k];
    if (level === undefined) return;
    const row = (name, value) => h("div", {}, h("dt", {}, name), h("dd", {}, value));
    fill(numbers, row("t", clean(level) ? "–" : String(Number(level.t.toFixed(1)))), row("alpha", exact(level.alpha)), row("sigma", exact(level.sigma)), row("ᾱ", exact(level.alpha ** 2)));
    curve.show(points, { marker: k });
  }
  steps.addEventListener("step", (event) => show(event.detail.step));
  show(levels.length - 1);
  return h("div", { class: "steps-view" }, steps, h("div", { class: "level-side" }, numbers, curve.element));
}

export function stepsPanel(studio, name) {
  const kept = setting(`steps.${name}`, null);
  const about = h("p", { class: "hint" });
  const state = h("p", { class: "state" });
  const progress = h("progress", { max: 1, value: 0, "aria-label": "Progress" });
  const stop = h("button", { type: "button", class: "quiet", onclick: () => cancel() }, icon("close"), "Cancel");
  const live = h("div", { class: "live", hidden: true }, progress, h("div", { class: "actions" }, stop));
  const place = h("div", {});
  const element = h("section", { class: "steps-panel", "aria-label": "Step by step", hidden: true }, h("h3", {}, "Step by step"), about, state, live, place);
  let run = null;
  let drawn = null; // the run whose strip is there

  function show() {
    element.hidden = run === null;
    if (run === null) return;
    about.textContent = run.title;
    live.hidden = ENDED.has(run.state);
    progress.max = run.total || 1;
    progress.value = run.done;
    const left = run.eta ? `, about ${duration(run.eta)} left` : "";
    const words = { queued: "Waiting for its turn.", running: `Step ${run.done} of ${run.total}${left}`, cancelled: "Cancelled.", failed: run.error, done: "" };
    state.textContent = words[run.state] ?? "";
    state.hidden = state.textContent === "";
    if (!ENDED.has(run.state) && drawn !== null) [drawn] = [null, fill(place)];
    if (run.frames && drawn !== run.id) {
      drawn = run.id;
      fill(place, stepsView(run.frames, run.title));
    }
  }

  function follow(next) {
    run = next;
    drawn = null;
    fill(place);
    kept.set(run.id);
    show();
    refresh(); // it may have ended before anybody here knew of it
  }

  async function refresh() {
    if (kept.value === null) return;
    try {
      const now = await studio.api.get(`/api/runs/${kept.value}`);
      if (now.id !== kept.value) return; // another run was followed meanwhile
      if (run?.id === now.id && ENDED.has(run.state) && !ENDED.has(now.state)) return; // an event has overtaken it
      run = now;
    } catch (error) {
      if (error.status === 404) kept.set(null);
    }
    show();
  }

  async function cancel() {
    if (run === null || ENDED.has(run.state)) return;
    const now = await studio.attempt(() => studio.api.post(`/api/runs/${run.id}/cancel`), stop);
    if (now) run = now;
    show();
  }

  studio.on("run", (now) => {
    if (now.id !== run?.id) return;
    run = now;
    show();
  });
  studio.on("preview", (preview) => {
    if (preview.run !== run?.id || ENDED.has(run.state) || !preview.x0?.length) return;
    const [, height, width] = studio.model(run.model)?.shape ?? [1, 28, 28];
    const cell = (url, text) => h("figure", {}, pictureOf({ url, width, height, title: text }, 168), h("figcaption", { class: "hint" }, text));
    fill(place, h("div", { class: "live-pair" }, cell(preview.x[0], "xₜ"), cell(preview.x0[0], "x̂₀")));
  });
  studio.on("online", refresh);
  refresh();
  return {
    element,
    follow,
    cancel,
    get busy() {
      return run !== null && !ENDED.has(run.state);
    },
  };
}
