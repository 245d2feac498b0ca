// The page's own words in two languages, and figures as steelyard.decide.words writes them.

const table = JSON.parse(document.getElementById("words").textContent);
let chinese = false;

function filled(words, given) {
  return given.reduce((text, value, place) => text.replaceAll(`{${place}}`, value), words);
}

export function word(key, ...given) {
  if (!(key in table)) throw new Error(`words.json has no "${key}"`);
  return filled(chinese ? table[key] : key, given);
}

// An element that says a word, in whatever language is chosen later on.
export function say(key, ...given) {
  const made = element("span", {}, word(key, ...given));
  made.dataset.t = key;
  if (given.length > 0) made.dataset.g = JSON.stringify(given);
  return made;
}

export function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value !== null) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== null));
  return made;
}

// Says everything again that is marked; sentences that Python made stay English, and are marked as English.
export function speak(inChinese) {
  chinese = inChinese;
  document.documentElement.lang = chinese ? "zh-CN" : "en";
  for (const each of document.querySelectorAll("[data-t]")) {
    each.textContent = word(each.dataset.t, ...JSON.parse(each.dataset.g ?? "[]"));
  }
  for (const each of document.querySelectorAll("[data-l]")) {
    each.setAttribute("aria-label", word(each.dataset.l, ...JSON.parse(each.dataset.lg ?? "[]")));
  }
  for (const cell of document.querySelectorAll("td[data-label]")) {
    const head = cell.closest("table").tHead.rows[0].cells[cell.cellIndex];
    cell.dataset.label = head.textContent;
  }
}

export const speaksChinese = () => chinese;

function decimals(value) {
  const size = Math.abs(value);
  if (size >= 0.01 || size === 0) return size < 10 ? 3 : size < 100 ? 2 : size < 1000 ? 1 : 0;
  return Math.min(12, 1 - Math.floor(Math.log10(size)));
}

function fixed(value, places) {
  const text = value.toLocaleString("en-US", { minimumFractionDigits: places, maximumFractionDigits: places });
  return Number(text.replaceAll(",", "")) === 0 ? text.replace("-", "") : text;
}

export function figure(value, places = null) {
  if (value === null || !Number.isFinite(value)) return "–";
  return fixed(value, places ?? decimals(value));
}

export function span([value, low, high], unit = "") {
  const tail = unit === "" ? "" : ` ${unit}`;
  if (low === high) return figure(value) + tail;
  const places = decimals(value);
  return `${figure(value, places)}${tail} (${word("{0} to {1}", figure(low, places), figure(high, places))})`;
}

export function money(amount, currency) {
  if (amount === null || !Number.isFinite(amount)) return "–";
  const size = Math.abs(amount);
  const places = size === 0 || size >= 0.1 ? 2 : Math.min(12, 1 - Math.floor(Math.log10(size)));
  return `${fixed(amount, places)} ${currency}`;
}

export function bytes(count) {
  if (count < 1000) return `${count} B`;
  return count < 999_500 ? `${Number((count / 1e3).toPrecision(3))} kB` : `${figure(count / 1e6, 1)} MB`;
}
