/* The pixels of pictures.
 *
 *   pixelsOf(url)          -> Promise<ImageData>
 *   squareOf(url, side)    the same as a square of so many pixels, its middle where it is none
 *   psnr(one, other)       how near one is to another of its size: the peak signal-to-noise ratio in decibels, Infinity for equal ones
 */

import { h } from "./dom.js";
import { loadPicture } from "./picture-input.js";

function canvasOf(width, height) {
  return h("canvas", { width, height }).getContext("2d", { willReadFrequently: true });
}

export async function pixelsOf(url) {
  const image = await loadPicture(url);
  const context = canvasOf(image.naturalWidth, image.naturalHeight);
  context.drawImage(image, 0, 0);
  return context.getImageData(0, 0, image.naturalWidth, image.naturalHeight);
}

export async function squareOf(url, side) {
  const image = await loadPicture(url);
  const edge = Math.min(image.naturalWidth, image.naturalHeight);
  const context = canvasOf(side, side);
  context.imageSmoothingEnabled = edge > side;
  context.drawImage(image, (image.naturalWidth - edge) / 2, (image.naturalHeight - edge) / 2, edge, edge, 0, 0, side, side);
  return context.getImageData(0, 0, side, side);
}

export function psnr(one, other) {
  let sum = 0;
  for (let at = 0; at < one.data.length; at++) {
    if (at % 4 < 3) sum += ((one.data[at] - other.data[at]) / 255) ** 2; // not the opacity
  }
  return -10 * Math.log10(sum / ((3 / 4) * one.data.length));
}
