/* The studio as a tab sees it: what `mount(root, studio)` is given.
 *
 *   studio.hello              the answer of /api/hello, always the newest
 *   studio.api                see api.js
 *   studio.model(name)        a Model of hello, or undefined
 *   studio.on(event, handler) -> off. Events of the server: run, preview, picture, removed, training, and hello (the new hello);
 *                             of the page: online (connected again: ask for what you may have missed), offline, toast, send
 *   studio.submit(job, {count, keep}) -> Promise<Run>; throws ApiError
 *   studio.toast(text, kind, action)  a line that goes by itself; kind "info" | "good" | "bad"; action {text, run}
 *   studio.send(tab, payload) go to a tab and hand it something. Tabs see in `receive(payload)`: {job} a Job to fill the form with, or
 *                             {picture} an Upload to work on. {shown} (a picture of the gallery) is made an upload on the way.
 *   studio.attempt(work, button)  run an async function; an ApiError becomes a toast; the button waits meanwhile -> its result or null
 *   studio.smooth             setting (see settings.js): whether pictures are shown smooth; CSS sees it as :root[data-smooth]
 *   studio.online             whether the server is there
 */

import { api, ApiError } from "./api.js";
import { setting } from "./settings.js";

const NAMES = ["run", "preview", "picture", "removed", "training", "hello"];
const HIDDEN_FOR = 30_000;
/* A browser opens six connections to a host: pages that nobody looks at give theirs back after so many ms. */

export function makeStudio() {
  const handlers = new Map();
  const emit = (event, ...data) => {
    for (const handler of [...(handlers.get(event) ?? [])]) {
      try {
        handler(...data);
      } catch (error) {
        console.error(error); // of one listener; the others hear it all the same
      }
    }
  };

  const studio = {
    hello: null,
    api,
    online: true,
    smooth: setting("smooth", false),
    emit,
    model: (name) => studio.hello?.models.find((model) => model.name === name),
    on(event, handler) {
      if (!handlers.has(event)) handlers.set(event, new Set());
      handlers.get(event).add(handler);
      return () => handlers.get(event).delete(handler);
    },
    submit: async (job, { count = 1, keep = "last" } = {}) => {
      const run = await api.post("/api/runs", { job, count, keep });
      emit("run", run);
      return run;
    },
    toast: (text, kind = "info", action = null) => emit("toast", { text, kind, action }),
    async send(tab, payload) {
      let given = payload;
      if (payload.shown && !payload.picture) {
        const picture = await studio.attempt(() => uploadShown(payload.shown));
        if (picture === null) return;
        given = { ...payload, picture };
      }
      emit("send", { tab, payload: given });
    },
    async attempt(work, button = null) {
      if (button) button.disabled = true;
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        studio.toast(error.message, "bad");
        return null;
      } finally {
        if (button) button.disabled = false;
      }
    },
    start,
  };

  async function uploadShown(shown) {
    let answer;
    try {
      answer = await fetch(shown.url);
    } catch {
      throw new ApiError("The studio's server does not answer.");
    }
    if (!answer.ok) throw new ApiError(`${shown.title} is not there any more.`, answer.status);
    return api.upload(await answer.blob(), shown.name ?? `${shown.title}.png`);
  }

  let source = null;
  let retry = null;
  let opened = false;
  let wait = 500;

  function state(online) {
    if (studio.online === online) return;
    studio.online = online;
    if (!online) emit("offline");
  }

  async function refresh() {
    studio.hello = await api.get("/api/hello");
    return studio.hello;
  }

  function connect() {
    clearTimeout(retry);
    source?.close();
    source = new EventSource("/api/events");
    /* Ask for everything: it may be another server, and much may have happened while nobody listened. */
    const catchUp = async () => {
      wait = 500;
      try {
        await refresh();
      } catch {
        return; // gone again; onerror follows
      }
      emit("hello", studio.hello);
      opened = true;
      state(true);
      emit("online");
    };
    source.onopen = catchUp;
    source.addEventListener("missed", catchUp);
    source.onerror = () => {
      state(false);
      if (source.readyState !== EventSource.CLOSED) return; // the browser tries again by itself, with Last-Event-ID
      clearTimeout(retry);
      retry = setTimeout(connect, wait);
      wait = Math.min(wait * 1.6, 5000);
    };
    for (const name of NAMES) {
      source.addEventListener(name, async (event) => {
        const data = JSON.parse(event.data);
        if (name !== "hello") return emit(name, data);
        try {
          emit("hello", await refresh());
        } catch {
          // The server went away meanwhile: `online` asks again.
        }
      });
    }
  }

  let hidden = null;
  function seen() {
    clearTimeout(hidden);
    if (document.visibilityState === "hidden") {
      hidden = setTimeout(() => {
        clearTimeout(retry);
        source?.close();
        source = null;
      }, HIDDEN_FOR);
    } else if (source === null && opened) connect();
  }

  /* Ask for hello until the server gives it, then listen. */
  async function start() {
    for (;;) {
      try {
        await refresh();
        break;
      } catch (error) {
        if (error instanceof ApiError && error.status === 401) throw error;
        state(false);
        await new Promise((resolve) => setTimeout(resolve, wait));
        wait = Math.min(wait * 1.6, 5000);
      }
    }
    state(true);
    connect();
    document.addEventListener("visibilitychange", seen);
    return studio.hello;
  }

  return studio;
}
