"""Following advice through a world of measured cells: the package's own search, curves, prices and choice."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from cells import PARTS
from sets import HELD
from world import PERFECT, SERVED, TRAINING, TRIES, Cell, Walk

from steelyard.advise import Action, Curve, TooFewSizes, Yard, choose, in_order
from steelyard.advise.labels import label_action
from steelyard.advise.pulls import pulls
from steelyard.contracts import Context, Ending, Trial
from steelyard.money import Price
from steelyard.recipe import Plan, Recipe, Settings, Shrink, Train, trainings
from steelyard.registry import learners, levers
from steelyard.search.experience import experience
from steelyard.search.loop import context_of
from steelyard.search.moves import Search, Terms
from steelyard.search.spending import OverHorizon
from steelyard.units import Estimate, How, Money, Seconds

PULLED = ("tune", "quantise", "distil")


@cache
def context(name: str) -> Context:
    """Return what levers may know of a set."""
    one = next(each for each in HELD if each.name == name)
    return context_of(one.spec(), one.load(), 1)


def follow(walk: Walk) -> str | None:
    """Do what advice says, once; return what it was, ``None`` where it says stop."""
    yard = yard_of(walk)
    doable = offers(walk, yard)
    actions = in_order(doable, yard)
    place = choose(actions, yard)
    if place is None:
        return None
    kind, learner = doable[actions[place]]
    walk.do(kind, learner)
    return f"{kind} {learner}".strip()


def yard_of(walk: Walk) -> Yard:
    """Return money: the way from the constant model to a perfect one is worth what the world says."""
    way = 1.0 - walk.world.constant("validation")
    return Yard(worth=OverHorizon(0.0, "USD", 1000 * PERFECT / way), aim="score", way=way)


def offers(walk: Walk, yard: Yard) -> dict[Action, tuple[str, str]]:
    """Return the actions of advice that can be done in this world, at the world's prices."""
    possible, world, found = set(walk.options()), walk.world, {}

    def serving(recipe: Recipe) -> float | None:
        cell = next((c for c in walk.seen if recipe_of(c, world.name) == recipe), None)
        return None if cell is None else SERVED * world.busy(cell)

    kinds = {"start": "train", "tune": "tune", "quantise": "shrink", "distil": "shrink"}
    for ranked in search_of(walk).rank():
        what = kinds[ranked.move.lever], trainings(ranked.move.recipe)[0].learner
        if what not in possible:
            continue
        for action in pulls([ranked], yard, serving):
            count = TRIES if what[0] == "tune" else 1
            price = count * TRAINING * world.levels[walk.level]
            gain = several(action.gain) if what[0] == "tune" else action.gain
            found[replace(action, gain=gain, cost=Estimate.exact(price, unit="USD"))] = what
    if ("labels", "") in possible and (curve := curve_of(walk)) is not None:
        now, then = world.count(walk.level), world.count(walk.level + 1)
        label = Price(Money.parse(f"{world.label:.6f} USD"), "label", "given")
        bought = label_action(curve, now, yard, label, offered=(then - now,))
        assert bought.cost is not None
        again = world.training(replace(walk.best, level=walk.level + 1))
        cost = Estimate.exact(bought.cost.value + again, unit="USD")
        found[replace(bought, cost=cost)] = "labels", ""
    return found


def several(gain: Estimate) -> Estimate:
    """Return what several tries of tuning bring, one bringing so much: as the search has it, it grows with the log."""
    return gain.scaled(2.0 if TRIES == 3 else 1.0, unit=gain.unit, how=How.ESTIMATED, source=gain.source)


@cache
def elsewhere(name: str, learner: str) -> Settings:
    """Return settings that stand for tuned ones: the first number of the learner's space, at an end of its range."""
    space = context(name).space(learner)
    found = ((each, s) for each, s in space.settings.items() if s.low is not None and s.default is not None)
    first, setting = next(found)
    return Settings({first: setting.low if setting.low != setting.default else setting.high})


def recipe_of(cell: Cell, name: str) -> Recipe:
    """Return a recipe that stands for a cell of a set."""
    plan = Plan(settings=elsewhere(name, cell.learner)) if cell.tuned else Plan()
    train = Train(learner=cell.learner, plan=plan)
    return Shrink(lever="quantise", parent=train) if cell.shrunk else train


def search_of(walk: Walk) -> Search:
    """Return the search, told of the cells that were paid for; what was seen with fewer labels moves with the best."""
    world, known = walk.world, context(walk.world.name)
    terms = Terms(experience=experience(), worth=yard_of(walk).worth)
    allowed = [learners().get(name) for name in world.learners]
    known = replace(known, rows=world.count(walk.level))
    search = Search(known, allowed, [levers().get(name) for name in PULLED], terms)
    constant = world.rows[0, world.learners[0]]["constant"]["validation"]
    search.tell(trial(0, Train(learner="constant"), constant, known.task.aim))
    for number, (cell, score) in enumerate(latest(walk).items(), start=1):
        low, high = (float(end) - float(walk.seen[cell]["validation"][0]) for end in walk.seen[cell]["validation"][1:])
        search.tell(trial(number, recipe_of(cell, world.name), (score, score + low, score + high), known.task.aim))
    return search


def latest(walk: Walk) -> dict[Cell, float]:
    """Return each way's newest cell with its score, raised by what more labels brought the best way since."""
    found: dict[Cell, float] = {}
    for cell in walk.seen:
        if any(other.level > cell.level and replace(other, level=0) == replace(cell, level=0) for other in walk.seen):
            continue
        found[cell] = score(walk, cell) + sum(risen(walk, level) for level in range(cell.level, walk.level))
    return found


def score(walk: Walk, cell: Cell) -> float:
    """Return a cell's validation figure."""
    return float(walk.seen[cell]["validation"][0])


def risen(walk: Walk, level: int) -> float:
    """Return what one doubling of the labels brought the way that was trained on both."""
    pairs = [(c, replace(c, level=level + 1)) for c in walk.seen if c.level == level]
    rises = [score(walk, more) - score(walk, cell) for cell, more in pairs if more in walk.seen]
    return max(rises, default=0.0)


def trial(number: int, recipe: Recipe, figures: tuple[float, ...], aim: str) -> Trial:
    """Return a measured trial."""
    seen = {aim: Estimate(*(float(x) for x in figures))}
    lever = "start" if isinstance(recipe, Train) and not recipe.plan.settings else "tune"
    made = Trial(number=number, recipe=recipe, lever=lever, ending=Ending.MEASURED, validation=seen)
    return replace(made, seconds=Seconds(1.0))


def curve_of(walk: Walk) -> Curve | None:
    """Return the learning curve of the best way: parts of the first labels, paid for once, and every level so far."""
    world, best = walk.world, walk.best
    points = list(world.rows[0, best.learner]["points"])
    if best.learner not in walk.curves:
        walk.curves.add(best.learner)
        walk.spent += TRAINING * world.levels[0] * sum(PARTS)
    own = [c for c in walk.seen if c.learner == best.learner and c.shrunk == best.shrunk]
    for level in sorted({c.level for c in own}):
        of_level = [c for c in own if c.level == level]
        points.append([world.count(level), max(score(walk, c) for c in of_level)])
    try:
        return Curve.of([p[0] for p in points], [p[1] for p in points], top=1.0)
    except TooFewSizes:
        return None
