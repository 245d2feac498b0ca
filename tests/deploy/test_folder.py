"""The folder appears whole or not at all, and nothing of somebody else's is replaced."""

import errno
import os
import stat
from pathlib import Path

import pytest

from steelyard.deploy import To, Wanted, deploy
from steelyard.deploy import folder as writing
from steelyard.errors import DeploymentRefused


def test_a_folder_with_something_of_somebody_elses_is_never_touched(bundle, tmp_path, found):
    (tmp_path / "thesis.txt").write_text("mine")
    for force in (False, True):
        with pytest.raises(DeploymentRefused, match=r"holds 'thesis\.txt'"):
            deploy(bundle, To.DOCKER, tmp_path, Wanted(), force=force, rehearsing=found)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_an_earlier_deployment_is_replaced_only_by_force_and_keys_stay(bundle, joined, tmp_path, found):
    out = tmp_path / "out"
    deploy(joined, To.DOCKER, out, Wanted(), rehearsing=found)
    (out / "keys").write_text("digest predict\n")
    with pytest.raises(DeploymentRefused, match="--force"):
        deploy(bundle, To.DOCKER, out, Wanted(), rehearsing=found)
    assert (out / "bundle" / "members").is_dir()
    deploy(bundle, To.DOCKER, out, Wanted(grace=7), force=True, rehearsing=found)
    assert not (out / "bundle" / "members").exists()
    assert '"--grace", "7"' in (out / "Dockerfile").read_text()
    assert (out / "keys").read_text() == "digest predict\n"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_file_in_the_place_of_the_folder_is_refused(bundle, tmp_path, found):
    (tmp_path / "out").write_text("")
    with pytest.raises(DeploymentRefused, match="is no folder"):
        deploy(bundle, To.DOCKER, tmp_path / "out", Wanted(), rehearsing=found)


@pytest.mark.parametrize("force", [False, True])
def test_a_full_disk_leaves_what_was_there(bundle, tmp_path, found, monkeypatch, force):
    out = tmp_path / "out"
    if force:
        deploy(bundle, To.DOCKER, out, Wanted(), rehearsing=found)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    real, count = writing._write, iter(range(100))

    def full(path, content):
        if next(count) == 4:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(path, content)

    monkeypatch.setattr(writing, "_write", full)
    with pytest.raises(DeploymentRefused, match="No space left on device"):
        deploy(bundle, To.DOCKER, out, Wanted(grace=9), force=force, rehearsing=found)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_failed_exchange_puts_the_earlier_folder_back(bundle, tmp_path, found, monkeypatch):
    out = tmp_path / "out"
    deploy(bundle, To.DOCKER, out, Wanted(), rehearsing=found)
    real = Path.rename

    def rename(self, target):
        if self.name.endswith(".new"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(DeploymentRefused, match="Input/output error"):
        deploy(bundle, To.DOCKER, out, Wanted(grace=9), force=True, rehearsing=found)
    assert '"--grace", "30"' in (out / "Dockerfile").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_who_runs_the_container_may_read_everything_whatever_the_umask(joined, tmp_path, found):
    before = os.umask(0o077)
    try:
        deploy(joined, To.DOCKER, tmp_path / "out", Wanted(), rehearsing=found)
    finally:
        os.umask(before)
    for path in [tmp_path / "out", *(tmp_path / "out").rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o755 if path.is_dir() else 0o644), path


def test_links_in_a_bundle_do_not_lead_out_of_the_context(bundle, tmp_path, found):
    out = tmp_path / "a" / "b"
    deploy(bundle, To.DOCKER, out, Wanted(), rehearsing=found)
    assert {p.name: p.read_bytes() for p in (out / "bundle").iterdir()} == {
        p.name: p.read_bytes() for p in bundle.iterdir()
    }
    assert not any(path.is_symlink() for path in out.rglob("*"))
