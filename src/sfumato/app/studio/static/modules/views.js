// What a view does to a square picture: the views of sfumato.core.views, pixel for pixel, to show them while one types.

import { index, jigsaw, turned } from "./jigsaw.js";
import { nearest } from "./looks.js";
import { mersenne, permutation } from "./mersenne.js";

/** A view that cannot be: its message is one line for the user. */
export class ViewError extends Error {}

/** A view as a table for squares of `side` pixels: pixel p shows sign[p] · picture[from[p]]. */
function moved(side, source) {
  const table = { from: new Int32Array(side * side), sign: new Int8Array(side * side).fill(1) };
  for (let row = 0; row < side; row++) {
    for (let column = 0; column < side; column++) table.from[row * side + column] = source(row, column);
  }
  return table;
}

const modulo = (a, n) => ((a % n) + n) % n;

function rotate(side, { degrees }) {
  const sources = {
    90: (row, column) => column * side + (side - 1 - row),
    180: (row, column) => (side - 1 - row) * side + (side - 1 - column),
    270: (row, column) => (side - 1 - column) * side + row,
  };
  if (!(degrees in sources)) throw new ViewError(`rotate:${degrees} is not offered; choose 90, 180 or 270`);
  return moved(side, sources[degrees]);
}

function roll(side, { dx, dy }) {
  const [down, right] = [nearest(dy * side), nearest(dx * side)];
  return moved(side, (row, column) => modulo(row - down, side) * side + modulo(column - right, side));
}

function skew(side, { slope }) {
  const middle = Math.floor(side / 2);
  return moved(side, (row, column) => modulo(row - Math.trunc(slope * (column - middle)), side) * side + column);
}

/** Cells of an n × n table, each as large as fits, rearranged as it says. */
function enlarged(side, n, cells) {
  const cell = side / n;
  return moved(side, (row, column) => {
    const from = cells[Math.floor(row / cell) * n + Math.floor(column / cell)];
    return (Math.floor(from / n) * cell + (row % cell)) * side + (from % n) * cell + (column % cell);
  });
}

function permute(side, { n, seed }) {
  if (n < 1) throw new ViewError(`permute: there is at least 1 patch a side, not ${n}`);
  if (side % n) {
    const divisors = Array.from({ length: side }, (_, i) => i + 1).filter((d) => side % d === 0);
    throw new ViewError(`${side} pixels cannot be cut into ${n} patches; choose one of ${divisors.join(", ")}`);
  }
  return enlarged(side, n, permutation(mersenne(seed), n * n));
}

function circle(side, { degrees, r }) {
  if (![90, 180, 270].includes(degrees)) {
    const why = degrees % 90 ? "would mix pixels" : "is not offered";
    throw new ViewError(`circle:${degrees} ${why}; choose 90, 180 or 270`);
  }
  if (!(r > 0 && r <= 0.5)) throw new ViewError("circle: the radius r is a fraction, above 0 and at most 0.5");
  const edge = Math.fround((2 * r * side) ** 2);
  return moved(side, (row, column) => {
    const [down, right] = [2 * row - (side - 1), 2 * column - (side - 1)];
    const inside = down ** 2 + right ** 2 < edge;
    return index(...(inside ? turned(down, right, degrees / 90) : [down, right]), side);
  });
}

function hinge(side, { n }) {
  if (n < 1) throw new ViewError(`hinge: there is at least 1 tile a side, not ${n}`);
  const tile = Math.floor(side / n);
  if (tile === 0) throw new ViewError(`${side} pixels cannot be cut into ${n} tiles`);
  const whole = Math.floor(side / tile) * tile; // what is left over stays
  return moved(side, (row, column) => {
    if (row >= whole || column >= whole) return row * side + column;
    const [i, j] = [Math.floor(row / tile), Math.floor(column / tile)];
    const [y, x] = [row % tile, column % tile];
    const [from, across] = (i + j) % 2 ? [x, tile - 1 - y] : [tile - 1 - x, y];
    return (i * tile + from) * side + j * tile + across;
  });
}

function puzzle(side, { seed }) {
  if (side % 4) throw new ViewError(`the jigsaw needs a side that 4 divides, not ${side}`);
  return { from: jigsaw(side, seed), sign: new Int8Array(side * side).fill(1) };
}

