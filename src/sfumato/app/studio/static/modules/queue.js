/* What runs and what waits, of all tabs: the button in the header and its list.
 *
 *   installQueue(studio) -> { open() }
 */

import { duration, fill, h, iconButton, plural } from "./dom.js";
import { later } from "./runs.js";

const OPEN = new Set(["queued", "running"]);

export function installQueue(studio) {
  const runs = new Map(); // also ended ones: the answer to the request that began one may come after its end
  const heard = new Set(); // ids of events since the last question, which its answer may not know
  const button = document.getElementById("queue");
  const text = document.getElementById("queue-text");
  const list = h("ul", { class: "runs" });
  const dialog = h(
    "dialog",
    { class: "queue", "aria-labelledby": "queue-title" },
    h("header", {}, h("h2", { id: "queue-title" }, "Queue"), iconButton("close", "Close", () => dialog.close())),
    list,
  );
  document.body.append(dialog);
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  button.addEventListener("click", open);

  function open() {
    if (document.querySelector("dialog[open]")) return;
    show();
    dialog.showModal();
  }

  async function refresh() {
    heard.clear();
    try {
      const answers = await Promise.all([...OPEN].map((state) => studio.api.get(`/api/runs?state=${state}&limit=200`)));
      const open = new Map(answers.flatMap((answer) => answer.runs).map((run) => [run.id, run]));
      for (const id of [...runs.keys()]) if (!open.has(id) && !heard.has(id)) runs.delete(id);
      for (const [id, run] of open) if (!heard.has(id)) runs.set(id, run);
      show();
    } catch {
      // The server went away again: `online` comes once more.
    }
  }

  function show() {
    const open = [...runs.values()].filter((run) => OPEN.has(run.state)).sort((one, other) => (other.state === "running") - (one.state === "running") || one.id - other.id);
    const waiting = open.filter((run) => run.state === "queued").length;
    const words = [open.length > waiting ? "Running" : "", waiting ? `${waiting} waiting` : ""].filter(Boolean).join(", ");
    text.textContent = words || "Queue";
    button.classList.toggle("busy", open.length > 0);
    fill(list, open.length ? open.map(row) : h("li", { class: "hint" }, "Nothing runs and nothing waits."));
  }

  function row(run) {
    const about = run.state === "queued" ? "waiting" : [run.total ? `${run.done} of ${plural(run.total, "step")}` : "making ready", run.eta ? `about ${duration(run.eta)} left` : ""].filter(Boolean).join(", ");
    const cancel = async (event) => {
      const next = await studio.attempt(() => studio.api.post(`/api/runs/${run.id}/cancel`), event.currentTarget);
      if (next) studio.emit("run", next);
    };
    return h("li", {}, h("span", { class: "words" }, h("b", {}, run.title), h("span", { class: "hint" }, about)), iconButton("close", `Cancel ${run.title}`, cancel));
  }

  studio.on("run", (run) => {
    heard.add(run.id);
    runs.set(run.id, later(runs.get(run.id), run));
    const focus = [...list.querySelectorAll("button")].indexOf(document.activeElement);
    show();
    if (focus >= 0) list.querySelectorAll("button")[Math.min(focus, list.querySelectorAll("button").length - 1)]?.focus();
  });
  studio.on("online", refresh);
  return { open };
}
