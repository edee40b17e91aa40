/* Pictures that are dropped or pasted anywhere on the page.
 *
 *   installDrop(studio, currentTab)   currentTab() -> {id, takesPicture}
 *
 * On an element with `data-takes-picture`: a picture for it (event "take"). Elsewhere one of our PNGs opens the tab of its job, and
 * any other picture goes to the tab that is open, if it takes one, else to Edit.
 */

import { h } from "./dom.js";

export const TAB_OF = { generate: "generate", edit: "edit", inpaint: "inpaint", anagram: "anagram", hybrid: "hybrid", denoise: "denoise" };

export function installDrop(studio, currentTab) {
  const veil = h("div", { class: "veil", hidden: true }, h("p", {}, "Drop the picture", h("small", {}, "one of ours opens its job")));
  document.body.append(veil);
  let depth = 0; // enter and leave come for every element on the way

  const carries = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  const lower = () => {
    depth = 0;
    veil.hidden = true;
    document.querySelectorAll(".drop-here").forEach((node) => node.classList.remove("drop-here"));
  };

  addEventListener("dragenter", (event) => {
    if (!carries(event)) return;
    depth += 1;
    veil.hidden = false;
  });
  addEventListener("dragover", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
    const place = event.target.closest?.("[data-takes-picture]") ?? null;
    document.querySelectorAll(".drop-here").forEach((node) => node !== place && node.classList.remove("drop-here"));
    place?.classList.add("drop-here");
  });
  addEventListener("dragleave", (event) => {
    if (!carries(event)) return;
    depth -= 1;
    if (depth <= 0) lower();
  });
  addEventListener("drop", (event) => {
    if (!carries(event)) return;
    const taken = event.defaultPrevented; // by a place that takes many at once
    event.preventDefault();
    const place = event.target.closest?.("[data-takes-picture]") ?? null;
    lower();
    if (taken) return;
    const files = [...event.dataTransfer.files];
    if (files.length) bring(files[0], place);
    if (files.length > 1) studio.toast("One picture at a time: the first one was taken.");
  });
  addEventListener("paste", (event) => {
    const file = [...(event.clipboardData?.files ?? [])].find((one) => one.type.startsWith("image/"));
    if (!file) return;
    event.preventDefault();
    bring(file, event.target.closest?.("[data-takes-picture]") ?? null);
  });

  async function bring(file, place) {
    const upload = await studio.attempt(() => studio.api.upload(file, file.name || "pasted.png"));
    if (upload === null) return;
    const open = () => openJob(upload);
    if (place) {
      place.dispatchEvent(new CustomEvent("take", { detail: upload }));
      if (upload.job && upload.job.kind in TAB_OF) studio.toast(`${upload.name} carries its job.`, "info", { text: "Open the job", run: open });
    } else if (upload.job && upload.job.kind in TAB_OF) open();
    else {
      const tab = currentTab();
      if (upload.job) studio.toast(`A job of the kind “${upload.job.kind}” has no tab here: this is its picture.`);
      studio.send(tab.takesPicture ? tab.id : "edit", { picture: upload });
    }
  }

  function openJob(upload) {
    studio.send(TAB_OF[upload.job.kind], { job: upload.job, picture: upload });
    studio.toast(`The job of ${upload.name}.`, "good");
  }
}
