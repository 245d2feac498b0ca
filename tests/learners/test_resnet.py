"""ResNet with the names and shapes that published checkpoints have, and what it may start from."""

import numpy as np
import pytest

from steelyard.bundle import About, write
from steelyard.contracts import Column, Kind, Problem, Schema, Task, Work
from steelyard.errors import SteelyardError
from steelyard.learners._cnn import Cnn
from steelyard.learners._resnet import Resnet
from steelyard.recipe import Plan, Settings, Step, Train

torch = pytest.importorskip("torch", reason="the extra `deep` is not installed")
pytestmark = pytest.mark.deep

from safetensors.torch import save_file  # noqa: E402
from torch import nn  # noqa: E402

from steelyard.learners._cnn_net import made  # noqa: E402
from steelyard.learners._image_checkpoints import take_over  # noqa: E402
from steelyard.learners._image_net import ImageNet  # noqa: E402
from steelyard.learners._image_places import mark_of, place_of  # noqa: E402
from steelyard.learners._resnet_net import Body  # noqa: E402

SCHEMA = Schema((Column(name="photo", kind=Kind.IMAGE),))
TASK = Task(problem=Problem.BINARY, target="y", aim="accuracy", classes=("a", "b"), positive="b")


def resnet(channels=3, *, width=16, stem="small", depth=18, seed=0):
    torch.manual_seed(seed)
    body = Body(channels, depth, width, stem)
    return ImageNet(channels, body, body.features, 2)


def pixels(channels=3, n=16, side=16, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, channels, side, side), dtype=torch.uint8, generator=generator)


def features(net, images):
    with torch.inference_mode():
        return net.eval().body(net.pixels({"image": images}))


