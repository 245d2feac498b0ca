"""`steelyard shelve`, `keygen`, `serve` on a shelf and `release`, as their users call them."""

import json
import os
import re
import subprocess
import sys
from contextlib import contextmanager

import httpx
import pytest

from steelyard.bundle.signing import Signer
from steelyard.client import Client
from steelyard.client.releases import Releases
from steelyard.errors import RequestInvalid
from steelyard.serve.releases import shelve

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
SECRET = "an-admin-key-of-a-test"


def steelyard(*words, code=0, **more):
    done = subprocess.run(
        [sys.executable, "-m", "steelyard.cli", *map(str, words)],
        capture_output=True,
        text=True,
        env=ENVIRONMENT | more,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout if code == 0 else done.stderr


@contextmanager
def serving(*words):
    """Start a server of a shelf; give the process and its address."""
    options = ("--port", 0, "--repository", "--key", f"predict,admin:{SECRET}")
    process = subprocess.Popen(
        [sys.executable, "-m", "steelyard.cli", "serve", *map(str, (*words, *options))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )
    try:
        yield process, re.search(r"https?://\S+:\d+", process.stdout.readline())[0]
    finally:
        process.kill()
        process.communicate()


def answering(address):
    reply = httpx.post(f"{address}/predict", json={"age": 3}, headers={"X-API-Key": SECRET}, timeout=20)
    return reply.json()["version"]


@pytest.mark.slow
def test_from_a_bundle_to_a_release_and_back_through_a_kill(bundles, tmp_path):
    shelf, key = tmp_path / "shelf", tmp_path / "key.pem"
    assert "key.pem.pub: for steelyard serve --trust" in steelyard("keygen", key)
    shelve(bundles["1"], shelf, signer=Signer(key))
    assert "version 2, signed by" in steelyard("shelve", bundles["2"], shelf, "--sign", key)
    shelve(bundles["3"], shelf)
    trusting = ("--trust", f"{key}.pub")
    with serving(shelf, "--stable", 1, *trusting) as (process, address):
        asked = {"STEELYARD_KEY": SECRET}
        told = steelyard("release", address, "promote", 2, "--why", "better", **asked)
        assert re.search(r"2 \S+ \S+ [0-9a-f]{12} promote 2 better\nnow: stable 2, previous 1", told)
        assert answering(address) == "2"
        assert "it is not signed" in steelyard("release", address, "promote", 3, code=61, **asked)
        assert "canary 1 at 10%" in steelyard("release", address, "canary", 1, "--share", 0.1, **asked)
        process.kill()
        process.wait()
    with serving(shelf, *trusting) as (process, address):
        listed = json.loads(steelyard("release", address, "list", "--json", **asked))
        assert {role: listed[role] for role in ("stable", "previous", "canary", "share")} == {
            "stable": "2",
            "previous": "1",
            "canary": "1",
            "share": 0.1,
        }
        assert "now: stable 1" in steelyard("release", address, "rollback", **asked)
        assert answering(address) == "1"
        log = steelyard("release", address, "log", **asked)
        assert [line.split()[4] for line in log.splitlines()] == ["rollback", "canary", "promote", "promote"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("promote", ""), "promote takes the name of a version"),
        (("rollback", "2"), "rollback takes no version"),
        (("demote", "2"), "'demote' is no switch; there are promote, canary"),
    ],
)
def test_what_is_asked_wrongly_is_refused_before_anything_is_sent(words, said):
    with Client("http://127.0.0.1:9") as client, pytest.raises(RequestInvalid, match=said):
        Releases(client).switch(*words)


@pytest.mark.slow
def test_what_cannot_be_served_is_one_sentence_and_a_number(bundles, shelf):
    assert "is no shelf of versions, as --stable need" in steelyard(
        "serve", bundles["1"], "--no-keys", "--stable", "1", code=50
    )
    assert "holds no public Ed25519 key" in steelyard(
        "serve", shelf, "--no-keys", "--trust", shelf / "1" / "card.md", code=55
    )
    (shelf / "switches.jsonl").write_text("{}\n")
    assert "line 1 of" in steelyard("serve", shelf, "--no-keys", code=54)
    assert "takes neither a version" in steelyard("release", "http://127.0.0.1:9", "list", "2", code=2)
