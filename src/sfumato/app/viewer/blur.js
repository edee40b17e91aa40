/* The blur of an eye: a Gaussian, computed, as browsers' own filters are a few box blurs that only resemble one. */

/** The weights of a Gaussian at −radius … radius, their sum 1; the radius is that of 4 standard deviations. */
function gaussian(sigma) {
  const radius = Math.ceil(4 * sigma);
  const weights = Float32Array.from({ length: 2 * radius + 1 }, (_, k) => Math.exp(-0.5 * ((k - radius) / sigma) ** 2));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
}

/** Convolves `count` lines of `length` values, `step` apart, their beginnings `stride` apart; borders are mirrored. */
function along(values, count, length, step, stride, weights) {
  const radius = weights.length >> 1;
  const out = new Float32Array(values.length);
  const line = new Float32Array(length + 2 * radius);
  const index = Int32Array.from(line, (_, k) => {
    const i = (((k - radius) % (2 * length)) + 2 * length) % (2 * length);
    return step * (i < length ? i : 2 * length - 1 - i);
  });
  for (let each = 0; each < count; each++) {
    const begin = each * stride;
    for (let k = 0; k < line.length; k++) line[k] = values[begin + index[k]];
    for (let k = 0; k < length; k++) {
      let sum = 0;
      for (let j = 0; j < weights.length; j++) sum += weights[j] * line[k + j];
      out[begin + k * step] = sum;
    }
  }
  return out;
}

/** A picture that is blurred again and again, each time as it was at first. */
export class Blurred {
  #channels;

  /** Of an ImageData without transparency. */
  constructor(image) {
    this.image = image;
    this.#channels = [0, 1, 2].map((channel) => Float32Array.from({ length: image.data.length / 4 }, (_, p) => image.data[4 * p + channel]));
    const [red, ...others] = this.#channels;
    if (others.every((values) => values.every((value, p) => value === red[p]))) this.#channels = [red];
  }

  /** An ImageData, blurred by so many of its pixels. */
  by(sigma) {
    if (sigma === 0) return this.image;
    const { width, height } = this.image;
    const weights = gaussian(sigma);
    const out = new ImageData(width, height);
    const channels = this.#channels.map((values) => along(along(values, height, width, 1, width, weights), width, height, width, 1, weights));
    for (let p = 0; p < width * height; p++) {
      for (let channel = 0; channel < 3; channel++) out.data[4 * p + channel] = (channels[channel] ?? channels[0])[p];
      out.data[4 * p + 3] = 255;
    }
    return out;
  }
}
