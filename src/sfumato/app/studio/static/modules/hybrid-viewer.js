/* A hybrid, looked at in the ways that part it.
 *
 *   hybridViewer(shown, times)   an element for a picture of the gallery whose job is a hybrid; `times` as large as its first stage
 *   lookNames(factors, parts)    how each part of such factors is seen, the first one first
 *   parsed(factors)              {name, values, settings} of a text such as "motion:7:angle=45"
 */

import "/viewer/distance.js";
import { fill, h } from "./dom.js";
import { grey, motionBlur } from "./looks.js";
import { pixelsOf } from "./pixels.js";
import { told } from "./readings.js";
import { pictureOf } from "./result.js";

export function parsed(factors) {
  const [name, ...given] = factors.split(":");
  const settings = Object.fromEntries(given.filter((part) => part.includes("=")).map((part) => part.split("=")));
  const values = given.filter((part) => !part.includes("=")).flatMap((part) => part.split(",").map(Number));
  return { name, values, settings };
}

export function lookNames(factors, parts) {
  const { name } = parsed(factors);
  if (name === "colour") return ["in grey", "in colour"];
  if (name === "motion") return ["in motion", "still"];
  if (name === "frequency" || name === "triple") return ["from afar", ...Array(Math.max(0, parts - 2)).fill("from midway"), "from near"];
  return Array.from({ length: parts }, (_, k) => `part ${k + 1}`);
}

/** What each look does to the pixels; null where it is the picture as it is. */
function filters({ name, values, settings }) {
  if (name === "colour") return [grey, null];
  if (name === "motion") return [(image) => motionBlur(image, values[0] ?? 7, Number(settings.angle ?? -45)), null];
  return [];
}

/** A switch between looks. */
function looks(shown, names, made) {
  const image = pictureOf(shown);
  const bar = h("div", { class: "chips small", role: "group", "aria-label": "How it is looked at" });
  const place = h("div", { class: "look-picture" }, image);
  const chips = names.map((name, k) => h("button", { type: "button", class: "chip", onclick: () => look(k) }, name));
  bar.append(...chips);
  let pixels = null;

  async function look(k) {
    chips.forEach((chip, index) => chip.setAttribute("aria-pressed", String(index === k)));
    if (made[k] === null) return fill(place, image);
    if (pixels === null) {
      pixels = await pixelsOf(shown.url).catch(() => null);
      if (pixels === null) return; // it was thrown away
    }
    const canvas = h("canvas", { class: "pixels", width: shown.width, height: shown.height, role: "img", "aria-label": `${shown.title}, ${names[k]}` });
    canvas.style.width = `${image.width}px`;
    canvas.getContext("2d").putImageData(made[k](pixels), 0, 0);
    fill(place, canvas);
  }
  look(names.length - 1);
  return h("div", { class: "looks" }, place, bar);
}

export function hybridViewer(shown, times = 1) {
  const { factors = "frequency:2", parts } = shown.job;
  const what = parsed(factors);
  const kept = shown.job.reference ? [shown.job.reference.name] : [];
  const prompts = [...kept, ...parts];
  const sentence = h("p", { class: "told" }, told(shown.readings));
  if (what.name === "frequency" || what.name === "triple") {
    const sigma = Math.max(...(what.values.length ? what.values : [2])) * times;
    const element = h("sf-distance", { src: shown.url, far: prompts[0], near: prompts.at(-1), sigma });
    return h("div", { class: "hybrid-viewer" }, element, sentence);
  }
  const made = filters(what);
  if (made.length === 0) return h("div", { class: "hybrid-viewer" }, pictureOf(shown), sentence);
  const names = lookNames(factors, prompts.length).map((name, k) => `${name}: ${prompts[k]}`);
  return h("div", { class: "hybrid-viewer" }, looks(shown, names, made), sentence);
}
