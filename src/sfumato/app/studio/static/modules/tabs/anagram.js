/* Several pictures in one: each is seen when one turns it, negates it, puts its pieces together in another way. */

import { anagramViewer } from "../anagram-viewer.js";
import { h } from "../dom.js";
import { numberField } from "../fields.js";
import { mainButton, makingFields } from "../making.js";
import { originFields } from "../origin.js";
import { squareOf } from "../pixels.js";
import { readingRows } from "../reading-rows.js";
import { byWeakest, percent, tally, weakest } from "../readings.js";
import { resultPanel } from "../result.js";
import { remember } from "../settings.js";
import { fineSide } from "../view-field.js";

const TRIES = 8; // a few seconds for digits, and hardly ever none of them succeeds

function mount(root, studio) {
  const making = makingFields(studio, { accept: (model) => model.low_res === null && model.conditions !== "none", illusion: true });
  const rows = readingRows(studio, making.model);
  const origin = originFields(studio, making, "anagram");
  const tries = numberField({ label: "Seeds to try", value: Math.min(TRIES, studio.hello.limits.count), min: 1, max: studio.hello.limits.count });
  rows.value = first(making.model.model);

  const result = resultPanel(studio, {
    name: "anagram",
    empty: h(
      "div",
      {},
      h("p", {}, "One picture that is one thing as it is, and another when it is turned."),
      h("p", { class: "hint" }, "Not every seed succeeds: several are tried, a judge reads them, and the best comes first."),
    ),
    show: anagramViewer,
    caption: (shown) => (shown.readings.length ? `seed ${shown.seed} · ${percent(weakest(shown.readings))}` : `seed ${shown.seed}`),
    order: byWeakest,
    summary: (pictures) => (tally(pictures) ? h("p", { class: "hint" }, tally(pictures)) : null),
    again: null,
  });

  async function run() {
    const made = await studio.attempt(async () => {
      const job = { kind: "anagram", ...making.job(), readings: rows.readings(), ...(await origin.job()) };
      return studio.submit(job, { count: tries.value });
    }, go);
    if (made) result.follow(made);
  }
  const go = mainButton("Make the anagram", run);

  function others() {
    const tried = result.pictures.length ? Math.max(...result.pictures.map((shown) => shown.seed)) : making.seed.value - 1;
    making.seed.value = tried + 1;
    return run();
  }
  const next = h("button", { type: "button", class: "quiet", onclick: others }, "Try the next seeds");

  making.sampler.element.append(h("h4", { class: "weights-title" }, "Weights of the readings"), rows.weights);
  root.append(
    h(
      "div",
      { class: "bench wide-form" },
      h(
        "form",
        { class: "form", onsubmit: (event) => event.preventDefault() },
        rows.element,
        h("div", { class: "fields" }, tries.element, making.seed.element),
        h("div", { class: "main-action" }, go, next),
        making.model.element,
        h("div", { class: "fields" }, making.steps.element, making.guidance.element),
        origin.element,
        making.sampler.element,
      ),
      result.element,
    ),
  );

  async function showOrigin() {
    const [upload, side] = [origin.picture, fineSide(making.model.model?.shape.at(-1) ?? 64)];
    let picture = null;
    try {
      picture = upload && (await squareOf(upload.url, side));
    } catch {
      // The picture input tells that it is gone.
    }
    if (origin.picture === upload) rows.picture(picture);
  }
  remember("anagram", { ...making.all, readings: rows, tries, ...origin.all });
  origin.on(showOrigin);
  making.model.on(showOrigin);
  showOrigin();

  return {
    run,
    cancel: result.cancel,
    takesPicture: true,
    async receive({ job, picture }) {
      if (job?.kind === "anagram") {
        making.fill(job);
        rows.value = job.readings;
        tries.value = 1;
        await studio.attempt(() => origin.receive(job));
        go.focus({ preventScroll: true });
      } else if (picture) await studio.attempt(() => origin.take(picture));
    },
    keys: [
      { keys: "r", what: "roll the die: another seed", run: () => making.seed.roll() },
      { keys: "n", what: "try the next seeds", run: others },
    ],
  };
}

/** A pair that often succeeds with digits; for words a pair to be written over. */
function first(model) {
  const classes = model?.classes ?? [];
  const pair = ["6", "9"].every((name) => classes.includes(name)) ? ["6", "9"] : classes.length > 1 ? classes.slice(0, 2) : ["a rocket ship", "a snail"];
  return [{ prompt: pair[0], view: "identity" }, { prompt: pair[1], view: "rotate:180" }];
}

export default { id: "anagram", title: "Anagram", key: "4", mount };
