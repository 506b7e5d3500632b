from __future__ import annotations

from layerkit.denoising.metrics import SECONDARY, SSIM
from layerkit.experiments.report.numbers import NOTHING
from layerkit.experiments.report.tables import Table, curve_table, gap_table, loss_table, quality_table


def test_a_curve_s_table_has_the_report_beside_ours_on_both_scales(section):
    drawn = section(
        lambda trial: {"psnr": 20.0 + trial.value_at("training.batch_size")},
        figure={"type": "curve", "x": "training.batch_size", "x_label": "size", "report_factor": 4, "seconds": True},
        reported={"x": [8, 40], "psnr": [21.5, 23.5], "seconds": [120, 160]},
    )
    table = curve_table(drawn)
    assert table.head == ("size", "report's scale", "report, PSNR in dB", "layerkit, PSNR in dB",
                          *(metric.heading for metric in SECONDARY),
                          "report, seconds", "layerkit, seconds")  # fmt: skip
    quality = ["0.750" if metric == SSIM else NOTHING for metric in SECONDARY]
    assert table.rows == (
        ("2", "8", "21.50", "22.00", *quality, "120", "12.5"),
        ("4", "16", NOTHING, "24.00", *quality, NOTHING, "12.5"),
    )


def test_seeds_are_one_place_with_a_mean_and_its_ends(section):
    drawn = section(lambda trial: {"psnr": 20.0 + trial.seed}, seeds=[0, 3])
    assert [row[2] for row in curve_table(drawn).rows] == ["21.50 (20.00 to 23.00)"] * 2


def test_seconds_of_a_busy_machine_are_marked(section):
    drawn = section(
        lambda trial: {"seconds": (4.0, 4.0 if trial.value_at("training.batch_size") == 2 else 9.0)},
        figure={"type": "curve", "x": "training.batch_size", "seconds": True},
    )
    assert [row[-1] for row in curve_table(drawn).rows] == ["8.0", "8.0 *"]
    assert [row[-1] for row in quality_table(drawn, []).rows[-2:]] == ["8.0", "8.0 *"]


def test_a_trial_without_a_result_says_why(section):
    def values_of(trial):
        size = trial.value_at("training.batch_size")
        return {2: {"status": "diverged", "message": "not finite"}, 4: {}, 8: None}[size]

    drawn = section(values_of, vary={"training.batch_size": [2, 4, 8]})
    assert [row[2] for row in curve_table(drawn).rows] == ["diverged", "22.50", "not trained"]
    assert [row[2] for row in quality_table(drawn, []).rows][-3:] == ["diverged", "22.50", "not trained"]


def test_the_loss_s_table_has_the_report_s_scale_and_ends_with_the_training(section):
    drawn = section(
        lambda trial: {"curve": tuple((1000.0 * point, 0.02) for point in range(1, 31))},
        vary=None,
        figure={"type": "loss", "report_factor": 0.25},
        reported={"x": [10_000, 15_000, 50_000], "loss": [0.0057, 0.0050, 0.0046]},
    )
    assert loss_table(drawn).rows == (
        ("10,000", "0.0057", "0.0050", "0.0200"),
        ("15,000", "0.0050", NOTHING, NOTHING),
        ("30,000", NOTHING, "0.0050", "0.0200"),
    )


def test_the_gap_is_clean_minus_noisy_of_the_same_seed(section):
    drawn = section(
        lambda trial: {"psnr": 20.0 + 5 * trial.seed + (0.25 + trial.seed if trial.clean_targets else 0)},
        vary=None,
        variants=[{"name": "gaussian"}],
        targets=["noisy", "clean"],
        seeds=[0, 1],
        figure={"type": "gaps"},
    )
    assert gap_table(drawn).rows == (
        ("gaussian", "20.50", "22.50 (20.00 to 25.00)", "23.25 (20.25 to 26.25)", "0.75 (0.25 to 1.25)"),
    )


def test_columns_that_have_nothing_to_show_are_left_out():
    table = Table(("", "a", "b", "c"), (("", NOTHING, "1", "x"), ("", "", "2", NOTHING)), frozenset({0, 3}))
    assert table.without_empty_columns() == Table(("", "b", "c"), (("", "1", "x"), ("", "2", NOTHING)), {0, 2})
