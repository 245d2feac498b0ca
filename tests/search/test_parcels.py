"""Folders travel as bytes and arrive whole or not at all, once; a parcel cannot write outside of its folder."""

import io
import math
import zipfile

import pytest

from steelyard.contracts import Errand, Job
from steelyard.data import load
from steelyard.data.store import save
from steelyard.errors import RunUnwritable
from steelyard.recipe import Combine, Settings, Train, digest
from steelyard.search.execute import execute
from steelyard.search.remote.freight import Freight
from steelyard.search.remote.outpost import PREFIX, Outpost
from steelyard.search.remote.parcels import data_of, family, pack, settle, unpack
from steelyard.search.remote.posts import Task
from steelyard.search.store import Store
from steelyard.spec import Quality, Spec
from steelyard.testing.executors import MEMORY
from steelyard.units import Seconds


@pytest.fixture
def store(tmp_path):
    (tmp_path / "bundles").mkdir()
    return Store(tmp_path)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "made" / "fold-0").mkdir(parents=True)
    (tmp_path / "made" / "outcome.json").write_text("{}")
    (tmp_path / "made" / "fold-0" / "graph.onnx").write_bytes(bytes(range(256)))
    return tmp_path / "made"


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_arrives_as_it_was(store, folder):
    unpack(pack(folder), store, "abc")
    assert files(store.bundles / "abc") == files(folder)
    assert [path.name for path in store.bundles.iterdir()] == ["abc"]


def test_a_parcel_that_is_delivered_twice_counts_once(store, folder):
    unpack(pack(folder), store, "abc")
    (folder / "outcome.json").write_text('{"another": 1}')
    unpack(pack(folder), store, "abc")
    assert (store.bundles / "abc" / "outcome.json").read_text() == "{}"
    assert [path.name for path in store.bundles.iterdir()] == ["abc"]


def test_a_data_set_travels_whole(tmp_path):
    (tmp_path / "here").mkdir()
    for name in ("data.arrow", "data.json"):
        (tmp_path / "here" / name).write_text(name)
    settle(tmp_path / "there", data_of(tmp_path / "here"))
    assert not (tmp_path / "there" / "unlabelled.arrow").exists()
    (tmp_path / "here" / "unlabelled.arrow").write_text("rows without a target")
    settle(tmp_path / "there", data_of(tmp_path / "here"))
    for name in ("data.arrow", "data.json", "unlabelled.arrow"):
        assert (tmp_path / "there" / name).read_bytes() == (tmp_path / "here" / name).read_bytes()


def archive(name):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        made.writestr("outcome.json", "{}")
        made.writestr(name, "x")
    return out.getvalue()


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside", "a/../../../outside"])
def test_a_parcel_that_names_a_file_outside_of_its_folder_is_refused(store, name):
    with pytest.raises(RunUnwritable, match="outside"):
        unpack(archive(name), store, "abc")
    assert list(store.bundles.iterdir()) == []
    assert not (store.path / "outside").exists()


@pytest.mark.parametrize("name", ["../abc", ".abc", "a/b"])
def test_a_parcel_under_a_name_that_no_bundle_has_is_refused(store, folder, name):
    with pytest.raises(RunUnwritable, match="no name of a bundle"):
        unpack(pack(folder), store, name)


def test_a_torn_parcel_leaves_nothing(store, folder):
    with pytest.raises(RunUnwritable, match="--resume"):
        unpack(pack(folder)[:-40], store, "abc")
    assert list(store.bundles.iterdir()) == []


def test_a_job_takes_along_all_that_it_is_made_of(store):
    leaves = [Train(learner="constant", seed=seed) for seed in range(3)]
    inner = Combine(lever="ensemble", parents=tuple(leaves[:2]), settings=Settings())
    outer = Combine(lever="threshold", parents=(inner,), settings=Settings())
    for recipe in (*leaves, inner):
        store.place(recipe).mkdir()
    store.refitted(leaves[0]).mkdir()
    names = {place.name for place in family(outer, store)}
    assert names == {digest(inner), digest(leaves[0]), digest(leaves[1]), f"{digest(leaves[0])}.all"}


@pytest.fixture
def asked_for(tmp_path, frame):
    """A function from a recipe to a job on a store where a threshold is worth something."""
    dataset = load(Spec(data=frame, target="bought", quality=Quality(metric="accuracy")), None)
    (tmp_path / "home" / "bundles").mkdir(parents=True)
    save(dataset, tmp_path / "home")

    def make(recipe, **more):
        endless = {"seconds": Seconds(math.inf), "number": 0} | more
        return Job(recipe=recipe, fingerprint=dataset.fingerprint, store=tmp_path / "home", **endless)

    return make


@pytest.fixture
def outpost(tmp_path):
    made = []

    def open_one():
        place = tmp_path / "far"
        place.mkdir(exist_ok=True)
        made.append(Outpost(place=str(place), threads=1, memory_bytes=MEMORY, silence=30.0, fetch=lambda ref: ref()))
        return made[-1]

    yield open_one
    for one in made:
        one.close()


def there_and_back(outpost, job):
    """Have a job done by an outpost through references that count how often they are fetched."""
    fetched = []

    def put(thing):
        return lambda: [fetched.append(thing), thing][1]

    freight = Freight(put)
    order, goods = freight.load(Task(job, began=0.0))
    outpost.take(order, goods)
    while (told := outpost.hear(1.0))["finished"] is None:
        continue
    return told, fetched


def test_an_outpost_makes_what_the_run_would_have_made_and_fetches_only_what_it_lacks(outpost, asked_for):
    base, other = Train(learner="linear"), Train(learner="constant")
    home = Store(asked_for(base).store)
    execute(asked_for(base))
    far = outpost()
    told, fetched = there_and_back(far, asked_for(other))
    assert told["finished"]["left"]["ending"] == "MEASURED"
    assert list(told["bundles"]) == [digest(other)]
    assert len(fetched) == 1, "the data"
    unpack(told["bundles"][digest(other)], home, digest(other))
    execute(asked_for(again := Train(learner="constant", seed=1)))  # another seed, for a folder of its own
    assert (home.answers(other).scores == home.answers(again).scores).all()

    joined = Combine(lever="threshold", parents=(base,), settings=Settings())
    told, fetched = there_and_back(far, asked_for(joined))
    assert told["finished"]["left"]["ending"] == "MEASURED", told["finished"]
    assert list(told["bundles"]) == [digest(joined)], "its parent was rebuilt"
    assert len(fetched) == 1, "the parent that another machine made"

    told, _ = there_and_back(far, asked_for(base, errand=Errand.REFIT))
    assert list(told["bundles"]) == [f"{digest(base)}.all"]
    assert told["finished"]["left"]["bundle"] == f"{digest(base)}.all"


def test_an_outpost_sweeps_up_after_those_that_were_killed_and_leaves_the_others_alone(outpost, tmp_path):
    first = outpost()
    dead = tmp_path / "far" / f"{PREFIX}dead"
    dead.mkdir()
    (dead / ".lock").touch()
    outpost()
    assert not dead.exists()
    assert first._lodging.path.exists()
    first.close()
    assert not first._lodging.path.exists()
