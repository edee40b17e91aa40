/* Weights and guidance: a number, or two, from which it goes at pure noise to which at the picture.
 *
 *   parseWeight(text)   "2" -> 2, "2..0.5" -> [2, 0.5], "" -> null; undefined for anything else
 *   spellWeight(value)  the way back; "" for nothing
 */

export function parseWeight(text) {
  if (text.trim() === "") return null;
  const parts = text.split("..");
  const numbers = parts.map((part) => (part.trim() === "" ? NaN : Number(part)));
  if (parts.length > 2 || !numbers.every(Number.isFinite)) return undefined;
  return numbers.length === 2 ? numbers : numbers[0];
}

export const spellWeight = (value) => (Array.isArray(value) ? value.join("..") : value === null || value === undefined ? "" : String(value));
