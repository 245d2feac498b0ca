"""How many servers the traffic of a run needs, and what they cost where: ``steelyard capacity RUN``."""

from steelyard.capacity.command import Asked, answer, idle_bundle, measure
from steelyard.capacity.words import describe, describe_nights

__all__ = ["Asked", "answer", "describe", "describe_nights", "idle_bundle", "measure"]
