// The jigsaw puzzle of sfumato.core.views.jigsaw: where each pixel comes from when it is put together in another way.

import { mersenne, permutation } from "./mersenne.js";

const FIRST = [0, 1, 2, 5]; // of each sort a piece: a corner, two edges, an inner one
const COS = [1, 0, -1, 0];
const SIN = [0, 1, 0, -1];
const between = (value, low, high) => Math.min(high, Math.max(low, value));

/** Where something so many half pixels from the middle comes from, turned by quarters counter-clockwise. */
export function turned(down, right, quarters) {
  const k = ((quarters % 4) + 4) % 4;
  return [COS[k] * down + SIN[k] * right, COS[k] * right - SIN[k] * down];
}

/** The index of the pixel so many half pixels from the middle of a square. */
export function index(down, right, side) {
  return Math.floor((down + side - 1) / 2) * side + Math.floor((right + side - 1) / 2);
}

/** For each pixel the one that it comes from. The side is a multiple of 4. */
export function jigsaw(side, seed) {
  const next = mersenne(seed);
  const order = FIRST.map(() => permutation(next, 4));
  const upsideDown = FIRST.map(() => next() % 2 === 1);
  const { sort, place } = sortsAndPlaces();
  const from = new Int32Array(side * side);
  for (let row = 0; row < side; row++) {
    for (let column = 0; column < side; column++) {
      const piece = pieceAt(row, column, side);
      const [s, p] = [sort[piece], place[piece]];
      let down = 2 * row - (side - 1);
      let right = 2 * column - (side - 1);
      if (s === 3 && upsideDown[p]) {
        // about the piece's own middle, half a cell from the axes
        down = (piece >= 8 ? side / 2 : -side / 2) - down;
        right = (piece % 4 >= 2 ? side / 2 : -side / 2) - right;
      }
      from[row * side + column] = index(...turned(down, right, p - order[s][p]), side);
    }
  }
  return from;
}

function pieceAt(row, column, side) {
  const cell = side / 4;
  let [i, j] = [Math.floor(row / cell), Math.floor(column / cell)];
  const across = (i + j) % 2 === 0; // its holes are left and right
  const [depth, along] = across ? [column % cell, row % cell] : [row % cell, column % cell];
  const neighbour = Number(inTab(cell - 1 - depth, along, cell)) - Number(inTab(depth, along, cell));
  if (across) j += neighbour;
  else i += neighbour;
  return 4 * between(i, 0, 3) + between(j, 0, 3);
}

/** Whether a pixel so deep behind a side, so far along it, is in the tab that comes in; in fortieths of a pixel. */
function inTab(depth, along, cell) {
  return (20 * (2 * depth + 1) - 6 * cell) ** 2 + (20 * (2 * along + 1 - cell)) ** 2 < (8 * cell) ** 2;
}

function sortsAndPlaces() {
  const [sort, place] = [new Int32Array(16), new Int32Array(16)];
  for (let quarters = 0; quarters < 4; quarters++) {
    for (let piece = 0; piece < 16; piece++) {
      const [down, right] = [2 * Math.floor(piece / 4) - 3, 2 * (piece % 4) - 3];
      const k = FIRST.indexOf(index(...turned(down, right, quarters), 4));
      if (k >= 0) [sort[piece], place[piece]] = [k, quarters];
    }
  }
  return { sort, place };
}
