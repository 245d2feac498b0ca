import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra `deep` is not installed")
pytestmark = pytest.mark.deep

import onnx  # noqa: E402
from net_toys import Mean, Ragged, Tagger, made, numbers, tokens  # noqa: E402

from steelyard.contracts import Problem, Task  # noqa: E402
from steelyard.learners._graph import session  # noqa: E402
from steelyard.learners.nets.export import axes_of, exported  # noqa: E402
from steelyard.learners.nets.fitted import answered  # noqa: E402
from steelyard.learners.nets.scale import Scale  # noqa: E402

SORTS = Task(problem=Problem.BINARY, target="y", aim="accuracy", classes=("no", "yes"), positive="yes")
VALUES = Task(problem=Problem.FORECASTING, target="y", aim="mae", horizon=2, series=("a",))
TAGS = Task(problem=Problem.TAGGING, target="y", aim="accuracy", classes=("O", "B", "I"))


class Recurrent(torch.nn.Module):
    """An LSTM over tokens, read where it ends in both directions."""

    def __init__(self):
        super().__init__()
        self.table = torch.nn.Embedding(20, 8)
        self.cell = torch.nn.LSTM(8, 5, batch_first=True, bidirectional=True)
        self.head = torch.nn.Linear(10, 2)

    def forward(self, inputs):
        there = (inputs["ids"] > 0).float()[..., None]
        states, _ = self.cell(self.table(inputs["ids"]) * there)
        return self.head((states * there).amax(1))


def run(graph, inputs):
    return session(graph, threads=1).run(None, {name: one.numpy() for name, one in inputs.items()})[0]


def graph_of(net, material, task, scale=None):
    inputs = material.batch(np.arange(2))
    axes = axes_of(inputs, material.lengths is not None)
    return exported(net, inputs, axes, task, scale or Scale())


@pytest.mark.parametrize("kind", [Mean, Recurrent])
@pytest.mark.parametrize("rows", [1, 7])
def test_probabilities_of_rows_of_any_number_and_length(kind, rows):
    net, (material, _) = made(kind).eval(), tokens(rows, seed=3)
    graph = graph_of(net, tokens(5)[0], SORTS)
    scores = run(graph, material.batch(np.arange(rows)))
    np.testing.assert_allclose(scores, net(material.batch(np.arange(rows))).softmax(-1).detach(), atol=1e-6)


def test_an_lstm_stays_one_node():
    model = onnx.load_from_string(graph_of(made(Recurrent), tokens(5)[0], SORTS))
    assert [n.op_type for n in model.graph.node].count("LSTM") == 1
    assert not model.graph.value_info


def test_values_come_in_their_own_unit():
    net, (material, _) = made(outputs=2).eval(), numbers(9)
    scale = Scale(np.array([100.0, -5.0]), np.array([3.0, 0.5]))
    scores = run(graph_of(net, material, VALUES, scale), material.batch(np.arange(9)))
    np.testing.assert_allclose(scores, answered(net, material, VALUES, scale), rtol=1e-6)
    assert 90 < scores[:, 0].mean() < 110


def test_every_token_has_scores():
    net, material = made(Tagger).eval(), Ragged([np.array([1, 2, 3]), np.array([4]), np.array([5, 6])])
    scores = run(graph_of(net, material, TAGS), material.batch(np.arange(3)))
    assert scores.shape == (3, 3, 3)
    for own, one, length in zip(answered(net, material, TAGS, Scale()), scores, (3, 1, 2), strict=True):
        assert own.shape == (length, 3)
        np.testing.assert_allclose(one[:length], own, atol=1e-6)


def test_exporting_twice_gives_one_graph():
    first, again = (graph_of(made(), numbers()[0], SORTS) for _ in range(2))
    assert first == again
