"""On a shelf the one bundle escalates that the file was calibrated for, and no other."""

import pytest

from steelyard.errors import ServingRefused
from steelyard.serve import Releasing, Watching
from steelyard.serve.releases import shelve


@pytest.fixture
def shelf(world, tmp_path):
    place = tmp_path / "shelf"
    shelve(world.weak, place, version="weak")
    shelve(world.strong, place, version="strong")
    return place


@pytest.fixture
def start(shelf, launch):
    """Return a function that serves the shelf with a file of an escalation."""

    def started(file, stable="weak"):
        releasing = Releasing(stable=stable, watching=Watching(enabled=False))
        return launch(shelf, escalate=file, releasing=releasing, repository=True)

    return started


def parked(server, rows):
    """Return how many of some rows wait for a person now."""
    reply = server.post("/predict", json={"rows": rows})
    assert reply.status_code == 200, reply.text
    return sum(bool(one.get("provisional")) for one in reply.json()["predictions"])


def escalates(server):
    return [each["version"] for each in server.get("/releases").json()["versions"] if each.get("escalates")]


def test_the_version_it_was_calibrated_for_escalates_and_others_answer_alone(world, start, plan, until):
    server = start(plan(at=0.5))
    waits = parked(server, world.rows[:60])
    assert 5 < waits < 55
    assert escalates(server) == ["weak"]
    assert server.post("/releases/strong/promote").status_code == 200
    assert parked(server, world.rows[:60]) == 0
    ticket = server.get("/reviews").json()["reviews"][0]["id"]  # what was parked can be answered all the same
    assert server.post(f"/reviews/{ticket}", json={"label": "7", "who": "ann"}).status_code == 200
    assert server.post("/releases/rollback").status_code == 200
    assert parked(server, world.rows[:60]) == waits


def test_a_version_that_was_let_go_of_and_comes_back_goes_on_with_the_same_budget(world, start, plan, counted):
    server = start(plan(at=0.5))
    waits = parked(server, world.rows[:60])
    server.post("/releases/strong/promote")
    server.post("/releases/weak/retire")
    assert escalates(server) == []
    server.post("/releases/weak/promote")
    assert parked(server, world.rows[:60]) == waits
    assert counted(server, "steelyard_escalations_total", outcome="parked") == 2 * waits


def test_the_same_bundle_under_another_name_escalates_too(world, start, plan, shelf):
    shelve(world.weak, shelf, version="again")
    server = start(plan(at=0.5))
    server.post("/releases/strong/promote")
    server.post("/releases/again/canary", json={"share": 1.0})
    assert parked(server, world.rows[:60]) > 5
    assert set(escalates(server)) == {"weak", "again"}


def test_a_file_for_no_version_that_is_served_is_refused(start, plan):
    with pytest.raises(ServingRefused, match="no version with a role is that one"):
        start(plan(at=0.5), stable="strong")
