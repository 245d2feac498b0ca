"""What stands between named columns and the input tensors of a graph, where ONNX itself has no way.

One front end a file. Each is written once: a learner trains on the tensors it makes, and the shipped bundle runs
the same code. ``FRONT_ENDS[name](feed, files)`` returns an :class:`Extractor`; ``files`` holds what the artefact
carries beside its graph (vocabularies).

Examples
--------
>>> import numpy as np
>>> from steelyard.contracts import Feed
>>> extract = FRONT_ENDS["numbers"](Feed("numbers", ("x",), ("age", "income")), {})
>>> extract({"age": np.array([31.0, 64.0]), "income": np.array([2e4, np.nan])})["x"]
array([[   31., 20000.],
       [   64.,    nan]])
>>> extract.row({"age": 31.0, "income": 2e4})["x"].shape
(1, 2)
"""

from __future__ import annotations

from steelyard.bundle.front_ends._calendar import Calendar
from steelyard.bundle.front_ends._counts import Counts
from steelyard.bundle.front_ends._image import Image
from steelyard.bundle.front_ends._lags import Lags
from steelyard.bundle.front_ends._numbers import Numbers
from steelyard.bundle.front_ends._sequence import Sequences
from steelyard.bundle.front_ends._series import Series
from steelyard.bundle.front_ends._sound_features import SoundFeatures
from steelyard.bundle.front_ends._spectrogram import Spectrogram
from steelyard.bundle.front_ends._strings import Strings
from steelyard.bundle.front_ends._subwords import Subwords
from steelyard.bundle.front_ends._summary import Summary
from steelyard.bundle.front_ends._token_chars import TokenChars
from steelyard.bundle.front_ends._token_features import TokenFeatures
from steelyard.bundle.front_ends._token_mask import TokenMask
from steelyard.bundle.front_ends._tokens import Tokens
from steelyard.bundle.front_ends.base import Cells, Extractor, FrontEnd, Tensors

FRONT_ENDS: dict[str, FrontEnd] = {
    "numbers": Numbers.make,
    "strings": Strings.make,
    "counts": Counts.make,
    "image": Image.make,
    "spectrogram": Spectrogram.make,
    "sound-features": SoundFeatures.make,
    "sequence": Sequences.make,
    "summary": Summary.make,
    "token-mask": TokenMask.make,
    "token-features": TokenFeatures.make,
    "token-chars": TokenChars.make,
    "subwords": Subwords.make,
    "tokens": Tokens.make,
    "series": Series.make,
    "calendar": Calendar.make,
    "lags": Lags.make,
}
"""Every front end by the name that a feed gives."""

__all__ = ["FRONT_ENDS", "Cells", "Extractor", "FrontEnd", "Tensors"]
