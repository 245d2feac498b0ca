"""What a browser cannot do is said before anything is written, and so is where ONNX Runtime Web is missing."""

import hashlib
import io
import json
import re
import subprocess
import tarfile

import pytest
from onnx import TensorProto, helper
from typer.testing import CliRunner

from steelyard.bundle import About, write
from steelyard.bundle.opening import read
from steelyard.cli import app
from steelyard.contracts import Artefact, Column, Feed, Kind, Problem, Schema, Task
from steelyard.errors import ExportRefused
from steelyard.export import Given, export
from steelyard.export.browser import fit, runtime
from steelyard.export.browser.linking import library, modules, script, source
from steelyard.export.browser.tokenisers import read_tokeniser
from steelyard.recipe import Train

TASK = Task(problem=Problem.BINARY, target="y", aim="roc_auc", classes=("no", "yes"), positive="yes")


def bundle(folder, operator="Softmax", **more):
    nodes = [
        helper.make_node("Cast", ["x"], ["cast"], to=TensorProto.FLOAT),
        helper.make_node(operator, ["cast"], ["scores"], **more),
    ]
    ends = [
        helper.make_tensor_value_info(name, kind, ["n", 2])
        for name, kind in (("x", TensorProto.DOUBLE), ("scores", TensorProto.FLOAT))
    ]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    schema = Schema((Column(name="a", kind=Kind.NUMBER), Column(name="b", kind=Kind.NUMBER)))
    artefact = Artefact(model.SerializeToString(), (Feed("numbers", ("x",), ("a", "b")),))
    write(folder, artefact, About(TASK, schema, Train(learner="linear"), "0" * 16))
    return folder


def test_an_operator_that_was_not_seen_to_run_is_named(tmp_path):
    with pytest.raises(ExportRefused, match="the operator RandomNormalLike"):
        fit.check_fits(read(bundle(tmp_path / "b", "RandomNormalLike")))


@pytest.mark.parametrize("front_end", ["spectrogram", "sequence", "subwords", "lags"])
def test_a_front_end_that_is_not_ported_is_named_with_the_way_out(front_end):
    with pytest.raises(ExportRefused, match=f"front end '{front_end}' does not run in a browser.*steelyard serve"):
        fit.check_feed(Feed(front_end, ("x",), ("a",)), {})


def test_every_front_end_and_rule_that_is_let_through_is_written_in_javascript():
    (named,) = re.findall(r"const FRONT_ENDS = \{([^}]*)\}", source("feeds.js"))
    assert set(re.findall(r"\w+", named)) == fit.FRONT_ENDS
    (named,) = re.findall(r"const RULES = \{([^}]*)\}", source("rules.js"))
    assert set(re.findall(r"\w+", named)) == fit.RULES


TOKENISER = {
    "normalizer": None,
    "pre_tokenizer": {"type": "BertPreTokenizer"},
    "model": {"type": "BPE", "vocab": {"a": 0}, "merges": [], "unk_token": "a"},
    "post_processor": None,
    "added_tokens": [],
}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"pre_tokenizer": {"type": "ByteLevel"}}, "a pre-tokenizer 'ByteLevel'"),
        ({"model": {"type": "Unigram"}}, "a model 'Unigram'"),
        ({"normalizer": {"type": "Sequence", "normalizers": [{"type": "Replace"}]}}, "a normalizer 'Replace'"),
        ({"post_processor": {"type": "RobertaProcessing"}}, "a post-processor 'RobertaProcessing'"),
        ({"model": {**TOKENISER["model"], "byte_fallback": True}}, "a BPE with byte_fallback"),
        ({"added_tokens": [{"content": "<name>", "special": False}]}, "added tokens such as '<name>'"),
    ],
)
def test_a_part_of_a_tokenizer_that_is_not_ported_is_named(changed, said):
    assert read_tokeniser(json.dumps(TOKENISER).encode())["model"]["type"] == "BPE"
    with pytest.raises(ExportRefused, match=said):
        read_tokeniser(json.dumps(TOKENISER | changed).encode())


def test_a_tagging_is_refused_in_one_sentence(tmp_path):
    found = read(bundle(tmp_path / "b"))
    task = Task(problem=Problem.TAGGING, target="y", aim="entity_f1", classes=("O", "B-x"))
    tagging = type(found)(found.manifest.model_copy(update={"task": task}), found.files)
    with pytest.raises(ExportRefused, match="this is a tagging; serve the bundle with `steelyard serve` instead"):
        fit.check_fits(tagging)


