/* The runs of a tab: what is known of them, kept over reloads, from events and from questions.
 *
 *   tabRuns(studio, {name, order, changed}) -> { at(id), newest(), others(id), add(run), fetch(id), restore(), hear(run) }
 *     at(id): {run, pictures, preview} or null. changed(id, what): "run", "ended", "pictures", "preview", or "all" (it may be another one)
 *     fetch: ask the server for a run that may have gone on without us; hear: as if an event had told it
 *   ENDED         states that nothing follows on
 *   stateOf(run)  what a person is told of it
 *   later(one, other)   the later of two things said of a run; `one` may be nothing
 */

import { duration, plural } from "./dom.js";
import { setting } from "./settings.js";

const KEPT = 6; // runs of a tab
const STATES = ["queued", "running", "done"];
export const ENDED = new Set(["done", "failed", "cancelled"]);

export function stateOf(run) {
  switch (run.state) {
    case "queued":
      return run.ahead ? `Waiting: ${plural(run.ahead, "run")} before it.` : "Waiting for its turn.";
    case "running": {
      const left = run.eta === null || run.eta === undefined ? "" : `, about ${duration(run.eta)} left`;
      return run.total ? `Step ${run.done} of ${run.total}${left}` : "Making ready";
    }
    case "done":
      return run.started && run.finished ? `Made in ${duration(run.finished - run.started)}.` : "Done.";
    case "cancelled":
      return "Cancelled.";
    default:
      return run.error ?? "It failed.";
  }
}

/* The later of two things said of a run: an answer may come after the events that followed on it. */
export function later(one, other) {
  if (!one || other.attempts > one.attempts) return other;
  if (ENDED.has(one.state) || ENDED.has(other.state)) return ENDED.has(other.state) ? other : one;
  const passed = STATES.indexOf(other.state) - STATES.indexOf(one.state);
  if (passed) return passed > 0 ? other : one;
  // Until its steps are counted, all that is said of it is that it runs.
  return other.done < one.done || (one.total && !other.total) ? one : other;
}

export function tabRuns(studio, { name, order, changed }) {
  const kept = setting(`runs.${name}`, []);
  const known = new Map();
  let heard = null; // the last preview: it may come before the answer to the request that began its run

  const at = (id) => known.get(id) ?? null;
  const newest = () => (known.size ? Math.max(...known.keys()) : null);

  function put(told, pictures = null) {
    const before = known.get(told.id);
    const run = later(before?.run, told);
    const more = pictures && (ENDED.has(run.state) || pictures.length >= (before?.pictures.length ?? 0));
    const all = more ? pictures : (before?.pictures ?? []);
    const sorted = order && ENDED.has(run.state) ? [...all].sort(order) : all;
    const early = heard?.run === run.id ? heard : null;
    known.set(run.id, { run, pictures: sorted, preview: before?.preview ?? early });
  }

  function store() {
    kept.set([...known.keys()].sort((one, other) => other - one).slice(0, KEPT));
    for (const id of [...known.keys()]) if (!kept.value.includes(id)) known.delete(id);
  }

  async function fetch(id) {
    try {
      const run = await studio.api.get(`/api/runs/${id}`);
      put(run, run.pictures);
      return true;
    } catch (error) {
      if (error.status !== 404) return true; // the server is away: `online` asks again
      known.delete(id); // of another folder, or a new one
      return false;
    }
  }

  function add(run) {
    put(run);
    store();
    // It may have ended before anybody here knew of it.
    if (!ENDED.has(run.state)) fetch(run.id).then(() => changed(run.id, "run"));
  }

  async function restore() {
    const found = await Promise.all(kept.value.map(fetch));
    if (!found.every(Boolean)) store();
    changed(newest(), "all");
  }

  async function hear(run) {
    const before = known.get(run.id);
    if (!before) return;
    const ends = !ENDED.has(before.run.state) && ENDED.has(run.state);
    put(run);
    changed(run.id, "run");
    if (!ends) return;
    await fetch(run.id); // its pictures in their order, also those that were there before
    if (known.has(run.id)) changed(run.id, "ended");
  }

  studio.on("run", hear);
  studio.on("preview", (preview) => {
    heard = preview;
    const now = known.get(preview.run);
    if (!now || ENDED.has(now.run.state)) return;
    now.preview = preview;
    changed(preview.run, "preview");
  });
  studio.on("picture", (shown) => {
    const now = known.get(shown.run);
    if (!now) return;
    const index = now.pictures.findIndex((one) => one.id === shown.id);
    if (index < 0) now.pictures.push(shown);
    else now.pictures[index] = shown;
    changed(shown.run, "pictures");
  });
  studio.on("removed", ({ picture }) => {
    for (const [id, now] of known) {
      const index = now.pictures.findIndex((shown) => shown.id === picture);
      if (index < 0) continue;
      now.pictures.splice(index, 1);
      changed(id, "all");
    }
  });
  studio.on("online", async () => {
    const open = [...known.values()].map(({ run }) => run).filter((run) => !ENDED.has(run.state));
    await Promise.all(open.map((run) => fetch(run.id)));
    for (const { id } of open) if (known.has(id)) changed(id, ENDED.has(known.get(id).run.state) ? "ended" : "run");
    if (open.some(({ id }) => !known.has(id))) changed(newest(), "all");
  });

  return { at, newest, add, fetch, restore, hear, others: (id) => [...known.values()].filter(({ run }) => run.id !== id) };
}
