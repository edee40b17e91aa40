/* Where an illusion begins, and what it keeps: a picture noised to a start, a mask of it, or both.
 *
 *   originFields(studio, making, name)  { element, all, fit(), picture, on(handler), job(), receive(job), take(upload) }
 *        all: {name: field} for remember(); picture: an Upload, or null; job(): what a Job says of it, {} for noise, a promise;
 *        receive(job): from a Job, a promise; take(upload): another picture, a promise. `name`: what it remembers its drawing under
 */

import { h } from "./dom.js";
import { checkField, numberField } from "./fields.js";
import { broughtPicture } from "./making.js";
import { paintArea } from "./paint.js";

export function originFields(studio, making, name) {
  const paint = paintArea(studio, { name: `${name}-origin`, label: "The mask, over the picture", mask: true });
  const noised = checkField({ label: "Begin from it, noised to the start", value: true });
  const begin = numberField({ label: "Start", value: 10, min: 0, max: 999, hint: "The later the start, the more of it stays." });
  const invert = checkField({ label: "Take its negative", hint: "For dark drawings on light paper." });
  const away = h("button", { type: "button", class: "quiet", onclick: () => paint.forget() }, "Take the picture away");
  const more = h("div", { class: "origin-more" }, noised.element, begin.element, invert.element, away);
  const hint = h("p", { class: "hint" }, "The illusion is made out of it. Where you paint it is made anew, and everything else stays as it is.");
  const element = h("details", { class: "advanced" }, h("summary", {}, "Begin from a picture"), h("div", { class: "origin" }, hint, paint.element, more));

  // Without a mask there is nothing else to do with the picture.
  const begins = () => noised.value || paint.empty;

  function show() {
    more.hidden = paint.picture === null;
    noised.element.hidden = paint.empty;
    begin.element.hidden = !begins();
    begin.limits({ max: Math.max(0, making.steps.value - 2) });
  }

  function fit() {
    if (making.model.model) paint.setModel(making.model.model);
  }
  for (const field of [noised, making.steps]) field.on(show);
  paint.on(show);
  making.model.on(fit);
  fit();
  show();
  paint.ready.then(() => paint.picture && (element.open = true));

  return {
    element,
    all: { noised, begin, invert },
    on: (handler) => paint.on(handler),
    get picture() {
      return paint.picture?.upload ?? null;
    },
    async job() {
      await paint.ready;
      if (paint.picture === null) return {};
      const { upload, picture } = paint.picture;
      const said = { image: invert.value || !picture ? { upload: upload.id, invert: invert.value } : picture };
      if (begins()) said.begin = begin.value;
      if (!paint.empty) said.mask = paint.source()?.picture ?? { upload: (await studio.api.upload(await paint.blob(), "mask.png")).id };
      return said;
    },
    async receive(job) {
      invert.value = false; // what the job carries is inverted already
      noised.value = job.begin !== null && job.begin !== undefined;
      if (noised.value) begin.value = job.begin;
      if (!job.image) paint.forget();
      else {
        element.open = true;
        await paint.setPicture(await broughtPicture(studio, job.image), job.image);
        if (job.mask) await paint.setMask(await broughtPicture(studio, job.mask), job.mask);
      }
      show();
    },
    async take(upload) {
      element.open = true;
      await paint.setPicture(upload);
    },
  };
}
