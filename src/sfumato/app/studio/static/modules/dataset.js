/* Pictures of one's own to train on: many files or folders, dropped or chosen, brought to the studio one by one.
 *
 *   datasetInput(studio, {made})   { element, settle() }; settle: what waits is brought in, false where it was stopped; made(dataset, left) is called with what POST /api/datasets answers, and how many were left out
 *   grouped(files)                 [{path, file}] as [{label, files}]: the names of folders are the labels of what is in them
 *   filesOf(transfer)              of a drop, folders laid open -> Promise<[{path, file}]>
 */

import { ApiError } from "./api.js";
import { announce, fill, h, icon, iconButton, plural } from "./dom.js";
import { textField } from "./fields.js";
import { KINDS } from "./picture-input.js";

const HIDDEN = /(^|\/)(\.|__MACOSX)/; // what systems leave in folders, and nobody put there

/** Pictures that lie in one folder together have no labels; where there are several folders, their names are. */
export function grouped(files) {
  const groups = new Map();
  for (const { path, file } of files) {
    if (HIDDEN.test(path)) continue;
    const folder = path.split("/").slice(0, -1).join("/");
    if (!groups.has(folder)) groups.set(folder, []);
    groups.get(folder).push(file);
  }
  const alone = groups.size === 1;
  return [...groups]
    .map(([folder, members]) => ({ label: alone ? "" : folder.split("/").at(-1), files: members }))
    .sort((one, other) => one.label.localeCompare(other.label, "en", { numeric: true }));
}

function entries(folder) {
  const reader = folder.createReader();
  const all = [];
  return new Promise((resolve, reject) => {
    const next = () =>
      reader.readEntries((some) => {
        if (some.length === 0) return resolve(all); // it gives at most a hundred at a time
        all.push(...some);
        next();
      }, reject);
    next();
  });
}

