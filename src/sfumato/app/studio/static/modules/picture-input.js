/* A place for a picture: dropped, chosen or pasted, and kept by the server as an upload.
 *
 *   pictureInput(studio, {label, hint})   a field (see fields.js); value: an Upload, or null. `.take(blob, name)` uploads and takes it
 *   chooseFile()                          -> Promise<File | null>: the browser's dialog for pictures
 *
 * An element with the attribute `data-takes-picture` gets what is dropped or pasted on it as an event "take" with the Upload as
 * `detail`; drop.js does the uploading. `loadPicture(url)` -> Promise<HTMLImageElement>.
 */

import { ApiError } from "./api.js";
import { fill, h, icon, iconButton, uid } from "./dom.js";
import { makeField } from "./fields.js";

export const KINDS = "image/png,image/jpeg,image/webp,image/gif";

export function chooseFile() {
  return new Promise((resolve) => {
    const input = h("input", { type: "file", accept: KINDS, class: "off-screen", "aria-hidden": "true", tabIndex: -1 });
    document.body.append(input); // some browsers open no dialog for a field that is nowhere
    const end = (file) => {
      input.remove();
      resolve(file);
    };
    input.addEventListener("change", () => end(input.files[0] ?? null));
    input.addEventListener("cancel", () => end(null));
    input.click();
  });
}

export function loadPicture(url) {
  return new Promise((resolve, reject) => {
    const image = new Image();
    image.onload = () => resolve(image);
    image.onerror = () => reject(new ApiError("This picture is not there any more."));
    image.src = url;
  });
}

export function pictureInput(studio, { label = "Picture", hint = null } = {}) {
  let upload = null;
  const id = uid("picture");
  const place = h("div", { class: "picture-input", "data-takes-picture": true, role: "group", "aria-labelledby": id });
  const choose = async (event) => {
    const file = await chooseFile();
    if (file) await take(file, file.name, event?.currentTarget);
  };
  const take = (blob, name, button = null) =>
    studio.attempt(async () => {
      place.setAttribute("aria-busy", "true");
      try {
        field.value = await studio.api.upload(blob, name);
      } finally {
        place.removeAttribute("aria-busy");
      }
      return upload;
    }, button);

  function show() {
    place.classList.toggle("filled", upload !== null);
    if (upload === null) {
      return fill(
        place,
        icon("picture"),
        h("p", {}, "Drop or paste a picture, or ", h("button", { type: "button", class: "link", onclick: choose }, "choose a file")),
        hint && h("p", { class: "hint" }, hint),
      );
    }
    const image = h("img", { src: upload.url, alt: `the picture ${upload.name}`, class: "pixels" });
    image.addEventListener("error", () => {
      if (studio.online && upload !== null) field.value = null; // not there any more
    });
    fill(
      place,
      image,
      h("p", { class: "hint" }, `${upload.name}, ${upload.width} × ${upload.height}`),
      h(
        "div",
        { class: "actions" },
        h("button", { type: "button", class: "quiet", onclick: choose }, icon("upload"), "Another"),
        iconButton("close", "Take the picture away", () => (field.value = null)),
      ),
    );
  }

  const field = makeField({
    element: h("div", { class: "field" }, h("span", { class: "label", id }, label), place),
    read: () => upload,
    write: (next) => {
      if (next !== null && typeof next?.url !== "string") return;
      upload = next;
      show();
    },
  });
  place.addEventListener("take", (event) => (field.value = event.detail));
  field.take = take;
  show();
  return field;
}
