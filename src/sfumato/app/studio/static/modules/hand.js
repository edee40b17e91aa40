/* The hand on a canvas: mouse, pen with its pressure, finger, and keys alone.
 *
 *   makeHand(canvas, ring, {drawing, shape, tools, blocked, lifted}) -> { ringSize(), help, keys }
 *     canvas: of the drawing's size, focusable; ring: the element that shows the brush; drawing(), shape(): as they are now;
 *     tools: see brush-tools.js; blocked(): nothing can be drawn now; lifted(): a line has ended
 */

import { announce } from "./dom.js";

const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const FAR = 4; // pixels of the model, with Shift

export function makeHand(canvas, ring, { drawing, shape, tools, blocked, lifted }) {
  let last = null; // of the line that the pointer draws
  const cursor = { x: null, y: null, held: false, locked: false }; // of the keys

  const radius = () => (tools.size / 200) * Math.max(canvas.width, canvas.height);
  const ringSize = () => ring.style.setProperty("--diameter", `${tools.size * Math.max(1, shape().height / shape().width)}%`);

  function showRing(x, y) {
    ring.style.setProperty("--x", `${(x / canvas.width) * 100}%`);
    ring.style.setProperty("--y", `${(y / canvas.height) * 100}%`);
    ringSize();
    ring.hidden = false;
  }

  function fillAt(x, y) {
    drawing().flood(Math.min(canvas.width - 1, Math.max(0, x)), Math.min(canvas.height - 1, Math.max(0, y)), tools.ink);
  }

  function end() {
    if (!drawing().stroke) return;
    drawing().end();
    lifted();
  }

  /* The pointer */

  function pointOf(event) {
    const box = canvas.getBoundingClientRect();
    const pen = event.pointerType === "pen" && event.pressure > 0;
    return {
      x: ((event.clientX - box.left) / box.width) * canvas.width,
      y: ((event.clientY - box.top) / box.height) * canvas.height,
      r: radius() * (pen ? 0.4 + event.pressure * 0.9 : 1),
    };
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || last !== null || blocked()) return;
    canvas.focus({ preventScroll: true });
    const at = pointOf(event);
    [cursor.x, cursor.y] = [at.x, at.y];
    if (tools.tool === "bucket") return fillAt(at.x, at.y);
    canvas.setPointerCapture(event.pointerId);
    drawing().begin();
    drawing().extend(at, at, tools.how());
    last = at;
  });
  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerType === "touch") ring.hidden = true;
    else showRing(pointOf(event).x, pointOf(event).y);
    if (last === null) return;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const one of events.length ? events : [event]) {
      const at = pointOf(one);
      drawing().extend(last, at, tools.how());
      last = at;
    }
  });
  for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) {
    canvas.addEventListener(name, () => {
      if (last === null) return;
      last = null;
      end();
    });
  }
  canvas.addEventListener("pointerleave", () => last === null && !canvas.matches(":focus-visible") && (ring.hidden = true));

  /* Keys alone */

  function penDown() {
    const at = { x: cursor.x, y: cursor.y, r: radius() };
    drawing().begin();
    drawing().extend(at, at, tools.how());
  }

  function penUp() {
    cursor.held = false;
    cursor.locked = false;
    if (last === null) end();
  }

  function move([dx, dy], far) {
    const step = (canvas.width / shape().width) * (far ? FAR : 1);
    const from = { x: cursor.x, y: cursor.y, r: radius() };
    cursor.x = Math.min(canvas.width, Math.max(0, cursor.x + dx * step));
    cursor.y = Math.min(canvas.height, Math.max(0, cursor.y + dy * step));
    if (drawing().stroke) drawing().extend(from, { x: cursor.x, y: cursor.y, r: radius() }, tools.how());
    showRing(cursor.x, cursor.y);
  }

  canvas.addEventListener("focus", () => {
    cursor.x ??= canvas.width / 2;
    cursor.y ??= canvas.height / 2;
    if (canvas.matches(":focus-visible")) showRing(cursor.x, cursor.y);
  });
  canvas.addEventListener("blur", () => {
    penUp();
    ring.hidden = true;
  });
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const escape = event.key === "Escape" && drawing().stroke;
    if (!(event.key in MOVES) && event.key !== " " && event.key !== "Enter" && !escape) return;
    event.preventDefault();
    if (last !== null || blocked()) return;
    if (event.key in MOVES) move(MOVES[event.key], event.shiftKey);
    else if (escape) penUp();
    else if (event.repeat) return;
    else if (tools.tool === "bucket") fillAt(cursor.x, cursor.y);
    else if (event.key === " " && !drawing().stroke) {
      cursor.held = true;
      penDown();
    } else if (event.key === "Enter") {
      if (drawing().stroke) penUp();
      else {
        cursor.locked = true;
        penDown();
      }
      announce(cursor.locked ? "Pen down" : "Pen up");
    }
  });
  canvas.addEventListener("keyup", (event) => {
    if (event.key === " " && cursor.held) penUp();
  });

  return {
    ringSize,
    help: "Arrow keys move the brush, with Shift in larger steps. Space draws while it is held, Enter puts the pen down and lifts it.",
    keys: [
      { keys: ["←", "↑", "→", "↓"], what: "on the canvas: move the brush (Shift: further)" },
      { keys: ["Space"], what: "on the canvas: draw while it is held" },
      { keys: ["Enter"], what: "on the canvas: pen down, pen up" },
    ],
  };
}