async function opened(entry) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    return [{ path: entry.fullPath.replace(/^\//, ""), file }];
  }
  const inside = [];
  for (const child of await entries(entry)) inside.push(...(await opened(child)));
  return inside;
}

export async function filesOf(transfer) {
  // All at once: the items of a drop are gone after the first wait.
  const dropped = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (dropped.length === 0) return [...transfer.files].map((file) => ({ path: file.name, file }));
  const found = [];
  for (const entry of dropped) found.push(...(await opened(entry)));
  return found;
}

function chooseFiles(folder) {
  return new Promise((resolve) => {
    const input = h("input", { type: "file", multiple: true, class: "off-screen", "aria-hidden": "true", tabIndex: -1 });
    if (folder) input.webkitdirectory = true;
    else input.accept = KINDS;
    document.body.append(input);
    const end = (files) => {
      input.remove();
      resolve(files);
    };
    input.addEventListener("change", () => end([...input.files].map((file) => ({ path: file.webkitRelativePath || file.name, file }))));
    input.addEventListener("cancel", () => end(null));
    input.click();
  });
}

export function datasetInput(studio, { made }) {
  let groups = [];
  let work = null; // {done, of, stop} while pictures are brought
  let brought = null; // the promise of that
  const name = textField({ label: "Name of the set" });
  const list = h("div", { class: "set-groups" });
  const progress = h("progress", { max: 1, value: 0, "aria-label": "Pictures brought" });
  const count = h("span", { class: "soft" });
  const stop = h("button", { type: "button", class: "quiet", onclick: () => (work.stop = true) }, "Stop");
  const bringing = h("div", { class: "set-progress", hidden: true }, progress, count, stop);
  const start = h("button", { type: "button", class: "set-make", onclick: () => studio.attempt(settle, start) }, "Bring them in");
  const left = h("p", { class: "hint", hidden: true });
  const choose = async (folder) => add(await chooseFiles(folder));
  const place = h(
    "div",
    { class: "picture-input set-place", role: "group", "aria-label": "Your own pictures" },
    icon("picture"),
    h(
      "p",
      {},
      "Drop pictures or folders, or choose ",
      h("button", { type: "button", class: "link", onclick: () => choose(false) }, "pictures"),
      " or ",
      h("button", { type: "button", class: "link", onclick: () => choose(true) }, "a folder"),
    ),
    h("p", { class: "hint" }, "A folder for each class: their names are the labels."),
  );
  place.addEventListener("drop", async (event) => {
    event.preventDefault(); // the page's own drop takes one picture
    add(await filesOf(event.dataTransfer));
  });
  place.addEventListener("dragover", () => place.classList.add("drop-here"));
  for (const over of ["dragleave", "drop"]) place.addEventListener(over, () => place.classList.remove("drop-here"));

  function add(files) {
    if (files === null) return; // nothing was chosen
    const found = grouped(files);
    if (found.length === 0) studio.toast("There is no file in it.", "bad");
    if (groups.length === 0) name.value = free(files[0]?.path.includes("/") ? files[0].path.split("/")[0] : "my pictures");
    for (const group of found) {
      const same = groups.find((one) => one.label === group.label);
      if (same) same.files.push(...group.files);
      else groups.push(group);
    }
    show();
  }

  /* A name that no set of this studio has. */
  function free(wanted) {
    const taken = new Set(studio.hello.data.filter((each) => each.name.startsWith("set:")).map((each) => each.about.split(":")[0].toLowerCase()));
    let found = wanted;
    for (let k = 2; taken.has(found.toLowerCase()); k += 1) found = `${wanted} ${k}`;
    return found;
  }

  function row(group) {
    const label = textField({ label: "Label", value: group.label, placeholder: "no label" });
    label.on((text) => (group.label = text.trim()));
    const away = () => {
      groups = groups.filter((one) => one !== group);
      show();
    };
    return h(
      "div",
      { class: "set-group" },
      label.element,
      h("span", { class: "soft" }, plural(group.files.length, "picture")),
      iconButton("close", `Leave out ${group.label || "those without a label"}`, away),
    );
  }

  function show() {
    fill(list, groups.map(row));
    const some = groups.length > 0;
    name.element.hidden = !some;
    start.hidden = !some;
    if (some) announce(`${plural(groups.reduce((sum, group) => sum + group.files.length, 0), "picture")} to bring in`);
  }

  function tell() {
    progress.value = work.done / work.of;
    count.textContent = `${work.done} of ${work.of}`;
  }

  /* Bring in what waits for it, if anything does -> false where the user stopped it. */
  function settle() {
    if (groups.length === 0) return Promise.resolve(true);
    brought ??= bring().finally(() => (brought = null));
    return brought;
  }

  async function bring() {
    const all = groups.flatMap((group) => group.files.map((file) => ({ file, label: group.label || null })));
    work = { done: 0, of: all.length, stop: false };
    bringing.hidden = false;
    left.hidden = true;
    const [pictures, refused] = [[], []];
    try {
      for (const { file, label } of all) {
        if (work.stop) return false;
        tell();
        if (file.size > studio.hello.limits.upload) refused.push(`${file.name} is too large`);
        else {
          try {
            pictures.push({ upload: (await studio.api.upload(file, file.name)).id, label });
          } catch (error) {
            // One that is no picture is left out; when the server is gone or full, the others would fail as well.
            if (!(error instanceof ApiError) || ![400, 413, 415, 422].includes(error.status)) throw error;
            refused.push(error.message);
          }
        }
        work.done += 1;
      }
      if (pictures.length === 0) throw new ApiError(`None of these can be read as a picture: ${refused[0]}`);
      const dataset = await studio.api.post("/api/datasets", { name: name.value.trim() || free("my pictures"), pictures });
      groups = [];
      show();
      left.hidden = refused.length === 0;
      left.textContent = `Left out ${refused.length}: ${refused.slice(0, 3).join("; ")}${refused.length > 3 ? "; …" : ""}`;
      made(dataset, refused.length);
      return true;
    } finally {
      bringing.hidden = true;
      work = null;
    }
  }

  show();
  return {
    element: h("div", { class: "dataset" }, place, list, name.element, start, bringing, left),
    settle,
  };
}
