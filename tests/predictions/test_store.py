"""The contract of a store of predictions, on SQLite and on PostgreSQL alike."""

import importlib.util
import multiprocessing
import os
import signal
import sqlite3
import sys
import threading
import time
from pathlib import Path

import pytest

from steelyard.errors import MissingExtra, RequestInvalid
from steelyard.predictions import (
    Bounds,
    Joined,
    Label,
    Query,
    RecordsRefused,
    StoreUnavailable,
    open_store,
    parse_address,
)

_spec = importlib.util.spec_from_file_location("logs", Path(__file__).with_name("conftest.py"))
_logs = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_logs)
made = _logs.made


def label(number, text, at=0.0, row=0):
    return Label(request=f"r-{number}", row=row, label=text, at=at)


def ids(store, **query):
    return [joined.prediction.id for joined in store.read(Query(**query))]


def test_what_is_appended_is_read_oldest_first_and_whole(store):
    inputs = {"age": 3.5, "city": "Zürich \u0000", "gone": None, "note": {"sha256": "ab", "length": 3}}
    second, first = made(2, inputs=inputs, stage="small"), made(1, decided=12.5, scores=())
    store.append([second, first])
    assert list(store.read(Query())) == [Joined(first), Joined(second)]


def test_the_same_row_of_the_same_version_is_kept_once_and_another_version_beside_it(store):
    store.append([made(1), made(1, row=1)])
    store.append([made(1, decided="no"), made(1, version="2")])
    found = [(j.prediction.id, j.prediction.version, j.prediction.decided) for j in store.read(Query())]
    assert found == [("r-1#0", "1", "no"), ("r-1#0", "2", "yes"), ("r-1#1", "1", "yes")]


def test_the_last_label_counts_and_all_of_them_are_kept(store):
    store.append([made(1), made(2), made(1, version="2")])
    store.label([label(1, "no", 5.0), label(1, "yes", 4.0)], received=6.0)
    store.label([label(1, "perhaps", 7.0)], received=8.0)
    found = {(j.prediction.request, j.prediction.version): j.label for j in store.read(Query())}
    assert found == {("r-1", "1"): label(1, "perhaps", 7.0), ("r-1", "2"): label(1, "perhaps", 7.0), ("r-2", "1"): None}
    assert [each.label for each in store.history("r-1", 0)] == ["no", "yes", "perhaps"]
    assert ids(store, labelled=False) == ["r-2#0"]
    assert ids(store, labelled=True) == ["r-1#0", "r-1#0"]


def test_a_label_may_come_before_its_prediction(store):
    store.label([label(1, "early")], received=0.0)
    assert store.known([("r-1", 0)]) == set()
    store.append([made(1)])
    assert [joined.label.label for joined in store.read(Query())] == ["early"]


def test_known_tells_requests_and_rows_apart_among_many(store):
    store.append([made(number, row=number % 3) for number in range(500)])
    asked = [(f"r-{number}", 1) for number in range(900)]
    assert store.known([*asked, *asked]) == {(f"r-{n}", 1) for n in range(1, 500, 3)}
    assert store.known([]) == set()


def test_parts_of_a_query_hold_together(store):
    store.append([made(n, model="ab"[n % 2], version=str(n % 3)) for n in range(12)])
    assert ids(store, since=3.0, until=9.0, model="a") == ["r-4#0", "r-6#0", "r-8#0"]
    assert ids(store, version="1", model="b") == ["r-1#0", "r-7#0"]


def test_more_than_a_page_is_read_each_once_also_where_times_are_the_same(store):
    store.append([made(7, row=row) for row in range(2500)])
    assert ids(store) == [f"r-7#{row}" for row in range(2500)]


