"""Which checkpoints a table may be read with, and which of them a plan asks for."""

from __future__ import annotations

from steelyard.contracts import Kind, Refusal, Schema
from steelyard.learners.pretrained.checkpoints import DEFAULT, WAYS, Checkpoint, find, present
from steelyard.recipe import Plan, Settings

PART = "pretrained"
"""The lever, and its part of a plan, that names a checkpoint."""


def offered(schema: Schema) -> tuple[str, ...]:
    """Return the marks of the checkpoints that a table's text may be read with, the usual one first.

    Those that the spec lists; without any the encoder for English, where all text has spaces between its words.
    """
    texts = schema.of(Kind.TEXT, Kind.TOKENS)
    listed = tuple(dict.fromkeys(mark for column in texts for mark in column.checkpoints))
    return listed or ((DEFAULT,) if all(column.spaced for column in texts) else ())


def refuse_without_checkpoint(learner: str, schema: Schema) -> Refusal | None:
    """Refuse a table for whose text there is no encoder on this machine."""
    found = offered(schema)
    if not found:
        return Refusal(
            f"{learner} has no encoder for text without spaces between words: name one under "
            "`pretrained: {checkpoints: [...]}`."
        )
    if not present(found[0]):
        return Refusal(f"{learner} finds no pretrained encoder on this machine: {WAYS}.")
    return None


def checkpoint_asked(part: Settings | None, schema: Schema) -> Checkpoint:
    """Return the checkpoint that a plan's part names, else the usual one of the table; never downloads.

    Raises
    ------
    CheckpointRefused
        If it is not on this machine, or is another one than the plan names.
    """
    asked = (part or Settings()).get("checkpoint")
    return find(str(asked) if asked else offered(schema)[0])


def part_of(plan: Plan) -> Settings | None:
    """Return the settings of a plan's part on checkpoints."""
    return next((step.settings for step in plan.parts if step.lever == PART), None)
