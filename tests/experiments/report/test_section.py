from __future__ import annotations

from layerkit.experiments.report.section import Place, Spread, averaged


def test_the_loss_is_averaged_as_the_report_averages_it():
    curve = tuple((1000.0 * point, float(point)) for point in range(1, 31))
    assert [(point.pictures, point.loss) for point in averaged(curve)] == [
        (10_000, 5.5),
        (20_000, 15.5),
        (30_000, 25.5),
    ]
    assert len(averaged(curve[:29])) == 29  # too short for three means
    assert averaged(()) == []


def test_a_spread_is_as_wide_as_its_values_lie_apart():
    assert Spread((1.0, 2.0)).mean == 1.5
    assert Spread((1.0, 2.0, 4.0)).width == 3.0
    assert Spread((1.0,)).width is None  # one value does not tell


def test_a_trial_without_a_result_says_why(section):
    def values_of(trial):
        size = trial.value_at("training.batch_size")
        return {2: {"status": "diverged", "message": "not finite"}, 4: {}, 8: None}[size]

    drawn = section(values_of, vary={"training.batch_size": [2, 4, 8]})
    assert Place(0, tuple(drawn.outcomes)).statuses == ("diverged", "not trained")


def test_seconds_are_those_of_the_fastest_epoch(section):
    (place, _) = section(lambda trial: {"seconds": (10.0, 4.0, 4.25)}).curves()[""]
    assert place.seconds == Spread((12.0,))
    assert place.uneven
    (place, _) = section(lambda trial: {"seconds": (5.0, 4.0, 4.25)}).curves()[""]
    assert not place.uneven


def test_where_seconds_matter_only_the_trials_that_were_timed_count(section):
    drawn = section(lambda trial: {"seconds": (10.0 + trial.seed,)}, seeds=[3, 0], timed=True)
    assert [place.seconds for place in drawn.curves()[""]] == [Spread((13.0,))] * 2
    drawn = section(lambda trial: {"seconds": (10.0 + trial.seed,)}, seeds=[3, 0])
    assert [place.seconds for place in drawn.curves()[""]] == [Spread((13.0, 10.0))] * 2
