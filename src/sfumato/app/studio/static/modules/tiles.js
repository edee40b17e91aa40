/* The pictures of a run, side by side: what is finished, what is on its way, what is to come.
 *
 *   pictureTiles(count, {width, height}, {origin, choose}) -> { nodes, origin, show(k, state) , count }
 *     origin: {url, text} of what they are made from, or null; choose(k): one was pressed
 *     show(k, {shown, url, caption, pressed}): shown a finished picture or null; url what is to be seen, or null
 */

import { h } from "./dom.js";

export function pictureTiles(count, { width, height }, { origin, choose }) {
  const parts = Array.from({ length: count }, (_, k) => {
    const image = h("img", { class: "pixels", alt: "", width, height, style: { "aspect-ratio": `${width} / ${height}` } });
    const mark = h("span", { class: "mark" });
    const text = h("span", {}, " ");
    const tile = h("button", { type: "button", class: "tile", onclick: () => choose(k) }, image, mark, text);
    return { tile, image, mark, text, url: null };
  });

  function show(k, { shown, url, caption, pressed }) {
    const { tile, image, mark, text } = parts[k];
    if (url !== parts[k].url) {
      if (url === null) image.removeAttribute("src");
      else image.src = url;
      parts[k].url = url;
    }
    tile.classList.toggle("waiting", url === null);
    tile.classList.toggle("unfinished", shown === null && url !== null);
    tile.disabled = shown === null;
    tile.setAttribute("aria-pressed", String(pressed));
    if (text.textContent !== caption) text.textContent = caption;
    image.alt = shown?.title ?? "";
    const right = shown?.readings?.length ? shown.readings.every((reading) => reading.right) : null;
    mark.className = right === null ? "mark" : right ? "mark right" : "mark wrong";
    mark.textContent = right === null ? "" : right ? "✓" : "✗";
    mark.title = right === null ? "" : right ? "read as what was asked for" : "read as something else";
  }

  const from = origin && h("figure", { class: "tile from" }, h("img", { class: "pixels", src: origin.url, alt: origin.text, width, height }), h("figcaption", {}, origin.text));
  return { nodes: [from, ...parts.map(({ tile }) => tile)], origin, count, show };
}
