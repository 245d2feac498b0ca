"""A spec that cannot be run is refused before anything is made."""

import pytest

INVALID, NOTHING = 10, 21
SPECS = {
    "no YAML": ("data: [good.csv\ntarget: : x\n", "spec.yaml, line 2", "is not YAML"),
    "a list": ("- a\n- b\n", "must hold `name: value` lines", "steelyard init"),
    "nothing": ("", "is empty; a spec names at least `data` and `target`"),
    "contradictory targets": (
        "data: good.csv\ntarget: bought\nquality: {metric: accuracy, at_least: 0.9, at_most: 0.5}\n",
        "quality.at_most (line 3): given beside at_least",
        "keep one of them",
    ),
    "a target out of reach": (
        "data: good.csv\ntarget: bought\nquality: {metric: roc_auc, at_least: 1.9}\n",
        "quality.at_least (line 3): roc_auc lies between 0 and 1; got 1.9",
    ),
}


@pytest.fixture
def folder(cli, tmp_path):
    cli.write_csv(tmp_path / "good.csv", cli.rows())
    return tmp_path


def left(folder):
    return sorted(p.name for p in folder.iterdir())


@pytest.mark.parametrize(
    "case", ["no YAML", *(pytest.param(c, marks=pytest.mark.slow) for c in list(SPECS)[1:3]), *list(SPECS)[3:]]
)
def test_a_spec_that_makes_no_sense_is_refused_with_its_line(cli, folder, case):
    text, *words = SPECS[case]
    (folder / "spec.yaml").write_text(text)
    cli.call("run", "spec.yaml", cwd=folder).refused(INVALID, *words)
    assert left(folder) == ["good.csv", "spec.yaml"]


def test_all_wrong_types_are_listed_at_once(cli, folder):
    text = "data: good.csv\ntarget: bought\nbudget: {trials: many, minutes: -3}\nworkers: two\ntagret: z\n"
    (folder / "spec.yaml").write_text(text)
    ended = cli.call("run", "spec.yaml", cwd=folder).refused(INVALID, "spec.yaml has 4 problems:")
    for line in ("budget.trials (line 3)", "budget.minutes (line 3)", "workers (line 4)", "tagret (line 5)"):
        assert f"\n  {line}: " in ended.err


def test_a_spec_in_another_encoding_or_not_there_is_refused(cli, folder):
    (folder / "spec.yaml").write_bytes(b"\xff\xfedata")
    cli.call("run", "spec.yaml", cwd=folder).refused(INVALID, "is not text in UTF-8 (byte 0); save it as UTF-8")
    cli.call("check", "spec.yml", cwd=folder).refused(
        INVALID, "there is no spec at spec.yml (did you mean 'spec.yaml'?)"
    )


@pytest.mark.parametrize(
    ("name", "nothing"),
    [
        ("minutes", "0"),
        pytest.param("money", "0 USD", marks=pytest.mark.slow),
        pytest.param("trials", "0", marks=pytest.mark.slow),
    ],
)
def test_a_budget_of_zero_is_zero(cli, folder, name, nothing):
    spec = cli.write_spec(folder, "good.csv", more=f"budget: {{{name}: {nothing}}}")
    cli.call("run", spec, cwd=folder).refused(NOTHING, f"`budget.{name}` is 0, so nothing can be tried; raise it")
    assert left(folder) == ["good.csv", "spec.yaml"]


@pytest.mark.parametrize("budget", ["minutes: 0.02", pytest.param("money: 0.000001 USD", marks=pytest.mark.slow)])
def test_a_budget_too_small_for_even_the_constant_model_is_refused_before_the_start(cli, folder, budget):
    spec = cli.write_spec(folder, "good.csv", more=f"budget: {{{budget}}}")
    cli.call("run", spec, cwd=folder).refused(NOTHING, "Nothing was measured: the budget is", "Raise `budget.minutes`")
    assert left(folder) == ["good.csv", "spec.yaml"]


def test_words_that_do_not_parse_are_shown_with_the_way_to_help(cli, folder):
    for words in ((), ("run",), ("frobnicate",), ("predict", "run")):
        ended = cli.call(*words, cwd=folder)
        assert ended.code == 2
        assert "--help" in ended.out + ended.err
        assert "Traceback" not in ended.err