@pytest.mark.parametrize(
    ("bounds", "left"),
    [
        (Bounds(), 20),
        (Bounds(rows=7), 7),
        (Bounds(seconds=5.0), 5),
        (Bounds(bytes=3 * 400), 3),
        (Bounds(rows=9, bytes=4 * 400), 4),
    ],
)
def test_what_is_over_a_bound_goes_oldest_first(store, bounds, left):
    store.append([made(number, inputs={"text": "x" * 280}) for number in range(20)])
    assert store.prune(bounds, now=20.0) == 20 - left
    assert ids(store) == [f"r-{number}#0" for number in range(20 - left, 20)]
    assert store.prune(bounds, now=20.0) == 0


def test_labels_that_belong_to_nothing_go_after_a_while_and_never_pile_up(store):
    store.append([made(1)])
    store.label([label(1, "kept"), label(2, "goes")], received=100.0)
    store.label([label(3, "still young")], received=150.0)
    store.prune(Bounds(unknown_seconds=60.0, seconds=1e6), now=170.0)
    assert [bool(store.history(f"r-{n}", 0)) for n in (1, 2, 3)] == [True, False, True]
    store.label([label(n, "many") for n in range(100, 200)], received=170.0)
    store.prune(Bounds(rows=10, seconds=1e6), now=170.0)
    assert sum(bool(store.history(f"r-{n}", 0)) for n in range(200)) == 10


def test_a_batch_is_added_whole_or_not_at_all(store):
    with pytest.raises(RecordsRefused, match="refuses"):
        store.append([made(1), made(2, row=2**70)])
    assert ids(store) == []
    store.append([made(1)])
    assert ids(store) == ["r-1#0"]


def test_reading_goes_on_while_another_writes(store, address):
    store.append([made(number) for number in range(1500)])
    reader = open_store(address)
    reading = reader.read(Query())
    next(reading)
    store.append([made(9999)])
    assert len(list(reading)) in {1499, 1500}
    reader.close()


def _write(url, name, until):
    store = open_store(parse_address(url))
    for number in range(until):
        store.append([made(number, request=f"{name}-{number}")])
    store.close()


def test_several_processes_that_start_at_once_write_one_log(store, address):
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_write, args=(_url(address), name, 40)) for name in ("a", "b", "c")]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert len(ids(store)) == 120


def _url(address):
    return address.url if address.path is None else f"sqlite:///{address.path}"


def _write_forever(url):
    store = open_store(parse_address(url))
    number = 0
    while True:
        store.append([made(number, row=row) for row in range(20)])
        number += 1


def test_a_writer_that_is_killed_leaves_whole_requests_and_a_log_that_goes_on(store, address):
    process = multiprocessing.get_context("spawn").Process(target=_write_forever, args=(_url(address),))
    process.start()
    while len(ids(store)) < 100:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.join(20)
    rows = ids(store)
    assert len(rows) % 20 == 0
    store.append([made(1_000_000)])
    assert len(ids(store)) == len(rows) + 1


def test_a_log_that_must_be_there_and_is_not_is_named(tmp_path):
    with pytest.raises(StoreUnavailable, match=r"there is no log of predictions at .*absent"):
        list(open_store(parse_address(str(tmp_path / "absent.db")), create=False).read(Query()))


def test_a_database_without_a_log_is_not_turned_into_one_by_reading(address, tmp_path):
    if address.path is not None:
        sqlite3.connect(address.path).execute("CREATE TABLE other (x)")
    with pytest.raises(StoreUnavailable, match="holds no log of predictions"):
        list(open_store(address, create=False).read(Query()))


def test_a_file_that_is_something_else_is_no_log_and_is_left_alone(tmp_path):
    place = tmp_path / "notes.txt"
    place.write_text("not a database, but long enough to look like one " * 40)
    with pytest.raises(StoreUnavailable, match="cannot be used: file is not a database"):
        open_store(parse_address(str(place))).append([made(1)])
    assert place.read_text().startswith("not a database")


