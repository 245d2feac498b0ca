"""Neural nets: one way to read rows, one course of training, one loop, one export; a family of nets is a short file.

==================  ==================================================================================
``reading``         what a net reads of a table: the feeds of its graph, and batches of tensors
``course``          everything that a training is told, from settings and from the levers of a plan
``loop``            the training itself
``judge``           how good a net is on validation rows
``export``          the net as an ONNX graph
``fitted``          a trained net
``learner``         :class:`~steelyard.learners.nets.learner.NetLearner`, which a family derives from
==================  ==================================================================================

Nothing here loads PyTorch when it is imported, but for the modules that only a training imports.
"""

from __future__ import annotations

from steelyard.learners.nets.course import COURSE, HONOURS, Course, Told, course_of
from steelyard.learners.nets.learner import NetLearner
from steelyard.learners.nets.reading import Held, Material, PlainReading, Reading

__all__ = [
    "COURSE",
    "HONOURS",
    "Course",
    "Held",
    "Material",
    "NetLearner",
    "PlainReading",
    "Reading",
    "Told",
    "course_of",
]
