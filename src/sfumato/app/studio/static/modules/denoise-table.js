/* The ways to clean a picture side by side: a row for each time, a column for each way, with what each has kept.
 *
 *   denoiseTable(pictures, choose)   an element; choose(k) is called with the index of the picture that is pressed
 *   WAYS                             the titles of the methods of a denoise job, in order
 */

import { h } from "./dom.js";
import { dataUrl } from "./making.js";
import { pixelsOf, psnr } from "./pixels.js";

export const WAYS = { noised: "noised", blur: "blurred", "one-step": "in one step", iterative: "step by step" };

export const originalOf = (shown) => ({ url: dataUrl(shown.job.image), text: "the picture" });

async function measure(cell, shown) {
  try {
    const [one, other] = await Promise.all([pixelsOf(shown.url), pixelsOf(originalOf(shown).url)]);
    if (one.data.length !== other.data.length) return;
    const value = psnr(one, other);
    cell.textContent = Number.isFinite(value) ? `${value.toFixed(1)} dB` : "the same";
  } catch {
    cell.textContent = ""; // it was thrown away meanwhile
  }
}

export function denoiseTable(pictures, choose) {
  const times = [...new Set(pictures.map((shown) => shown.job.t))].sort((one, other) => one - other);
  const ways = Object.keys(WAYS).filter((way) => pictures.some((shown) => shown.job.method === way));
  const stepwise = ways.includes("iterative");
  const letter = stepwise ? "t" : "σ"; // the time of a one-step denoiser is the noise's standard deviation
  const cell = (t, way) => {
    const k = pictures.findIndex((shown) => shown.job.t === t && shown.job.method === way);
    if (k < 0) return h("td", {});
    const shown = pictures[k];
    const value = h("span", { class: "soft" }, "…");
    measure(value, shown);
    const image = h("img", { class: "pixels", src: shown.url, alt: `${letter} = ${t}, ${WAYS[way]}`, width: shown.width, height: shown.height });
    return h("td", {}, h("button", { type: "button", class: "cell", onclick: () => choose(k) }, image), value);
  };
  const row = (t) => h("tr", {}, h("th", { scope: "row" }, h("i", {}, letter), ` = ${t}`), ways.map((way) => cell(t, way)));
  return h(
    "figure",
    { class: "denoise-table" },
    h(
      "table",
      {},
      h("thead", {}, h("tr", {}, h("td", {}), ways.map((way) => h("th", { scope: "col" }, WAYS[way])))),
      h("tbody", {}, times.map(row)),
    ),
    h(
      "figcaption",
      { class: "hint" },
      "Decibels say how near each is to the picture (PSNR), more is nearer. One step gives the mean of all that it could have been: near, and blurred.",
      stepwise ? " Step by step it becomes one of them: sharp, and maybe another." : "",
    ),
  );
}
