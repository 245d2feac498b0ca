"""Which tokenizers ``web/tokenizer.js`` reads, and what of them the browser needs.

It is our own, not a library of npm: what is cut must be the same to the last token. The library ``tokenizers`` that
cuts in training takes its classes of characters from an older Unicode than browsers do, treats what looks like a
special token as text where it is told to, and cuts pairs off in its own way. The parts below are those of BERT and its
descendants, and of the vocabularies that Steelyard learns itself.
"""

from __future__ import annotations

import json
from typing import Any

from steelyard.errors import ExportRefused

_FORMS = {"NFC", "NFD", "NFKC", "NFKD"}
NORMALIZERS = frozenset({"Sequence", "BertNormalizer", "Lowercase", *_FORMS})
PRE_TOKENIZERS = frozenset({"BertPreTokenizer", "Whitespace", "WhitespaceSplit"})
MODELS = frozenset({"WordPiece", "WordLevel", "BPE"})
FRAMES = frozenset({"TemplateProcessing", "BertProcessing"})
_KEPT = {
    "WordPiece": ("type", "vocab", "unk_token", "continuing_subword_prefix", "max_input_chars_per_word"),
    "WordLevel": ("type", "vocab", "unk_token"),
    "BPE": ("type", "vocab", "merges", "unk_token"),
}
_UNSET = ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", "byte_fallback", "ignore_merges")
"""What a BPE may say beside its merges, and the browser does not do."""


def read_tokeniser(content: bytes) -> dict[str, Any]:
    """Return of a ``tokenizer.json`` what the browser needs.

    Raises
    ------
    ExportRefused
        If one of its parts is not among those that the browser knows.
    """
    file = json.loads(content)
    _check("normalizer", file["normalizer"], NORMALIZERS)
    _check("pre-tokenizer", file["pre_tokenizer"], PRE_TOKENIZERS)
    _check("model", file["model"], MODELS)
    _check("post-processor", file["post_processor"], FRAMES)
    model = file["model"]
    for name in _UNSET if model["type"] == "BPE" else ():
        if model.get(name):
            raise _refusal(f"a BPE with {name}")
    plain = [token["content"] for token in file["added_tokens"] if not token["special"]]
    if plain:
        raise _refusal(f"added tokens such as {plain[0]!r}")
    return {
        "normalizer": file["normalizer"],
        "pre_tokenizer": file["pre_tokenizer"],
        "model": {name: model[name] for name in _KEPT[model["type"]]},
        "post_processor": file["post_processor"],
    }


def _check(what: str, part: dict[str, Any] | None, known: frozenset[str]) -> None:
    if part is None:
        return
    if part["type"] not in known:
        raise _refusal(f"a {what} {part['type']!r}")
    for inner in part.get("normalizers", ()):
        _check(what, inner, known)


def _refusal(what: str) -> ExportRefused:
    return ExportRefused(
        f"the tokenizer has {what}, which does not run in a browser; take a model with a vocabulary of its own "
        "(text-cnn, tfidf-linear) or of BERT's kind, or serve the bundle with `steelyard serve`"
    )
