/* An anagram in the hand: all its readings at once, and the picture to be turned from one to the other.
 *
 *   anagramViewer(shown)   an element for a picture of the gallery whose job is an anagram
 *
 * Turns, mirrors and negatives <sf-turn> does by itself. Of other views it is given what is seen, and where each pixel comes from.
 */

import "/viewer/turn.js";
import { fill, h } from "./dom.js";
import { pixelsOf } from "./pixels.js";
import { told } from "./readings.js";
import { seenThrough, viewProblem, viewTable } from "./views.js";

const SIMPLE = /^(identity|flip|mirror|negate|rotate:(90|180|270))(\+(identity|flip|mirror|negate|rotate:(90|180|270)))*$/;

/** Whole numbers below 65536 as sf-turn reads them: 16 bits each, little-endian, in base64. */
function packed(table) {
  let octets = "";
  for (const at of table) octets += String.fromCharCode(at & 255, at >> 8);
  return btoa(octets);
}

function seenUrl(view, pixels) {
  const canvas = h("canvas", { width: pixels.width, height: pixels.height });
  canvas.getContext("2d").putImageData(seenThrough(view, pixels), 0, 0);
  return canvas.toDataURL();
}

async function rearranged(shown, views) {
  const pixels = await pixelsOf(shown.url);
  const side = pixels.width;
  if (pixels.width !== pixels.height || views.some((view) => viewProblem(view, side) !== null)) return null;
  return {
    seen: views.map((view) => (SIMPLE.test(view) ? "" : seenUrl(view, pixels))),
    moves: views.map((view) => (side * side <= 65536 ? packed(viewTable(view, side).from) : "")),
  };
}

export function anagramViewer(shown) {
  const views = shown.job.readings.map((reading) => reading.view ?? "identity");
  const verdict = (reading) => (reading === undefined ? "" : reading.right ? "right" : "wrong");
  const attributes = {
    src: shown.url,
    views: JSON.stringify(views),
    captions: JSON.stringify(shown.job.readings.map((reading) => reading.prompt)),
    verdicts: JSON.stringify(views.map((_, k) => verdict(shown.readings[k]))),
    label: `${shown.title}: the picture, to be turned`,
  };
  const place = h("div", { class: "anagram-viewer" });
  const put = (more) => fill(place, h("sf-turn", { ...attributes, ...more }), h("p", { class: "told" }, told(shown.readings)));
  if (views.every((view) => SIMPLE.test(view))) put({});
  else {
    rearranged(shown, views)
      .then((found) => put(found === null ? {} : { seen: JSON.stringify(found.seen), moves: JSON.stringify(found.moves) }))
      .catch(() => fill(place, h("p", { class: "hint" }, "The picture is not there any more.")));
  }
  return place;
}
