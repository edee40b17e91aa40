/* How a hybrid is looked at where distance is not what parts it: in grey, in motion. The filters of sfumato.core.filters.
 *
 *   grey(image)                         the mean of the channels
 *   motionBlur(image, width, angle)     the mean along a line of so many pixels, borders reflected
 *   nearest(value)                      rounded as Python rounds
 */

export function grey(image) {
  const out = new ImageData(image.width, image.height);
  for (let at = 0; at < image.data.length; at += 4) {
    const mean = (image.data[at] + image.data[at + 1] + image.data[at + 2]) / 3;
    out.data.set([mean, mean, mean, 255], at);
  }
  return out;
}

export function motionBlur(image, width, angle) {
  const { width: columns, height: rows } = image;
  const radius = Math.min(Math.floor(width / 2), rows - 1, columns - 1);
  const [right, up] = [Math.cos((angle * Math.PI) / 180), Math.sin((angle * Math.PI) / 180)];
  const step = Math.max(Math.abs(right), Math.abs(up));
  const line = Array.from({ length: 2 * radius + 1 }, (_, k) => [-nearest(((k - radius) * up) / step), nearest(((k - radius) * right) / step)]);
  const reflected = (at, size) => (at < 0 ? -at : at >= size ? 2 * (size - 1) - at : at);
  const out = new ImageData(columns, rows);
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      const sums = [0, 0, 0];
      for (const [dy, dx] of line) {
        const at = 4 * (reflected(y + dy, rows) * columns + reflected(x + dx, columns));
        for (let channel = 0; channel < 3; channel++) sums[channel] += image.data[at + channel];
      }
      out.data.set([...sums.map((sum) => sum / line.length), 255], 4 * (y * columns + x));
    }
  }
  return out;
}

/** To the nearest whole number, halves to the even one, as Python rounds. */
export function nearest(value) {
  const low = Math.floor(value);
  if (value - low !== 0.5) return Math.round(value);
  return low % 2 === 0 ? low : low + 1;
}
