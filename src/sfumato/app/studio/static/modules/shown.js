/* One finished picture: itself, what the judge reads in it, its command. See result.js, which hands these out. */

import { copyText, h, icon } from "./dom.js";
import { inWords, percent } from "./readings.js";

export function pictureOf({ url, width, height, title }, target = 336) {
  const times = Math.max(1, Math.round(target / Math.max(width, height)));
  return h("img", { src: url, alt: title ?? "", class: "pixels", width: width * times, height: height * times, decoding: "async" });
}

export function readingsOf(shown) {
  if (!shown.readings?.length) return null;
  return h(
    "ul",
    { class: "readings" },
    shown.readings.map((reading) =>
      h(
        "li",
        { class: reading.right ? "right" : "wrong" },
        icon(reading.right ? "check" : "close"),
        h(
          "span",
          {},
          shown.readings.length > 1 ? `${inWords(reading.look)}: ` : "",
          reading.right ? `read as ${reading.read}, ${percent(reading.probability)}` : `read as ${reading.read}, not as ${reading.prompt} (${percent(reading.probability)})`,
        ),
      ),
    ),
  );
}

export function commandBox(shown, studio) {
  const copy = async () => {
    if (await copyText(shown.command)) studio.toast("The command is copied.", "good");
    else studio.toast("The browser does not let this page copy. Select the command and copy it by hand.", "bad");
  };
  return h(
    "div",
    { class: "command" },
    h("code", { tabIndex: 0 }, shown.command),
    h("button", { type: "button", class: "icon-button", title: "Copy the command", "aria-label": "Copy the command", onclick: copy }, icon("copy")),
  );
}