def test_a_log_of_a_newer_steelyard_is_refused(store, address):
    store.append([made(1)])
    with store._writing() as cursor:
        cursor.execute("UPDATE steelyard_log_schema SET number = 2")
    with pytest.raises(StoreUnavailable, match="newer Steelyard"):
        open_store(address).append([made(2)])


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_file_that_was_moved_away_is_not_written_any_more(tmp_path, is_replaced):
    store = open_store(parse_address(str(tmp_path / "log.db")))
    store.append([made(1)])
    for file in tmp_path.iterdir():
        file.rename(tmp_path / f"old-{file.name}")
    if is_replaced:
        other = open_store(parse_address(str(tmp_path / "log.db")))
        other.append([made(0)])
        other.close()
    store.append([made(2)])
    assert ids(store) == (["r-0#0"] if is_replaced else []) + ["r-2#0"]
    store.close()


def test_a_locked_file_is_unavailable_and_works_once_it_is_free(tmp_path, monkeypatch):
    monkeypatch.setattr("steelyard.predictions.sqlite._PATIENCE", 0.05)
    store = open_store(parse_address(str(tmp_path / "log.db")))
    store.append([made(1)])
    holder = sqlite3.connect(tmp_path / "log.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreUnavailable, match="locked"):
        store.append([made(2)])
    assert ids(store) == ["r-1#0"]
    holder.execute("ROLLBACK")
    store.append([made(2)])
    assert ids(store) == ["r-1#0", "r-2#0"]
    holder.close()
    store.close()


@pytest.mark.parametrize("text", ["mysql://x/y", "", "sqlite:///", ":memory:", "postgresql://[bad"])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(RequestInvalid):
        parse_address(text)


def test_a_password_is_never_shown(postgres):
    wrong = parse_address(postgres.url("no_such_database"))
    with pytest.raises(StoreUnavailable, match="no_such_database") as refused:
        open_store(wrong).append([made(1)])
    for text in (str(refused.value), str(wrong), repr(wrong), repr(refused.value)):
        assert _logs.PASSWORD not in text
        assert _logs._QUOTED not in text
    hidden = parse_address("postgresql://db/log?user=me&password=open%20sesame")
    assert "sesame" not in f"{hidden} {hidden!r}"


@pytest.mark.parametrize("url", ["postgresql://me:s3cr3t@127.0.0.1:1/log", "postgresql://me:s3cr3t@host:port/log"])
def test_a_database_that_cannot_be_reached_is_unavailable_without_its_password(url):
    pytest.importorskip("psycopg")
    with pytest.raises(StoreUnavailable) as refused:
        open_store(parse_address(url)).append([made(1)])
    assert "s3cr3t" not in str(refused.value)


def test_an_address_that_postgresql_does_not_understand_is_refused_without_its_password():
    pytest.importorskip("psycopg")
    with pytest.raises(RequestInvalid, match="no_such_option") as refused:
        open_store(parse_address("postgresql://me:s3cr3t@db/log?no_such_option=1"))
    assert "s3cr3t" not in str(refused.value)


def test_without_psycopg_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtra, match=r"pip install 'steelyard\[postgres\]'"):
        open_store(parse_address("postgresql://me@db/log"))


def test_a_file_is_for_its_owner_alone(tmp_path):
    store = open_store(parse_address(str(tmp_path / "log.db")))
    store.append([made(1)])
    assert {file.stat().st_mode & 0o077 for file in tmp_path.iterdir()} == {0}
    store.close()


def test_a_database_that_was_restarted_is_written_again(postgres, store, address):
    if address.path is not None:
        pytest.skip("a file does not restart")
    store.append([made(1)])
    postgres.stop()
    with pytest.raises(StoreUnavailable):
        store.append([made(2)])
    postgres.start()
    store.append([made(2)])
    assert ids(store) == ["r-1#0", "r-2#0"]


def test_one_store_may_be_closed_by_another_thread(store):
    store.append([made(1)])
    closer = threading.Thread(target=store.close)
    closer.start()
    closer.join()
    assert ids(store) == ["r-1#0"]
