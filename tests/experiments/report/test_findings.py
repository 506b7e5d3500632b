from __future__ import annotations

import pytest

from layerkit.experiments.report.classical import Classical
from layerkit.experiments.report.findings import findings


def said(section, classical=()) -> str:
    return " ".join(findings(section, list(classical)))


@pytest.mark.parametrize(("points", "mean"), [(30, "10,000"), (29, "1,000")])
def test_the_loss_says_over_how_many_pictures_it_is_averaged(section, points, mean):
    curve = tuple((1000.0 * point, 0.02) for point in range(1, points + 1))
    assert said(section(lambda trial: {"curve": curve}, vary=None, figure={"type": "loss"})) == (
        f"Each point is the mean over the {mean} pictures before it."
    )


def test_a_curve_says_how_far_seeds_lie_apart(section):
    text = said(section(lambda trial: {"psnr": 20.0 + trial.seed * trial.value_at("training.batch_size")}, seeds=[0, 1],
                        reported={"x": [2], "psnr": [1.0]}))  # fmt: skip
    assert "Seeds lie up to 4.00 dB apart" in text
    assert said(section()).startswith("Each place is one training")
    assert said(section(lambda trial: None)) == ""


@pytest.mark.parametrize(
    ("examples", "expected"),
    [
        (((20.0, 25.5), (21.0, 22.0)), "Every picture gets better, by 1.00 to 5.50 dB."),
        (((20.0, 25.5), (27.0, 26.25)), "Picture 2 gets worse, by up to 0.75 dB: "),
        (((26.0, 25.5), (27.0, 26.25)), "Pictures 1, 2 get worse, by up to 0.75 dB: "),
        (((None, None),), ""),
    ],
)
def test_pictures_that_get_worse_are_named(section, examples, expected):
    text = said(section(lambda trial: {"examples": examples}, vary=None, figure={"type": "montage"}))
    assert text.startswith(expected) and bool(text) == bool(expected)


@pytest.mark.parametrize(
    ("psnr", "expected"),
    [
        ((22.0, 24.0), "It beats small (22.00 dB). It is beaten by large (24.00 dB)."),
        ((24.0, 25.0), "It is beaten by small (24.00 dB); large (25.00 dB)."),
        ((22.0, 23.0), "It beats small (22.00 dB); large (23.00 dB)."),
    ],
)
def test_networks_are_held_against_the_best_classical_method(section, psnr, expected):
    drawn = section(
        lambda trial: {"psnr": dict(zip(("small", "large"), psnr, strict=True))[trial.variant]},
        vary=None,
        variants=[{"name": "small"}, {"name": "large"}],
        figure={"type": "table"},
    )
    classical = [Classical(name=name, quality={"psnr_mean": value}) for name, value in (("blur", 23.5), ("tv", 23.25))]
    assert said(drawn, classical).startswith(f"The best method that learns nothing is blur: 23.50 dB. {expected}")
    assert "learns nothing" not in said(drawn)


def test_gaps_say_where_they_are_least_and_most(section):
    def drawn(*names):
        gaps = {"gaussian": 0.25, "text": -0.5}
        return section(
            lambda trial: {"psnr": 20.0 + (gaps[trial.variant] if trial.clean_targets else 0)},
            vary=None,
            variants=[{"name": name} for name in names],
            targets=["noisy", "clean"],
            figure={"type": "gaps"},
        )

    assert said(drawn("gaussian", "text")) == (
        "The gap is -0.50 dB at the least (text), and 0.25 dB at the most (gaussian)."
    )
    assert said(drawn("text")) == "Clean targets are 0.50 dB behind."


def test_seconds_of_a_busy_machine_are_explained(section):
    figure = {"type": "curve", "x": "training.batch_size", "seconds": True}
    assert "* marks" in said(section(lambda trial: {"seconds": (4.0, 9.0)}, figure=figure))
    assert "* marks" not in said(section(lambda trial: {"seconds": (4.0, 4.5)}, figure=figure))
    assert "econds" not in said(section(lambda trial: {"seconds": (4.0, 9.0)}))
