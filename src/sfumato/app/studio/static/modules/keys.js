/* The keys of the page and their sheet.
 *
 *   makeKeys(current)  current() -> the controller of the tab that is open, or null (see app.js)
 *     -> { add({keys, what, run}), sheet() }   `keys` as KeyboardEvent.key ("g", "?", "1"), several as a list; single keys do nothing
 *        while somebody types. `sheet()` opens the list of all keys.
 *
 * A tab's controller may have `keys: [{keys, what, run?}]`: those without `run` are only listed (the tab listens by itself).
 */

import { fill, h, iconButton, typing } from "./dom.js";

const list = (keys) => (Array.isArray(keys) ? keys : [keys]);

export function makeKeys(current) {
  const everywhere = [];
  const dialog = h("dialog", { class: "sheet-of-keys", "aria-labelledby": "keys-title" });
  document.body.append(dialog);
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());

  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || event.altKey) return;
    const tab = current();
    if ((event.ctrlKey || event.metaKey) && event.key === "Enter" && !openDialog()) {
      event.preventDefault();
      return tab?.run?.();
    }
    if (event.ctrlKey || event.metaKey || typing(event.target) || openDialog()) return;
    const bound = [...(tab?.keys ?? []), ...everywhere].find((one) => one.run && list(one.keys).includes(event.key));
    if (!bound) return;
    event.preventDefault();
    bound.run(event);
  });

  function table(title, rows) {
    if (rows.length === 0) return null;
    return h(
      "section",
      {},
      h("h3", {}, title),
      h("dl", {}, rows.map((row) => [h("dt", {}, list(row.shown ?? row.keys).map((key) => h("kbd", {}, key))), h("dd", {}, row.what)])),
    );
  }

  return {
    add: (key) => everywhere.push(key),
    sheet() {
      if (openDialog()) return;
      const tab = current();
      fill(
        dialog,
        h("header", {}, h("h2", { id: "keys-title" }, "Keys"), iconButton("close", "Close", () => dialog.close())),
        h("div", { class: "columns" }, table("Everywhere", everywhere.filter((one) => one.what)), table(tab?.title ?? "Here", tab?.keys ?? [])),
      );
      dialog.showModal();
    },
  };
}

const openDialog = () => document.querySelector("dialog[open]") !== null;
