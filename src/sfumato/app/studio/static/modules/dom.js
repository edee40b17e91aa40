/* Elements, icons, and small things that every module needs.
 *
 *   h(tag, attributes, ...children)  an element. `class`, `for` and `aria-…` as in HTML; `onclick: f` listens; `style: {…}` and
 *                                    `data: {…}` take objects; true is an empty attribute; null, undefined and false leave one out;
 *                                    `value`, `checked`, `disabled`, `hidden`, … are set as properties. Children: nodes, texts, lists, null.
 *   fill(node, ...children)          put these in the place of what is in it
 *   icon(name)                       a decorative drawing of 20 × 20 px (see ICONS)
 *   iconButton(name, label, onclick, attributes)  a button that is only a drawing; the label is its name and its tooltip
 *   uid(prefix)                      an id that nothing else on the page has
 *   announce(text)                   say something to screen readers, politely
 *   copyText(text)                   to the clipboard -> Promise<boolean>
 *   debounce(f, milliseconds)        f once things have been quiet for so long; `.flush()` at once
 *   plural(n, one, many)             "1 picture", "2 pictures"
 *   duration(seconds)                "8 s", "2 min 5 s"
 *   typing(target)                   whether keys typed there are text
 */

const PROPERTIES = new Set([
  "value", "checked", "disabled", "hidden", "selected", "open", "textContent", "className", "htmlFor",
  "indeterminate", "readOnly", "tabIndex", "srcObject",
]);

export function h(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  let late = null; // a select takes its value once its options are there
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined) continue;
    if (name.startsWith("on") && typeof value === "function") node.addEventListener(name.slice(2).toLowerCase(), value);
    else if (name === "style") for (const [key, style] of Object.entries(value)) node.style.setProperty(key, style);
    else if (name === "data") Object.assign(node.dataset, value);
    else if (name === "value") late = value;
    else if (PROPERTIES.has(name)) node[name] = value;
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false) node.setAttribute(name, value);
  }
  node.append(...flat(children));
  if (late !== null) node.value = late;
  return node;
}

export function fill(node, ...children) {
  node.replaceChildren(...flat(children));
  return node;
}

function flat(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}

const ICONS = {
  die: "M4 4h12v12H4z M7.2 7.2h.01 M12.8 7.2h.01 M10 10h.01 M7.2 12.8h.01 M12.8 12.8h.01",
  undo: "M7 4 3.5 7.5 7 11 M3.5 7.5H12a4.2 4.2 0 0 1 0 8.5H8",
  redo: "M13 4l3.5 3.5L13 11 M16.5 7.5H8a4.2 4.2 0 0 0 0 8.5h4",
  brush: "M16.5 3.5 9 11 M9 11c-2.2-.3-3.8.8-4 3-.1 1-.6 1.8-1.7 2.2 3 1 6.7 0 7.2-3.2z",
  eraser: "M8 16.5 3.5 12 11.5 4l5 5L9 16.5z M7.5 8l5 5 M7 16.5h9.5",
  bucket: "M9 3l7 7-6.5 6L3 9.5z M3 9.8h12.5 M17.3 13.2c.9 1.3 1 1.9 1 2.3a1 1 0 0 1-2 0c0-.4.1-1 1-2.3z",
  invert: "M10 3a7 7 0 0 0 0 14z M10 3a7 7 0 0 1 0 14 M8 4v12 M6 5.5v9 M4.5 8v4",
  bin: "M4 5.5h12 M8 5.5V3.5h4v2 M5.5 5.5l.8 11h7.4l.8-11 M8.5 8.5v5 M11.5 8.5v5",
  download: "M10 3v9.5 M6 9l4 4 4-4 M4 16.5h12",
  upload: "M10 13V3.5 M6 7.5l4-4 4 4 M4 16.5h12",
  copy: "M7 7h9.5v9.5H7z M13 7V3.5H3.5V13H7",
  again: "M16 10a6 6 0 1 1-1.8-4.3 M16.5 3v3.5H13",
  send: "M4 10h11.5 M11 5.5l4.5 4.5-4.5 4.5",
  before: "M12 5l-5 5 5 5",
  after: "M8 5l5 5-5 5",
  search: "M9 4a5 5 0 1 0 .01 0z M12.7 12.7l3.8 3.8",
  close: "M5 5l10 10 M15 5 5 15",
  check: "M4 10.5l4 4 8-9",
  play: "M6.5 4v12l9.5-6z",
  pause: "M7 4.5v11 M13 4.5v11",
  plus: "M10 4v12 M4 10h12",
  minus: "M4 10h12",
  help: "M7.3 7.5a2.8 2.8 0 1 1 4 2.5c-.9.4-1.3 1-1.3 2 M10 15.2h.01",
  queue: "M4 5.5h12 M4 10h12 M4 14.5h7",
  picture: "M3.5 4.5h13v11h-13z M3.5 13l3.7-3.7 3 3 2.3-2.3 4 4 M12.8 7.7h.01",
  soft: "M10 10h.01 M10 6.5v.01 M10 13.5v.01 M6.5 10h.01 M13.5 10h.01 M10 3.3v.01 M10 16.7v.01 M3.3 10h.01 M16.7 10h.01 M5.3 5.3h.01 M14.7 5.3h.01 M5.3 14.7h.01 M14.7 14.7h.01",
  line: "M4 15.5 15.5 4",
  seed: "M10 16.5V9 M10 11c0-3-2-4.5-5-4.5 0 3 2 4.5 5 4.5z M10 9c0-3 2-5 5.5-5 0 3.5-2.2 5-5.5 5z",
};

const SVG = "http://www.w3.org/2000/svg";

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 20 20");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("focusable", "false");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name] ?? "");
  svg.append(path);
  return svg;
}

export function iconButton(name, label, onclick, attributes = {}) {
  return h("button", { type: "button", class: "icon-button", "aria-label": label, title: label, onclick, ...attributes }, icon(name));
}

let used = 0;
export const uid = (prefix = "id") => `${prefix}-${(used += 1)}`;

export function announce(text) {
  const live = document.getElementById("live");
  if (live === null) return;
  live.textContent = "";
  // An empty region first: the same words twice are two announcements.
  setTimeout(() => (live.textContent = text), 60);
}

export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Without a secure context (another address of the network) there is only the old way.
    const area = h("textarea", { value: text, class: "off-screen", readOnly: true, "aria-hidden": "true" });
    document.body.append(area);
    const before = document.activeElement;
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    before?.focus?.();
    return copied;
  }
}

export function debounce(f, milliseconds) {
  let timer = null;
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      timer = null;
      f();
    }, milliseconds);
  };
  later.flush = () => {
    if (timer === null) return;
    clearTimeout(timer);
    timer = null;
    f();
  };
  return later;
}

export const plural = (n, one, many = `${one}s`) => `${n} ${n === 1 ? one : many}`;

export function duration(seconds) {
  const whole = Math.max(1, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min${whole % 60 ? ` ${whole % 60} s` : ""}`;
  return `${Math.floor(whole / 3600)} h ${Math.round((whole % 3600) / 60)} min`;
}

export function typing(target) {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || target.matches("textarea, select")) return true;
  return target.matches("input") && !target.matches("[type=checkbox], [type=radio], [type=range], [type=button], [type=file], [type=color]");
}
