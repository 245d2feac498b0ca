"""A model of sounds, served: what goes over the wire, and what is refused there."""

import base64

import numpy as np
import pytest
from onnx import TensorProto

from steelyard.bundle import About, load, write
from steelyard.bundle.front_ends.hearing import Hearing
from steelyard.contracts import Artefact, Column, Feed, Kind, Problem, Schema, Task
from steelyard.data.waves import encode
from steelyard.learners._graph import Graph
from steelyard.recipe import Train
from steelyard.serve.faults import Fault
from steelyard.serve.limits import Limits
from steelyard.serve.log.inputs import Inputs
from steelyard.serve.model import Served, example
from steelyard.serve.oip.columns import table_of
from steelyard.serve.openapi import document
from steelyard.serve.rows import read
from steelyard.testing.bundles import check_bundle

TASK = Task(problem=Problem.BINARY, target="y", aim="roc_auc", classes=("low", "loud"), positive="loud")
SCHEMA = Schema((Column(name="call", kind=Kind.AUDIO),))


def loudness():
    """A graph that answers by the loudest cell of a spectrogram."""
    graph = Graph()
    x = graph.input("spectrogram", TensorProto.FLOAT, ["n", 40, "steps"])
    frames = graph.input("frames", TensorProto.INT64, ["n"])
    loud = graph.add("ReduceMax", x, graph.constant(np.array([1, 2], np.int64)), keepdims=0)
    loud = graph.add("Add", loud, graph.constant(np.array(6.0, np.float32)))
    zero = graph.add("Mul", graph.add("Cast", frames, to=TensorProto.FLOAT), graph.constant(np.array(0, np.float32)))
    odds = graph.add("Unsqueeze", graph.add("Add", loud, zero), graph.constant(np.array([1], np.int64)))
    both = graph.add("Concat", graph.add("Neg", odds), odds, axis=1)
    scores = graph.add("Softmax", both, output="scores", axis=1)
    model = graph.seal((scores, TensorProto.FLOAT, ["n", 2]))
    feed = Feed("spectrogram", ("spectrogram", "frames"), ("call",), Hearing(rate=8000, seconds=5.0).options())
    return Artefact(model, (feed,))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sounds") / "bundle"
    write(folder, loudness(), About(TASK, SCHEMA, Train(learner="audio-cnn"), "0" * 16))
    return folder


@pytest.fixture(scope="module")
def served(place):
    return Served("calls", "1", load(place), threads=1)


def tone(loud, rate=8000):
    return encode(loud * np.sin(np.arange(rate // 4) * 0.4), rate)


def body(*cells):
    rows = ",".join(f'{{"call": {cell}}}' for cell in cells)
    return f'{{"rows": [{rows}]}}'.encode()


def coded(content):
    return f'"{base64.b64encode(content).decode()}"'


def test_a_bundle_of_sounds_keeps_every_promise(place):
    check_bundle(place)


def test_sounds_come_in_base64_and_as_they_are(served):
    loud, low = tone(0.5), tone(0.001, 16000)
    by_rows = read(served, body(coded(loud), coded(low)), Limits())
    cells = np.array([[loud], [low]], object)
    by_tensor = table_of(served, {"call": cells}, Limits())
    text = np.array([[base64.b64encode(c).decode()] for c in (loud, low)], object)
    for table in (by_rows, by_tensor, table_of(served, {"call": text}, Limits())):
        answer = served.bundle.answer(served.layout.columns_of(table))
        assert answer.decided.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ('"%%%"', "not valid base64"),
        (coded(b""), "empty"),
        (coded(b"ID3" + bytes(50)), "is MP3, not wav"),
        (coded(tone(0.1)[:44]), "no samples"),
        ('"/etc/hostname"', "not valid base64"),
        ("null", "give the bytes of a wav file in base64"),
        ("7", "give the bytes of a wav file in base64"),
    ],
)
def test_what_is_no_sound_is_refused_by_a_sentence(served, cell, said):
    with pytest.raises(Fault, match=said):
        read(served, body(cell), Limits())


def test_a_path_is_never_opened_for_a_client(served, tmp_path):
    (tmp_path / "secret.wav").write_bytes(tone(0.5))
    for cell in (str(tmp_path / "secret.wav"), f"{tmp_path}/secret.wav".encode()):
        with pytest.raises(Fault):
            table_of(served, {"call": np.array([[cell]], object)}, Limits())


def test_the_page_and_the_description_ask_for_a_file(served):
    row = document(served, Limits())["components"]["schemas"]["Row"]["properties"]["call"]
    assert row["contentEncoding"] == "base64"
    assert row["x-kind"] == "audio"


def test_the_log_keeps_a_hash_and_the_example_is_answered(served):
    table = served.layout.of_cells([{"call": tone(0.5)}])
    kept = Inputs("columns:call", served.layout).of(table, 0)["call"]
    assert set(kept) == {"sha256", "length"}
    assert np.isfinite(
        served.bundle.answer(served.layout.columns_of(served.layout.of_cells([example(served.layout)]))).scores
    ).all()
