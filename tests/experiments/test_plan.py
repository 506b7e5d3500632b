from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from layerkit import installed
from layerkit.errors import SpecError
from layerkit.experiments.loading import load_experiment
from layerkit.experiments.plan import plan
from layerkit.experiments.schema import experiment_schema

FOLDER = Path(__file__).parents[2] / "architectures" / "experiments"
FILES = sorted(FOLDER.glob("*.json"))


def trials_of(path, quick=False):
    return plan(load_experiment(path), installed(), quick)


def test_every_combination_is_a_trial_in_the_file_s_order(experiment):
    path = experiment(
        vary={"training.batch_size": [2, 4]},
        variants=[{"name": "slow", "set": {"training.optimizer.lr": 0.01}}, {"name": "fast", "series": "quick ones"}],
        targets=["noisy", "clean"],
        seeds=[3, 5],
    )
    trials = trials_of(path)
    assert len(trials) == 16
    assert [trial.label for trial in trials[:4]] == [
        "slow, training.batch_size = 2, seed 3",
        "slow, training.batch_size = 2, seed 5",
        "slow, training.batch_size = 2, clean targets, seed 3",
        "slow, training.batch_size = 2, clean targets, seed 5",
    ]
    first, last = trials[0], trials[-1]
    assert first.architecture.training.optimizer.lr == 0.01
    assert (first.value_at("training.batch_size"), last.value_at("training.batch_size")) == (2, 4)
    assert last.architecture.training.optimizer.lr == 0.05
    assert (last.series, last.seed, last.targets) == ("quick ones", 5, "clean")
    assert first.value_at("layers[9].nothing") is None
    assert len({trial.key("data") for trial in trials}) == 16


def test_the_layers_of_all_trials_are_bounded(experiment, monkeypatch):
    path = experiment(vary={"training.batch_size": [2, 4, 8]}, seeds=[1, 2, 3])
    monkeypatch.setattr("layerkit.experiments.plan.MAX_LAYERS_IN_ALL", 18)  # six each, and seeds share them
    assert len(trials_of(path)) == 9
    monkeypatch.setattr("layerkit.experiments.plan.MAX_LAYERS_IN_ALL", 17)
    message = "the architectures up to trial 7 have 18 layers; at most 17 are planned in one experiment; split it"
    with pytest.raises(SpecError, match=message):
        trials_of(path)


def test_where_seconds_matter_the_first_seed_is_timed(experiment):
    assert [trial.timed for trial in trials_of(experiment(seeds=[3, 5], timed=True))] == [True, False] * 2
    quick = {"seeds": [7, 3]}
    timed = [trial.seed for trial in trials_of(experiment(timed=True, quick=quick), quick=True) if trial.timed]
    assert timed == [7, 7]
    assert not any(trial.timed for trial in trials_of(experiment(seeds=[3, 5])))


def test_a_key_depends_on_the_training_and_on_nothing_else(experiment, tmp_path):
    (trial, other) = trials_of(experiment())
    key = trial.key("data")
    assert other.key("data") != key
    assert trial.key("other data") != key
    tree = json.loads((tmp_path / "tiny.json").read_text())
    (tmp_path / "tiny.json").write_text(json.dumps(tree | {"name": "renamed", "description": "longer"}))
    assert trials_of(experiment(title="Another", description="text"))[0].key("data") == key
    # A default that is written out is the same training.
    tree["training"]["samples"] = 50_000
    (tmp_path / "tiny.json").write_text(json.dumps(tree))
    assert trials_of(experiment())[0].key("data") == key
    tree["training"]["noise"]["sigma"] = 26
    (tmp_path / "tiny.json").write_text(json.dumps(tree))
    assert trials_of(experiment())[0].key("data") != key


