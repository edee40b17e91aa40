/* ended(studio, run) -> Promise of the Run with its pictures, once it has ended, however long that takes. */

import { ENDED } from "./runs.js";

export function ended(studio, run) {
  return new Promise((resolve, reject) => {
    const off = [];
    const ask = async () => {
      try {
        const now = await studio.api.get(`/api/runs/${run.id}`);
        if (!ENDED.has(now.state)) return;
        off.forEach((stop) => stop());
        resolve(now);
      } catch (error) {
        if (error.status === 0) return; // the server is away: `online` asks again
        off.forEach((stop) => stop());
        reject(error);
      }
    };
    off.push(studio.on("run", (now) => now.id === run.id && ENDED.has(now.state) && ask()));
    off.push(studio.on("online", ask));
    ask();
  });
}
