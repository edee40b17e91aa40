/* Marks on pixels: lines of a brush, filled areas, and the rectangles that they touch. No element of the page is known here.
 *
 * A surface is {width, height, data}: RGBA, opaque, as ImageData has it. A rectangle is {x, y, width, height} in whole pixels.
 *
 *   line(cover, width, height, from, to, softness)  cover the way from {x, y, r} to another with a round brush; `cover` (a byte a
 *                                                   pixel) takes the larger of what it has and the brush -> the rectangle, or null
 *   paint(surface, before, cover, area, ink)        in `area`: before mixed with ink by cover; ink is [r, g, b] or another surface's data
 *   flood(surface, x, y, ink, tolerance)            fill the area of like colours around a pixel -> the rectangle, or null
 *   copyOut(surface, area), copyIn(surface, area, block)   a rectangle of pixels, and back
 *   unite(one, other)                               the rectangle around both (either may be null)
 */

const smoothstep = (t) => t * t * (3 - 2 * t);

/* How much of a pixel at this distance from the middle of the brush is covered, 0 … 1. */
function coverage(distance, r, softness) {
  if (!softness) return Math.min(1, Math.max(0, r + 0.5 - distance));
  const t = distance / (r * 1.3 + 0.5); // as wide to the eye as a hard brush
  return t >= 1 ? 0 : 1 - smoothstep(Math.max(0, (t - 0.15) / 0.85));
}

export function line(cover, width, height, from, to, softness) {
  const reach = Math.max(from.r, to.r) * (softness ? 1.3 : 1) + 1.5;
  const area = clip(
    { left: Math.min(from.x, to.x) - reach, top: Math.min(from.y, to.y) - reach, right: Math.max(from.x, to.x) + reach, bottom: Math.max(from.y, to.y) + reach },
    width,
    height,
  );
  if (area === null) return null;
  const dx = to.x - from.x;
  const dy = to.y - from.y;
  const length2 = dx * dx + dy * dy;
  for (let y = area.y; y < area.y + area.height; y += 1) {
    for (let x = area.x; x < area.x + area.width; x += 1) {
      const px = x + 0.5 - from.x;
      const py = y + 0.5 - from.y;
      const along = length2 === 0 ? 0 : Math.min(1, Math.max(0, (px * dx + py * dy) / length2));
      const distance = Math.hypot(px - along * dx, py - along * dy);
      if (distance > reach) continue;
      const covered = coverage(distance, from.r + along * (to.r - from.r), softness) * 255;
      const at = y * width + x;
      if (covered > cover[at]) cover[at] = covered;
    }
  }
  return area;
}

export function paint(surface, before, cover, area, ink) {
  const { width, data } = surface;
  const flat = ink.length === 3;
  for (let y = area.y; y < area.y + area.height; y += 1) {
    for (let at = y * width + area.x; at < y * width + area.x + area.width; at += 1) {
      const c = cover[at];
      const p = at * 4;
      for (let channel = 0; channel < 3; channel += 1) {
        const to = flat ? ink[channel] : ink[p + channel];
        data[p + channel] = before[p + channel] + ((to - before[p + channel]) * c) / 255;
      }
    }
  }
}

export function flood(surface, x, y, ink, tolerance = 48) {
  const { width, height, data } = surface;
  const start = y * width + x;
  const [r, g, b] = [data[start * 4], data[start * 4 + 1], data[start * 4 + 2]];
  const like = (at) => Math.abs(data[at * 4] - r) <= tolerance && Math.abs(data[at * 4 + 1] - g) <= tolerance && Math.abs(data[at * 4 + 2] - b) <= tolerance;
  const seen = new Uint8Array(width * height);
  const stack = [start];
  seen[start] = 1;
  let [left, top, right, bottom] = [x, y, x, y];
  while (stack.length) {
    const at = stack.pop();
    const px = at % width;
    const py = (at - px) / width;
    left = Math.min(left, px);
    right = Math.max(right, px);
    top = Math.min(top, py);
    bottom = Math.max(bottom, py);
    const visit = (next) => {
      if (seen[next]) return;
      seen[next] = 1;
      if (like(next)) stack.push(next);
      else seen[next] = 2; // the edge: half of it is the line's own softness
    };
    if (px > 0) visit(at - 1);
    if (px < width - 1) visit(at + 1);
    if (py > 0) visit(at - width);
    if (py < height - 1) visit(at + width);
  }
  for (let at = 0; at < seen.length; at += 1) {
    if (!seen[at]) continue;
    const share = seen[at] === 2 ? 0.5 : 1;
    for (let channel = 0; channel < 3; channel += 1) data[at * 4 + channel] += (ink[channel] - data[at * 4 + channel]) * share;
  }
  return clip({ left: left - 1, top: top - 1, right: right + 2, bottom: bottom + 2 }, width, height);
}

export function copyOut({ width, data }, area) {
  const block = new Uint8ClampedArray(area.width * area.height * 4);
  for (let row = 0; row < area.height; row += 1) {
    const from = ((area.y + row) * width + area.x) * 4;
    block.set(data.subarray(from, from + area.width * 4), row * area.width * 4);
  }
  return block;
}

export function copyIn({ width, data }, area, block) {
  for (let row = 0; row < area.height; row += 1) {
    data.set(block.subarray(row * area.width * 4, (row + 1) * area.width * 4), ((area.y + row) * width + area.x) * 4);
  }
}

export function unite(one, other) {
  if (one === null || other === null) return one ?? other;
  const x = Math.min(one.x, other.x);
  const y = Math.min(one.y, other.y);
  return { x, y, width: Math.max(one.x + one.width, other.x + other.width) - x, height: Math.max(one.y + one.height, other.y + other.height) - y };
}

function clip({ left, top, right, bottom }, width, height) {
  const x = Math.max(0, Math.floor(left));
  const y = Math.max(0, Math.floor(top));
  const area = { x, y, width: Math.min(width, Math.ceil(right)) - x, height: Math.min(height, Math.ceil(bottom)) - y };
  return area.width > 0 && area.height > 0 ? area : null;
}