def test_the_quick_form(experiment):
    path = experiment(
        set={"training.epochs": 7},
        variants=[{"name": "a", "set": {"training.epochs": 9}}, {"name": "b"}, {"name": "c"}],
        seeds=[1, 2],
        quick={
            "set": {"training.epochs": 1},
            "vary": {"training.batch_size": [8]},
            "variants": ["c", "a"],
            "seeds": [5],
        },
    )
    assert [trial.label for trial in trials_of(path, quick=True)] == [
        "a, training.batch_size = 8, seed 5",
        "c, training.batch_size = 8, seed 5",
    ]
    assert {trial.architecture.training.epochs for trial in trials_of(path, quick=True)} == {1}
    assert [trial.architecture.training.epochs for trial in trials_of(path)[::4]] == [9, 7, 7]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"vary": {"training.batch_size": [2, "4"]}},
            r'sizes\.json:9:4: vary\["training\.batch_size"\]\[1\]: training\.batch_size of \.\./tiny\.json: '
            r'expected a whole number, got "4"; write 4 without quotes',
        ),
        (
            {"vary": None, "set": {"training.optimiser.lr": 1}},
            r'set\["training\.optimiser\.lr"\]: training\.optimiser\.lr of .* there is nothing to replace at this path',
        ),
        (
            {"variants": [{"name": "a", "set": {"training.noise": {"type": "gausian"}}}]},
            r'variants\[0\]\.set\["training\.noise"\]: training\.noise\.type of .*; did you mean "gaussian"\?',
        ),
        ({"vary": {"define.width": [0]}}, r'sizes\.json:\d+:\d+: vary\["define\.width"\]'),
        ({"base": "../nothing.json"}, r"sizes\.json:5:2: base: .*nothing\.json: cannot be read: there is no such file"),
        (
            {"variants": [{"name": "a", "base": "../nothing.json"}]},
            r"variants\[0\]\.base: .*nothing\.json: cannot be read",
        ),
        (
            {"base": "../untrained.json", "vary": None},
            r'base: .*untrained\.json has no "training" block; name an archi',
        ),
    ],
)
def test_a_value_that_does_not_fit_is_told_with_its_place(experiment, tmp_path, tiny, changes, expected):
    (tmp_path / "untrained.json").write_text(json.dumps({**tiny.tree(), "training": None}))
    with pytest.raises(SpecError, match=expected):
        trials_of(experiment(**changes))


def test_a_link_to_an_architecture_is_followed(experiment, tmp_path, tmp_path_factory):
    (tmp_path / "tiny.json").rename(elsewhere := tmp_path_factory.mktemp("elsewhere") / "default.json")
    (tmp_path / "tiny.json").symlink_to(elsewhere)
    assert len(trials_of(experiment())) == 2


def test_a_constant_is_blamed_where_it_was_set(experiment, tmp_path, tiny):
    tree = tiny.tree()
    tree["layers"][0]["out_channels"] = "$width"
    (tmp_path / "tiny.json").write_text(json.dumps({**tree, "define": {"width": 2}}))
    path = experiment(vary={"define.width": [2, 0]})
    with pytest.raises(SpecError, match=r'sizes\.json:9:4: vary\["define\.width"\]\[1\]: layers\[0\]\.out_channels of'):
        trials_of(path)


def test_a_mistake_in_the_architecture_is_told_with_its_place_there(experiment, tmp_path, tiny):
    tree = tiny.tree()
    tree["layers"][0]["kernel_sise"] = 3
    (tmp_path / "tiny.json").write_text(json.dumps(tree))
    with pytest.raises(SpecError, match=r"^[^\n]*tiny\.json:1:\d+: layers\[0\]\.kernel_sise \(conv2d\): unknown field"):
        trials_of(experiment())


# The files that come with the project


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
@pytest.mark.parametrize("quick", [False, True], ids=["whole", "quick"])
def test_the_project_s_files_are_valid(path, quick):
    whole, short = (len(trials_of(path, form)) for form in (False, True))
    trials = trials_of(path, quick)
    assert trials and short <= whole
    if quick:
        assert (
            max(trial.architecture.training.samples * trial.architecture.training.epochs for trial in trials) <= 10_000
        )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_editor_takes_them(path):
    tree = json.loads(path.read_text())
    assert tree["$schema"] == "../experiment.schema.json"
    jsonschema.Draft202012Validator(json.loads((FOLDER.parent / "experiment.schema.json").read_text())).validate(tree)


def test_the_schema_is_up_to_date():
    remedy = "write it again: layerkit schema --experiments --output architectures/experiment.schema.json"
    written = json.loads((FOLDER.parent / "experiment.schema.json").read_text())
    assert written == json.loads(json.dumps(experiment_schema())), remedy


@pytest.mark.parametrize(
    "changes", [{"titel": "x"}, {"figure": {"type": "pie"}}, {"vary": {"a..b": [1]}}, {"base": "/x"}]
)
def test_an_editor_refuses_what_layerkit_does(experiment, changes):
    tree = json.loads(experiment(**changes).read_text())
    assert not jsonschema.Draft202012Validator(experiment_schema()).is_valid(tree)
    with pytest.raises(SpecError):
        load_experiment(experiment(**changes))
