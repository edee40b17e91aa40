/* One picture of the gallery, large, with all that is known of it and all that can be done with it.
 *
 *   detailDialog(studio, {step, remove})  -> { open(shown, opener) }
 *        step(shown, by) -> Promise<Shown | null>   its neighbour; remove(shown) -> Promise<boolean>
 */

import { anagramViewer } from "./anagram-viewer.js";
import { copyText, fill, h, icon, iconButton } from "./dom.js";
import { TAB_OF } from "./drop.js";
import { randomSeed } from "./fields.js";
import { hybridViewer } from "./hybrid-viewer.js";
import { commandBox, pictureOf, readingsOf } from "./result.js";
import { spellWeight } from "./weights.js";

const SENDS = ["edit", "inpaint", "denoise"];
const title = (tab) => tab[0].toUpperCase() + tab.slice(1);

/** Pictures inside a job are long: of them the beginning is shown. */
function shortened(job) {
  return JSON.stringify(job, (key, value) => (typeof value === "string" && value.length > 120 ? `${value.slice(0, 60)}… (${value.length} letters)` : value), 2);
}

function facts(shown) {
  const { job } = shown;
  const rows = [
    ["made", new Date(shown.created * 1000).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" })],
    ["model", shown.model],
    ["size", `${shown.width} × ${shown.height}`],
    ["seed", shown.seed],
    ["steps", job.steps],
    ["sampler", job.sampler],
    ["guidance γ", spellWeight(job.guidance) || null],
    ["start", job.begin],
    ["factors", job.factors],
    ["not", job.negative],
  ];
  const said = rows.filter(([, value]) => value !== undefined && value !== null);
  return h("dl", { class: "numbers" }, said.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, String(value)))));
}

export function detailDialog(studio, { step, remove }) {
  let shown = null;
  let opener = null;
  const heading = h("h2", { id: "detail-title" });
  const body = h("div", { class: "detail-body" });
  const dialog = h(
    "dialog",
    { class: "detail", "aria-labelledby": "detail-title" },
    h(
      "header",
      {},
      heading,
      h(
        "div",
        { class: "actions" },
        iconButton("before", "The one before (←)", () => go(-1)),
        iconButton("after", "The next one (→)", () => go(1)),
        iconButton("close", "Close", () => dialog.close()),
      ),
    ),
    body,
  );
  document.body.append(dialog);
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", () => {
    fill(body);
    // The tile may be another one by now, or be gone.
    const tile = shown && document.querySelector(`.gallery-grid [data-picture="${shown.id}"]`);
    (tile ?? opener)?.focus?.();
  });
  dialog.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, select, textarea, pre, code, [role=slider], sf-turn, sf-distance")) return;
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by) {
      event.preventDefault();
      go(by);
    } else if (event.key === "Delete") throwAway();
  });

  async function go(by) {
    const next = await step(shown, by);
    if (next !== null && dialog.open) show(next);
  }

  async function throwAway() {
    const gone = shown;
    const next = (await step(gone, 1)) ?? (await step(gone, -1));
    if (!(await remove(gone))) return;
    if (next === null) {
      shown = null;
      dialog.close();
    } else show(next);
  }

  function large() {
    if (shown.kind === "anagram") return anagramViewer(shown);
    if (shown.kind === "hybrid") return hybridViewer(shown, shown.width / (studio.model(shown.model)?.shape[2] ?? shown.width));
    return pictureOf(shown, 392);
  }

  /* Away from the dialog, to where it is seen. */
  function leave(act) {
    dialog.close();
    act();
  }

  async function again(seed, button) {
    const run = await studio.attempt(() => studio.submit({ ...shown.job, model: shown.model, seed }), button);
    if (!run) return;
    const same = seed === shown.job.seed;
    studio.toast(same ? "It is made again: the same picture." : `Another one is made, with the seed ${seed}.`, "good");
  }

  async function copy(text, what) {
    if (await copyText(text)) studio.toast(`${what} is copied.`, "good");
    else studio.toast("The browser does not let this page copy. Select the text and copy it by hand.", "bad");
  }

  function show(next) {
    shown = next;
    heading.textContent = shown.title;
    const quiet = (name, text, onclick) => h("button", { type: "button", class: "quiet", onclick }, icon(name), text);
    const own = TAB_OF[shown.kind];
    const focused = dialog.contains(document.activeElement) ? document.activeElement.dataset?.act : null;
    const json = JSON.stringify(shown.job, null, 2);
    fill(
      body,
      h("div", { class: "detail-picture" }, large()),
      h(
        "div",
        { class: "detail-facts" },
        readingsOf(shown),
        facts(shown),
        h(
          "div",
          { class: "actions" },
          own && h("button", { type: "button", data: { act: "open" }, onclick: () => leave(() => studio.send(own, { job: shown.job })) }, icon("send"), `Open in ${title(own)}`),
          quiet("again", "Again", (event) => again(shown.job.seed, event.currentTarget)),
          quiet("die", "Another seed", (event) => again(randomSeed(), event.currentTarget)),
          h("a", { class: "button quiet", href: shown.url, download: shown.name }, icon("download"), "Download"),
          quiet("bin", "Delete", throwAway),
        ),
        h("div", { class: "actions sends" }, h("span", { class: "label" }, "Send to"), SENDS.map((tab) => quiet("send", title(tab), () => leave(() => studio.send(tab, { shown }))))),
        commandBox(shown, studio),
        h(
          "details",
          { class: "advanced" },
          h("summary", {}, "The job as JSON"),
          h("pre", { class: "json", tabIndex: 0, "aria-label": "The job" }, shortened(shown.job)),
          quiet("copy", "Copy the whole job", () => copy(json, "The job")),
        ),
        h("details", { class: "advanced" }, h("summary", {}, "Parameters as text"), h("pre", { class: "json", tabIndex: 0, "aria-label": "Parameters" }, shown.parameters)),
      ),
    );
    if (focused) dialog.querySelector(`[data-act="${focused}"]`)?.focus();
  }

  return {
    open(next, from) {
      if (document.querySelector("dialog[open]")) return;
      opener = from;
      show(next);
      dialog.showModal();
      dialog.querySelector("[data-act=open]")?.focus();
    },
  };
}
