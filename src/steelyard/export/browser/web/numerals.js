// Numbers that are not written plainly, such as 1.234,5 EUR: what steelyard.data.numerals does in Python.

export const PLAIN = /^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$/;

const NOTATION = /^(\D*)1([,. ']?)234([.,])5(\D*)$/;
const SPACES = new Map([["\u00a0", " "], ["\u2009", " "], ["\u202f", " "], ["\u2019", "'"], ["\u2212", "-"]]);
const patterns = new Map();

const escaped = (text) => text.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");

/**
 * What a cell in a notation looks like, and its signs of thousands and of decimals.
 * @param {string} notation the number 1234.5 as the column writes it
 */
function patternOf(notation) {
  const known = patterns.get(notation);
  if (known) return known;
  const [, before, group, point, after] = NOTATION.exec(notation);
  const sign = escaped(before.trim() || after.trim());
  const some = group === "," ? "{2,3}" : "{3}"; // 12,34,567 in India
  const apart = escaped(group);
  const whole = group ? `(?:[0-9]{1,3}(?:${apart}[0-9]${some})*${apart}[0-9]{3}|[0-9]+)` : "[0-9]+";
  const rest = escaped(point);
  const body = `(?:${whole}(?:${rest}[0-9]*)?|${rest}[0-9]+)(?:[eE][+-]?[0-9]+)?`;
  const text = sign ? `([+-]?)(?:${sign} ?([+-]?))?(${body})(?: ?${sign})?` : `([+-]?)()(${body})`;
  const made = { pattern: new RegExp(`^(?:${text})$`), group, point };
  patterns.set(notation, made);
  return made;
}

/**
 * The number that a string writes in a notation, null where it writes none.
 * @param {string} text without spaces at its ends
 * @param {string} notation
 * @returns {number | null}
 */
export function numeralOf(text, notation) {
  const { pattern, group, point } = patternOf(notation);
  const plain = text.replace(/[\u00a0\u2009\u202f\u2019\u2212]/g, (sign) => SPACES.get(sign));
  const found = pattern.exec(plain);
  if (!found || (found[1] && found[2])) return null;
  const digits = group ? found[3].replaceAll(group, "") : found[3];
  const value = Number(point === "," ? digits.replaceAll(",", ".") : digits);
  return found[1] === "-" || found[2] === "-" ? -value : value;
}
