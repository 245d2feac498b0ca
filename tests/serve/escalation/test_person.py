"""Unsure rows wait for a person: tickets, the list of what waits, an answer, a label."""

import base64
import csv
import io
import os
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from steelyard.errors import RowsRefused, ServingRefused
from steelyard.serve import Key, Scope
from steelyard.serve.escalation.labels import answered, export
from steelyard.serve.escalation.reviews import Parked, Reviews, State

PREDICT, REVIEW, ADMIN = ("p" * 20, "r" * 20, "a" * 20)
KEYS = (
    Key.of(PREDICT, frozenset({Scope.PREDICT})),
    Key.of(REVIEW, frozenset({Scope.REVIEW})),
    Key.of(ADMIN, frozenset({Scope.ADMIN})),
)


def told(server, rows, **headers):
    reply = server.post("/predict", json={"rows": rows}, headers=headers)
    assert reply.status_code == 200, reply.text
    return reply.json()["predictions"]


@pytest.fixture
def server(world, launch, plan):
    return launch(world.weak, escalate=plan(at=0.5))


def test_the_bundle_s_answer_comes_at_once_with_a_ticket_and_a_person_answers(world, server, counted):
    found = told(server, world.rows[:60])
    waits = [i for i, one in enumerate(found) if one.get("provisional")]
    assert 5 < len(waits) < 55
    assert all(one["stage"] == "bundle" for one in found)
    assert [one["label"] for one in found] == world.cheap.predict(world.rows[:60]).tolist()
    first = found[waits[0]]["review"]
    assert server.get(f"/reviews/{first}").json()["state"] == "open"

    listed = server.get("/reviews").json()
    assert listed["open"] == len(waits)
    assert [row["id"] for row in listed["reviews"]] == [found[i]["review"] for i in waits]
    assert listed["reviews"][0]["inputs"] == world.rows[waits[0]]
    assert listed["classes"] == list("0123456789")

    said = server.post(f"/reviews/{first}", json={"label": "7", "who": "ann"})
    assert said.status_code == 200
    kept = server.get(f"/reviews/{first}").json()
    assert (kept["stage"], kept["label"], kept["who"]) == ("person", "7", "ann")
    assert kept["provisional"]["label"] == found[waits[0]]["label"]
    assert server.get("/reviews").json()["open"] == len(waits) - 1
    assert counted(server, "steelyard_escalations_total", outcome="parked") == len(waits)
    assert counted(server, "steelyard_escalation_money_total") == pytest.approx(0.4 * len(waits))


def test_tickets_are_in_the_parameters_of_tensors_too(world, server):
    rows = [list(row.values()) for row in world.rows[:20]]
    tensor = {"name": "rows", "datatype": "FP64", "shape": [20, 64], "data": rows}
    parameters = server.post("/v2/models/model/infer", json={"inputs": [tensor]}).json()["parameters"]
    tickets = parameters["reviews"].split(",")
    assert len(tickets) == 20
    assert {row["id"] for row in server.get("/reviews").json()["reviews"]} == {t for t in tickets if t}


def test_pages_are_oldest_first_and_end(world, launch, plan):
    server = launch(world.weak, escalate=plan(at=1.0))
    tickets = [one["review"] for one in told(server, world.rows[:25])]
    seen, after = [], 0
    while after is not None:
        page = server.get("/reviews", params={"limit": 10, "after": after}).json()
        assert len(page["reviews"]) <= 10
        seen += [row["id"] for row in page["reviews"]]
        after = page["next"]
    assert seen == tickets


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("state=odd", "'state' must be one of"),
        ("limit=0", "at least 1"),
        ("limit=-1", "whole number"),
        ("after=1e9", "whole number"),
        ("after=" + "9" * 30, "whole number"),
        ("limits=3", "did you mean 'limit'"),
        ("%ff=%fe", "no parameter"),
        ("&".join(f"a{i}=1" for i in range(50)), "cannot be read"),
    ],
)
def test_an_odd_query_is_refused(server, query, said):
    reply = server.get(f"/reviews?{query}")
    assert reply.status_code == 400
    assert said in reply.json()["error"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"label": "12", "who": "ann"}, "'label' must be one of"),
        ({"label": 7, "who": "ann"}, "got a number"),
        ({"who": "ann"}, "got null"),
        ({"label": "7"}, "'who' must name"),
        ({"label": "7", "who": " "}, "'who' must name"),
        ({"label": "7", "who": "x" * 81}, "1 to 80"),
        ({"label": "7", "who": "a\x00b"}, "'who' must name"),
        ({"label": "7", "who": "ann", "note": 1}, "got 'note'"),
        ([], "must be a JSON object"),
    ],
)
def test_an_odd_answer_is_refused_and_the_row_stays_open(world, server, body, said):
    ticket = next(one["review"] for one in told(server, world.rows[:60]) if one.get("review"))
    reply = server.post(f"/reviews/{ticket}", json=body)
    assert reply.status_code == 400
    assert said in reply.json()["error"]
    assert server.get(f"/reviews/{ticket}").json()["state"] == "open"


