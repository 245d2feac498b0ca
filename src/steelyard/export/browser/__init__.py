"""A bundle as a static folder that answers in a browser: ONNX Runtime Web, the model, and the front ends in JavaScript.

``fit`` says what a browser cannot do, before anything is written; ``runtime`` finds ONNX Runtime Web; ``linking`` makes
the modules under ``web`` one script; ``folder`` writes.
"""

from __future__ import annotations

from steelyard.export.browser.folder import folder

__all__ = ["folder"]
