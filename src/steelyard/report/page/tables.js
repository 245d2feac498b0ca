// Tables that sort by their figures, and are saved as CSV or JSON with every digit.

import { element, word } from "./words.js";

const heads = (table) => [...table.tHead.rows[0].cells].map((cell) => (cell.querySelector("[data-t]") ?? cell).textContent);
const rows = (table) => [...table.tBodies[0].rows];

function text(cell) {
  const copy = cell.cloneNode(true);
  for (const line of copy.querySelectorAll("br")) line.replaceWith(" ");
  return copy.textContent.replace(/\s+/g, " ").trim();
}

// One record a row; a figure with an interval becomes three, `x`, `x low` and `x high`.
export function records(table) {
  const names = heads(table);
  return rows(table).map((row) => {
    const record = {};
    [...row.cells].forEach((cell, place) => {
      const name = names[place];
      if (name === "" && cell.querySelector(".track")) return;
      const { v, low, high } = cell.dataset;
      record[name || "result"] = v === undefined ? text(cell) : Number(v);
      if (low !== undefined) Object.assign(record, { [`${name} low`]: Number(low), [`${name} high`]: Number(high) });
    });
    return record;
  });
}

// Text that a spreadsheet would take for a formula is kept from being one.
function field(value) {
  if (typeof value === "number") return String(value);
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export function csv(table) {
  const list = records(table);
  const names = [...new Set(list.flatMap(Object.keys))];
  return [names, ...list.map((record) => names.map((name) => record[name] ?? ""))]
    .map((line) => line.map(field).join(",")).join("\r\n") + "\r\n";
}

export function save(name, kind, content) {
  const address = URL.createObjectURL(new Blob([content], { type: kind }));
  const link = element("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

function sort(table, place, button) {
  const head = table.tHead.rows[0].cells[place];
  const down = head.getAttribute("aria-sort") === "descending";
  for (const cell of table.tHead.rows[0].cells) cell.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "ascending" : "descending");
  const key = (row) => Number(row.cells[place].dataset.v ?? NaN);
  const sign = down ? 1 : -1;
  const order = (a, b) => {
    const [one, other] = [key(a), key(b)];
    if (Number.isNaN(one) && Number.isNaN(other)) return sign * text(a.cells[place]).localeCompare(text(b.cells[place]));
    if (Number.isNaN(one) || Number.isNaN(other)) return Number.isNaN(one) ? 1 : -1;
    return sign * (one - other);
  };
  const all = rows(table);
  const last = all.filter((row) => row.classList.contains("total"));
  table.tBodies[0].append(...all.filter((row) => !last.includes(row)).sort(order), ...last);
  button.focus();
}

export function enhance(table) {
  const name = table.dataset.name;
  const buttons = ["CSV", "JSON"].map((kind) => {
    const button = element("button", { type: "button", "aria-label": word("save {0} as {1}", name, kind) }, kind);
    Object.assign(button.dataset, { l: "save {0} as {1}", lg: JSON.stringify([name, kind]) });
    button.addEventListener("click", () => {
      if (kind === "CSV") save(`${name}.csv`, "text/csv", csv(table));
      else save(`${name}.json`, "application/json", `${JSON.stringify(records(table), null, 1)}\n`);
    });
    return button;
  });
  const sheet = element("div", { class: "sheet" }, element("div", { class: "save" }, ...buttons));
  table.replaceWith(sheet);
  sheet.append(table);
  if (rows(table).length < 3) return;
  [...table.tHead.rows[0].cells].forEach((cell, place) => {
    if (cell.textContent.trim() === "") return;
    const button = element("button", { type: "button", class: "sort" });
    button.append(...cell.childNodes);
    button.addEventListener("click", () => sort(table, place, button));
    cell.append(button);
  });
}

// A table as Python makes them: `lines` hold cells {words, v, low, high}, or an element.
export function build(name, caption, titles, numbers, lines) {
  const look = (place) => numbers.includes(place) ? "number" : null;
  const first = titles.map((title, place) => element("th",
    { scope: "col", role: "columnheader", class: look(place) }, title));
  const body = lines.map(({ cells, style }) => element("tr", { class: style, role: "row" },
    ...cells.map((cell, place) => {
      const attributes = { "data-v": cell.v ?? null, "data-low": cell.low ?? null, "data-high": cell.high ?? null };
      if (place === 0) return element("th", { scope: "row", role: "rowheader", ...attributes }, cell.words);
      const label = titles[place].textContent;
      return element("td", { role: "cell", class: look(place), "data-label": label, ...attributes }, cell.words);
    })));
  const table = element("table", { class: "stack", role: "table", "data-name": name },
    element("caption", {}, caption),
    element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, ...first)),
    element("tbody", { role: "rowgroup" }, ...body));
  const made = element("div", {}, table);
  enhance(table);
  return made;
}

export function everything(known) {
  const tables = [...document.querySelectorAll("table[data-name]")];
  const all = Object.fromEntries(tables.map((table) => [table.dataset.name, records(table)]));
  save(`${known.name}.json`, "application/json", `${JSON.stringify({ ...known, tables: all }, null, 1)}\n`);
}

