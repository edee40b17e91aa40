/* Pixels on their way from one picture to another that has the same pixels in other places. */

/** Of two tables, for each pixel of what is seen the one that it comes from: where each pixel of the first goes in the second. */
export function destinations(first, second) {
  const where = new Int32Array(second.length);
  second.forEach((source, p) => (where[source] = p));
  return first.map((source) => where[source]);
}

/** The table in an attribute: 16-bit numbers, little-endian, in base64. */
export function unpacked(text) {
  const octets = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return Int32Array.from({ length: octets.length >> 1 }, (_, k) => octets[2 * k] + 256 * octets[2 * k + 1]);
}

/** The motion of all pixels.
 *
 * Each goes along half an ellipse, as round as its surroundings turn: a piece that is turned by 180° goes round a circle, what is only
 * shifted or turned over goes straight. So pieces keep together, and nobody need know what the pieces are.
 */
export class Glide {
  #side;
  #order;
  #ways; // of each pixel its four numbers, and how round it goes
  #colours; // of each pixel before and after, packed

  /** Of ImageData, and for each pixel of the first its place in the second. */
  constructor(before, after, to) {
    this.#side = Math.max(before.width, before.height, after.width, after.height);
    this.#ways = new Float32Array(5 * to.length);
    this.#colours = new Uint32Array(2 * to.length);
    const [one, other] = [before, after].map(({ data }) => new Uint32Array(data.buffer));
    to.forEach((q, p) => {
      this.#ways.set([...middle(p, before), ...middle(q, after), Math.tan(turning(p, to, before, after) / 4)], 5 * p);
      this.#colours.set([one[p], other[q]], 2 * p);
    });
    const stays = (p) => this.#ways[5 * p] === this.#ways[5 * p + 2] && this.#ways[5 * p + 1] === this.#ways[5 * p + 3];
    const all = Array.from(to.keys());
    this.#order = Int32Array.from([...all.filter(stays), ...all.filter((p) => !stays(p))]); // what stays lies below
  }

  /** Draws them on a square canvas at s, from 0 to 1. */
  draw(context, s) {
    const size = context.canvas.width;
    const scale = size / this.#side;
    const [cos, sin] = [Math.cos(Math.PI * s), Math.sin(Math.PI * s)];
    const image = context.createImageData(size, size);
    const values = new Uint32Array(image.data.buffer);
    for (const p of this.#order) {
      const [x, y, u, v, round] = this.#ways.subarray(5 * p, 5 * p + 5);
      const left = ((x + u) / 2 + (cos * (x - u)) / 2 - (round * sin * (y - v)) / 2) * scale + size / 2;
      const top = ((y + v) / 2 + (cos * (y - v)) / 2 + (round * sin * (x - u)) / 2) * scale + size / 2;
      const half = (0.5 + (round ? 0.22 * sin : 0)) * scale; // squares that stay upright in a turn must overlap
      const [right, bottom] = [Math.min(size, Math.round(left + half)), Math.min(size, Math.round(top + half))];
      const colour = mixed(this.#colours[2 * p], this.#colours[2 * p + 1], s);
      for (let row = Math.max(0, Math.round(top - half)); row < bottom; row++) {
        values.fill(colour, row * size + Math.max(0, Math.round(left - half)), row * size + Math.max(0, right));
      }
    }
    context.putImageData(image, 0, 0);
  }
}

/** Some of one colour and the rest of another, packed as they are in an ImageData. */
function mixed(one, other, s) {
  if (one === other) return one;
  const byte = (shift) => Math.round((1 - s) * ((one >>> shift) & 255) + s * ((other >>> shift) & 255)) << shift;
  return (byte(0) | byte(8) | byte(16) | byte(24)) >>> 0;
}

const middle = (p, { width, height }) => [(p % width) + 0.5 - width / 2, Math.floor(p / width) + 0.5 - height / 2];

/** By which angle, clockwise, the surroundings of a pixel turn on its way: what its neighbours beside and below tell. */
function turning(p, to, before, after) {
  const beside = neighbour(p, 1, p % before.width, before.width, to, after);
  const below = neighbour(p, before.width, Math.floor(p / before.width), before.height, to, after);
  if (beside && below && beside[0] * below[1] - beside[1] * below[0] < 0) return 0; // turned over
  if (beside) return Math.atan2(beside[1], beside[0]);
  return below ? Math.atan2(-below[0], below[1]) : 0;
}

/** Where the step to the next pixel leads after the move, if to a neighbour still; if not, the step from the one before. */
function neighbour(p, step, place, count, to, after) {
  for (const first of [p, p - step]) {
    const at = place + (first - p) / step;
    if (at < 0 || at + 1 >= count) continue;
    const [x, y] = middle(to[first], after);
    const [u, v] = middle(to[first + step], after);
    if (Math.abs(u - x) + Math.abs(v - y) === 1) return [u - x, v - y];
  }
  return null;
}
