from __future__ import annotations

from layerkit.training.progress import LossCurve, Point


def test_a_point_is_the_mean_of_its_pictures():
    curve = LossCurve()
    assert curve.add(1.0, 600) is None
    assert curve.add(2.0, 600) == Point(1200, 1.5)
    assert curve.add(5.0, 999) is None
    assert curve.add(1005.0, 1) == Point(2200, 6.0)
    assert curve.points == [Point(1200, 1.5), Point(2200, 6.0)]


def test_a_curve_goes_on_where_it_was():
    whole, first = LossCurve(), LossCurve()
    losses = [0.1 * number for number in range(100)]
    for loss in losses:
        whole.add(loss, 37)
    for loss in losses[:41]:
        first.add(loss, 37)
    second = LossCurve(first.points, first.pictures, first.point_pictures, first.point_loss)
    for loss in losses[41:]:
        second.add(loss, 37)
    assert second.points == whole.points
    assert second.point_loss == whole.point_loss
