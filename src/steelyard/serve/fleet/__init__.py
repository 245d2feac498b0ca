"""Several worker processes behind one port: started, watched, replaced, drained.

The supervisor holds the one listening socket, from which all workers take connections. It imports what workers need,
opens nothing, starts no thread, and forks: a worker is there in a fraction of the time that a new interpreter takes,
and what was imported is in memory once. While a worker is missing, the kernel keeps what arrives.
"""

from __future__ import annotations

from steelyard.serve.fleet.supervisor import supervise

__all__ = ["supervise"]
