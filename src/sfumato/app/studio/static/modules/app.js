/* The shell: tabs, keys, toasts, the banner of a lost server. It hands a tab its panel once somebody opens it.
 *
 * A tab is `modules/tabs/NAME.js` with `export default { id, title, key, mount(root, studio) }`. `mount` is called once, with the
 * server's hello at hand, and may return a controller; each part of it may as well stand in the exported object:
 *   receive(payload)  take {job} or {picture} (see studio.send)     takesPicture  whether a picture dropped anywhere is for this tab
 *   run()             the main action: g, and Ctrl+Enter in fields  cancel()      Escape, where nothing is open
 *   keys              [{keys, what, run?}], see keys.js             shown()       each time that the tab is opened
 */

import { fill, h, icon, iconButton } from "./dom.js";
import { installDrop } from "./drop.js";
import { makeKeys } from "./keys.js";
import { installQueue } from "./queue.js";
import { makeStudio } from "./studio.js";

const TABS = ["generate", "edit", "inpaint", "anagram", "hybrid", "denoise", "train", "gallery"];
const PARTS = ["receive", "run", "cancel", "keys", "shown", "takesPicture"];
const studio = makeStudio();
const controllers = new Map(); // tab id -> promise of its controller
const ready = new Map(); // tab id -> its controller, once it is there
let current = null;

const node = (id) => document.getElementById(id);
const tabOf = (id) => node(`tab-${id}`);
const controller = () => ready.get(current) ?? null;
const wanted = () => (TABS.includes(location.hash.slice(1)) ? location.hash.slice(1) : null);

function load(id) {
  if (controllers.has(id)) return controllers.get(id);
  const loading = (async () => {
    const panel = node(`panel-${id}`);
    try {
      const { default: tab } = await import(`./tabs/${id}.js`);
      const root = h("div", { class: `tab-content tab-${id}` });
      const mounted = (await tab.mount(root, studio)) ?? {};
      fill(panel, root);
      const made = { id, title: tab.title };
      for (const part of PARTS) made[part] = mounted[part] ?? tab[part];
      for (const part of ["receive", "run", "cancel", "shown"]) made[part] = made[part]?.bind(mounted[part] ? mounted : tab);
      ready.set(id, made);
      return made;
    } catch (error) {
      controllers.delete(id); // the next visit tries again
      const again = h("button", { type: "button", onclick: () => show(id) }, "Try again");
      fill(panel, h("div", { class: "empty" }, h("p", {}, "This tab could not be loaded. Is the server there?"), again));
      if (studio.online) console.error(error);
      return null;
    }
  })();
  controllers.set(id, loading);
  return loading;
}

async function show(id, { focus = false } = {}) {
  if (current !== id) {
    for (const other of TABS) {
      tabOf(other).setAttribute("aria-selected", String(other === id));
      tabOf(other).tabIndex = other === id ? 0 : -1;
      node(`panel-${other}`).hidden = other !== id;
    }
    current = id;
    document.title = `${tabOf(id).textContent} · sfumato studio`;
    if (location.hash !== `#${id}`) history.pushState(null, "", `#${id}`);
    const bar = document.querySelector("[role=tablist]");
    const tab = tabOf(id);
    bar.scrollLeft = tab.offsetLeft - (bar.clientWidth - tab.offsetWidth) / 2;
  }
  if (focus) tabOf(id).focus();
  if (studio.hello === null) return null;
  const tab = await load(id);
  if (current === id) tab?.shown?.();
  return tab;
}

