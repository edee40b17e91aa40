/* Views as motions on the screen, written as in Python: `rotate:90+negate`, the first one first.
 *
 * Turns and mirrors are the symmetries of a square, R^quarters M^mirrored: M exchanges left and right, then R turns
 * counter-clockwise. Whatever else a view does (a jigsaw, a hinge) is kept as text: two such views are a motion apart when they
 * keep the same.
 */

const SIMPLE = {
  identity: () => ({ quarters: 0, mirrored: false, negative: false }),
  rotate: (degrees) => ({ quarters: degrees / 90, mirrored: false, negative: false }),
  mirror: () => ({ quarters: 0, mirrored: true, negative: false }),
  flip: () => ({ quarters: 2, mirrored: true, negative: false }),
  negate: () => ({ quarters: 0, mirrored: false, negative: true }),
};

function after(last, first) {
  return {
    quarters: (last.quarters + (last.mirrored ? -first.quarters : first.quarters) + 4) % 4,
    mirrored: last.mirrored !== first.mirrored,
    negative: last.negative !== first.negative,
  };
}

const inverse = (pose) => ({ ...pose, quarters: pose.mirrored ? pose.quarters : (4 - pose.quarters) % 4 });

/** What a view does: a symmetry and a sign, after what is `kept` as text (empty where nothing is). */
export function pose(view) {
  let [kept, symmetry] = [[], SIMPLE.identity()];
  for (const part of view.split("+").map((each) => each.trim())) {
    const [name, argument] = part.split(":");
    if (Object.hasOwn(SIMPLE, name)) symmetry = after(SIMPLE[name](argument), symmetry);
    else [kept, symmetry] = [[...kept, JSON.stringify(symmetry), part], SIMPLE.identity()];
  }
  return { ...symmetry, kept: kept.join("+") };
}

/** What makes one pose the other: a turn by `angle` degrees counter-clockwise, a turning over about an axis (a direction on the
 * screen), or neither, and whether black and white change places. Null where they keep different things.
 */
export function between(one, other) {
  if (one.kept !== other.kept) return null;
  const { quarters, mirrored, negative } = after(other, inverse(one));
  if (mirrored) {
    const direction = Math.PI / 2 + (quarters * Math.PI) / 4;
    return { kind: "card", axis: [Math.cos(direction), -Math.sin(direction)], negative };
  }
  if (quarters) return { kind: "turn", angle: quarters === 3 ? -90 : 90 * quarters, negative };
  return { kind: "fade", negative };
}

/** The pose as a CSS transform. */
export const transform = ({ quarters, mirrored }) => `rotate(${-90 * quarters}deg) scaleX(${mirrored ? -1 : 1})`;

/** Where each pixel of a picture seen in this pose comes from, for a picture of this size; and the size of what is seen. */
export function sources({ quarters, mirrored }, width, height) {
  const [w, h] = quarters % 2 ? [height, width] : [width, height];
  const [cos, sin] = [[1, 0, -1, 0][quarters], [0, 1, 0, -1][quarters]];
  const from = new Int32Array(w * h);
  for (let row = 0; row < h; row++) {
    for (let column = 0; column < w; column++) {
      // In half pixels from the middle, so that all is whole.
      const [x, y] = [2 * column - (w - 1), 2 * row - (h - 1)];
      const across = (cos * x - sin * y) * (mirrored ? -1 : 1);
      const down = sin * x + cos * y;
      from[row * w + column] = ((down + height - 1) / 2) * width + (across + width - 1) / 2;
    }
  }
  return { from, width: w, height: h };
}

const WORDS = { identity: "as it is", signed: "a permutation" };

/** A view as a label. */
export const label = (view) => view.split("+").map((part) => WORDS[part.trim().split(":")[0]] ?? part.trim()).join("+");
