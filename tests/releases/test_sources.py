"""Versions that come from elsewhere: verified before they are on the shelf, whole or not at all."""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from steelyard.errors import BundleRefused, MissingExtra, ServingRefused
from steelyard.serve import Releasing, Settings, make_app
from steelyard.serve.releases import versions
from steelyard.serve.releases.sources import Source

fsspec = pytest.importorskip("fsspec", reason="the extra `sources` is not installed")


@pytest.fixture
def far(shelf, tmp_path):
    """A shelf behind an address, and an empty one here."""
    return f"file://{shelf}", tmp_path / "here"


def start_far(start, far, **more):
    url, here = far
    return start(here, sources=(url,), **more)


def test_a_version_that_the_shelf_lacks_is_fetched_when_it_is_needed(far, shelf, start):
    server = start_far(start, far)
    assert versions(far[1]) == ("1",)
    assert [each["version"] for each in server.get("/releases").json()["versions"]] == ["1", "2", "3"]
    server.switch("2/promote")
    assert server.version() == "2"
    assert versions(far[1]) == ("1", "2")
    for path in (shelf / "2").rglob("*"):
        assert (far[1] / "2" / path.relative_to(shelf / "2")).read_bytes() == path.read_bytes()


def test_what_is_on_the_shelf_is_not_asked_for_again(far, shelf, start):
    start_far(start, far)
    shutil.rmtree(shelf)
    assert start_far(start, far, stable="").version() == "1"


def test_two_sources_are_asked_in_turn(shelf, tmp_path, start):
    empty = tmp_path / "empty"
    empty.mkdir()
    server = start(tmp_path / "here", sources=(f"file://{empty}", f"file://{shelf}"))
    server.switch("3/promote")
    assert server.version() == "3"


def test_the_log_may_lie_elsewhere_than_what_is_fetched(far, start, tmp_path):
    start_far(start, far, state=tmp_path / "state")
    assert (tmp_path / "state" / "switches.jsonl").exists()
    assert not (far[1] / "switches.jsonl").exists()


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def flip(path):
    content = bytearray(path.read_bytes())
    content[40] ^= 1
    path.write_bytes(content)


def lead_out(path):
    """Have the manifest name a file outside of its folder, as its maker could."""
    from steelyard.bundle.manifest import seal

    text = path.read_text()
    changed = text.replace('"card.md": {', '"../../outside.md": {')
    assert changed != text
    path.write_text(changed)
    path.with_name("manifest.sha256").write_bytes(seal(path.read_bytes()))


DAMAGES = [
    ("model.onnx", cut, "bytes instead of"),
    ("model.onnx", lambda path: path.write_bytes(path.read_bytes() + b"x"), "longer than the"),
    ("model.onnx", flip, "model.onnx is not what the manifest says"),
    ("model.onnx", Path.unlink, "model.onnx is not there"),
    ("manifest.json", flip, "manifest.json is not what manifest.sha256 says"),
    ("manifest.sha256", Path.unlink, "manifest.sha256 is not there"),
    ("manifest.json", lead_out, "'../../outside.md', which leaves the folder"),
]


@pytest.mark.parametrize(("name", "damage", "said"), DAMAGES)
def test_what_is_not_as_listed_never_reaches_the_shelf(far, shelf, name, damage, said):
    damage(shelf / "2" / name)
    with pytest.raises(BundleRefused, match=said):
        Source(far[0]).fetch("2", far[1])
    assert not far[1].exists() or not list(far[1].iterdir())
    assert not (far[1].parent / "outside.md").exists()


def test_what_a_manifest_does_not_list_stays_where_it_is(far, shelf):
    (shelf / "2" / "more.py").write_text("import os")
    Source(far[0]).fetch("2", far[1])
    assert not (far[1] / "2" / "more.py").exists()


def test_a_version_that_is_damaged_there_is_refused_by_the_server(far, shelf, start):
    flip(shelf / "2" / "model.onnx")
    server = start_far(start, far)
    assert "model.onnx is not what the manifest says" in server.switch("2/promote", status=409)["error"]
    assert server.version() == "1"
    assert versions(far[1]) == ("1",)


