/* What a tab makes: the live preview, progress, cancel; finished pictures with their readings and actions; what was made before.
 *
 *   resultPanel(studio, options) -> { element, follow(run), cancel(), choose(k), run, pictures, chosen, busy }
 *     options: name      the panel remembers its runs under it, over reloads
 *              empty     what is said as long as there is nothing
 *              show(shown) -> Element     one finished picture, large (default: the picture itself)
 *              caption(shown, pictures) -> string   under its tile (default: title and seed); pictures: all of the run
 *              before(shown) -> {url, text} | null   a tile in front of the others: what they were made from
 *              again(shown)               "another seed" (default: submits its Job with another seed)
 *              sends     ids of the tabs that it can be sent to (default: edit, inpaint, denoise)
 *              actions(shown) -> [Element]   further buttons
 *              order(one, other)          sorts the pictures of a run that has ended (default: as they were made)
 *              summary(pictures, run) -> Element | null   what is to be said of all of them, once the run has ended
 *     follow(run): show a Run just submitted. cancel(): the run shown, if it has not ended.
 *   pictureOf({url, width, height, title}, target)   an <img> at a whole multiple of its pixels, near `target` px, crisp or smooth
 *   readingsOf(shown)                               the list of what the judge reads, or null
 *   commandBox(shown, studio)                       the command with a button that copies it
 */

import { announce, copyText, fill, h, icon, plural } from "./dom.js";
import { randomSeed } from "./fields.js";
import { ENDED, stateOf, tabRuns } from "./runs.js";
import { setting } from "./settings.js";
import { commandBox, pictureOf, readingsOf } from "./shown.js";
import { pictureTiles } from "./tiles.js";

export { commandBox, pictureOf, readingsOf };

const SIDES = [["x0", ["x̂₀"], "the clean picture that the model sees"], ["x", ["x", h("sub", {}, "t")], "the canvas with its noise"]];
const named = (tab) => tab[0].toUpperCase() + tab.slice(1);

