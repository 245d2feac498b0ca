"""Encoders that were trained before: where they come from, what they compute, and how they are trained further.

==================  ==================================================================================
``checkpoints``     a folder, an installed package or a name on the hub, found and identified by content
``architectures``   which encoders are known, and what their weights are called
``graph``           an encoder as ONNX nodes, from its weights; what ships and what embeds
``encoded``         texts as vectors of a frozen encoder: a block of a linear model
``offers``          which checkpoints a table may be read with, and which of them a plan asks for
``asked``           the settings of the levers on encoders
``pieces``          tokens, or what frozen layers make of them, kept for training
``net``             an encoder with a head, in PyTorch
``tuning``          what levers put into its layers, and how that becomes weights that ship
``made``            the net of a plan
``fitted``          a trained encoder, and its graph
==================  ==================================================================================

The last four load PyTorch, and are loaded by a training alone.
"""
