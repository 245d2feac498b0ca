"""The data sets of the benchmarks of advice: which columns, which aim, which quick learner of the package."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from steelyard.data import Dataset, load
from steelyard.spec import Spec

HOME = Path(os.environ.get("STEELYARD_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))


@dataclass(frozen=True, eq=False)
class Set:
    """A data set: its file below the folder of data, its target, the aim, the learner, and further parts of a spec."""

    name: str
    file: str
    target: str
    metric: str
    learner: str
    more: dict[str, Any] = field(default_factory=dict)

    def spec(self) -> Spec:
        """Return the spec: one holdout, test rows by index."""
        return Spec(
            data=str(HOME / self.file),
            target=self.target,
            quality={"metric": self.metric},
            split={"by": "index", "folds": 0},
            **self.more,
        )

    def load(self) -> Dataset:
        """Read it."""
        return load(self.spec(), None)


def pmlb(name: str, metric: str, learner: str, **more: Any) -> Set:
    return Set(name, f"pmlb/{name}.tsv.gz", "target", metric, learner, more)


def own(name: str, target: str, metric: str, learner: str, **more: Any) -> Set:
    return Set(name, f"{name}/data.csv.gz", target, metric, learner, more)


TEXT = {"columns": {"text": ["text"]}}
HELD = (
    own("telco_churn", "Churn", "roc_auc", "lightgbm", columns={"ignore": ["customerID"]}),
    own("abalone", "rings", "r2", "linear", task="regression"),
    own(
        "bike_sharing_hourly",
        "cnt",
        "r2",
        "lightgbm",
        task="regression",
        columns={"ignore": ["instant", "dteday", "casual", "registered"]},
    ),
    own("sms_spam", "label", "accuracy", "tfidf-linear", **TEXT),
    own("subjectivity", "label", "accuracy", "tfidf-linear", **TEXT),
    pmlb("satimage", "accuracy", "lightgbm", task="classification"),
    pmlb("spambase", "roc_auc", "linear", task="classification"),
    pmlb("phoneme", "roc_auc", "lightgbm", task="classification"),
)
"""What the bars are judged on."""
GROWN = (
    pmlb("churn", "roc_auc", "lightgbm", task="classification"),
    pmlb("562_cpu_small", "r2", "linear", task="regression"),
    pmlb("537_houses", "r2", "lightgbm", task="regression"),
    pmlb("splice", "accuracy", "lightgbm", task="classification"),
    pmlb("car", "accuracy", "linear", task="classification"),
    pmlb("yeast", "accuracy", "lightgbm", task="classification"),
    pmlb("201_pol", "r2", "lightgbm", task="regression"),
    own("movie_review_polarity", "label", "accuracy", "tfidf-linear", **TEXT),
)
"""What the curves' prior was made from; none of them is judged."""


def there() -> bool:
    """Tell whether the data is at hand."""
    return all((HOME / one.file).exists() for one in (*HELD, *GROWN))


def pool(dataset: Dataset) -> np.ndarray:
    """Return the rows that may train: everything but the test rows."""
    return dataset.partition.development
