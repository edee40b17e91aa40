/* All that was made: found again, looked at, made again, sent on, thrown away and fetched back. */

import { detailDialog } from "../detail.js";
import { debounce, fill, h, icon, plural } from "../dom.js";
import { selectField } from "../fields.js";
import { allRight } from "../readings.js";

const PAGE = 60;
const KINDS = ["generate", "edit", "inpaint", "anagram", "hybrid", "denoise", "regions", "panorama", "upscale"];
const ANY = "";

function mount(root, studio) {
  let pictures = []; // newest first
  let more = true;
  let asked = 0; // which listing is wanted: answers to earlier questions are dropped
  let loading = false;
  let oldest = null; // the id of the last one that was answered, shown or not
  const tiles = new Map(); // picture id -> its button

  const search = h("input", { type: "search", placeholder: "a prompt, a model, seed:7", "aria-label": "Search", oninput: debounce(restart, 200) });
  const kind = selectField({ label: "Kind", options: [{ value: ANY, text: "every kind" }, ...KINDS.map((value) => ({ value }))], value: ANY });
  const model = selectField({ label: "Model", options: models(), value: ANY });
  const grid = h("ul", { class: "gallery-grid", "aria-label": "Pictures, the newest first" });
  const none = h("div", { class: "empty", hidden: true });
  const count = h("p", { class: "hint", role: "status" });
  const next = h("button", { type: "button", class: "quiet", hidden: true, onclick: load }, "Older ones");
  const end = h("div", { class: "gallery-end" }, next);
  const detail = detailDialog(studio, { step, remove });

  function models() {
    return [{ value: ANY, text: "every model" }, ...studio.hello.models.map((each) => ({ value: each.name, text: each.title }))];
  }

  const fits = (shown) => (kind.value === ANY || shown.kind === kind.value) && (model.value === ANY || shown.model === model.value);
  const query = () => [search.value, kind.value, model.value].filter(Boolean).join(" ").trim();

  function restart() {
    asked += 1;
    loading = false;
    pictures = [];
    more = true;
    oldest = null;
    tiles.clear();
    fill(grid);
    load();
  }

  async function load() {
    if (loading || !more) return;
    loading = true;
    const mine = asked;
    try {
      // What is left of a page may be little, or nothing: then the next one follows.
      for (let shownNow = 0; shownNow === 0 && more; ) {
        const before = oldest === null ? "" : `&before=${oldest}`;
        const answer = await studio.api.get(`/api/pictures?limit=${PAGE}${before}&search=${encodeURIComponent(query())}`);
        if (mine !== asked) return;
        more = answer.more;
        oldest = answer.pictures.at(-1)?.id ?? oldest;
        const fitting = answer.pictures.filter(fits);
        for (const shown of fitting) add(shown);
        shownNow = fitting.length;
      }
    } catch (error) {
      if (mine === asked && error.status) studio.toast(error.message, "bad");
      return;
    } finally {
      if (mine === asked) loading = false;
    }
    tell();
    if (more && end.getBoundingClientRect().top < innerHeight + 400) load();
  }
  /* What came, and what was thrown away, while nobody listened. */
  async function catchUp() {
    const mine = asked;
    let answer;
    try {
      answer = await studio.api.get(`/api/pictures?limit=${PAGE}&search=${encodeURIComponent(query())}`);
    } catch {
      return; // it went away again: `online` comes once more
    }
    if (mine !== asked || loading) return;
    const there = new Set(answer.pictures.map((shown) => shown.id));
    const last = answer.more ? answer.pictures.at(-1).id : 0;
    for (const { id } of [...pictures]) if (id >= last && !there.has(id)) drop(id);
    for (const shown of answer.pictures.filter(fits)) add(shown, true);
    tell();
  }

  function tile(shown) {
    const right = shown.readings.length ? allRight(shown.readings) : null;
    const mark = right === null ? null : h("span", { class: right ? "mark right" : "mark wrong", title: right ? "read as what was asked for" : "read as something else" }, right ? "✓" : "✗");
    const image = h("img", { class: "pixels", src: shown.url, alt: "", loading: "lazy", width: shown.width, height: shown.height });
    const button = h(
      "button",
      { type: "button", class: "tile", tabIndex: -1, data: { picture: shown.id }, "aria-label": `${shown.title}, ${shown.kind}, seed ${shown.seed}`, onclick: () => detail.open(shown, button) },
      image,
      mark,
      h("span", {}, shown.title),
    );
    button.addEventListener("focus", () => rove(button));
    return button;
  }

  /* One of them is reached by Tab, the others from there by the arrow keys. */
  function rove(button) {
    for (const other of grid.querySelectorAll(".tile[tabindex='0']")) other.tabIndex = -1;
    button.tabIndex = 0;
  }

  function add(shown, first = false) {
    if (tiles.has(shown.id)) return;
    const button = tile(shown);
    tiles.set(shown.id, button);
    const at = first ? pictures.findIndex((each) => each.id < shown.id) : -1;
    const item = h("li", {}, button);
    if (at < 0) {
      pictures.push(shown);
      grid.append(item);
    } else {
      pictures.splice(at, 0, shown);
      grid.insertBefore(item, grid.children[at]);
    }
    if (!grid.querySelector(".tile[tabindex='0']")) button.tabIndex = 0;
  }

  function drop(id) {
    const index = pictures.findIndex((each) => each.id === id);
    if (index < 0) return;
    const button = tiles.get(id);
    const focused = document.activeElement === button;
    const roving = button.tabIndex === 0;
    pictures.splice(index, 1);
    tiles.delete(id);
    button.parentNode.remove();
    const neighbour = pictures[Math.min(index, pictures.length - 1)];
    if (neighbour) {
      if (roving) tiles.get(neighbour.id).tabIndex = 0;
      if (focused) tiles.get(neighbour.id).focus();
    } else if (focused) search.focus();
    tell();
  }

  function tell() {
    const nothing = pictures.length === 0;
    none.hidden = !nothing;
    next.hidden = !more;
    const filtered = query() !== "";
    if (nothing) {
      fill(
        none,
        filtered
          ? h("p", {}, "No picture is like this.")
          : [h("p", {}, "All that you make is kept here."), h("p", { class: "hint" }, `As files they lie in ${studio.hello.folder}/pictures.`)],
      );
    }
    count.textContent = nothing ? "" : `${plural(pictures.length, "picture")}${more ? " and more" : ""}${filtered ? " like this" : ""}`;
  }

  /* The picture before or after one, for the dialog. */
  async function step(shown, by) {
    const index = pictures.findIndex((each) => each.id === shown.id);
    if (index + by >= pictures.length && more) await load();
    const found = pictures[index + by] ?? null;
    if (found) rove(tiles.get(found.id));
    return found;
  }

  async function remove(shown) {
    const gone = await studio.attempt(() => studio.api.remove(`/api/pictures/${shown.id}`));
    if (gone === null) return false;
    drop(shown.id);
    const undo = async () => {
      const back = await studio.attempt(() => studio.api.post(`/api/pictures/${shown.id}/restore`));
      if (back === null) return;
      if (fits(back)) add(back, true);
      tell();
      tiles.get(back.id)?.focus();
    };
    studio.toast(`${shown.title} is in the bin.`, "info", { text: "Undo", run: undo });
    return true;
  }

  function columns() {
    const [first, ...rest] = grid.children;
    const wrapped = rest.findIndex((item) => item.offsetTop > first.offsetTop);
    return wrapped < 0 ? grid.children.length : wrapped + 1;
  }

  grid.addEventListener("keydown", (event) => {
    const button = event.target.closest(".tile");
    const index = pictures.findIndex((each) => String(each.id) === button?.dataset.picture);
    if (index < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const moves = { ArrowLeft: index - 1, ArrowRight: index + 1, ArrowUp: index - columns(), ArrowDown: index + columns(), Home: 0, End: pictures.length - 1 };
    if (event.key in moves) {
      event.preventDefault();
      const to = pictures[moves[event.key]];
      if (to) tiles.get(to.id).focus();
      else if (moves[event.key] >= pictures.length) load();
    } else if (event.key === "Delete" || event.key === "Backspace") {
      event.preventDefault();
      remove(pictures[index]);
    }
  });

  for (const field of [kind, model]) field.on(restart);
  new IntersectionObserver((seen) => seen.some((each) => each.isIntersecting) && load(), { rootMargin: "600px" }).observe(end);
  // A new picture may be one that a search is for: only the server knows.
  const refresh = debounce(restart, 300);
  studio.on("picture", (shown) => {
    if (search.value.trim() !== "") refresh();
    else if (fits(shown)) {
      add(shown, true);
      tell();
    }
  });
  studio.on("removed", ({ picture }) => drop(picture));
  studio.on("hello", () => model.options(models()));
  studio.on("online", catchUp);

  root.append(
    h("div", { class: "gallery-head" }, h("div", { class: "gallery-search" }, icon("search"), search), kind.element, model.element, count),
    grid,
    none,
    end,
  );
  restart();

  return {
    keys: [
      { keys: "/", what: "search", run: () => search.focus() },
      { keys: ["←", "→", "↑", "↓"], what: "go through the pictures" },
      { keys: "Enter", what: "open the picture" },
      { keys: "Delete", what: "throw it into the bin; the message has Undo" },
    ],
    shown: () => tell(),
  };
}

export default { id: "gallery", title: "Gallery", key: "8", mount };
