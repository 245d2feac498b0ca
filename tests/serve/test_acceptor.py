"""A worker with more connections than another one leaves the next to it, but not for long."""

import asyncio
import socket

import pytest

from steelyard.serve import Limits, acceptor
from steelyard.serve.acceptor import Acceptor
from steelyard.serve.counting import Board
from steelyard.serve.metrics import Metrics


async def taken(board, seconds, other_takes=False):
    """Return whether a worker takes the one connection that waits, within so many seconds."""
    made = []

    def protocol():
        made.append(asyncio.Protocol())
        return made[-1]

    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as client:
        listening.setblocking(False)
        accepting = Acceptor(listening, protocol, Metrics(board, board.regions[1]), tls=None, limits=Limits())
        accepting.start()
        client.connect(listening.getsockname())
        if other_takes:
            await asyncio.sleep(0.05)
            listening.accept()[0].close()
        await asyncio.sleep(seconds)
        accepting.stop()
    return bool(made)


@pytest.fixture
def board(monkeypatch):
    """Two workers, of which the other one answers; a moment is long enough to be seen."""
    monkeypatch.setattr(acceptor, "_MOMENT", 0.5)
    made = Board(3)
    for place in (1, 2):
        made.regions[place].own(place)
        made.regions[place].is_ready = True
    return made


def test_who_has_more_waits_a_moment_and_then_takes_it(board):
    board.regions[1].connections = 1
    assert not asyncio.run(taken(board, 0.2))
    assert asyncio.run(taken(board, 1.5))


def test_what_another_worker_took_is_not_missed(board):
    board.regions[1].connections = 1
    assert not asyncio.run(taken(board, 1.0, other_takes=True))


@pytest.mark.parametrize("others", [1, 5])
def test_who_has_no_more_than_another_takes_it_at_once(board, others):
    board.regions[1].connections, board.regions[2].connections = 1, others
    assert asyncio.run(taken(board, 0.3))


def test_a_worker_that_drains_or_is_gone_is_not_waited_for(board):
    board.regions[1].connections = 1
    board.regions[2].is_ready = False
    assert asyncio.run(taken(board, 0.3))
