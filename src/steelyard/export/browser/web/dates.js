// Written dates and times as seconds since 1970 UTC: what steelyard.data.dates does in Python.

const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const MONTH = "(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|"
  + "oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\\.?";
const WEEKDAY = "(?:(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?\\.?,? )?";
const ZONE = "[+-]\\d{2}:?\\d{2}";
const CLOCK = "(?:(?:[T ]|, ?)(\\d{1,2}):(\\d{2})(?::(\\d{2})(\\.\\d{1,9})?)?(?: ?([AaPp])\\.?[Mm]\\.?)?"
  + `(?: ?(Z|UTC|GMT|${ZONE}|[+-]\\d{2}))?|(Z|${ZONE}))?`;
const fully = (text, flags = "") => new RegExp(`^(?:${text})$`, flags);

const YEAR_FIRST = fully(`(\\d{4})[-/.年](\\d{1,2})[-/.月](\\d{1,2})日?${CLOCK}`);
const POINTED = fully(`(\\d{1,2})\\.(\\d{1,2})\\.(\\d{4})${CLOCK}`);
const NAMED_DAY_FIRST = fully(`${WEEKDAY}(\\d{1,2})(?:st|nd|rd|th)?[ -]${MONTH},?[ -](\\d{4})${CLOCK}`, "i");
const NAMED_MONTH_FIRST = fully(`${WEEKDAY}${MONTH} (\\d{1,2})(?:st|nd|rd|th)?,? (\\d{4})${CLOCK}`, "i");
const NUMBERED = fully(`(\\d{1,2})([/-])(\\d{1,2})\\2(\\d{4}|(?<=/)\\d{2})${CLOCK}`);
const EIGHT = fully("(\\d{4})(\\d{2})(\\d{2})(?:\\.0)?");
const LAST_OF_THE_CENTURY = 69;

/** Year, month and day as written, and the groups of the clock; null where the text is no date. */
function partsOf(text, notation) {
  let found = YEAR_FIRST.exec(text);
  if (found) return [found[1], found[2], found[3], found.slice(4)];
  found = POINTED.exec(text) ?? NAMED_DAY_FIRST.exec(text);
  if (found) return [found[3], found[2], found[1], found.slice(4)];
  found = NAMED_MONTH_FIRST.exec(text);
  if (found) return [found[3], found[1], found[2], found.slice(4)];
  found = notation.includes("yyyymmdd") ? EIGHT.exec(text) : null;
  if (found) return [found[1], found[2], found[3], []];
  found = notation.includes("/") ? NUMBERED.exec(text) : null;
  if (!found) return null;
  const [, first, , second, year, ...clock] = found;
  return notation.includes("day/month/year") ? [year, second, first, clock] : [year, first, second, clock];
}

function yearOf(digits) {
  const year = Number(digits);
  return digits.length === 4 ? year : year + (year >= LAST_OF_THE_CENTURY ? 1900 : 2000);
}

function monthOf(written) {
  return /^\d+$/.test(written) ? Number(written) : MONTHS.indexOf(written.slice(0, 3).toLowerCase()) + 1;
}

function offsetOf(zone) {
  if (zone === undefined || zone === "Z" || zone === "UTC" || zone === "GMT") return 0;
  const minutes = zone.length > 3 ? Number(zone.slice(-2)) : 0;
  return (zone[0] === "-" ? -1 : 1) * (Number(zone.slice(1, 3)) * 3600 + minutes * 60);
}

/**
 * Seconds since 1970 UTC of a written date, null where the string is none.
 * @param {string} text without spaces at its ends
 * @param {string} notation such as "day/month/year", or empty
 * @returns {number | null}
 */
export function dateOf(text, notation = "") {
  const parts = partsOf(text, notation);
  if (!parts) return null;
  const [year, month, day, [hour, minute, second, fraction, half, ...zones]] = parts;
  let hours = Number(hour ?? 0);
  if (half !== undefined) {
    if (hours < 1 || hours > 12) return null;
    hours = hours % 12 + (half === "p" || half === "P" ? 12 : 0);
  }
  const [y, m, d, min, sec] = [yearOf(year), monthOf(month), Number(day), Number(minute ?? 0), Number(second ?? 0)];
  if (y < 1 || m < 1 || m > 12 || d < 1 || hours > 23 || min > 59 || sec > 59) return null;
  const moment = new Date(0);
  moment.setUTCFullYear(y, m - 1, d);
  if (moment.getUTCMonth() !== m - 1) return null; // a day that the month does not have
  moment.setUTCHours(hours, min, sec);
  return moment.getTime() / 1000 + Number(fraction ?? 0) - offsetOf(zones[0] ?? zones[1]);
}

/**
 * Seconds since 1970 of a number in a column of times: NaN where it is not finite, null where it is no date.
 * @param {number} number
 * @param {string} notation
 * @returns {number | null}
 */
export function counted(number, notation = "") {
  if (!Number.isFinite(number)) return NaN;
  if (notation === "milliseconds") return number / 1000;
  if (notation.includes("yyyymmdd")) return Number.isInteger(number) ? dateOf(String(number), "yyyymmdd") : null;
  return number;
}
