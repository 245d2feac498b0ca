// Calls functions of a module and prints what they return, for test_javascript.py. A call is a name and lists of
// arguments, one list a bracket; { each: [...] } as the last of them stands for many lists, one call each.
import { readFileSync } from "node:fs";

const { module, calls } = JSON.parse(readFileSync(0, "utf8"));
const known = await import(module);

function plain(value) {
  if (typeof value === "number" && !Number.isFinite(value)) return { number: String(value) };
  if (value instanceof Map) return [...value];
  if (ArrayBuffer.isView(value)) return Array.from(value);
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== "object") return value ?? null;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, plain(inner)]));
}

function meant(value) {
  if (Array.isArray(value)) return value.map(meant);
  if (value === null || typeof value !== "object") return value;
  if ("number" in value && Object.keys(value).length === 1) return Number(value.number);
  if ("bytes" in value) return Uint8ClampedArray.from(value.bytes);
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, meant(inner)]));
}

const said = [];
for (const [name, ...given] of calls) {
  try {
    let made = known[name];
    for (const some of meant(given)) {
      const call = made;
      made = some.each ? await Promise.all(some.each.map((one) => call(...one))) : await call(...some);
    }
    said.push({ value: plain(made) });
  } catch (problem) {
    said.push({ refused: problem.name, message: problem.message });
  }
}
process.stdout.write(JSON.stringify(said));
