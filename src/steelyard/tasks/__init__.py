"""Tasks and the metrics that judge them: classification, regression, and the money that decisions bring.

Each metric owns its direction, range, unit and what it needs (:class:`Metric`); all stand in one table
(:data:`METRICS`). The figures are scikit-learn's; the calibration error and the money are ours, since it has none.
"""

from steelyard.tasks.metric import Metric, MetricUnfit, Rows
from steelyard.tasks.table import METRICS, default_aim, metric, metrics_for

__all__ = ["METRICS", "Metric", "MetricUnfit", "Rows", "default_aim", "metric", "metrics_for"]
