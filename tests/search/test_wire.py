"""Lines over a pipe arrive whole, in order, whatever the reader's pace; a torn one never counts."""

import json
import os

import pytest

from steelyard.search.wire import Receiver, Sender, line


@pytest.fixture
def pipe():
    reading, writing = os.pipe()
    yield Receiver(reading), Sender(writing)
    for end in (reading, writing):
        try:
            os.close(end)
        except OSError:
            continue


def test_a_slow_reader_gets_every_line_in_order(pipe):
    receiver, sender = pipe
    for number in range(20_000):  # several times what a pipe holds
        sender.send(line({"number": number}))
    assert sender.backlog > 0
    heard = []
    while len(heard) < 20_000:
        heard += [json.loads(said)["number"] for said in receiver.lines()]
        sender.push()
    assert heard == list(range(20_000))
    assert sender.backlog == 0
    assert not receiver.ended


def test_a_line_that_its_writer_could_not_finish_is_never_given(pipe):
    receiver, sender = pipe
    sender.send(line({"whole": 1}) + b'{"torn": ')
    assert receiver.lines() == [b'{"whole":1}\n']
    os.close(sender.handle)
    assert receiver.lines() == []
    assert receiver.ended


def test_a_line_that_comes_in_pieces_is_given_once_it_is_whole(pipe):
    receiver, sender = pipe
    for piece in (b'{"a"', b":1}", b'\n{"b":2}\n{"c"'):
        sender.send(piece)
        last = receiver.lines()
    assert last == [b'{"a":1}\n', b'{"b":2}\n']


def test_a_reader_that_is_gone_stops_nobody(pipe):
    receiver, sender = pipe
    os.close(receiver.handle)
    sender.send(line({"number": 1}))
    assert sender.backlog == 0