function installTabs() {
  TABS.forEach((id, index) => {
    const tab = tabOf(id);
    tab.setAttribute("aria-keyshortcuts", String(index + 1));
    tab.addEventListener("click", () => show(id));
    tab.addEventListener("keydown", (event) => {
      const to = { ArrowRight: index + 1, ArrowLeft: index - 1 + TABS.length, Home: 0, End: TABS.length - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      show(TABS[to % TABS.length], { focus: true });
    });
  });
  const follow = () => show(wanted() ?? TABS[0]);
  addEventListener("hashchange", follow);
  addEventListener("popstate", follow);
}

function installKeys(queue) {
  const keys = makeKeys(controller);
  keys.add({ keys: "g", shown: ["g", "Ctrl Enter"], what: "do what the tab is for; in a field Ctrl Enter", run: () => controller()?.run?.() });
  keys.add({ keys: "Escape", what: "close, or cancel the run of this tab", run: () => controller()?.cancel?.() });
  keys.add({ keys: TABS.map((_, index) => String(index + 1)), shown: ["1", "…", "8"], what: "the tabs", run: (event) => show(TABS[Number(event.key) - 1], { focus: true }) });
  keys.add({ keys: "q", what: "the queue", run: queue.open });
  keys.add({ keys: "s", what: "pictures crisp or smooth", run: () => studio.smooth.set(!studio.smooth.value) });
  keys.add({ keys: "?", what: "this list", run: keys.sheet });
  node("help").addEventListener("click", keys.sheet);
}

function installToasts() {
  studio.on("toast", ({ text, kind, action }) => {
    const line = h("div", { class: `toast ${kind}` }, h("span", {}, text));
    const go = () => line.remove();
    let timer = null;
    const leave = () => {
      clearTimeout(timer);
      timer = setTimeout(go, kind === "bad" || action ? 12_000 : 4_000);
    };
    if (action) {
      const act = () => {
        go();
        action.run();
      };
      line.append(h("button", { type: "button", class: "link", onclick: act }, action.text));
    }
    line.append(iconButton("close", "Close this message", go));
    line.addEventListener("pointerenter", () => clearTimeout(timer));
    line.addEventListener("pointerleave", leave);
    line.addEventListener("focusin", () => clearTimeout(timer));
    line.addEventListener("focusout", leave);
    const all = node("toasts");
    all.append(line);
    while (all.children.length > 4) all.firstChild.remove();
    leave();
  });
}

function installBanner() {
  const banner = node("banner");
  let timer = null;
  studio.on("offline", () => {
    // A server that is back at once is no news.
    timer ??= setTimeout(() => {
      fill(banner, icon("again"), "The studio's server does not answer. Nothing here is lost; the page goes on when it is back.");
      banner.hidden = false;
    }, 800);
  });
  studio.on("online", () => {
    clearTimeout(timer);
    timer = null;
    banner.hidden = true;
  });
}

function installSmooth() {
  const button = node("smooth");
  const elements = "sf-turn, sf-distance, sf-steps, sf-compare";
  const apply = (root) => {
    for (const one of root.querySelectorAll(elements)) one.toggleAttribute("smooth", studio.smooth.value);
  };
  studio.smooth.on((smooth) => {
    document.documentElement.toggleAttribute("data-smooth", smooth);
    button.setAttribute("aria-pressed", String(smooth));
    apply(document);
  });
  button.addEventListener("click", () => studio.smooth.set(!studio.smooth.value));
  new MutationObserver((changes) => {
    if (studio.smooth.value && changes.some((change) => change.addedNodes.length)) apply(document);
  }).observe(document.querySelector("main"), { childList: true, subtree: true });
}

async function main() {
  installTabs();
  installToasts();
  installBanner();
  installSmooth();
  installKeys(installQueue(studio));
  installDrop(studio, () => controller() ?? { id: current, takesPicture: false });
  studio.on("send", async ({ tab, payload }) => {
    const made = await show(tab);
    await made?.receive?.(payload);
    window.scrollTo({ top: 0 });
  });
  show(wanted() ?? TABS[0]);
  try {
    await studio.start();
  } catch (error) {
    fill(node(`panel-${current}`), h("div", { class: "empty" }, h("p", {}, error.message), h("p", { class: "hint" }, "Open the studio with the address that it printed, token and all.")));
    return;
  }
  node("device").textContent = studio.hello.device;
  studio.on("hello", (hello) => (node("device").textContent = hello.device));
  await show(current);
}

main();
