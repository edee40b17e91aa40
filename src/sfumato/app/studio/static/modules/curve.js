// A line chart in SVG: a loss as it falls, ᾱ over the steps of a run. Its colours and letters are those of the page.

const SVG = "http://www.w3.org/2000/svg";
const MARGIN = { top: 28, right: 14, bottom: 36, left: 54 };

function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** A number in few digits: 0.0312, 1,240, 2e-5. */
export function short(value) {
  if (value !== 0 && Math.abs(value) < 1e-3) return value.toExponential(1).replace(".0e", "e");
  return new Intl.NumberFormat("en-GB", { maximumSignificantDigits: Math.abs(value) >= 100 ? 21 : 3 }).format(
    Math.abs(value) >= 100 ? Math.round(value) : value,
  );
}

/** Round numbers from low to high, about `count` of them. */
function linearTicks(low, high, count) {
  const raw = (high - low) / count || 1;
  const unit = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((k) => k * unit).find((each) => each >= raw);
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, i) => (first + i) * step);
}

/** Powers of ten; with 2 and 5 times them, or any round numbers, where there would be few. */
function logTicks(low, high) {
  const decades = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) decades.push(10 ** power);
  const inside = (values) => values.filter((value) => value >= low * 0.999 && value <= high * 1.001);
  const [few, more] = [inside(decades), inside(decades.flatMap((decade) => [decade, 2 * decade, 5 * decade]))];
  if (few.length > 2) return few;
  return more.length > 1 ? more : linearTicks(low, high, 3).filter((value) => value > 0);
}

/** The exponential moving mean of the values, corrected for its beginning; 0 leaves them as they are. */
export function smoothed(points, weight) {
  let [sum, total] = [0, 0];
  return points.map(([x, y]) => {
    sum = weight * sum + (1 - weight) * y;
    total = weight * total + (1 - weight);
    return [x, sum / total];
  });
}

/** A scale from values to pixels. */
function scale(low, high, from, to, log) {
  const at = log ? Math.log10 : (value) => value;
  const span = at(high) - at(low) || 1;
  return (value) => from + ((at(value) - at(low)) / span) * (to - from);
}

function bounds(values, log) {
  let [low, high] = [Math.min(...values), Math.max(...values)];
  if (log) return low === high ? [low / 2, high * 2] : [low, high];
  if (low === high) [low, high] = [low - 0.5, high + 0.5];
  return [low, high];
}

/**
 * A chart.
 *
 * @param labels `{x, y, title}`: what the axes are of, and what the chart is called for those who do not see it.
 * @param options `{range: [low, high] of y, follow: whether one may go along the curve with pointer and arrow keys}`.
 * @returns `{element, show(points, {log, smooth, marker})}`; points are [x, y] with growing whole x, the marker an index or null.
 */
