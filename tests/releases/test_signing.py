"""Who vouches for a bundle: what is refused, and the sentence it is refused with."""

import json
import shutil
import stat
import subprocess
import sys

import pytest

from steelyard.bundle import load
from steelyard.bundle.signing import SIGNATURE, Signer, Trust, keygen
from steelyard.errors import BundleRefused, RunUnwritable, ServingRefused, SigningRefused
from steelyard.serve import Releasing, Settings, make_app
from steelyard.serve.releases import shelve, versions


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Two keys, each as (private, public)."""
    home = tmp_path_factory.mktemp("keys")
    return [(home / name, keygen(home / name)) for name in ("ours.pem", "theirs.pem")]


@pytest.fixture
def trust(keys):
    return Trust([keys[0][1]])


@pytest.fixture
def signed(keys, bundles, tmp_path):
    """A shelf of two versions, both signed by the first key."""
    place = tmp_path / "signed"
    for version in ("1", "2"):
        shelve(bundles[version], place, version=version, signer=Signer(keys[0][0]))
    return place


def flip(path, place=40):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def swap(place):
    (place / "1").rename(place / "x")
    (place / "2").rename(place / "1")


def reseal(place):
    """Change the manifest and its seal, as somebody without the key can."""
    from steelyard.bundle.manifest import seal

    manifest = place / "1" / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b"f1ngerpr1nt", b"f1ngerpr2nt"))
    (place / "1" / "manifest.sha256").write_bytes(seal(manifest.read_bytes()))


def flip_signature(place):
    path = place / "1" / SIGNATURE
    data = json.loads(path.read_bytes())
    data["ed25519"] = ("A" if data["ed25519"][0] != "A" else "B") + data["ed25519"][1:]
    path.write_text(json.dumps(data))


def swap_and_rename(place):
    """Put a version in the place of another, and have its signature say so."""
    swap(place)
    path = place / "1" / SIGNATURE
    path.write_text(path.read_text().replace('"version": "2"', '"version": "1"'))


DAMAGES = [
    (lambda place: flip(place / "1" / "model.onnx"), "model.onnx is not what the manifest says it is"),
    (lambda place: flip(place / "1" / "manifest.json"), "manifest.json is not what manifest.sha256 says"),
    (reseal, "its signature does not fit its manifest"),
    (flip_signature, "its signature does not fit its manifest"),
    (lambda place: (place / "1" / "card.md").unlink(), "card.md is missing"),
    (lambda place: (place / "1" / "more.py").touch(), "more.py is not listed in the manifest"),
    (swap, "signed as version '2' and stands in the place of '1'"),
    (swap_and_rename, "its signature does not fit its manifest"),
    (lambda place: (place / "1" / SIGNATURE).unlink(), "it is not signed, and only signed bundles are loaded here"),
    (lambda place: (place / "1" / SIGNATURE).write_text("[]"), "manifest.sig is no signature"),
    (lambda place: (place / "1" / SIGNATURE).write_text("[" * 4000), "manifest.sig is no signature"),
    (lambda place: (place / "1" / SIGNATURE).write_text("x" * 5000), "too large to be one"),
]


def test_a_signed_version_is_loaded_by_whom_trusts_the_key(signed, trust):
    assert load(signed / "1", trust=trust, version="1").predict({"age": [3]}).shape == (1,)
    assert load(signed / "1").predict({"age": [3]}).shape == (1,)


@pytest.mark.parametrize(("damage", "said"), DAMAGES)
def test_whatever_is_not_as_it_was_signed_is_refused_with_its_sentence(signed, trust, damage, said):
    damage(signed)
    with pytest.raises(BundleRefused, match=said):
        load(signed / "1", trust=trust, version="1")


def test_another_key_is_refused_by_its_fingerprint(signed, keys):
    theirs, ours = Signer(keys[1][0]).fingerprint, Signer(keys[0][0]).fingerprint
    with pytest.raises(BundleRefused, match=rf"signed by the key '{ours}'; trusted here: {theirs}"):
        load(signed / "1", trust=Trust([keys[1][1]]), version="1")
    assert load(signed / "1", trust=Trust([keys[1][1], keys[0][1]]), version="1")


def test_a_key_that_claims_the_name_of_another_one_does_not_pass(signed, keys, bundles, trust):
    ours = Signer(keys[0][0]).fingerprint
    forger = Signer(keys[1][0])
    forger.fingerprint = ours
    shelve(bundles["3"], signed, version="3", signer=forger)
    with pytest.raises(BundleRefused, match="does not fit its manifest"):
        load(signed / "3", trust=trust, version="3")


def test_a_server_promotes_signed_versions_only(signed, keys, bundles, start):
    shelve(bundles["3"], signed, version="3")
    server = start(signed, trust=(keys[0][1],))
    assert "version '3': it is not signed" in server.switch("3/promote", status=409)["error"]
    server.switch("2/promote")
    assert server.version() == "2"


def test_a_server_does_not_start_with_a_stable_version_that_nobody_vouches_for(shelf, keys):
    with pytest.raises(BundleRefused, match="not signed"):
        make_app(shelf, Settings(no_keys=True, releasing=Releasing(stable="1", trust=(keys[0][1],))))


def test_a_plain_bundle_is_vouched_for_under_the_name_of_its_folder(signed, keys, bundles):
    trusting = Settings(no_keys=True, releasing=Releasing(trust=(keys[0][1],)))
    make_app(signed / "2", trusting).close()
    with pytest.raises(BundleRefused, match="not signed"):
        make_app(bundles["1"], trusting)
    shutil.copytree(signed / "2", signed / "1b")
    with pytest.raises(BundleRefused, match="signed as version '2'"):
        make_app(signed / "1b", trusting)


def test_a_private_key_is_for_its_owner_alone_and_is_never_overwritten(tmp_path):
    public = keygen(tmp_path / "key.pem")
    assert stat.S_IMODE((tmp_path / "key.pem").stat().st_mode) == 0o600
    assert public.read_bytes().startswith(b"-----BEGIN PUBLIC KEY")
    before = (tmp_path / "key.pem").read_bytes()
    with pytest.raises(RunUnwritable, match="no key is overwritten"):
        keygen(tmp_path / "key.pem")
    assert (tmp_path / "key.pem").read_bytes() == before


def test_what_is_no_key_is_refused_by_name(keys, tmp_path):
    private, public = keys[0]
    (tmp_path / "text").write_text("no key")
    for path in (public, tmp_path / "text", tmp_path / "absent"):
        with pytest.raises(SigningRefused, match=path.name):
            Signer(path)
    for path in (private, tmp_path / "text", tmp_path / "absent"):
        with pytest.raises(SigningRefused, match=path.name):
            Trust([path])
    with pytest.raises(SigningRefused, match="no key is trusted"):
        Trust([])


def test_without_the_package_one_sentence_says_which_extra_brings_it(tmp_path):
    code = (
        "import sys; sys.modules['cryptography'] = None\n"
        "from pathlib import Path\n"
        "from steelyard.bundle.signing import Trust\n"
        "from steelyard.errors import MissingExtra\n"
        "try: Trust([Path('key')])\n"
        "except MissingExtra as problem: print(problem)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "a signature needs 'cryptography': pip install 'steelyard[sign]'\n"


# -------------------------------------------------------------------------------------------------- shelving


def test_a_version_is_shelved_whole_under_the_next_number_and_never_over_another(bundles, tmp_path):
    place = tmp_path / "new" / "shelf"
    assert [shelve(bundles[v], place) for v in ("1", "2")] == ["1", "2"]
    assert shelve(bundles["3"], place, version="2026-11-22.1") == "2026-11-22.1"
    assert shelve(bundles["3"], place) == "3"
    assert versions(place) == ("1", "2", "2026-11-22.1", "3")
    before = (place / "2" / "model.onnx").read_bytes()
    with pytest.raises(RunUnwritable, match="exists already"):
        shelve(bundles["3"], place, version="2")
    assert (place / "2" / "model.onnx").read_bytes() == before


@pytest.mark.parametrize("name", ["../x", "a/b", ".hidden", "x" * 65, "a b", "-a", "\u00e9"])
def test_a_name_that_leads_elsewhere_is_no_name(bundles, tmp_path, name):
    with pytest.raises(ServingRefused, match="is no name of a version"):
        shelve(bundles["1"], tmp_path / "shelf", version=name)
    assert not (tmp_path / "shelf").exists()


def test_a_damaged_bundle_is_not_shelved_and_a_bundle_is_no_shelf(bundles, tmp_path):
    copy = shutil.copytree(bundles["1"], tmp_path / "copy")
    with pytest.raises(RunUnwritable, match="is a bundle, and no shelf"):
        shelve(bundles["2"], copy)
    flip(copy / "model.onnx")
    with pytest.raises(BundleRefused, match=r"model\.onnx is not what"):
        shelve(copy, tmp_path / "shelf")
    assert not (tmp_path / "shelf").exists()


def test_a_signature_of_a_bundle_is_not_carried_to_another_name(signed, tmp_path, trust):
    shelve(signed / "1", tmp_path / "other", version="7")
    assert not (tmp_path / "other" / "7" / SIGNATURE).exists()
    with pytest.raises(BundleRefused, match="not signed"):
        load(tmp_path / "other" / "7", trust=trust, version="7")