def stirred(net):
    """Give every normalisation statistics and weights of its own."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low, high in (
                (module.weight, 0.5, 1.5),
                (module.bias, -0.5, 0.5),
                (module.running_var, 0.5, 2),
            ):
                nn.init.uniform_(tensor, low, high)
    return net


@pytest.mark.parametrize(("depth", "parameters"), [(18, 11_689_512), (50, 25_557_032)])
def test_it_has_as_many_parameters_as_the_published_ones(depth, parameters):
    with torch.device("meta"):
        body = Body(3, depth, 64, "large")
        head = nn.Linear(body.features, 1000)
    assert sum(p.numel() for module in (body, head) for p in module.parameters()) == parameters


def test_its_parameters_are_called_as_in_published_checkpoints():
    with torch.device("meta"):
        eighteen, fifty = (
            {name: tuple(p.shape) for name, p in Body(3, d, 64, "large").named_parameters()} for d in (18, 50)
        )
    assert eighteen["conv1.weight"] == (64, 3, 7, 7)
    assert eighteen["layer2.0.downsample.0.weight"] == (128, 64, 1, 1)
    assert eighteen["layer4.1.bn2.bias"] == (512,)
    assert "layer1.0.downsample.0.weight" not in eighteen
    assert fifty["layer1.0.downsample.0.weight"] == (256, 64, 1, 1)
    assert fifty["layer3.5.conv3.weight"] == (1024, 256, 1, 1)
    assert fifty["layer4.0.conv2.weight"] == (512, 512, 3, 3)


@pytest.mark.parametrize("channels", [3, 1])
def test_safetensors_are_taken_over_and_their_head_is_not(tmp_path, channels):
    source, net = stirred(resnet()), resnet(channels, seed=1)
    head = net.head.weight.clone()
    held = {**source.body.state_dict(), "fc.weight": torch.zeros(1000, 128), "fc.bias": torch.zeros(1000)}
    save_file(
        {name: one.contiguous() for name, one in held.items() if "num_batches" not in name}, tmp_path / "m.safetensors"
    )
    take_over(net, str(tmp_path), pixels(channels))
    grey = pixels(1).expand(-1, 3, -1, -1)
    images = grey if channels == 3 else pixels(1)
    torch.testing.assert_close(features(net, images), features(source, grey), atol=1e-4, rtol=1e-4)
    assert torch.equal(net.head.weight, head)


def bundled(folder, net, images):
    """Write a bundle of a net as a run does; return its folder."""
    from steelyard.learners._cnn_pictures import feed_of
    from steelyard.learners.nets.fitted import FittedNet
    from steelyard.learners.nets.reading import PlainReading
    from steelyard.learners.nets.scale import Scale

    cells = np.empty(2, object)
    cells[:] = [one.permute(1, 2, 0).numpy() for one in images[:2]]
    reading = PlainReading((feed_of("photo", list(cells), 64, given=False),))
    fitted = FittedNet(
        net=net.eval(), reading=reading, task=TASK, scale=Scale(), threads=1, rounds=1, example={"photo": cells}
    )
    write(folder / "bundle", fitted.export(), About(TASK, SCHEMA, Train(learner="cnn"), "0" * 16))
    return folder / "bundle"


@pytest.mark.parametrize("family", ["cnn", "resnet"])
def test_the_bundle_of_another_run_is_taken_over(tmp_path, family):
    def net(seed):
        torch.manual_seed(seed)
        return made(3, 16, width=8, blocks=1, outputs=2) if family == "cnn" else resnet(seed=seed)

    source, other = stirred(net(0)), net(1)
    images = pixels()
    take_over(other, str(bundled(tmp_path, source, images)), images)
    torch.testing.assert_close(features(other, images), features(source, images), atol=1e-3, rtol=1e-3)
    other.train()
    assert torch.isfinite(other({"image": images})).all()
    with pytest.raises(SteelyardError, match=r"of another architecture than this net: its convolution \d has shape"):
        take_over(
            made(3, 16, width=16, blocks=1, outputs=2) if family == "cnn" else resnet(width=32),
            str(tmp_path / "bundle"),
            images,
        )


def test_what_is_no_checkpoint_for_this_net_is_refused_with_a_way_out(tmp_path):
    net, images = resnet(), pixels()
    (tmp_path / "pickled").mkdir()
    torch.save({}, tmp_path / "pickled" / "model.pth")
    (tmp_path / "damaged.safetensors").write_bytes(b"\x00" * 20)
    save_file({"conv1.weight": torch.zeros(2)}, tmp_path / "short.safetensors")
    held = {name: one.contiguous() for name, one in resnet().body.state_dict().items()}
    save_file({**held, "layer5.0.weight": torch.zeros(1)}, tmp_path / "more.safetensors")
    save_file({**held, "bn1.bias": torch.zeros(3)}, tmp_path / "wide.safetensors")
    for place, sentence in (
        ("nowhere", "there is no checkpoint .*give a folder with .safetensors"),
        ("pickled", "holds pickles alone, which run code"),
        ("pickled/model.pth", "is a pickle, which runs code"),
        ("damaged.safetensors", "cannot be read as safetensors"),
        ("short.safetensors", "another architecture .*has shape|it lacks"),
        ("more.safetensors", r"it has layer5.0.weight, which this net has not; take the learner, `depth`"),
        ("wide.safetensors", r"its bn1.bias has shape \(3,\), not \(16,\)"),
    ):
        with pytest.raises(SteelyardError, match=sentence):
            take_over(net, str(tmp_path / place), images)


def test_a_mark_means_these_weights_and_no_others(tmp_path):
    place = tmp_path / "m.safetensors"
    held = {name: one.contiguous() for name, one in resnet().body.state_dict().items()}
    save_file(held, place)
    mark = mark_of(str(place))
    assert place_of(mark) == place_of(str(place)) == place
    save_file({**held, "bn1.bias": torch.ones(16)}, place)
    with pytest.raises(SteelyardError, match=r"has the digest \w+, and \w+ is asked for"):
        take_over(resnet(), mark, pixels())


def photos(n, seed=0):
    random = np.random.default_rng(seed)
    cells, target = np.empty(n, object), random.integers(0, 2, n)
    for i, one in enumerate(target):
        picture = random.integers(0, 100, (16, 16, 3))
        picture[(2 + 8 * one) : (6 + 8 * one)] += 140
        cells[i] = picture.astype(np.uint8)
    from steelyard.contracts import Split

    return Split({"photo": cells}, target, np.arange(n))


class Quiet:
    def __init__(self):
        self.notes = []

    def report(self, step, value):
        return True

    def remaining(self):
        return float("inf")

    def note(self, sentence):
        self.notes.append(sentence)


def test_after_a_training_under_attack_the_meter_is_told_what_is_withstood():
    meter = Quiet()
    plan = Plan(settings=Settings(epochs=4, width=8), parts=(Step(lever="adversarial"),))
    Cnn().fit(plan, photos(96), photos(40, seed=1), Work(task=TASK, schema=SCHEMA), meter)
    assert any("of 40 validation rows are decided rightly, and" in note for note in meter.notes)


def trained(learner, *parts, **settings):
    plan = Plan(settings=Settings(epochs=4, **settings), parts=parts)
    return learner.fit(plan, photos(96), None, Work(task=TASK, schema=SCHEMA), Quiet())


@pytest.mark.slow
def test_a_run_starts_from_the_bundle_of_another(tmp_path):
    first = trained(Cnn(), width=8)
    place = bundled(tmp_path, first.net, pixels())
    again = trained(Cnn(), Step(lever="pretrained", settings=Settings(checkpoint=str(place))), width=8)
    assert again.losses[0] < 0.85 * first.losses[0]  # its head is new


@pytest.mark.slow
def test_it_learns_and_the_bundle_says_the_same(tmp_path):
    fitted, new = trained(Resnet(), width=16), photos(40, seed=1)
    assert (fitted.scores(new.columns).argmax(1) == new.target).mean() > 0.9
    from steelyard.bundle import load

    write(tmp_path / "b", fitted.export(), About(TASK, SCHEMA, Train(learner="resnet"), "0" * 16))
    np.testing.assert_allclose(load(tmp_path / "b").answer(new.columns).scores, fitted.scores(new.columns), atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lever", "settings"),
    [
        ("augment", {"flip": "all", "mixup": 0.2}),
        ("adversarial", {"epsilon": 4.0, "steps": 2}),
        ("self-supervised", {"epochs": 2}),
        ("resize", {"share": 0.5}),
    ],
)
def test_each_lever_changes_the_training_and_is_repeated_by_the_same_seed(lever, settings):
    new = photos(20, seed=2)
    usual = trained(Cnn(), width=8).scores(new.columns)
    one, again = (trained(Cnn(), Step(lever=lever, settings=Settings(settings)), width=8) for _ in range(2))
    assert np.abs(one.scores(new.columns) - usual).max() > 1e-3
    np.testing.assert_array_equal(one.scores(new.columns), again.scores(new.columns))
    assert (one.reading.feeds[0].options["height"] == 8) == (lever == "resize")
