"""Executors on other machines.

Nothing durable lives there: data and finished bundles travel there as bytes, results come back as bytes, and the
run's own machine writes them aside and renames them. Machines need not share a file system.
"""

from steelyard.search.remote.access import ClusterRefused
from steelyard.search.remote.ray_executor import RayExecutor

__all__ = ["ClusterRefused", "RayExecutor"]
