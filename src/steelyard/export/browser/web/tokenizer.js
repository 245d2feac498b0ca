// From text to the ids of tokens, as a tokenizer.json says: what the library `tokenizers` does in Python, for the parts
// that steelyard.export.browser.tokenisers lets through. What looks like a special token in a text is text.

import { MARKS, PUNCTUATION, REMOVED } from "./characters.js";

const CHINESE = new RegExp("[\\u3400-\\u4dbf\\u4e00-\\u9fff\\uf900-\\ufaff\\u{20000}-\\u{2a6df}\\u{2a700}-\\u{2b73f}"
  + "\\u{2b740}-\\u{2b81f}\\u{2b920}-\\u{2ceaf}\\u{2f800}-\\u{2fa1f}]", "u");
const SPACE = /\p{White_Space}/u;
const LETTERS = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\u200c\\u200d";
const RUNS = new RegExp(`[${LETTERS}]+|[^${LETTERS}\\p{White_Space}]+`, "gu");
const CHARACTERS_A_TOKEN = 100;

const each = (text, change) => Array.from(text, change).join("");
const lower = (text) => each(text, (sign) => sign.toLowerCase()); // sign by sign: no final sigma
const bare = (text) => each(text.normalize("NFD"), (sign) => (MARKS.test(sign) ? "" : sign));

function bertNormalizer({ clean_text: cleans, handle_chinese_chars: parts, strip_accents: strips, lowercase }) {
  return (text) => {
    let made = text;
    if (cleans) made = each(made, (sign) => (REMOVED.test(sign) ? "" : SPACE.test(sign) ? " " : sign));
    if (parts) made = each(made, (sign) => (CHINESE.test(sign) ? ` ${sign} ` : sign));
    if (strips ?? lowercase) made = bare(made);
    return lowercase ? lower(made) : made;
  };
}

function normalizerOf(part) {
  if (!part) return (text) => text;
  switch (part.type) {
    case "Sequence": {
      const inner = part.normalizers.map(normalizerOf);
      return (text) => inner.reduce((made, change) => change(made), text);
    }
    case "BertNormalizer":
      return bertNormalizer(part);
    case "Lowercase":
      return lower;
    default: // NFC, NFD, NFKC, NFKD
      return (text) => text.normalize(part.type);
  }
}

/** Parts a text at white space, and around punctuation. */
function bertWords(text) {
  const found = [];
  let word = "";
  const end = () => {
    if (word) found.push(word);
    word = "";
  };
  for (const sign of text) {
    if (SPACE.test(sign)) {
      end();
    } else if (PUNCTUATION.test(sign)) {
      end();
      found.push(sign);
    } else {
      word += sign;
    }
  }
  end();
  return found;
}

function cutterOf(part) {
  if (!part) return (text) => (text ? [text] : []);
  if (part.type === "BertPreTokenizer") return bertWords;
  if (part.type === "Whitespace") return (text) => text.match(RUNS) ?? [];
  return (text) => text.split(/\p{White_Space}+/u).filter(Boolean); // WhitespaceSplit
}

function wordPiece({ vocab, unk_token: unknown, continuing_subword_prefix: prefix, max_input_chars_per_word: most }) {
  const ids = new Map(Object.entries(vocab));
  return (word) => {
    const signs = Array.from(word);
    if (signs.length > most) return [ids.get(unknown)];
    const found = [];
    for (let start = 0, end; start < signs.length; start = end) {
      let id;
      for (end = signs.length; end > start; end -= 1) {
        id = ids.get((start ? prefix : "") + signs.slice(start, end).join(""));
        if (id !== undefined) break;
      }
      if (id === undefined) return [ids.get(unknown)];
      found.push(id);
    }
    return found;
  };
}

function wordLevel({ vocab, unk_token: unknown }) {
  const ids = new Map(Object.entries(vocab));
  return (word) => [ids.get(word) ?? ids.get(unknown)];
}