@pytest.mark.parametrize("ticket", ["x", "A" * 16, "../../etc", "%00", "A" * 5000])
def test_a_ticket_that_is_none_is_not_found(server, ticket):
    assert server.get(f"/reviews/{ticket}").status_code == 404
    assert server.post(f"/reviews/{ticket}", json={"label": "7", "who": "ann"}).status_code == 404


def test_of_two_persons_one_answers_and_who_says_the_same_again_is_told_so(world, server):
    ticket = next(one["review"] for one in told(server, world.rows[:60]) if one.get("review"))
    barrier = threading.Barrier(8)

    def say(number):
        barrier.wait()
        return server.post(f"/reviews/{ticket}", json={"label": str(number), "who": f"p{number}"}).status_code

    with ThreadPoolExecutor(8) as several:
        assert sorted(several.map(say, range(8))) == [200] + [409] * 7
    kept = server.get(f"/reviews/{ticket}").json()
    again = server.post(f"/reviews/{ticket}", json={"label": kept["label"], "who": kept["who"]})
    assert again.status_code == 200


def test_a_key_opens_what_its_scope_says(world, launch, plan):
    server = launch(world.weak, escalate=plan(at=1.0), keys=KEYS)
    ticket = told(server, world.rows[:1], **{"X-API-Key": PREDICT})[0]["review"]
    answer = {"label": "7", "who": "ann"}

    def status(method, path, key, **more):
        return server.client.request(method, path, headers={"X-API-Key": key}, **more).status_code

    assert status("GET", "/reviews", PREDICT) == 403
    assert status("POST", f"/reviews/{ticket}", PREDICT, json=answer) == 403
    assert status("GET", f"/reviews/{ticket}", PREDICT) == 200
    assert server.get("/reviews").status_code == 401
    assert status("POST", "/predict", REVIEW, json=world.rows[0]) == 403
    assert status("GET", "/reviews", REVIEW) == 200
    assert status("GET", "/reviews", ADMIN) == 200
    assert status("POST", f"/reviews/{ticket}", REVIEW, json=answer) == 200
    assert status("PUT", f"/reviews/{ticket}", ADMIN) == 405


def test_where_there_is_no_more_room_the_answer_stands_and_is_counted(world, launch, plan, counted):
    server = launch(world.weak, escalate=plan(at=1.0, most=5))
    found = told(server, world.rows[:8])
    assert [bool(one.get("review")) for one in found] == [True] * 5 + [False] * 3
    assert counted(server, "steelyard_escalations_total", outcome="full") == 3
    assert counted(server, "steelyard_reviews_parked") == 5
    server.post(f"/reviews/{found[0]['review']}", json={"label": "7", "who": "ann"})
    assert told(server, world.rows[:1])[0]["provisional"]


def test_a_file_that_breaks_fails_no_prediction_and_says_so_to_reviewers(world, launch, plan, counted, tmp_path):
    server = launch(world.weak, escalate=plan(at=1.0))
    ticket = told(server, world.rows[:1])[0]["review"]
    with sqlite3.connect(tmp_path / "reviews.db") as line:
        line.execute("DROP TABLE reviews")
    line.close()
    assert "review" not in told(server, world.rows[:1])[0]
    assert counted(server, "steelyard_escalations_total", outcome="store") == 1
    assert server.get("/reviews").status_code == 503
    reply = server.post(f"/reviews/{ticket}", json={"label": "7", "who": "ann"})
    assert (reply.status_code, reply.headers["retry-after"]) == (503, "1")


def test_a_file_that_another_process_holds_delays_no_prediction_beyond_its_deadline(world, launch, plan, tmp_path):
    server = launch(world.weak, escalate=plan(at=1.0))
    with sqlite3.connect(tmp_path / "reviews.db", isolation_level=None) as line:
        line.execute("BEGIN IMMEDIATE")
        found = told(server, world.rows[:1], **{"X-Deadline-Ms": "300"})
        assert "review" not in found[0]
        line.execute("COMMIT")
    line.close()
    assert "review" in told(server, world.rows[:1])[0]


def test_a_newer_file_is_refused(tmp_path):
    with sqlite3.connect(tmp_path / "r.db") as line:
        line.execute("PRAGMA user_version=9")
    line.close()
    with pytest.raises(ServingRefused, match="newer Steelyard"):
        Reviews(tmp_path / "r.db", most=10, megabytes=1, days=1.0)