def test_a_source_that_is_gone_fails_no_request_and_says_so(far, shelf, start):
    server = start_far(start, far)
    shutil.rmtree(shelf)
    told = server.get("/releases").json()
    assert (told["stable"], told["problem"]) == ("1", "a source of versions does not answer")
    assert len(server.post("/v2/repository/index").json()) == 1
    assert "no such version on the shelf" in server.switch("2/promote", status=409)["error"]
    assert server.version() == "1"
    assert server.get("/v2/health/ready").status_code == 200


def test_a_download_that_is_killed_leaves_nothing_that_is_served(far, monkeypatch):
    source, calls = Source(far[0]), []
    read = source._read

    def killed(version, name, most):
        calls.append(name)
        if name == "model.onnx":
            raise KeyboardInterrupt
        return read(version, name, most)

    monkeypatch.setattr(source, "_read", killed)
    with pytest.raises(KeyboardInterrupt):
        source.fetch("2", far[1])
    assert "manifest.json" in calls
    assert versions(far[1]) == ()


@pytest.mark.parametrize("url", ["nosuch://x", "simplecache::file:///tmp"])
def test_what_is_no_address_is_refused_before_the_server_starts(tmp_path, url):
    with pytest.raises(ServingRefused, match="the source"):
        make_app(tmp_path, Settings(no_keys=True, releasing=Releasing(stable="1", sources=(url,))))


def test_without_the_package_one_sentence_says_which_extra_brings_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(MissingExtra, match=r"steelyard\[sources\]"):
        Source("s3://bucket/shelf")


# ------------------------------------------------------------------------------------------- object storage

SERVER = "from moto.server import main; import sys; main(sys.argv[1:])"


@pytest.fixture(scope="module")
def storage(tmp_path_factory):
    """The address of a server that speaks S3, on a port of its own."""
    for package in ("s3fs", "moto.server"):
        pytest.importorskip(package, reason="the extras `sources` and `dev` are not installed")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    words = [sys.executable, "-c", SERVER, "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                httpx.get(address, timeout=5)
                break
            except httpx.TransportError:
                assert process.poll() is None
                time.sleep(0.05)
        yield address
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def bucket(storage, monkeypatch, shelf):
    """A shelf in a bucket, whose server, keys and region are those of the environment."""
    import s3fs

    for name, value in (("ACCESS_KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test"), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", storage)
    s3fs.S3FileSystem.clear_instance_cache()
    files, name = s3fs.S3FileSystem(), f"models-{os.urandom(4).hex()}"
    files.mkdir(name)
    files.put(str(shelf), f"{name}/rent", recursive=True)
    yield f"s3://{name}/rent", files
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.mark.slow
def test_a_shelf_in_a_bucket_is_served_and_verified(bucket, tmp_path, start):
    url, files = bucket
    server = start(tmp_path / "here", sources=(url,))
    assert [each["version"] for each in server.get("/releases").json()["versions"]] == ["1", "2", "3"]
    server.switch("2/promote")
    assert server.version() == "2"
    path = f"{url.removeprefix('s3://')}/3/model.onnx"
    content = bytearray(files.cat(path))
    content[40] ^= 1
    files.pipe(path, bytes(content))
    assert "model.onnx is not what the manifest says" in server.switch("3/promote", status=409)["error"]
    files.rm(path)
    assert "model.onnx is not there" in server.switch("3/promote", status=409)["error"]
    assert versions(tmp_path / "here") == ("1", "2")


@pytest.mark.slow
def test_a_bucket_that_is_not_there_or_not_ours_is_a_sentence(bucket, tmp_path, monkeypatch, start):
    import s3fs

    with pytest.raises(BundleRefused, match="is not there"):
        Source("s3://no-such-bucket-here/rent").fetch("1", tmp_path / "here")
    server = start(tmp_path / "here", sources=(bucket[0],))
    with socket.create_server(("127.0.0.1", 0)) as probe:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{probe.getsockname()[1]}")
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(BundleRefused, match="cannot be read"):
        Source(bucket[0]).versions()
    assert server.version() == "1"
