from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from steelyard.contracts import Problem, Schema
from steelyard.learners.pretrained.checkpoints import find
from steelyard.testing.scenes import Scene, scene

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "late", "broken", "refund", "angry", "parcel", "kind", "quick", "thanks"]
WORDS += ["lovely", "invoice", "address", "change", "account", "a", "b", "c", "##b", "##c"]
SHAPES: dict[str, dict[str, Any]] = {
    "bert": {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 24},
    "electra": {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 24,
        "embedding_size": 8,
    },
    "roberta": {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24},
    "distilbert": {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 24},
    "wide": {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128},
}


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return the folder of a tiny encoder with random weights, of an architecture."""
    made: dict[str, Path] = {}

    def folder(kind: str = "bert") -> Path:
        if kind not in made:
            made[kind] = _written(tmp_path_factory.mktemp(kind), kind)
        return made[kind]

    return folder


@pytest.fixture(scope="session")
def letters(tiny: Callable[[str], Path]) -> Callable[..., Scene]:
    """Return rows of text with a problem, to be read with a tiny encoder."""

    def made(problem: Problem = Problem.MULTICLASS, kind: str = "bert") -> Scene:
        plain, mark = scene("text", problem), find(str(tiny(kind))).mark
        columns = tuple(replace(column, checkpoints=(mark,)) for column in plain.schema.columns)
        return replace(plain, schema=Schema(columns))

    return made


def _written(folder: Path, kind: str) -> Path:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    shape = {"vocab_size": len(WORDS), "max_position_embeddings": 48, "pad_token_id": 0, **SHAPES[kind]}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        family = "bert" if kind == "wide" else kind
        model = transformers.AutoModel.from_config(transformers.AutoConfig.for_model(family, **shape))
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                parameter.data.normal_(0.0, 1.0 if "word_embeddings" in name else 0.2)
        model.save_pretrained(folder)
    (folder / "tokenizer.json").write_bytes(_tokenizer())
    return folder


def _tokenizer() -> bytes:
    vocabulary = {word: number for number, word in enumerate(WORDS)}
    model = {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "vocab": vocabulary}
    model["max_input_chars_per_word"] = 100
    framed = [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    framed.append({"SpecialToken": {"id": "[SEP]", "type_id": 0}})
    pair = [*framed, {"Sequence": {"id": "B", "type_id": 1}}, {"SpecialToken": {"id": "[SEP]", "type_id": 1}}]
    special = {name: {"id": name, "ids": [vocabulary[name]], "tokens": [name]} for name in ("[CLS]", "[SEP]")}
    whole = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": True,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing", "single": framed, "pair": pair, "special_tokens": special},
        "decoder": None,
        "model": model,
    }
    return json.dumps(whole).encode()
