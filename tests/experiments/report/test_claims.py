from __future__ import annotations

import pytest

from layerkit.experiments.report.claims import FAILS, HOLDS, MISSING, OPEN, SHORT, UNEVEN, judged

CURVE = {"type": "curve", "x": "training.batch_size", "seconds": True}
REPORTED = {"x": [2, 4, 8], "psnr": [20.0, 21.0, 22.0], "seconds": [100, 150, 300]}


@pytest.fixture
def verdict(section):
    """Return a function that judges one claim about three batch sizes: the report's number, ours, the verdict."""

    def verdict(claim, psnr=(20.0, 21.0, 22.0), spread=0.5, seconds=(10.0, 20.0, 40.0), reported=REPORTED, **changes):
        def values_of(trial):
            place = [2, 4, 8].index(trial.value_at("training.batch_size"))
            if psnr[place] is None:
                return None
            return {"psnr": psnr[place] + (trial.seed - 0.5) * spread, "seconds": (seconds[place],)}

        drawn = section(
            values_of,
            vary={"training.batch_size": [2, 4, 8]},
            **{"seeds": [0, 1], "figure": CURVE, **changes},
            reported=reported,
            claims=[{"text": "So it is", "of": "psnr", **claim}],
        )
        (found,) = judged(drawn)
        assert (found.section, found.text) == ("sizes", "So it is")
        return found.theirs, found.ours, found.verdict

    return verdict


@pytest.mark.parametrize(
    ("kind", "psnr", "expected"),
    [
        ("rises", (20.0, 20.5, 21.0), HOLDS),
        ("rises", (20.0, 19.75, 21.0), HOLDS),  # the step back is no larger than chance
        ("rises", (20.0, 19.0, 21.0), UNEVEN),
        ("falls", (20.0, 19.0, 21.0), FAILS),
        ("rises", (21.0, 22.0, 20.0), FAILS),
        ("falls", (21.0, 22.0, 20.0), UNEVEN),
        ("rises", (20.0, 25.0, 20.5), OPEN),  # no farther apart than the seeds
        ("falls", (20.0, 25.0, 20.5), OPEN),
        ("rises", (None, None, 20.5), MISSING),
    ],
)
def test_what_rises_or_falls_must_do_so_by_more_than_chance(verdict, kind, psnr, expected):
    theirs, ours, found = verdict({"kind": kind}, psnr)
    assert found == expected
    if expected != MISSING:
        assert (theirs, ours) == ("20.00 dB to 22.00 dB", f"{psnr[0]:.2f} dB to {psnr[2]:.2f} dB")


def test_seconds_say_how_many_times(verdict):
    claim = {"kind": "rises", "of": "seconds"}
    assert verdict(claim) == ("100 s to 300 s, 3.0 times", "10.0 s to 40.0 s, 4.0 times", HOLDS)


def test_one_seed_does_not_tell_what_chance_does(verdict):
    assert verdict({"kind": "rises"}, seeds=[0])[2] == f"{HOLDS}, with one seed"


@pytest.mark.parametrize(
    ("psnr", "ours", "expected"),
    [
        ((20.0, 21.0, 22.0), "8", HOLDS),
        ((20.0, 21.75, 22.0), "8, or 4", OPEN),
        ((20.0, 22.0, 21.75), "4, or 8", OPEN),
        ((20.0, 22.0, 21.0), "4", FAILS),
        ((20.0, 22.0, None), "–", MISSING),  # noqa: RUF001
    ],
)
def test_the_best_place_is_that_of_the_report_or_as_good(verdict, psnr, ours, expected):
    assert verdict({"kind": "best"}, psnr) == ("8", ours, expected)


def test_a_place_is_named_on_both_scales(verdict):
    reported = {"x": [8, 16, 32], "psnr": [20.0, 21.0, 22.0]}
    found = verdict({"kind": "best"}, figure={**CURVE, "report_factor": 4}, reported=reported)
    assert found == ("32 (here 8)", "32 (here 8)", HOLDS)


