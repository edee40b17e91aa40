/* A model of one's own, from scratch: a recipe, data, and the loss as it falls. */

import { datasetInput } from "../dataset.js";
import { fill, h } from "../dom.js";
import { selectField } from "../fields.js";
import { mainButton } from "../making.js";
import { recipeFields } from "../recipe-fields.js";
import { ENDED } from "../runs.js";
import { remember } from "../settings.js";
import { trainingView } from "../training-view.js";

function mount(root, studio) {
  const recipe = recipeFields(studio);
  const rows = () => studio.hello.data.map((each) => ({ value: each.name, text: each.name.startsWith("set:") ? each.about : each.name }));
  const data = selectField({ label: "Pictures to learn from", options: rows() });
  const about = h("p", { class: "hint" });
  const own = h("details", { class: "advanced" }, h("summary", {}, "Your own pictures"));
  const runs = new Map();
  let current = null;

  const dataset = datasetInput(studio, {
    made(set, left) {
      const name = `set:${set.id}`;
      const labels = set.labels.length ? `, ${set.labels.length} labels` : "";
      if (!studio.hello.data.some((each) => each.name === name)) studio.hello.data.push({ name, about: `${set.name}: ${set.count} pictures${labels}` });
      data.options(rows());
      data.value = name;
      own.open = left > 0; // there it says which
      studio.toast(`${set.name}: ${set.count} pictures${labels}.`, "good");
      go.focus();
    },
  });
  own.append(dataset.element);

  const view = trainingView(studio, { again: follow });
  const empty = h(
    "div",
    { class: "empty" },
    h("p", {}, "Here the loss falls, and after each epoch you see what the model can draw."),
    h("p", { class: "hint" }, "Choose a recipe and pictures. A few minutes on the digits of this machine's fonts are enough to see something."),
  );
  const stage = h("div", { class: "training-stage" }, empty);
  const others = h("div", { class: "other-trainings" });

  function describe() {
    const one = studio.hello.data.find((each) => each.name === data.value);
    about.textContent = one && !data.value.startsWith("set:") ? one.about : "";
    about.hidden = about.textContent === "";
  }
  data.on(describe);
  describe();

  async function run() {
    const started = await studio.attempt(async () => {
      // Pictures that were chosen are to be trained on, whether or not they have been brought in yet.
      if (!(await dataset.settle())) return null;
      return studio.api.post("/api/trainings", { ...recipe.value, data: data.value });
    }, go);
    if (!started) return;
    studio.emit("run", started);
    follow(started);
  }
  const go = mainButton("Train", run);

  function follow(next) {
    runs.set(next.id, next);
    current = next.id;
    show();
    catchUp(next.id);
  }

  /* It may have gone on before anybody here knew of it. */
  async function catchUp(id) {
    try {
      const now = await studio.api.get(`/api/runs/${id}`);
      if (ENDED.has(runs.get(id).state)) return; // an event has overtaken the answer
      runs.set(id, now);
      if (id === current) show();
    } catch {
      // The server went away: `online` asks again.
    }
  }

  function show() {
    const now = runs.get(current);
    if (now === undefined) return;
    if (view.element.parentNode !== stage) fill(stage, view.element);
    view.show(now);
    const rest = [...runs.values()].filter((one) => one.id !== current).sort((one, other) => other.id - one.id);
    const words = { queued: "waiting", running: "running", done: "trained", cancelled: "stopped", failed: "failed" };
    fill(
      others,
      rest.length ? h("h4", {}, "Other trainings") : null,
      rest.map((one) => h("button", { type: "button", class: "earlier-run", onclick: () => follow(one) }, h("span", { class: "words" }, `${one.title} · ${words[one.state]}`))),
    );
  }

  async function refresh() {
    try {
      const { runs: all } = await studio.api.get("/api/runs?limit=200");
      for (const one of all.filter((each) => each.kind === "training")) runs.set(one.id, one);
    } catch {
      return; // the server went away again: `online` comes once more
    }
    // The one that runs, else the newest.
    const newest = [...runs.values()].sort((one, other) => Number(ENDED.has(one.state)) - Number(ENDED.has(other.state)) || other.id - one.id)[0];
    current ??= newest?.id ?? null;
    show();
  }

  studio.on("run", (next) => {
    if (next.kind !== "training") return;
    runs.set(next.id, next);
    current ??= next.id;
    show();
  });
  studio.on("training", (training) => {
    const one = runs.get(training.run);
    if (one === undefined) return;
    runs.set(one.id, { ...one, training, eta: one.eta });
    if (one.id === current) view.show(runs.get(one.id));
  });
  studio.on("hello", () => {
    data.options(rows());
    describe();
    view.refresh();
  });
  studio.on("online", refresh);
  refresh();

  root.append(
    h(
      "div",
      { class: "bench" },
      h(
        "form",
        { class: "form", onsubmit: (event) => event.preventDefault() },
        recipe.element,
        h("div", { class: "field" }, data.element, about),
        own,
        h("div", { class: "main-action" }, go),
      ),
      h("div", { class: "trainings" }, stage, others),
    ),
  );
  remember("train", { recipe, data });

  return { run, cancel: view.cancel };
}

export default { id: "train", title: "Train", key: "7", mount };
