"""A small real data set in a store, and learners that misbehave."""

import math
from textwrap import dedent

import numpy as np
import pytest

from steelyard.contracts import Job
from steelyard.data import load, store
from steelyard.recipe import Train
from steelyard.spec import Spec
from steelyard.units import Seconds

SABOTEURS = dedent(
    '''
    """Learners that hang, die, eat memory or raise, registered in whichever process imports this module."""
    import os, signal, time
    import numpy as np
    from steelyard.contracts import Prior, Space
    from steelyard.registry import learners
    from steelyard.units import Estimate, How

    class Saboteur:
        honours, about = frozenset(), "misbehaves"
        def __init__(self, name, deed): self.name, self.deed = name, deed
        def accepts(self, task, schema): return None
        def space(self, task, schema): return Space({})
        def prior(self, task, schema, rows):
            return Prior(Estimate.exact(0.01, how=How.ASSUMED), Estimate(0.1, 0.0, 0.2, How.ASSUMED))
        def fit(self, plan, train, valid, work, meter): return self.deed()

    def eat():
        held = []
        while True:
            held.append(np.ones(4_000_000)); time.sleep(0.02)

    def raise_():
        raise ValueError("no luck today")

    def out_of_memory():
        raise MemoryError

    for name, deed in {
        "hang": lambda: time.sleep(3600),
        "crash": lambda: os.kill(os.getpid(), signal.SIGSEGV),
        "quit": lambda: os._exit(7),
        "eat": eat,
        "raise": raise_,
        "oom": out_of_memory,
    }.items():
        learners().add(name, Saboteur(name, deed))
    '''
)


@pytest.fixture
def frame():
    generator = np.random.default_rng(0)
    a, b = generator.normal(size=(2, 380))
    colour = generator.choice(["red", "green", "blue"], 380)
    odds = 1.5 * a - b + (colour == "red")
    return {
        "a": a.round(4).tolist(),
        "b": b.round(4).tolist(),
        "colour": colour.tolist(),
        "bought": np.where(odds + generator.logistic(size=380) > 0, "yes", "no").tolist(),
    }


@pytest.fixture
def kept(tmp_path, frame):
    """A store with a data set in it, and the data set."""
    dataset = load(Spec(data=frame, target="bought"), None)
    (tmp_path / "store" / "bundles").mkdir(parents=True)
    store.save(dataset, tmp_path / "store")
    return tmp_path / "store", dataset


@pytest.fixture
def job(kept):
    """A function from a learner's name to a job."""
    folder, dataset = kept

    def make(learner, number=0, seconds=math.inf, **more):
        recipe = learner if not isinstance(learner, str) else Train(learner=learner)
        fixed = {"fingerprint": dataset.fingerprint, "store": folder}
        return Job(number=number, recipe=recipe, seconds=Seconds(seconds), **fixed, **more)

    return make


@pytest.fixture(scope="session")
def saboteurs(tmp_path_factory):
    """The name of a module that registers the saboteurs in any process that this one starts."""
    folder = tmp_path_factory.mktemp("saboteurs")
    (folder / "saboteurs.py").write_text(SABOTEURS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder))
        yield "saboteurs"