@pytest.mark.parametrize(
    ("last", "expected"),
    [(23.0, f"{HOLDS}: 1.00 dB more"), (21.9, f"{HOLDS}: 0.10 dB less"), (21.0, f"{FAILS}: 1.00 dB less")],
)
def test_what_is_reached_may_be_less_by_the_limit(verdict, last, expected):
    theirs, ours, found = verdict({"kind": "reaches", "limit": 0.25}, (20.0, 21.0, last))
    assert (theirs, found) == ("22.00 dB", expected)
    assert ours == f"{last:.2f} dB ({last - 0.25:.2f} dB to {last + 0.25:.2f} dB)"


def test_a_limit_is_kept_or_not(verdict):
    claim = {"kind": "below", "of": "seconds", "limit": 40.5}
    assert verdict(claim) == ("300 s", "40.0 s (40.0 s to 40.0 s)", HOLDS)
    assert verdict({**claim, "limit": 40})[2] == FAILS
    assert verdict(claim, psnr=(None,) * 3) == ("300 s", "–", MISSING)  # noqa: RUF001


@pytest.mark.parametrize(("psnr", "expected"), [((21.5, 23.0, 25.0), HOLDS), ((22.5, 23.0, 25.0), FAILS)])
def test_ranges_overlap_or_not(verdict, psnr, expected):
    found = verdict({"kind": "overlaps"}, psnr)
    assert found == ("20.00 dB to 22.00 dB", f"{psnr[0]:.2f} dB to 25.00 dB", expected)


def test_short_trainings_judge_nothing_but_how_seconds_grow(verdict, section):
    assert verdict({"kind": "rises"}, short=True)[2] == SHORT
    assert verdict({"kind": "below", "of": "seconds", "limit": 600}, short=True)[2] == SHORT
    assert verdict({"kind": "rises", "of": "seconds"}, short=True)[2] == HOLDS
    assert verdict({"kind": "rises"}, psnr=(None,) * 3, short=True)[2] == MISSING


def test_a_loss_is_judged_on_the_report_s_scale(section):
    drawn = section(
        vary=None,
        figure={"type": "loss", "report_factor": 0.25},
        reported={"x": [10_000, 150_000], "loss": [0.0057, 0.0045]},
        claims=[{"text": "The loss falls", "of": "loss", "kind": "falls"}],
    )
    (found,) = judged(drawn)
    first, last = ((0.02 + sum(1 / (1 + point) for point in part) / 10) / 4 for part in (range(1, 11), range(141, 151)))
    assert (found.theirs, found.ours) == ("0.0057 to 0.0045", f"{first:.4f} to {last:.4f}")
    assert found.verdict == HOLDS


def test_examples_are_judged_by_what_denoising_made_of_them(section):
    drawn = section(
        vary=None,
        figure={"type": "montage"},
        reported={"psnr": [25.62, 24.77, 26.32]},
        claims=[{"text": "Examples", "of": "psnr", "kind": "overlaps"}],
    )
    (found,) = judged(drawn)
    assert (found.theirs, found.ours, found.verdict) == ("24.77 dB to 26.32 dB", "25.50 dB to 26.25 dB", HOLDS)


def test_a_table_is_judged_by_its_first_network_with_all_its_seeds(section):
    drawn = section(
        lambda trial: {"psnr": 22.0 + trial.seed + (5 if trial.variant == "b" else 0)},
        vary=None,
        variants=[{"name": "a"}, {"name": "b"}],
        seeds=[0, 1],
        figure={"type": "table"},
        reported={"psnr": [22.81]},
        claims=[{"text": "It reaches 22.81 dB", "of": "psnr", "kind": "reaches", "limit": 1}],
    )
    (found,) = judged(drawn)
    assert found.ours == "22.50 dB (22.00 dB to 23.00 dB)"
