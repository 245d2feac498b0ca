"""Text as tf-idf weights of n-grams, or as a few directions of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from steelyard.bundle.front_ends.text import Analyser, analyse, write_vocabulary
from steelyard.contracts import Feed, Floats
from steelyard.learners._block import Dense, Sparse, project
from steelyard.learners._graph import Graph, table


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """One text column as tf-idf: log(1 + count) x idf, each row scaled to length 1.

    Salton and Buckley, "Term-weighting approaches in automatic text retrieval" (1988). ``tag`` tells the inputs
    of several columns, or of several analysers of one column, apart.
    """

    column: str
    tag: str
    analyser: Analyser
    grams: tuple[str, ...]
    idf: Floats

    @classmethod
    def fit(cls, column: str, texts: Iterable[str], *, tag: str, analyser: Analyser, least: int, most: int) -> Words:
        """Learn the n-grams that stand in at least ``least`` rows, the ``most`` most frequent of them."""
        found: Counter[str] = Counter()
        rows = 0
        for text in texts:
            rows += 1
            found.update(set(analyse(text, analyser)))
        known = [(gram, count) for gram, count in found.items() if count >= least]
        known.sort(key=lambda pair: (-pair[1], pair[0]))
        counts = np.array([count for _, count in known[:most]], np.float64)
        idf = np.log((1 + rows) / (1 + counts)) + 1
        return cls(column=column, tag=tag, analyser=analyser, grams=tuple(gram for gram, _ in known[:most]), idf=idf)

    @property
    def feeds(self) -> tuple[Feed, ...]:
        """Ids and counts."""
        options = {"vocabulary": self._file, **self.analyser.options()}
        return (Feed("counts", (f"ids_{self.tag}", f"counts_{self.tag}"), (self.column,), options),)

    @property
    def files(self) -> Mapping[str, bytes]:
        """The vocabulary."""
        return {self._file: write_vocabulary(self.grams)}

    @property
    def _file(self) -> str:
        return f"vocabulary_{self.tag}.json"

    def build(self, graph: Graph) -> Sparse:
        """Add the nodes; padding has a count of 0, so its weight is 0."""
        ids = graph.input(f"ids_{self.tag}", TensorProto.INT64, ["n", f"grams_{self.tag}"])
        counts = graph.input(f"counts_{self.tag}", TensorProto.FLOAT, ["n", f"grams_{self.tag}"])
        one, tiny = graph.constant(np.array(1, np.float32)), graph.constant(np.array(1e-9, np.float32))
        tf = graph.add("Log", graph.add("Add", counts, one))
        idf = graph.add("Gather", graph.constant(table(self.idf.reshape(-1, 1)).reshape(-1)), ids)
        raw = graph.add("Mul", tf, idf)
        length = graph.add("ReduceL2", raw, graph.constant(np.array([1], np.int64)), keepdims=1)
        return Sparse(ids, graph.add("Div", raw, graph.add("Max", length, tiny)), len(self.grams))


@dataclass(frozen=True, slots=True)
class Directions:
    """A text column as its place along a few directions: latent semantic analysis.

    Deerwester et al., "Indexing by latent semantic analysis" (1990). ``axes`` has shape (n-grams, directions).
    """

    words: Words
    axes: NDArray[np.float64]

    @property
    def feeds(self) -> tuple[Feed, ...]:
        """Ids and counts."""
        return self.words.feeds

    @property
    def files(self) -> Mapping[str, bytes]:
        """The vocabulary."""
        return self.words.files

    def build(self, graph: Graph) -> Dense:
        """Add the nodes: tf-idf, then one product."""
        return Dense(project(graph, self.words.build(graph), self.axes), self.axes.shape[1])
