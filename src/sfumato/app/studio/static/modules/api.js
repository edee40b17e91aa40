/* Talking to the studio's server.
 *
 *   api.get(path), api.post(path, data), api.remove(path)  -> Promise of what the server says (JSON)
 *   api.upload(blob, name)                                 -> Promise<Upload>
 *   ApiError   what they throw: `message` is one line for a person, `status` the HTTP status (0: no answer at all)
 */

export class ApiError extends Error {
  constructor(message, status = 0) {
    super(message);
    this.name = "ApiError";
    this.status = status;
  }
}

export const GONE = "The studio's server does not answer. Nothing on this page is lost; try again when it is back.";

async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(path, { credentials: "same-origin", cache: "no-store", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(GONE);
  }
  const type = answer.headers.get("content-type") ?? "";
  let data = null;
  if (type.includes("json")) {
    try {
      data = await answer.json();
    } catch {
      throw new ApiError(GONE); // it went away in the middle of its answer
    }
  }
  if (!answer.ok) throw new ApiError(data?.error ?? `The server said ${answer.status} ${answer.statusText}.`.replace(" .", "."), answer.status);
  return data;
}

const CHANGES = { "X-Sfumato": "1" };

export const api = {
  get: (path, options = {}) => ask(path, options),
  post: (path, data = {}) =>
    ask(path, { method: "POST", headers: { ...CHANGES, "Content-Type": "application/json" }, body: JSON.stringify(data) }),
  remove: (path) => ask(path, { method: "DELETE", headers: CHANGES }),
  upload: (blob, name) =>
    ask(`/api/uploads?name=${encodeURIComponent(name)}`, {
      method: "POST",
      headers: { ...CHANGES, "Content-Type": blob.type || "application/octet-stream" },
      body: blob,
    }),
};
