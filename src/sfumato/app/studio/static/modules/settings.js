/* What the page remembers.
 *
 *   setting(name, initial) -> { value, set(value), on(handler) -> off }   a value in localStorage; `on` calls at once and on each change
 *   remember(name, fields)   keep the values of a form's fields (see fields.js) over reloads; give the model's field first.
 *                            Returns once what was kept has been put back.
 *   keep.get(key), keep.set(key, value), keep.remove(key)   larger things (drawings: blobs and all) in IndexedDB; they never throw:
 *                            where the browser keeps nothing, `get` gives undefined
 */

import { debounce } from "./dom.js";

function read(key) {
  try {
    const text = localStorage.getItem(key);
    return text === null ? undefined : JSON.parse(text);
  } catch {
    return undefined; // forbidden, or not ours
  }
}

function write(key, value) {
  try {
    localStorage.setItem(key, JSON.stringify(value));
  } catch {
    // Full or forbidden: then it is remembered for as long as the page is open.
  }
}

export function setting(name, initial) {
  const key = `sfumato.${name}`;
  const handlers = new Set();
  let value = read(key) ?? initial;
  return {
    get value() {
      return value;
    },
    set(next) {
      value = next;
      write(key, value);
      for (const handler of handlers) handler(value);
    },
    on(handler) {
      handlers.add(handler);
      handler(value);
      return () => handlers.delete(handler);
    },
  };
}

export function remember(name, fields) {
  const key = `sfumato.form.${name}`;
  const kept = read(key) ?? {};
  for (const [part, field] of Object.entries(fields)) {
    if (!(part in kept)) continue;
    try {
      field.value = kept[part];
    } catch {
      // Kept by an older version of the page.
    }
  }
  const save = debounce(() => {
    write(key, Object.fromEntries(Object.entries(fields).map(([part, field]) => [part, field.value])));
  }, 150);
  for (const field of Object.values(fields)) field.on(save);
  addEventListener("pagehide", save.flush);
}

let opening = null;

function database() {
  opening ??= new Promise((resolve, reject) => {
    const request = indexedDB.open("sfumato", 1);
    request.onupgradeneeded = () => request.result.createObjectStore("kept");
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  return opening;
}

async function kept(mode, act) {
  try {
    const base = await database();
    return await new Promise((resolve, reject) => {
      const request = act(base.transaction("kept", mode).objectStore("kept"));
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  } catch {
    return undefined;
  }
}

export const keep = {
  get: (key) => kept("readonly", (store) => store.get(key)),
  set: (key, value) => kept("readwrite", (store) => store.put(value, key)),
  remove: (key) => kept("readwrite", (store) => store.delete(key)),
};
