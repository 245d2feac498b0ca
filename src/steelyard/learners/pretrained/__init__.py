"""Encoders that were trained before: where they come from, what they compute, and how they are trained further.

==================  ==================================================================================
``checkpoints``     a folder, an installed package or a name on the hub, found and identified by content
``architectures``   which encoders are known, and what their weights are called
``graph``           an encoder as ONNX nodes, from its weights; what ships and what embeds
``encoded``         texts as vectors of a frozen encoder: a block of a linear model
==================  ==================================================================================

None of these loads PyTorch. What trains an encoder further does, and is loaded by a training alone.
"""
