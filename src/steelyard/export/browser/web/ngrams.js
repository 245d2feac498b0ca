// From text to counted n-grams: what steelyard.bundle.front_ends.text does in Python.

const ALONE = "\\u3005\\u3040-\\u30ff\\u3400-\\u4dbf\\u4e00-\\u9fff\\uf900-\\ufaff\\u{20000}-\\u{3ffff}";
const WORD = new RegExp(`[${ALONE}]|(?:(?![${ALONE}])[\\p{L}\\p{N}_])+`, "gu");
const PLAIN_WORD = /\w+/g;
const ASCII = /^[\0-\x7f]*$/;
// White space as Python parts text by it: U+FEFF is none, the separators of ASCII and U+0085 are.
const PARTING = /[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/;

function runs(text, low, high) {
  const signs = Array.from(text);
  const found = [];
  for (let size = low; size <= high; size += 1) {
    for (let end = size; end <= signs.length; end += 1) found.push(signs.slice(end - size, end).join(""));
  }
  return found;
}

function phrases(words, low, high) {
  const found = low === 1 ? [...words] : [];
  for (let size = Math.max(low, 2); size <= high; size += 1) {
    for (let end = size; end <= words.length; end += 1) found.push(words.slice(end - size, end).join(" "));
  }
  return found;
}

/**
 * The n-grams of a text, the short ones first, each as often as it stands there.
 * @param {string} text
 * @param {{analyser: "word" | "char", low: number, high: number, lowercase: boolean}} options
 * @returns {string[]}
 */
export function analyse(text, { analyser, low, high, lowercase }) {
  let clean = text.normalize("NFKC");
  if (lowercase) clean = clean.toLowerCase();
  if (analyser === "char") return runs(clean.split(PARTING).filter(Boolean).join(" "), low, high);
  const words = clean.match(ASCII.test(clean) ? PLAIN_WORD : WORD) ?? [];
  return high === 1 ? words : phrases(words, low, high);
}

/**
 * How often each n-gram of a vocabulary stands in a text, in order of appearance.
 * @param {string} text
 * @param {Map<string, number>} vocabulary
 * @param {{analyser: "word" | "char", low: number, high: number, lowercase: boolean}} options
 * @returns {Map<number, number>}
 */
export function tally(text, vocabulary, options) {
  const counts = new Map();
  for (const gram of analyse(text, options)) {
    const id = vocabulary.get(gram);
    if (id !== undefined) counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  return counts;
}