/** Joins pairs of neighbours, the pair that was learned first before all others, the leftmost of them first. */
function bytePairs({ vocab, merges, unk_token: unknown }) {
  const ids = new Map(Object.entries(vocab));
  const ranks = new Map(merges.map((pair, rank) => {
    const [left, right] = typeof pair === "string" ? pair.split(" ") : pair;
    return [`${ids.get(left)} ${ids.get(right)}`, { rank, id: ids.get(left + right) }];
  }));
  return (word) => {
    const found = Array.from(word, (sign) => ids.get(sign) ?? ids.get(unknown)).filter((id) => id !== undefined);
    for (;;) {
      let best = null;
      for (let place = 0; place + 1 < found.length; place += 1) {
        const pair = ranks.get(`${found[place]} ${found[place + 1]}`);
        if (pair && (!best || pair.rank < best.rank)) best = { ...pair, place };
      }
      if (!best) return found;
      found.splice(best.place, 2, best.id);
    }
  };
}

const MODELS = { WordPiece: wordPiece, WordLevel: wordLevel, BPE: bytePairs };

/** The pieces of words that come again are not looked for again. */
function remembering(cut, most = 20_000) {
  const known = new Map();
  return (word) => {
    let found = known.get(word);
    if (!found) {
      found = cut(word);
      if (known.size < most) known.set(word, found);
    }
    return found;
  };
}

/** How texts are framed by special tokens: for each part its text (0 or 1) or its ids, and the type of its tokens. */
function frameOf(part, isPair) {
  if (!part) return isPair ? [{ text: 0, type: 0 }, { text: 1, type: 1 }] : [{ text: 0, type: 0 }];
  if (part.type === "BertProcessing") {
    const [start, end] = [part.cls[1], part.sep[1]];
    const single = [{ ids: [start], type: 0 }, { text: 0, type: 0 }, { ids: [end], type: 0 }];
    return isPair ? [...single, { text: 1, type: 1 }, { ids: [end], type: 1 }] : single;
  }
  return (isPair ? part.pair : part.single).map(({ SpecialToken: token, Sequence: text }) => (token
    ? { ids: part.special_tokens[token.id].ids, type: token.type_id }
    : { text: text.id === "A" ? 0 : 1, type: text.type_id }));
}

/** How many tokens of each text are kept: the longer one of a pair is cut first. */
function keptOf(lengths, most) {
  if (lengths.length === 1) return [Math.min(lengths[0], most)];
  let [short, long] = [Math.min(...lengths), Math.max(...lengths)];
  if (short + long <= most) return lengths;
  long = short > most ? short : Math.max(short, most - short);
  if (short + long > most) {
    short = Math.floor(most / 2);
    long = short + (most % 2);
  }
  return lengths[0] > lengths[1] ? [long, short] : [short, long];
}

/**
 * Returns what cuts a text, or a pair of them, into at most `length` tokens.
 * @param {Record<string, any>} file a tokenizer.json
 * @param {number} length special tokens included
 * @param {boolean} isPair
 * @returns {(texts: string[]) => {ids: number[], types: number[]}}
 */
export function tokenizerOf(file, length, isPair) {
  const normalise = normalizerOf(file.normalizer);
  const words = cutterOf(file.pre_tokenizer);
  const pieces = remembering(MODELS[file.model.type](file.model));
  const frame = frameOf(file.post_processor, isPair);
  const room = length - frame.reduce((sum, part) => sum + (part.ids?.length ?? 0), 0);
  const most = length * CHARACTERS_A_TOKEN;
  const tokens = (text) => {
    const read = text.length <= most ? text : Array.from(text).slice(0, most).join("");
    return words(normalise(read.replace(/\p{Cs}/gu, "?"))).flatMap(pieces);
  };
  return (texts) => {
    const cut = texts.map(tokens);
    const kept = keptOf(cut.map((ids) => ids.length), room);
    const ids = [];
    const types = [];
    for (const part of frame) {
      const own = part.ids ?? cut[part.text].slice(0, kept[part.text]);
      ids.push(...own);
      types.push(...own.map(() => part.type));
    }
    return { ids, types };
  };
}
