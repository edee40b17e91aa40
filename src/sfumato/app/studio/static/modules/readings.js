/* What the judge read in a picture, in words.
 *
 *   inWords(look)      how one looks: "upside down", "from afar"; shortWords(look): the same, where it needs no numbers, or the text itself
 *   weakest(readings)  the probability of the reading that convinces least; null where there is no judge
 *   allRight(readings) whether every reading is the one that was asked for
 *   byWeakest(one, other)  an order of pictures: the one whose weakest reading convinces most first
 *   told(readings)     a sentence: what is read where something else was asked for, or that nobody reads; "" where all is as asked
 *   tally(pictures)    a sentence: how many of them are read as asked
 *   percent(probability)   as people say it
 */

const WORDS = {
  identity: "as it is",
  flip: "flipped",
  mirror: "in a mirror",
  negate: "as a negative",
  "rotate:90": "turned by 90°",
  "rotate:180": "upside down",
  "rotate:270": "turned by 270°",
};

const KINDS = {
  roll: "shifted",
  skew: "skewed",
  permute: "with its patches shuffled",
  "pixel-permute": "with its pixels shuffled",
  circle: "with its middle turned",
  hinge: "with its tiles turned",
  jigsaw: "with its jigsaw put together anew",
  signed: "with its pixels rearranged",
};

const part = (look) => WORDS[look] ?? KINDS[look.split(":")[0]] ?? look;

export const inWords = (look) => look.split("+").map(part).join(", then ");

export const shortWords = (look) => WORDS[look] ?? look;

export const weakest = (readings) => (readings.length ? Math.min(...readings.map((reading) => reading.probability)) : null);

export const allRight = (readings) => readings.length > 0 && readings.every((reading) => reading.right);

export function byWeakest(one, other) {
  return (weakest(other.readings) ?? 0) - (weakest(one.readings) ?? 0) || one.seed - other.seed;
}

/** Never 0 % or 100 % of what is not quite so. */
export function percent(probability) {
  if (probability > 0.99 && probability < 1) return ">99\u00a0%";
  if (probability < 0.01 && probability > 0) return "<1\u00a0%";
  return `${Math.round(100 * probability)}\u00a0%`;
}

export function told(readings) {
  if (readings.length === 0) return "No judge reads the pictures of this model: look for yourself.";
  if (allRight(readings)) return "";
  const missed = readings.filter((reading) => !reading.right);
  const text = missed.map((each) => `${inWords(each.look)} it is read as ${each.read}, not ${each.prompt}`).join("; ");
  return `${text[0].toUpperCase()}${text.slice(1)}.`;
}

export function tally(pictures) {
  const judged = pictures.filter((shown) => shown.readings.length);
  if (judged.length < 2) return "";
  const right = judged.filter((shown) => allRight(shown.readings)).length;
  const best = Math.max(...judged.map((shown) => weakest(shown.readings)));
  const many = right === 0 ? `None of ${judged.length} seeds is` : `${right} of ${judged.length} seeds ${right === 1 ? "is" : "are"}`;
  return `${many} read as asked in every way; the best one's weakest reading has ${percent(best)}. The best come first.`;
}
