"""Models that were made elsewhere, as bundles: an ONNX file with its columns, or a pipeline of scikit-learn.

:func:`steelyard.adopt.graphs.artefact_of` fits any ONNX model of named columns to what a bundle holds;
:func:`steelyard.adopt.bringing.bring` is ``steelyard import``. Both need the extra ``train``; pipelines the extra
``pipelines``.
"""