def test_nobody_else_may_read_the_file(world, server, tmp_path):
    told(server, world.rows[:60])
    files = [path for path in tmp_path.iterdir() if path.name.startswith("reviews.db")]
    assert len(files) == 3
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_two_servers_share_one_file(world, launch, plan):
    path = plan(at=1.0)
    first, second = launch(world.weak, escalate=path), launch(world.weak, escalate=path)
    with ThreadPoolExecutor(8) as several:
        tickets = [
            one["review"]
            for found in several.map(lambda i: told((first, second)[i % 2], world.rows[i : i + 3]), range(40))
            for one in found
        ]
    assert len(set(tickets)) == 120
    assert first.get("/reviews").json()["open"] == 120
    second.post(f"/reviews/{tickets[0]}", json={"label": "7", "who": "ann"})
    assert first.get(f"/reviews/{tickets[0]}").json()["label"] == "7"


def row(**inputs):
    return Parked(
        request="r", model="m", version="1", digest="d", target="late", inputs=inputs, provisional={"label": "no"}
    )


@pytest.fixture
def reviews(tmp_path):
    made = Reviews(tmp_path / "r.db", most=10, megabytes=1, days=1.0)
    yield made
    made.close()


def test_rows_that_wait_too_long_are_given_up_and_make_room(reviews):
    tickets = reviews.park([row(age=i) for i in range(12)], now=0.0)
    assert [bool(t) for t in tickets] == [True] * 10 + [False] * 2
    assert reviews.expire(now=86_399.0) == 0
    assert reviews.expire(now=86_401.0) == 10
    assert reviews.one(tickets[0])["state"] == State.EXPIRED
    assert reviews.one(tickets[0])["inputs"] == {}
    assert not reviews.decide(tickets[0], "no", "ann", now=0.0)
    assert all(reviews.park([row(age=1)], now=86_401.0))


def test_the_first_decision_on_a_row_stands(reviews):
    (ticket,) = reviews.park([row(age=1)], now=0.0)
    assert reviews.decide(ticket, "no", "ann", now=1.0)
    assert not reviews.decide(ticket, "yes", "bob", now=2.0)
    kept = reviews.one(ticket)
    assert (kept["label"], kept["who"], kept["answered"]) == ("no", "ann", 1.0)


def test_large_rows_are_bounded_by_their_size_and_pages_by_theirs(tmp_path):
    reviews = Reviews(tmp_path / "r.db", most=1000, megabytes=20, days=1.0)
    tickets = reviews.park([row(note="x" * 2**20) for _ in range(30)], now=0.0)
    assert 18 <= sum(map(bool, tickets)) < 20
    found, more = reviews.page(State.OPEN, after=0, limit=100)
    assert 6 <= len(found) <= 8
    assert more == found[-1]["number"]
    reviews.close()


def test_labels_become_rows_to_train_on(world, server, tmp_path):
    waits = [(i, one["review"]) for i, one in enumerate(told(server, world.rows[:60])) if one.get("review")]
    for place, ticket in waits[:5]:
        server.post(f"/reviews/{ticket}", json={"label": str(world.y[place]), "who": "ann"})
    out = tmp_path / "labels.csv"
    for place in (f"http://127.0.0.1:{server.port}", str(tmp_path / "reviews.db")):
        assert export(answered(place), out) == 5
        with out.open(newline="") as file:
            found = list(csv.DictReader(file))
        assert [one.pop("digit") for one in found] == [str(world.y[i]) for i, _ in waits[:5]]
        assert [{n: float(v) for n, v in one.items()} for one in found] == [world.rows[i] for i, _ in waits[:5]]


def test_images_become_files_beside_the_labels(tmp_path, reviews):
    file = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(file, "PNG")
    content = {"image": base64.b64encode(file.getvalue()).decode()}
    ticket = reviews.park([row(photo=content, when="2011-01-31T00:00:00+00:00", city=None)], now=0.0)[0]
    reviews.decide(ticket, "yes", "ann", now=1.0)
    export(answered(str(tmp_path / "r.db")), tmp_path / "labels.csv")
    found = next(iter(csv.DictReader(io.StringIO((tmp_path / "labels.csv").read_text()))))
    assert (found["late"], found["when"], found["city"]) == ("yes", "2011-01-31T00:00:00+00:00", "")
    assert (tmp_path / found["photo"]).read_bytes() == file.getvalue()


@pytest.mark.parametrize("place", ["absent.db", "text.db", "other.db"])
def test_a_file_without_labels_is_refused(tmp_path, place):
    (tmp_path / "text.db").write_text("no database")
    sqlite3.connect(tmp_path / "other.db").close()
    os.utime(tmp_path / "other.db")
    with pytest.raises(RowsRefused, match=r"there is no file|no database of reviews"):
        export(answered(str(tmp_path / place)), tmp_path / "x.csv")