export function createCurve(labels, { range = null, follow = false, height = 240 } = {}) {
  const element = document.createElement("div");
  element.className = "curve";
  const picture = svg("svg", { "aria-hidden": "true" });
  const readout = document.createElement("p");
  readout.className = "curve-readout";
  element.append(picture, readout);
  let [points, how, cursor, drawn] = [[], {}, null, null];

  if (follow) {
    element.tabIndex = 0;
    element.setAttribute("role", "slider");
    element.setAttribute("aria-label", `${labels.title}: go along the curve with the arrow keys`);
  } else {
    element.setAttribute("role", "img");
  }

  function show(newPoints, newHow = {}) {
    points = newPoints.filter(([x, y]) => Number.isFinite(x) && Number.isFinite(y));
    how = newHow;
    if (cursor !== null && cursor >= points.length) cursor = null;
    draw();
  }

  function draw() {
    const width = element.clientWidth;
    picture.replaceChildren();
    drawn = null;
    if (width === 0) return;
    const log = Boolean(how.log);
    const usable = log ? points.filter(([, y]) => y > 0) : points;
    picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
    picture.setAttribute("height", height);
    if (usable.length === 0) {
      say();
      return;
    }
    const line = smoothed(usable, how.smooth ?? 0);
    const [x0, x1] = bounds(usable.map(([x]) => x), false);
    const [y0, y1] = range ?? bounds(usable.map(([, y]) => y), log);
    const x = scale(x0, x1, MARGIN.left, width - MARGIN.right, false);
    const y = scale(y0, y1, height - MARGIN.bottom, MARGIN.top, log);
    drawn = { x, y, line, usable, width };
    axes(x, y, [x0, x1], [y0, y1], width, log);
    const path = (curve) => curve.map(([a, b], i) => `${i ? "L" : "M"}${x(a).toFixed(1)} ${y(b).toFixed(1)}`).join("");
    if (how.smooth) picture.append(svg("path", { class: "line faint", d: path(usable) }));
    picture.append(svg("path", { class: "line", d: path(line) }));
    if (usable.length === 1) picture.append(svg("circle", { class: "dot", cx: x(usable[0][0]), cy: y(usable[0][1]), r: 3 }));
    mark(how.marker ?? null, "marker");
    mark(cursor, "cursor");
    say();
  }

  function axes(x, y, [x0, x1], [y0, y1], width, log) {
    const bottom = height - MARGIN.bottom;
    for (const tick of log ? logTicks(y0, y1) : linearTicks(y0, y1, 4)) {
      picture.append(svg("line", { class: "grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: y(tick), y2: y(tick) }));
      picture.append(svg("text", { x: MARGIN.left - 8, y: y(tick) + 4, "text-anchor": "end" }, short(tick)));
    }
    const wide = Math.max(2, Math.floor(width / 110));
    for (const tick of linearTicks(x0, x1, wide).filter(Number.isInteger)) {
      picture.append(svg("text", { x: x(tick), y: bottom + 18, "text-anchor": "middle" }, short(tick)));
    }
    picture.append(svg("text", { class: "axis", x: width - MARGIN.right, y: height - 4, "text-anchor": "end" }, labels.x));
    picture.append(svg("text", { class: "axis", x: 4, y: 12 }, log ? `${labels.y}, logarithmic` : labels.y));
  }

  function mark(at, name) {
    const point = at === null ? undefined : drawn.line[Math.min(at, drawn.line.length - 1)];
    if (!point) return;
    const [px, py] = [drawn.x(point[0]), drawn.y(point[1])];
    picture.append(svg("line", { class: name, x1: px, x2: px, y1: MARGIN.top, y2: height - MARGIN.bottom }));
    picture.append(svg("circle", { class: `dot ${name}`, cx: px, cy: py, r: 4.5 }));
  }

  function say() {
    const line = drawn?.line ?? [];
    const at = line[cursor ?? how.marker ?? line.length - 1];
    const text = at ? `${labels.x} ${short(at[0])}: ${labels.y} ${short(at[1])}` : `no ${labels.y} yet`;
    readout.textContent = follow ? text : "";
    readout.hidden = !follow;
    if (!follow) {
      element.setAttribute("aria-label", `${labels.title}: ${text}`);
      return;
    }
    const last = Math.max(0, line.length - 1);
    element.setAttribute("aria-valuemin", 0);
    element.setAttribute("aria-valuemax", last);
    element.setAttribute("aria-valuenow", Math.min(cursor ?? last, last));
    element.setAttribute("aria-valuetext", text);
  }

  function go(to) {
    if (!drawn) return;
    cursor = to === null ? null : Math.min(drawn.line.length - 1, Math.max(0, to));
    draw();
  }

  if (follow) {
    element.addEventListener("pointermove", (event) => {
      if (!drawn) return;
      const at = event.clientX - picture.getBoundingClientRect().left;
      const distances = drawn.line.map(([x]) => Math.abs(drawn.x(x) - at));
      go(distances.indexOf(Math.min(...distances)));
    });
    element.addEventListener("pointerleave", () => go(null));
    element.addEventListener("blur", () => go(null));
    element.addEventListener("keydown", (event) => {
      const last = (drawn?.line.length ?? 1) - 1;
      const now = cursor ?? last;
      const moves = { ArrowLeft: now - 1, ArrowDown: now - 1, ArrowRight: now + 1, ArrowUp: now + 1, Home: 0, End: last };
      moves.PageDown = now - 10;
      moves.PageUp = now + 10;
      if (!(event.key in moves)) return;
      event.preventDefault();
      event.stopPropagation();
      go(moves[event.key]);
    });
  }
  new ResizeObserver(draw).observe(element);
  return { element, show };
}