def test_nothing_is_written_where_something_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(ExportRefused, match="--download, or run `npm install onnxruntime-web@"):
        export(bundle(tmp_path / "b"), "browser", Given(out=tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_another_version_of_the_runtime_is_named(tmp_path):
    for name in runtime.DIGESTS:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"something else")
    (tmp_path / "package.json").write_text('{"version": "1.2.3"}')
    with pytest.raises(
        ExportRefused, match=re.escape(f"is not that of onnxruntime-web {runtime.VERSION} but of 1.2.3")
    ):
        runtime.runtime(tmp_path)
    with pytest.raises(ExportRefused, match="does not hold onnxruntime-web"):
        runtime.runtime(tmp_path / "nowhere")


def test_an_archive_that_is_not_the_pinned_one_is_not_unpacked(tmp_path):
    (tmp_path / "it.tgz").write_bytes(b"not what was published")
    with pytest.raises(ExportRefused, match="its digest differs from the pinned one"):
        runtime.unpack(tmp_path / "it.tgz", tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


def test_the_pinned_archive_is_unpacked_and_found_again(tmp_path, monkeypatch):
    contents = {"dist/a.mjs": b"script", "dist/b.wasm": b"binary", "package.json": b"{}"}
    with tarfile.open(tmp_path / "it.tgz", "w:gz") as archive:
        for name, content in contents.items():
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    import base64

    digest = hashlib.sha512((tmp_path / "it.tgz").read_bytes()).digest()
    names = ("dist/a.mjs", "dist/b.wasm")
    monkeypatch.setattr(runtime, "ARCHIVE", base64.b64encode(digest).decode())
    monkeypatch.setattr(runtime, "DIGESTS", {name: hashlib.sha256(contents[name]).hexdigest() for name in names})
    monkeypatch.setattr(runtime, "SCRIPT", names[0])
    monkeypatch.setattr(runtime, "BINARY", names[1])
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    runtime.unpack(tmp_path / "it.tgz", runtime.cache())
    found = runtime.runtime()
    assert (found.script, found.binary) == (b"script", b"binary")
    assert b"MIT" in found.licences["onnxruntime-LICENSE"]


def test_without_npm_a_download_is_refused_with_the_way_out(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(runtime.shutil, "which", lambda name: None)
    with pytest.raises(ExportRefused, match="npm is not installed; install it, or name a folder"):
        runtime.runtime(download=True)


def test_where_npm_fails_its_last_word_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(runtime.shutil, "which", lambda name: "npm")

    def fails(command, **more):
        raise subprocess.CalledProcessError(1, command, stderr="npm error\nnpm error network down")

    monkeypatch.setattr(runtime.subprocess, "run", fails)
    with pytest.raises(ExportRefused, match=r"npm could not fetch .*network down"):
        runtime.runtime(download=True)


def test_options_of_the_browser_are_refused_elsewhere_and_no_run_is_needed(run, tmp_path):
    with pytest.raises(ExportRefused, match="--web and --download are for --to browser"):
        export(run, "csv", Given(download=True))
    told = CliRunner().invoke(app, ["export", str(tmp_path), "--to", "browser", "-o", str(tmp_path / "out")])
    assert told.exit_code != 0


@pytest.mark.parametrize("entry", ["page.js", "steelyard.js"])
def test_linked_modules_share_no_name_and_leave_none_behind(entry):
    names = [
        name
        for module in modules(entry)
        for name in re.findall(
            r"^(?:export )?(?:async )?(?:function|const|let|class) (\w+)", source(module), re.MULTILINE
        )
    ]
    assert len(names) == len(set(names)), sorted(name for name in names if names.count(name) > 1)
    for text in (script(entry), library(entry)):
        assert not re.search(r"^import ", text, re.MULTILINE)
    assert not re.search(r"^export ", script(entry), re.MULTILINE)


def test_modules_are_short_and_name_no_address():
    for name in {*modules("page.js"), "page.css", "index.html", "steelyard.d.ts"}:
        text = source(name)
        assert len(text.splitlines()) <= 400
        assert max(map(len, text.splitlines())) <= 120 or name in {"index.html", "page.css"}, name
        assert "://" not in text