export function resultPanel(studio, options) {
  const {
    name,
    empty = "Nothing has been made here yet.",
    show = (shown) => pictureOf(shown),
    caption = (shown) => `${shown.title} · seed ${shown.seed}`,
    before = () => null,
    again = (shown) => resubmit(shown),
    sends = ["edit", "inpaint", "denoise"],
    actions = () => [],
    order = null,
    summary = () => null,
  } = options;

  const side = setting("preview", "x0");
  let current = null; // an id
  let chosen = 0;
  let parts = null; // the nodes of what is shown

  const element = h("section", { class: "result", "aria-label": "Result" });
  const said = h("div", { class: "summary" });
  const tiles = h("div", { class: "tiles", role: "group", "aria-label": "Pictures of this run" });
  const earlier = h("div", { class: "earlier" });
  const runs = tabRuns(studio, { name, order, changed });

  const entry = () => runs.at(current);
  const busy = () => entry() !== null && !ENDED.has(entry().run.state);

  function changed(id, what) {
    if (what === "all") {
      if (entry() === null) current = id;
      chosen = Math.min(chosen, Math.max(0, (entry()?.pictures.length ?? 0) - 1));
      return build();
    }
    if (id !== current || parts === null) return what === "preview" ? null : buildEarlier();
    if (what === "preview") {
      updateTiles();
      return updateStage();
    }
    update();
    if (what !== "ended") return;
    const { run, pictures } = entry();
    announce(run.state === "done" ? `${run.title}: ${plural(pictures.length, "picture")} ready.` : `${run.title}: ${stateOf(run)}`);
  }

  async function resubmit(shown) {
    const run = await studio.attempt(() => studio.submit({ ...shown.job, model: shown.model, seed: randomSeed() }));
    if (run) follow(run);
  }

  function follow(run) {
    runs.add(run);
    select(run.id);
  }

  function select(id) {
    current = id;
    chosen = 0;
    build();
    // On a phone the result is below the form.
    const { top } = element.getBoundingClientRect();
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (top < 0 || top > innerHeight * 0.7) element.scrollIntoView({ block: "start", behavior: still ? "auto" : "smooth" });
  }

  const frame = () => {
    const shape = studio.model(entry().run.model)?.shape ?? [1, 28, 28];
    return { width: shape[2], height: shape[1] };
  };

  function build() {
    const at = entry();
    element.classList.toggle("bare", at === null);
    if (at === null) {
      fill(element, h("div", { class: "empty" }, typeof empty === "string" ? h("p", {}, empty) : empty));
      fill(said);
      parts = null;
      return;
    }
    const chip = ([value, text, about]) =>
      h("button", { type: "button", class: "chip", title: about, "aria-label": `${value === "x" ? "x_t" : "x̂₀"}: ${about}`, onclick: () => side.set(value), data: { side: value } }, h("span", {}, text.map((part) => part.cloneNode?.(true) ?? part)));
    parts = {
      stage: h("div", { class: "stage" }),
      title: h("h3"),
      state: h("p", { class: "state" }),
      progress: h("progress", { max: 1, value: 0, "aria-label": "Progress" }),
      sides: h("div", { class: "chips small", role: "group", "aria-label": "Preview of" }, SIDES.map(chip)),
      live: h("div", { class: "live" }),
      about: h("div", { class: "about" }),
      preview: null, // the picture that is on its way
      shown: null, // the id of the picture on the stage
    };
    const stop = h("button", { type: "button", class: "quiet", data: { action: "cancel" }, onclick: () => cancel() }, icon("close"), "Cancel");
    parts.live.append(parts.progress, h("div", { class: "actions" }, parts.sides, stop));
    fill(element, parts.stage, said, tiles, h("div", { class: "facts" }, parts.title, parts.state, parts.live, parts.about), earlier);
    buildTiles();
    update();
    buildEarlier();
  }

  function buildTiles() {
    const { run, pictures } = entry();
    const origin = pictures.length ? before(pictures[0]) : null;
    parts.tiles = pictureTiles(Math.max(run.jobs ?? 1, pictures.length), frame(), { origin, choose });
    fill(tiles, parts.tiles.nodes);
    tiles.hidden = parts.tiles.count < 2 && !origin;
  }

  function update() {
    const at = entry();
    if (at === null || parts === null) return;
    const { run, pictures } = at;
    const ended = ENDED.has(run.state);
    element.dataset.state = run.state;
    element.setAttribute("aria-busy", String(!ended));
    parts.title.textContent = pictures[chosen]?.title ?? run.title;
    parts.title.title = parts.title.textContent;
    parts.state.textContent = stateOf(run);
    parts.state.classList.toggle("bad", run.state === "failed");
    parts.live.hidden = ended;
    if (run.total) {
      parts.progress.max = run.total;
      parts.progress.value = run.done;
    } else parts.progress.removeAttribute("value");
    for (const chip of parts.sides.children) chip.setAttribute("aria-pressed", String(chip.dataset.side === side.value));
    if (parts.tiles.count < pictures.length || (!parts.tiles.origin && pictures.length && before(pictures[0]))) buildTiles();
    updateTiles();
    updateStage();
    const what = `${run.id}/${run.state}/${pictures.map((shown) => shown.id)}`;
    if (parts.saidOf !== what) {
      parts.saidOf = what;
      fill(said, ended && pictures.length ? summary(pictures, run) : null);
    }
  }

  const previewAt = (k) => {
    const { preview, pictures, run } = entry();
    if (preview === null || ENDED.has(run.state)) return null;
    return (side.value === "x" ? preview.x : preview.x0)?.[k - pictures.length] ?? null;
  };

  function updateTiles() {
    const { pictures } = entry();
    for (let k = 0; k < parts.tiles.count; k += 1) {
      const shown = pictures[k] ?? null;
      parts.tiles.show(k, { shown, url: shown?.url ?? previewAt(k), caption: shown ? caption(shown, pictures) : " ", pressed: shown !== null && k === chosen });
    }
  }

  function updateStage() {
    const { run, pictures } = entry();
    const shown = pictures[chosen] ?? null;
    if (shown !== null && parts.shown !== shown.id) {
      parts.shown = shown.id;
      parts.preview = null;
      parts.stage.classList.remove("live-picture", "waiting");
      fill(parts.stage, show(shown));
    }
    if (shown === null) updatePreview();
    const what = `${shown?.id}/${run.state}`;
    if (parts.aboutOf === what) return;
    parts.aboutOf = what;
    const failed = run.state === "failed" || run.state === "cancelled";
    fill(parts.about, shown && about(shown), (run.notes ?? []).map((note) => h("p", { class: "hint" }, note)), failed && tryAgain(run));
  }

  function updatePreview() {
    if (parts.preview === null) {
      const { width, height } = frame();
      parts.preview = pictureOf({ url: null, width, height });
      parts.preview.style.aspectRatio = `${width} / ${height}`;
      parts.shown = null;
      fill(parts.stage, parts.preview);
      parts.stage.classList.add("live-picture");
    }
    const url = previewAt(Math.max(chosen, entry().pictures.length));
    parts.stage.classList.toggle("waiting", url === null);
    if (url === null) return;
    parts.preview.src = url;
    parts.preview.alt = "the picture so far";
  }

  function tryAgain(run) {
    const once = async (event) => {
      const next = await studio.attempt(() => studio.api.post(`/api/runs/${run.id}/again`), event.currentTarget);
      if (next) follow(next);
    };
    return h("button", { type: "button", class: "quiet", data: { action: "retry" }, onclick: once }, icon("again"), "Try it again");
  }

  function about(shown) {
    const quiet = (name, text, onclick, data = {}) => h("button", { type: "button", class: "quiet", onclick, data }, icon(name), text);
    const copySeed = async () => {
      if (await copyText(String(shown.seed))) studio.toast(`The seed ${shown.seed} is copied.`, "good");
    };
    return [
      readingsOf(shown),
      h(
        "div",
        { class: "actions" },
        h("a", { class: "button quiet", href: shown.url, download: shown.name }, icon("download"), "Download"),
        again && quiet("again", "Another seed", (event) => studio.attempt(async () => again(shown), event.currentTarget), { action: "again" }),
        quiet("seed", `Seed ${shown.seed}`, copySeed, { action: "seed" }),
        actions(shown),
      ),
      sends.length
        ? h("div", { class: "actions sends" }, h("span", { class: "label" }, "Send to"), sends.map((tab) => quiet("send", named(tab), () => studio.send(tab, { shown }), { send: tab })))
        : null,
      commandBox(shown, studio),
    ];
  }

  function buildEarlier() {
    const others = runs.others(current).filter(({ run, pictures }) => pictures.length || !ENDED.has(run.state)).sort((one, other) => other.run.id - one.run.id);
    if (others.length === 0) return fill(earlier);
    const row = ({ run, pictures }) =>
      h(
        "button",
        { type: "button", class: "earlier-run", onclick: () => select(run.id) },
        h("span", { class: "strip" }, pictures.slice(0, 5).map((shown) => h("img", { class: "pixels", src: shown.url, alt: "", width: shown.width, height: shown.height, loading: "lazy" }))),
        h("span", { class: "words" }, run.title, ENDED.has(run.state) ? null : h("em", {}, run.state === "queued" ? " waiting" : " running")),
      );
    return fill(earlier, h("h4", {}, "Before"), others.map(row));
  }

  function choose(k) {
    if (!entry()?.pictures[k]) return;
    chosen = k;
    update();
  }

  async function cancel() {
    if (!busy()) return;
    const run = await studio.attempt(() => studio.api.post(`/api/runs/${current}/cancel`));
    if (run) runs.hear(run);
  }

  side.on(() => parts && update());
  build();
  runs.restore();

  return {
    element,
    follow,
    cancel,
    choose,
    get run() {
      return entry()?.run ?? null;
    },
    get pictures() {
      return entry()?.pictures ?? [];
    },
    get chosen() {
      return entry()?.pictures[chosen] ?? null;
    },
    get busy() {
      return busy();
    },
  };
}
