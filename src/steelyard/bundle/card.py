"""The card in the bundle: what is known when it is written. The full model card is a view of the run."""

from __future__ import annotations

from steelyard.bundle.manifest import Manifest, Several, Value
from steelyard.recipe import Recipe, describe, digest


def card(manifest: Manifest, recipe: Recipe, size: int) -> str:
    """Return the card as Markdown."""
    task, data = manifest.task, manifest.fingerprint
    classes = f" It answers one of {len(task.classes)} classes: {_listed(task.classes)}." if task.classes else ""
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
        count = len(model.members)
        return f"{count} member{'s' if count > 1 else ''} under the rule `{model.rule['rule']}`"
    return "one ONNX graph, from columns to scores, with " + (
        " and ".join(dict.fromkeys(f"`{feed.front_end}`" for feed in model.feeds)) + " before it"
    )


def _listed(names: tuple[str, ...], shown: int = 12) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(f"`{name}`" for name in names[:shown]) + more


def _table(values: tuple[Value, ...]) -> list[str]:
    rows = [f"| {_cell(value.name)} | {value.type} | {_cell(value.unit)} |" for value in values]
    return ["| name | type | unit |", "|---|---|---|", *rows]


def _cell(text: str) -> str:
    return text.replace("\n", " ").replace("|", "\\|")
