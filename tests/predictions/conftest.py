"""A store of predictions on each back end; PostgreSQL is a real server, started here in a folder of its own."""

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from steelyard.predictions import Prediction, open_store, parse_address

try:
    import psycopg
except ImportError:
    psycopg = None

PASSWORD = "not%20to be/seen"
_QUOTED = "not%2520to%20be%2Fseen"
_USER = "postgres"


def binaries():
    """Return the folder of PostgreSQL's programs, where Debian or the path has one."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


class PostgresServer:
    """A server on a loopback port; root lets another user run it, as it must. It ends with whoever started it."""

    def __init__(self, home):
        self.home, self.bin = home, binaries()
        home.chmod(0o755)
        if os.geteuid() == 0:
            shutil.chown(home, _USER)
        (home / "password").write_text(PASSWORD)
        words = ("-D", home / "data", "-U", "me", "--no-sync", "--auth=scram-sha-256", "--pwfile", home / "password")
        subprocess.run(self._as_user("initdb", *words), check=True, cwd=home, stdout=subprocess.DEVNULL, timeout=60)
        self.port = _free_port()
        self.start()

    def _as_user(self, program, *words):
        user = [f"--reuid={_USER}", f"--regid={_USER}", "--clear-groups"] if os.geteuid() == 0 else []
        return ["setpriv", *user, "--pdeathsig", "QUIT", self.bin / program, *words]

    def start(self):
        settings = ["-h", "127.0.0.1", "-k", "", "-F", "-c", "max_connections=30", "-c", "shared_buffers=16MB"]
        words = self._as_user("postgres", "-D", self.home / "data", "-p", str(self.port), *settings)
        self.process = subprocess.Popen(words, cwd=self.home, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 60
        while True:
            assert self.process.poll() is None, "PostgreSQL does not start"
            assert time.monotonic() < end, "PostgreSQL does not answer"
            with contextlib.suppress(psycopg.OperationalError):
                self.connect().close()
                return
            time.sleep(0.05)

    def stop(self):
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(60)

    def url(self, database="postgres"):
        return f"postgresql://me:{_QUOTED}@127.0.0.1:{self.port}/{database}"

    def connect(self, database="postgres"):
        return psycopg.connect(self.url(database), autocommit=True)


def _free_port():
    """Return a port below those that the system hands out, so that nobody gets it while the server is stopped."""
    while True:
        port = random.randrange(20_000, 30_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


@pytest.fixture(scope="session")
def postgres():
    """One server for all; it may be stopped if it is started again."""
    if binaries() is None:
        pytest.skip("PostgreSQL is not installed (Debian, Ubuntu: apt-get install postgresql)")
    if psycopg is None:
        pytest.skip("psycopg is not installed: pip install 'steelyard[postgres]'")
    with tempfile.TemporaryDirectory(prefix="steelyard-postgres-") as home:  # pytest's own are closed to others
        server = PostgresServer(Path(home))
        yield server
        server.stop()


@pytest.fixture(params=["sqlite", "postgres"])
def address(request, tmp_path):
    """An address of an empty log."""
    if request.param == "sqlite":
        return parse_address(f"sqlite:///{tmp_path}/log.db")
    server, name = request.getfixturevalue("postgres"), f"log_{os.urandom(4).hex()}"
    with server.connect() as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return parse_address(server.url(name))


@pytest.fixture
def store(address):
    opened = open_store(address)
    yield opened
    opened.close()


def made(number=0, **parts):
    """Return a prediction; its time is its number."""
    usual = {"request": f"r-{number}", "row": 0, "at": float(number), "model": "m", "version": "1", "digest": "d"}
    return Prediction(**{**usual, "decided": "yes", "scores": (0.25, 0.75), "latency": 0.002, **parts})
