"""The card in the bundle: what is known when it is written. The full model card is a view of the run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from steelyard.bundle.manifest import Manifest, Several, Value
from steelyard.contracts import Problem, Task
from steelyard.recipe import Recipe, describe, digest


def card(manifest: Manifest, recipe: Recipe, size: int) -> str:
    """Return the card as Markdown."""
    task, data = manifest.task, manifest.fingerprint
    of = "tags for each token" if task.problem is Problem.TAGGING else "classes"
    classes = f" It answers one of {len(task.classes)} {of}: {_listed(task.classes)}." if task.classes else ""
    return "\n".join(
        [
            f"# {task.target}: {describe(recipe)}",
            "",
            f"Predicts the column `{task.target}` ({task.problem.value}).{classes}",
            "",
            f"- Made by Steelyard {manifest.versions['steelyard']} on {manifest.created}.",
            f"- Recipe `{digest(recipe)}`, from data with fingerprint `{data}`.",
            f"- Holds {_what(manifest)}; {size:,} bytes beside this card and the manifest.",
            *(f"- {name}: {value}" for name, value in sorted(manifest.extra.items())),
            "",
            "Reads these columns; others may be there and are ignored:",
            "",
            *_table(manifest.signature.inputs),
            "",
            "Gives:",
            "",
            *_table(manifest.signature.outputs),
            "",
            "Quality, latency and cost are measured after this is written: they stand in the run's report.",
            "",
        ]
    )


def _what(manifest: Manifest) -> str:
    model = manifest.model
    if isinstance(model, Several):
        count, does = len(model.members), _rule(model.rule, manifest.task)
        return f"{count} member{'s' if count > 1 else ''} under the rule `{model.rule['rule']}`{does}"
    return "one ONNX graph, from columns to scores, with " + (
        " and ".join(dict.fromkeys(f"`{feed.front_end}`" for feed in model.feeds)) + " before it"
    )


def _rule(rule: Mapping[str, Any], task: Task) -> str:
    """Return what a rule does, and what it promises, where its name does not say it all."""
    match rule:
        case {"rule": "cascade", "measure": measure, "at": at}:
            told = f": the first answers where its {measure} is {at:.3g} or more, the second elsewhere"
            if "escalated" in rule:
                seen = rule["escalated"]
                told += f" (for {seen['share']:.1%} of the rows seen, {seen['low']:.1%} to {seen['high']:.1%})"
            if "promise" in rule:
                lost, sure = rule["promise"]["lost_at_most"], rule["promise"]["confidence"]
                told += f"; against the second alone it loses at most {lost:.3g} in {rule['promise']['metric']}, "
                told += f"with {sure:.0%} confidence on rows like those it was fitted on"
            return told
        case {"rule": "temperature", "at": at}:
            return f": logarithms of its probabilities over {at:.3g}"
        case {"rule": "threshold", "positive": code, "at": at}:
            return f": `{task.classes[code]}` from a probability of {at:.3g}{_ends(rule)}"
        case {"rule": "odds", "positive": code, "times": times}:
            at_stake = _listed(tuple(amount.column for amount in task.amounts if amount.known))
            return f": odds of `{task.classes[code]}` count {times:.3g} times{_ends(rule)}, then money by {at_stake}"
        case {"rule": "line", "plus": plus, "times": times}:
            slope = "" if times == 1 else f"{times:.3g} times "
            return f": {slope}the model's number and {plus:.3g}{_ends(rule)}, where errors cost least"
    return f": `O` counts {rule['times']:.3g} times{_ends(rule)}" if rule["rule"] == "outside" else ""


def _ends(rule: Mapping[str, Any]) -> str:
    """Return within which ends a number was chosen, where the rule says so."""
    chosen = rule.get("chosen")
    return "" if chosen is None else f" (95% interval {chosen['low']:.3g} to {chosen['high']:.3g})"


def _listed(names: tuple[str, ...], shown: int = 12) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(f"`{name}`" for name in names[:shown]) + more


def _table(values: tuple[Value, ...]) -> list[str]:
    rows = [f"| {_cell(value.name)} | {value.type} | {_cell(value.unit)} |" for value in values]
    return ["| name | type | unit |", "|---|---|---|", *rows]


def _cell(text: str) -> str:
    return text.replace("\n", " ").replace("|", "\\|")
