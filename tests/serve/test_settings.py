"""Settings that cannot be honoured are refused in one message, and unwise ones are said."""

import os

import pytest

from steelyard.errors import ServingRefused
from steelyard.serve import Limits, Settings, limits_from
from steelyard.serve.binding import warning_of


def test_limits_are_read_by_name_with_their_type():
    limits = limits_from(["connections=7", "header_seconds=0.5"], rows=3)
    assert limits == Limits(connections=7, header_seconds=0.5, rows=3)


@pytest.mark.parametrize("text", ["help", "rows=many", "rows", "=3", "rows=1.5", "conections=3"])
def test_a_limit_that_is_none_is_refused_and_all_are_listed(text):
    with pytest.raises(ServingRefused, match=r"write NAME=VALUE.*body_bytes.*write_seconds"):
        limits_from([text])


@pytest.mark.parametrize("text", ["rows=0", "body_seconds=-1", "write_seconds=inf", "header_seconds=nan"])
def test_a_limit_must_be_above_0_and_finite(text):
    with pytest.raises(ServingRefused, match="above 0 and finite"):
        Settings(limits=limits_from([text]))


def test_workers_have_a_range():
    with pytest.raises(ServingRefused, match="workers must be from 1 to 256"):
        Settings(workers=0)
    with pytest.raises(ServingRefused, match="hang_seconds must be from 1"):
        Settings(hang_seconds=0)


def test_more_workers_than_cores_are_said():
    cores = len(os.sched_getaffinity(0))
    assert not warning_of(Settings(workers=1, threads=cores + 1))
    assert not warning_of(Settings(workers=cores))
    assert f"there are {cores} cores" in warning_of(Settings(workers=cores, threads=2))
