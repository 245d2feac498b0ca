import importlib.util
from pathlib import Path

import numpy as np
import pytest

from steelyard.contracts import Answer, Problem, Split
from steelyard.levers.shrinking._quantise import Quantise
from steelyard.levers.shrinking.quantising.editing import ready
from steelyard.levers.shrinking.quantising.instructions import Instructions, named, of_this_machine
from steelyard.levers.shrinking.quantising.parity import Apart, apart, eased, noise
from steelyard.levers.shrinking.quantising.weights import scaled
from steelyard.recipe import Settings

_spec = importlib.util.spec_from_file_location("quantise_graphs", Path(__file__).with_name("quantise_graphs.py"))
graphs = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(graphs)
dense, numbers, operators, pictures, pixels = (
    graphs.dense,
    graphs.numbers,
    graphs.operators,
    graphs.pictures,
    graphs.pixels,
)
run, weight = graphs.run, graphs.weight


@pytest.mark.parametrize(
    ("flags", "machine", "found"),
    [
        ({"avx2", "avx_vnni"}, "x86_64", Instructions.VNNI),
        ({"avx2", "avx512_vnni", "amx_int8"}, "x86_64", Instructions.AMX),
        ({"avx2", "avx512bw"}, "x86_64", Instructions.AVX2),
        (set(), "AMD64", Instructions.AVX2),
        (set(), "arm64", Instructions.DOT),
        ({"asimd"}, "aarch64", Instructions.PLAIN),
    ],
)
def test_processors_are_told_apart_by_their_flags(flags, machine, found):
    assert named(flags, machine) is found
    assert found.saturates == (found is Instructions.AVX2)


def test_this_machine_is_read_where_it_says_what_it_is(tmp_path, monkeypatch):
    (tmp_path / "cpuinfo").write_text("processor : 0\nflags : fpu avx2 avx512_vnni\n")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr("steelyard.levers.shrinking.quantising.instructions.CPUINFO", tmp_path / "cpuinfo")
    assert of_this_machine() is Instructions.VNNI
    monkeypatch.setattr("steelyard.levers.shrinking.quantising.instructions.CPUINFO", tmp_path / "absent")
    assert of_this_machine() is Instructions.AVX2


class Fake:
    """A judge to whom a graph is its number of finer nodes: so many changed decisions go with each."""

    def __init__(self, *changed):
        self.changed, self.asked = changed, []

    def apart(self, made):
        self.asked.append(made)
        return Apart(self.changed[made], 0.0)


@pytest.mark.parametrize(
    ("changed", "tries", "kept", "asked"),
    [
        ([0.0, 0, 0, 0], 9, 0, [0]),
        ([0.3, 0.2, 0.1, 0.1, 0.0, 0.0, 0.0], 9, 4, [0, 1, 2, 4, 3]),
        ([0.3, 0.2, 0.1, 0.0, 0.0, 0.0, 0.0], 9, 3, [0, 1, 2, 4, 3]),
        ([0.3, 0.2, 0.1, 0.1, 0.0, 0.0, 0.0], 3, 2, [0, 1, 2]),
        ([0.3, 0.2, 0.1, 0.4], 9, 2, [0, 1, 2, 3]),
        ([0.3, 0.2], 1, 0, [0]),
        ([0.3], 9, 0, [0]),
    ],
)
def test_as_few_nodes_as_possible_get_a_finer_form(meter, changed, tries, kept, asked):
    judge = Fake(*changed)
    order = [str(i) for i in range(len(changed) - 1)]
    found = eased(len, lambda: order, judge, lose=0.01, tries=tries, meter=meter)
    assert (found.artefact, judge.asked, found.tries) == (kept, asked, len(asked))
    assert list(found.finer) == order[:kept]


def test_nothing_more_is_tried_when_the_time_is_up(meter):
    meter.remaining = lambda: 0.0
    judge = Fake(0.3, 0.0)
    assert eased(len, lambda: ["a"], judge, lose=0.0, tries=9, meter=meter).artefact == 0
    assert judge.asked == [0]


def test_noise_names_the_node_that_is_hurt(random):
    made = dense(random, loud=3000.0)
    split, _ = numbers(random, 64)
    found = noise(ready(made.graph), made, split, bits=8, activations=True, least=4_096)
    assert max(found, key=found.get) == "second"
    still = noise(ready(made.graph), made, split, bits=4, activations=False, least=4_096)
    assert 0.001 < still["second"] < found["second"]


def test_tags_are_compared_token_by_token():
    scores, others, tags = (np.empty(2, object) for _ in range(3))
    scores[:] = [np.array([[0.9, 0.1]]), np.array([[0.2, 0.8], [0.6, 0.4]])]
    others[:] = [np.array([[0.9, 0.1]]), np.array([[0.7, 0.3], [0.6, 0.4]])]
    tags[:] = [np.array([0]), np.array([1, 0])]
    other_tags = tags.copy()
    other_tags[1] = np.array([0, 0])
    found = apart(Answer(scores, tags), Answer(others, other_tags), Problem.TAGGING)
    assert (found.changed, found.moved) == (pytest.approx(1 / 3), pytest.approx(1 / 6))


def test_numbers_are_apart_by_their_spread():
    one, other = (Answer(np.array([[0.0], [2.0], [4.0]]) + by, np.zeros(3)) for by in (0.0, 0.5))
    found = apart(one, other, Problem.REGRESSION)
    assert found.changed == pytest.approx(0.25 / one.scores.var())
    assert found.moved == pytest.approx(0.5 / one.scores.std())


@pytest.mark.deep
@pytest.mark.slow
def test_weights_that_learned_to_be_rounded_are_written_as_they_are(random, meter):
    made, split, work = pictures(random, 200)
    targets = run(made, image=pixels(split)).argmax(1).astype(np.int64)
    split = Split(split.columns, targets, split.rows)
    taught = Quantise().apply(made, split, Settings(epochs=2, lose=1.0), work, meter)
    plain = Quantise().apply(made, split, Settings(lose=1.0), work, meter)
    assert operators(taught) == operators(plain)
    assert taught.graph != plain.graph
    assert np.abs(run(taught, image=pixels(split)) - run(made, image=pixels(split))).mean() < 0.05


@pytest.mark.deep
@pytest.mark.slow  # PyTorch takes seconds to load
def test_rounding_in_training_is_the_rounding_that_ships(random):
    torch = pytest.importorskip("torch")
    from steelyard.levers.shrinking.quantising.fake import Rounding

    made = dense(random)
    around = Rounding(ready(made.graph), 4_096, narrow=False)

    class Step:
        name = "first"

    value = torch.nn.Parameter(torch.from_numpy(weight(made, "w").copy()))
    small, scale = scaled(weight(made, "w"), (0,))
    fake = around(Step, 1, value)
    np.testing.assert_allclose(fake.detach().numpy(), small * scale, atol=1e-6)
    fake.sum().backward()
    assert torch.equal(value.grad, torch.ones_like(value))
    flowing = torch.linspace(-1.0, 3.0, 1001, requires_grad=True)
    rounded = around(Step, 0, flowing)
    assert len(torch.unique(rounded)) <= 256
    assert torch.allclose(rounded, flowing, atol=4 / 255 / 2 + 1e-6)
    assert around(Step, 2, flowing) is flowing
