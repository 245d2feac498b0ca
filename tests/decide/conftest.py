"""Candidates by hand, and a paired comparison that is written down rather than resampled."""

import pytest

from steelyard.contracts import Problem, Task
from steelyard.decide import Candidate
from steelyard.recipe import Train
from steelyard.spec import Spec
from steelyard.tasks import metric
from steelyard.units import Estimate

BINARY = Task(problem=Problem.BINARY, target="y", aim="roc_auc", classes=("no", "yes"), positive="yes")


class Bench:
    """Makes candidates, and decides among them with the differences of their point estimates, plus or minus."""

    task = BINARY

    def spec(self, **parts) -> Spec:
        return Spec(data="rows.csv", target="y", **parts)

    def candidate(self, number, quality, *, recipe=None, half=0.03, ms=1.0, cost=0.01, size=1000, noise=0.0, **more):
        estimate = Estimate(quality, quality - half, quality + half)
        return Candidate(
            number=number,
            recipe=Train(learner=f"model-{number}") if recipe is None else recipe,
            quality=estimate,
            p95=Estimate(ms, ms * (1 - noise), ms * (1 + noise), unit="ms"),
            cost_per_million=Estimate(
                cost, cost * (1 - noise), cost * (1 + noise), unit="USD per 1,000,000 predictions"
            ),
            size_bytes=size,
            validation={"roc_auc": estimate, **more},
            protocol="5-fold",
        )

    def paired(self, candidates, half=0.02):
        quality = {c.number: c.quality.value for c in candidates}

        def difference(first, second):
            value = quality[first] - quality[second]
            return Estimate(value, value - half, value + half)

        return difference

    def decide(self, candidates, *, half=0.02, aim="roc_auc", baseline=None, task=BINARY, expected=None, **parts):
        from steelyard.decide import decide

        paired = self.paired(candidates, half)
        more = {"spec": self.spec(**parts), "task": task, "baseline": baseline, "expected": expected}
        return decide(candidates, metric=metric(aim), paired=paired, **more)


@pytest.fixture
def bench():
    return Bench()
