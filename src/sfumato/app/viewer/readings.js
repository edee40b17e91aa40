/* A reading of an anagram: a picture and what stands between it and what is seen. */

import { Problem, load, pixels } from "./shared.js";
import { between, label, pose, sources, transform } from "./views.js";
import { Glide, destinations, unpacked } from "./glide.js";

const UPRIGHT = { quarters: 0, mirrored: false, negative: false };

/** What is seen of a picture through a view. With a picture of its `own` it is that; else it is `base`, turned or negated.
 *
 * `moves` is where its pixels come from, for what is no turn, mirror or negative; empty where that is not known.
 */
export async function reading(view, base, own, moves) {
  const stands = pose(view);
  if (!own && base === null) throw new Problem("<sf-turn>: there is no picture");
  if (!own && stands.kept) throw new Problem(`What is seen through ${label(view)} is missing.`);
  const image = await load(own || base);
  const rest = own ? UPRIGHT : stands;
  return { view, stands, image, rest, table: table({ view, stands, image, rest }, moves) };
}

/** The motion from one reading to another, as `between` says; `kind: "mix"` where pixels change places or fade. */
export const motion = (one, other) => between(one.stands, other.stands) ?? { kind: "mix", negative: false };

/** Puts a reading on an <img> in a square that its turns fit into too: `moved` by a transform, so much of it negated. */
export function lay(node, { image, rest }, moved = "", negated = 0) {
  const longer = Math.max(image.naturalWidth, image.naturalHeight);
  const negative = rest.negative ? 1 - negated : negated;
  node.src = image.src;
  node.style.width = `${(100 * image.naturalWidth) / longer}%`;
  node.style.height = `${(100 * image.naturalHeight) / longer}%`;
  node.style.transform = moved + transform(rest);
  node.style.filter = negative ? `invert(${negative})` : "";
}

/** The transform of a turn by degrees, counter-clockwise, in which the corners stay inside. */
export function turned(degrees, { image, rest }) {
  const sides = [image.naturalWidth, image.naturalHeight];
  const [width, height] = rest.quarters % 2 ? sides.reverse() : sides;
  const [cos, sin] = [Math.abs(Math.cos((degrees * Math.PI) / 180)), Math.abs(Math.sin((degrees * Math.PI) / 180))];
  const room = Math.max(width * cos + height * sin, width * sin + height * cos) / Math.max(width, height);
  return `scale(${1 / room}) rotate(${-degrees}deg) `;
}

/** The pixels of one reading on their way to another; null where their places are not known. */
export function glide(one, other) {
  if (!one.table || !other.table) return null;
  return new Glide(seen(one), seen(other), destinations(one.table, other.table));
}

/** Where the pixels of what is seen come from. */
function table({ view, stands, image, rest }, moves) {
  const sides = [image.naturalWidth, image.naturalHeight];
  if (moves) {
    const from = unpacked(moves);
    if (from.length !== sides[0] * sides[1]) throw new Problem(`The moves of ${label(view)} are those of another picture.`);
    return from;
  }
  if (stands.kept) return null;
  // A picture of its own already has the shape that is seen.
  return sources(stands, ...(rest === UPRIGHT && stands.quarters % 2 ? sides.reverse() : sides)).from;
}

function seen({ image, rest }) {
  const original = pixels(image);
  const { from, width, height } = sources(rest, original.width, original.height);
  const out = new ImageData(width, height);
  from.forEach((source, p) => {
    for (let channel = 0; channel < 3; channel++) {
      const value = original.data[4 * source + channel];
      out.data[4 * p + channel] = rest.negative ? 255 - value : value;
    }
    out.data[4 * p + 3] = 255;
  });
  return out;
}
