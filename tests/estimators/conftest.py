import pytest

from steelyard.measure import weighing


@pytest.fixture(autouse=True)
def weighed_in_a_moment(monkeypatch):
    """Time 200 calls of each bundle and no more: these tests are about what is predicted, not what it costs."""
    monkeypatch.setattr(weighing, "AIM", 0.0)
    monkeypatch.setattr(weighing, "BATCHES", (1,))
    monkeypatch.setattr(weighing, "BATCH_AIM", 0.0)
