"""Ray keeps the executors' contract; without a token no cluster is used."""

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from steelyard.search.remote import ClusterRefused, RayExecutor
from steelyard.search.remote.access import places_of_token
from steelyard.testing.shifts import alive

TOKEN = "of-these-tests-" + "x" * 24
BIN = Path(sys.executable).parent
LONGEST = 240.0

needs_ray = pytest.mark.skipif(not (BIN / "ray").exists(), reason="the extra `ray` is not installed")


# ---------------------------------------------------------------------------------------------- the token


@pytest.fixture
def no_token(monkeypatch, tmp_path):
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def executor(folder, **more):
    return RayExecutor(1, log=folder / "log", threads=1, memory_bytes=10**9, **more)


def test_a_cluster_is_refused_without_a_token_and_every_place_is_named(no_token):
    with pytest.raises(ClusterRefused) as refusal:
        executor(no_token, address="10.0.0.1:6379")
    said = str(refusal.value)
    assert "RAY_AUTH_TOKEN in the environment" in said
    assert "the file that RAY_AUTH_TOKEN_PATH names" in said
    assert str(no_token / ".ray" / "auth_token") in said
    assert "ray get-auth-token --generate" in said


def test_a_cluster_is_refused_where_tokens_are_switched_off(no_token, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_TOKEN", TOKEN)
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with pytest.raises(ClusterRefused, match="RAY_AUTH_MODE is 'disabled'"):
        executor(no_token, address="auto")


def test_a_token_is_found_in_the_environment_or_in_a_file_that_holds_one(no_token):
    (no_token / "empty").touch()
    (no_token / "token").write_text(TOKEN + "\n")
    home = {"HOME": str(no_token)}
    assert not any(places_of_token(home | {"RAY_AUTH_TOKEN": " "}).values())
    assert not any(places_of_token(home | {"RAY_AUTH_TOKEN_PATH": str(no_token / "empty")}).values())
    assert any(places_of_token(home | {"RAY_AUTH_TOKEN_PATH": str(no_token / "token")}).values())
    (no_token / ".ray").mkdir()
    (no_token / "token").rename(no_token / ".ray" / "auth_token")
    assert any(places_of_token(home).values())


@needs_ray
def test_a_cluster_that_does_not_answer_is_refused_within_seconds_and_the_environment_is_left_alone(
    no_token, monkeypatch
):
    monkeypatch.setenv("RAY_AUTH_TOKEN", TOKEN)
    code = dedent(
        f"""
        import os, signal, time
        from pathlib import Path
        from steelyard.search.remote import ClusterRefused, RayExecutor
        before, handler, began = dict(os.environ), signal.getsignal(signal.SIGTERM), time.monotonic()
        try:
            RayExecutor(1, log=Path({str(no_token / "log")!r}), threads=1, memory_bytes=10**9, address="127.0.0.1:1")
        except ClusterRefused as refusal:
            print(refusal)
        assert time.monotonic() - began < 30
        assert dict(os.environ) == before
        assert signal.getsignal(signal.SIGTERM) is handler
        """
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "127.0.0.1:1 does not answer" in done.stdout


# ------------------------------------------------------------------------------------------- the contract

SUITE = dedent(
    """
    import os, signal, sys
    from pathlib import Path
    from steelyard.search.remote import RayExecutor
    from steelyard.testing import check_executor
    from steelyard.testing.executors import MEMORY
    import listening

    def make():
        before, handler = dict(os.environ), signal.getsignal(signal.SIGTERM)
        made = RayExecutor(2, log=folder / "log", threads=1, memory_bytes=MEMORY, silence=3.0)
        assert dict(os.environ) == before, "the environment is not as it was"
        assert signal.getsignal(signal.SIGTERM) is handler, "Ray handles the request to terminate"
        assert not (Path.home() / ".ray").exists(), "something was written into the home folder"
        found = listening.sockets_of(os.getpid())
        assert found, "nothing listens, so nothing was looked at"
        assert all(listening.loopback(address) for address in found), f"others can reach {found}"
        return made

    if __name__ == "__main__":
        folder = Path(sys.argv[1])
        check_executor(make, patience=3.0)
    """
)
LISTENING = dedent(
    '''
    """Which addresses a process and its descendants listen on, from /proc."""
    from pathlib import Path

    def family(pid):
        yield pid
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from family(int(child))

    def sockets_of(pid):
        held = set()
        for member in family(pid):
            for handle in Path(f"/proc/{member}/fd").iterdir():
                try:
                    held.add(str(handle.readlink()))
                except OSError:
                    continue
        found = []
        for table in ("tcp", "tcp6"):
            for row in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                cells = row.split()
                if cells[3] == "0A" and f"socket:[{cells[9]}]" in held:
                    found.append(cells[1].split(":")[0])
        return found

    def loopback(address):
        return address in {"0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F"}
    '''
)


def run_script(script, folder, *words):
    (folder / "script.py").write_text(script)
    (folder / "listening.py").write_text(LISTENING)
    home = folder / "home"
    home.mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, folder / "script.py", *words],
        env={**os.environ, "HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
        timeout=LONGEST,
    )


@needs_ray
@pytest.mark.slow
def test_ray_on_this_machine_keeps_the_contract_and_only_this_machine_can_reach_it(tmp_path):
    done = run_script(SUITE, tmp_path, str(tmp_path))
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stderr.strip() == "", "Ray is not quiet"
    assert not left_over(tmp_path)


def left_over(folder):
    """Return the processes that still speak of a folder."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and int(process.name) != os.getpid():
            try:
                words = (process / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if str(folder) in words and alive(int(process.name)):
                found.append(words.replace("\0", " "))
    return found
