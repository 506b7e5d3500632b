from __future__ import annotations

from importlib.metadata import version

from layerkit.experiments.machine import surroundings


def test_a_result_knows_what_it_was_made_with_and_on():
    found = surroundings({"layer": {"relu": "stranger==1.2"}})
    assert found["packages"]["stranger"] == "1.2"
    assert found["packages"]["torch"] == version("torch")
    assert found["machine"]["processor"] and found["machine"]["threads"] >= 1
    assert found["finished"].endswith("+00:00")
