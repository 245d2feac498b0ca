"""The encoders that a spec names, found before anything is trained."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from steelyard.contracts import Column, Kind, Schema
from steelyard.data.schema import schema_from_json, schema_to_json
from steelyard.errors import Exit
from steelyard.learners.pretrained.checkpoints import CheckpointRefused
from steelyard.search import pretrained
from steelyard.spec import PretrainedPart, Spec, parse

SCHEMA = Schema((Column(name="note", kind=Kind.TEXT), Column(name="age", kind=Kind.NUMBER)))


@dataclass(frozen=True)
class Table:
    schema: Schema


@pytest.fixture
def asked(monkeypatch):
    seen: list[Any] = []

    def find(name, *, downloads):
        seen.append((name, downloads))
        return type("Found", (), {"mark": f"{Path(name).name}@01"})

    monkeypatch.setattr(pretrained, "find", find)
    return seen


def test_text_is_marked_with_what_may_read_it_and_other_columns_are_not(asked):
    part = PretrainedPart(checkpoints=("owner/first", "second"))
    found = pretrained.with_checkpoints(Table(SCHEMA), part, None).schema
    assert [column.checkpoints for column in found.columns] == [("first@01", "second@01"), ()]
    assert asked == [("owner/first", False), ("second", False)]


def test_nothing_is_looked_for_where_nothing_is_listed(asked):
    table = Table(SCHEMA)
    assert pretrained.with_checkpoints(table, PretrainedPart(), None) is table
    assert asked == []


def test_a_folder_is_looked_for_beside_the_spec(asked, tmp_path):
    (tmp_path / "encoder").mkdir()
    part = PretrainedPart(checkpoints=("encoder@ab",), downloads=True)
    pretrained.with_checkpoints(Table(SCHEMA), part, tmp_path)
    assert asked == [(f"{tmp_path / 'encoder'}@ab", True)]


def test_an_absent_checkpoint_ends_a_run_before_anything_is_trained():
    with pytest.raises(CheckpointRefused, match="pip install") as refused:
        pretrained.with_checkpoints(Table(SCHEMA), PretrainedPart(checkpoints=("no-such-encoder",)), None)
    assert refused.value.exit_code is Exit.SPEC_INVALID


def test_marks_survive_the_way_to_another_process():
    marked = Schema((replace(SCHEMA.columns[0], checkpoints=("a@1", "b@2")), SCHEMA.columns[1]))
    assert schema_from_json(json.loads(json.dumps(schema_to_json(marked)))) == marked


def test_a_spec_downloads_nothing_unless_it_says_so():
    plain = Spec(data="reviews.csv", target="label")
    assert (plain.pretrained.checkpoints, plain.pretrained.downloads) == ((), False)
    text = "data: reviews.csv\ntarget: label\npretrained:\n  checkpoints: [./encoder]\n  downloads: true\n"
    assert parse(text).pretrained == PretrainedPart(checkpoints=("./encoder",), downloads=True)
