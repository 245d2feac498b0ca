"""A vocabulary of our own, learned from the training rows and written as a ``tokenizer.json``.

Text is normalised (Unicode NFKC, lower case, control characters dropped) and cut at spaces and punctuation. Then runs
of characters that stand often enough are joined, pair by pair: Sennrich, Haddow, Birch, "Neural Machine Translation
of Rare Words with Subword Units", ACL 2016. In scripts without spaces this finds words; a rare word of a spaced one
falls into parts that are known, and so do most typing errors.
"""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

PAD, UNKNOWN, START, MASK = "[PAD]", "[UNK]", "[CLS]", "[MASK]"
SPECIAL = (PAD, UNKNOWN, START, MASK)
"""Their ids are 0, 1, 2 and 3."""
ALPHABET = 6000
"""Characters that are kept, the most frequent ones: more than a Chinese newspaper uses."""
LONGEST_PIECE = 16
READ = 20_000
"""Characters of a text that are learned from."""
_PARALLEL = "TOKENIZERS_PARALLELISM"


def learn(texts: Iterable[str], *, size: int, least: int) -> bytes:
    """Return a tokenizer that was learned from texts, which puts a start token before each.

    Parameters
    ----------
    texts
        Those of the training rows; empty ones teach nothing.
    size
        Most tokens in the vocabulary, characters and special tokens included.
    least
        How often a pair must stand to be joined.

    Examples
    --------
    >>> import json
    >>> content = learn(["low lower lowest"] * 3, size=64, least=2)
    >>> [token for token in json.loads(content)["model"]["vocab"] if "low" in token]
    ['low', 'lowe', 'lower', 'lowest']
    """
    library = importlib.import_module("tokenizers")
    tokenizer = library.Tokenizer(library.models.BPE(unk_token=UNKNOWN))
    tokenizer.normalizer = library.normalizers.Sequence(
        [
            library.normalizers.NFKC(),
            library.normalizers.BertNormalizer(
                clean_text=True, handle_chinese_chars=False, strip_accents=False, lowercase=True
            ),
        ]
    )
    tokenizer.pre_tokenizer = library.pre_tokenizers.BertPreTokenizer()
    trainer = library.trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=least,
        special_tokens=list(SPECIAL),
        limit_alphabet=min(ALPHABET, size),
        max_token_length=LONGEST_PIECE,
        show_progress=False,
    )
    with _one_thread():
        tokenizer.train_from_iterator((_readable(text) for text in texts), trainer)
    tokenizer.post_processor = library.processors.TemplateProcessing(
        single=f"{START} $A",
        pair=f"{START} $A {START}:1 $B:1",
        special_tokens=[(START, tokenizer.token_to_id(START))],
    )
    return bytes(tokenizer.to_str().encode())


def size_of(tokenizer: bytes) -> int:
    """Return how many rows a table of embeddings needs: one more than the largest id."""
    model: dict[str, Any] = json.loads(tokenizer)
    added = [token["id"] for token in model["added_tokens"]]
    return 1 + max(map(int, [*model["model"]["vocab"].values(), *added]))


def _readable(text: str) -> str:
    return text[:READ].encode("utf-8", "replace").decode("utf-8")


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep the library from starting a thread a core: a trial has the cores that it was given."""
    before = os.environ.get(_PARALLEL)
    os.environ[_PARALLEL] = "false"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_PARALLEL]
        else:
            os.environ[_PARALLEL] = before
