from __future__ import annotations

import re

import pytest

from layerkit.errors import SpecError
from layerkit.experiments.loading import load_experiment


def problems(path) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load_experiment(path)
    return str(caught.value).replace(str(path), "FILE").splitlines()


def test_a_valid_file_is_read(experiment):
    loaded = load_experiment(experiment(seeds=[0, 1], description="why"))
    assert loaded.experiment.vary == {"training.batch_size": (2, 4)}
    assert loaded.experiment.seeds == (0, 1)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"title": None}, r"FILE:1:1: title: missing; add it"),
        ({"titel": "x"}, r'FILE:\d+:2: titel: unknown field; did you mean "title"\?'),
        ({"figure": {"type": "pie"}}, r"figure.type \(pie\): expected 'layers', 'loss', .* got \"pie\""),
        ({"figure": {"type": "curve"}}, r'figure \(curve\): a curve needs "x", such as "training.batch_size"'),
        (
            {"figure": {"type": "loss", "xlabel": ""}},
            r'figure.xlabel \(loss\): unknown field; did you mean "x_label"\?',
        ),
        ({"figure": {"type": "gaps"}}, r'gaps need "targets": \["noisy", "clean"\]'),
        (
            {"vary": {"training..lr": [1]}},
            r'vary\["training..lr"\]: expected the path of a value, such as training.opt',
        ),
        ({"vary": {"training.batch_size": []}}, r'vary\["training.batch_size"\]: expected at least 1 item'),
        ({"seeds": ["1"]}, r"seeds\[0\]: expected a whole number, got \"1\"; write 1 without quotes"),
        ({"seeds": [-1]}, r"seeds\[0\]: expected at least 0, got -1"),
        ({"seeds": list(range(100)), "vary": {"a": list(range(100))}}, r"these are 10000 trials; at most 1000"),
        ({"name": "A b"}, r'name: expected a name of at most 64 small letters, digits, - and _, got "A b"'),
        ({"base": "/etc/passwd"}, r"base: expected the path of an architecture from this file, such as ../table1.json"),
        ({"base": "../../table1.json"}, r"base: expected the path .* at most one folder up, got"),
        ({"base": "../a/../../b.json"}, r"base: expected the path"),
        ({"format": 2}, r"format: this layerkit reads format 1, got 2"),
        ({"format": True}, r"format: this layerkit reads format 1, got true"),
        ({"variants": [{"name": "a"}, {"name": "a"}]}, r'two variants are named "a"'),
        ({"variants": [{"name": "a", "sett": {}}]}, r'variants\[0\].sett: unknown field; did you mean "set"\?'),
        ({"quick": {"variants": ["b"]}}, r'quick names "b", which is no variant'),
        ({"quick": {"vary": {"training.epochs": [1]}}}, r'quick varies "training.epochs", which "vary" does not'),
        ({"reported": {"x": [1, 2], "psnr": [1]}}, r"reported: expected lists of one length, got 2 of x, 1 of psnr"),
        (
            {"claims": [{"text": "a", "of": "psnr", "kind": "below"}]},
            r'claims\[0\]: "limit" belongs to "reaches" and "below", and to no other kind',
        ),
        (
            {"claims": [{"text": "a", "of": "psnr", "kind": "best", "limit": 1}]},
            r'claims\[0\]: "limit" belongs to "reaches" and "below", and to no other kind',
        ),
        (
            {"claims": [{"text": "a", "of": "loss", "kind": "falls"}], "reported": {"x": [1], "psnr": [2]}},
            r'a claim is about the loss of the report, which "reported" does not have',
        ),
        ({"reported": {"layers": [{"name": "ReLU", "channels": 0}]}}, r"channels: expected at least 1, got 0"),
        ({"targets": ["dirty"]}, r"targets\[0\]: expected 'noisy' or 'clean', got \"dirty\""),
    ],
)
def test_a_mistake_is_told_with_its_place(experiment, changes, expected):
    found = problems(experiment(**changes))
    assert re.search(expected, found[0]), found
    assert all(line.startswith("FILE") for line in found)


def test_what_is_no_experiment_at_all(tmp_path):
    path = tmp_path / "e.json"
    assert problems(path) == ["FILE: cannot be read: there is no such file"]
    path.write_text("[1]")
    assert problems(path) == ["FILE: expected an object {...} with an experiment, got [1]"]
    path.write_text('{"name": 1, "name": 2}')
    assert problems(path) == ['FILE:1:13: the key "name" stands twice in one object; keep one of them']
