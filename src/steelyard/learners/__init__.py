"""What can be trained, one family a file, cheap to dear.

A family comes in through the entry-point group ``steelyard.learners``, the built-in ones too, and is loaded when it
is first asked for: ``steelyard.registry.learners().get("linear")``. Each keeps the
:class:`~steelyard.contracts.Learner` protocol and exports one ONNX graph with its preprocessing inside.

The preprocessing exists once. A *block* (:mod:`._numbers`, :mod:`._categories`, :mod:`._words`) adds its nodes to a
graph; a *prelude* (:mod:`._prelude`) runs the blocks' graph in ONNX Runtime to make the matrix that is trained on;
the same nodes then stand at the front of the graph that ships.
"""

__all__: tuple[str, ...] = ()