/** A table in its text: entries in as few bits as the largest needs, in URL-safe base64. */
function signed(side, { height, width, table }) {
  if (height !== width || side % height) {
    throw new ViewError(`this permutation is of ${height}×${width} pixels and does not fit ${side}×${side}`);
  }
  const count = height * width;
  const size = (2 * count - 1).toString(2).length;
  let octets;
  try {
    octets = Uint8Array.from(atob(table.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  } catch {
    octets = new Uint8Array();
  }
  if (octets.length * 8 < count * size) throw new ViewError("the table of this permutation is damaged or cut off");
  const codes = Array.from({ length: count }, (_, k) => {
    let code = 0;
    for (let bit = k * size; bit < (k + 1) * size; bit++) {
      code = 2 * code + ((octets[bit >> 3] >> (7 - (bit & 7))) & 1);
    }
    return code;
  });
  const out = enlarged(side, height, codes.map((code) => code >> 1));
  const cell = side / height;
  out.sign = out.sign.map((_, p) => {
    const at = Math.floor(Math.floor(p / side) / cell) * width + Math.floor((p % side) / cell);
    return codes[at] & 1 ? -1 : 1;
  });
  return out;
}

function negate(side) {
  const table = moved(side, (row, column) => row * side + column);
  table.sign.fill(-1);
  return table;
}

const whole = (text, what) => {
  if (!/^[+-]?\d+$/.test(text)) throw new ViewError(`${what} must be a whole number, not “${text}”`);
  return Number(text);
};
const number = (text, what) => {
  if (text.trim() === "" || !Number.isFinite(Number(text))) throw new ViewError(`${what} must be a number, not “${text}”`);
  return Number(text);
};
const seed = (text, what) => {
  if (!/^\d{1,19}$/.test(text)) throw new ViewError(`${what} must be a whole number from 0, not “${text}”`);
  return BigInt(text);
};
const text = (value) => value;

// By name: what makes the table, its values in order, its settings; each with how it is read and what it is by default.
const VIEWS = {
  identity: [(side) => moved(side, (row, column) => row * side + column)],
  flip: [(side) => moved(side, (row, column) => (side - 1 - row) * side + column)],
  mirror: [(side) => moved(side, (row, column) => row * side + (side - 1 - column))],
  rotate: [rotate, { degrees: [whole] }],
  negate: [negate],
  roll: [roll, {}, { dx: [number, 0.25], dy: [number, 0] }],
  skew: [skew, { slope: [number, 1.5] }],
  permute: [permute, { n: [whole, 8] }, { seed: [seed, 0n] }],
  "pixel-permute": [permute, { n: [whole, 64] }, { seed: [seed, 0n] }],
  circle: [circle, { degrees: [whole, 180] }, { r: [number, 0.375] }],
  hinge: [hinge, { n: [whole, 3] }],
  jigsaw: [puzzle, {}, { seed: [seed, 4522n] }],
  signed: [signed, { height: [whole], width: [whole], table: [text] }],
};

function simple(part, side) {
  const [name, ...given] = part.trim().split(":");
  if (!Object.hasOwn(VIEWS, name)) {
    const known = Object.keys(VIEWS).filter((each) => each !== "signed").join(", ");
    throw new ViewError(`unknown view “${name}”; choose one of ${known}, or a chain such as flip+negate`);
  }
  const [make, values = {}, settings = {}] = VIEWS[name];
  const arguments_ = {};
  for (const argument of given) {
    const equals = argument.indexOf("=");
    const places = Object.keys(values).filter((key) => !(key in arguments_));
    const key = equals < 0 ? places[0] : argument.slice(0, equals);
    const how = equals < 0 ? values : settings;
    if (key === undefined || !Object.hasOwn(how, key) || key in arguments_) {
      throw new ViewError(`“${argument}” does not fit; it is written ${form(name)}`);
    }
    arguments_[key] = how[key][0](argument.slice(equals + 1), `${name}: ${key}`);
  }
  for (const [key, [, usual]] of Object.entries({ ...values, ...settings })) {
    if (key in arguments_) continue;
    if (usual === undefined) throw new ViewError(`${name} wants its ${key}; it is written ${form(name)}`);
    arguments_[key] = usual;
  }
  return make(side, arguments_);
}

function form(name) {
  const [, values = {}, settings = {}] = VIEWS[name];
  const parts = Object.entries(values).map(([key, [, usual]]) => (usual === undefined ? `:${key}` : `[:${key}]`));
  return [name, ...parts, ...Object.keys(settings).map((key) => `[:${key}=…]`)].join("");
}

/** The table of a view or a chain such as `rotate:90+negate`, the first one first. Throws a ViewError. */
export function viewTable(view, side) {
  return view
    .split("+")
    .map((part) => simple(part, side))
    .reduce((first, then) => ({
      from: then.from.map((at) => first.from[at]),
      sign: then.sign.map((sign, p) => sign * first.sign[then.from[p]]),
    }));
}

/** Why a view cannot be used on pictures of `side` pixels, in one line; null where it can. */
export function viewProblem(view, side) {
  try {
    viewTable(view, side);
    return null;
  } catch (error) {
    if (error instanceof ViewError) return error.message;
    throw error;
  }
}

/** A square ImageData as it is seen through a view: what is negated is 255 − value. Throws a ViewError. */
export function seenThrough(view, image) {
  const { from, sign } = viewTable(view, image.width);
  const out = new ImageData(image.width, image.height);
  for (let p = 0; p < from.length; p++) {
    for (let channel = 0; channel < 3; channel++) {
      const value = image.data[4 * from[p] + channel];
      out.data[4 * p + channel] = sign[p] < 0 ? 255 - value : value;
    }
    out.data[4 * p + 3] = image.data[4 * from[p] + 3];
  }
  return out;
}
