import json
from dataclasses import replace

import numpy as np
import pytest

from fakes.analysis_run import epoch_lines, make_run, range_test
from fakes.pictures import render
from frame import LRFinding, SchedulePlan, wilson_interval
from frame_plugins.analyzers.curves import Curves
from frame_plugins.analyzers.lr_finder_curve import LRFinderCurve

LEARNING = ["loss_epochs", "loss_steps", "acc_epochs", "acc_steps"]


def charts(**settings):
    return {chart.name: chart for chart in Curves().build(make_run(**settings)).figures}


def series(chart):
    return {line.name: line for line in chart.series}


def test_curves_show_what_was_logged():
    metrics = epoch_lines(4)
    steps = [line for line in metrics if line["kind"] == "step"]
    epochs = [line for line in metrics if line["kind"] == "epoch"]
    found = charts(metrics=metrics)
    assert list(found) == [*LEARNING, "lr"]
    assert {chart.x_label for chart in found.values()} == {"epoch"}
    per_step = series(found["loss_steps"])["training"]
    assert per_step.x == [line["epoch"] for line in steps]
    assert per_step.y == [line["train/loss"] for line in steps]
    compared = series(found["acc_epochs"])
    assert compared["training"].y == [line["train/acc"] for line in epochs]
    assert compared["test"].y == [line["test/acc"] for line in epochs]
    assert compared["test"].x == [1, 2, 3, 4]
    assert found["acc_epochs"].percent
    assert "accuracy was 60.00 %, in epoch 4" in found["acc_epochs"].caption
    assert series(found["lr"])["as run"].y == [line["lr"] for line in steps]


def test_the_accuracy_of_the_held_out_set_has_its_interval(tmp_path):
    (tmp_path / "data.json").write_text(json.dumps({"class_counts": {"training": [9], "test": [150, 50]}}))
    found = charts(metrics=epoch_lines(4), folder=tmp_path)
    lines = series(found["acc_epochs"])
    ends = [wilson_interval(round(200 * y), 200) for y in lines["test"].y]
    assert list(zip(lines["test"].low, lines["test"].high, strict=True)) == ends
    assert "95 % interval of 200 images" in found["acc_epochs"].caption
    assert not lines["training"].low
    assert not series(found["loss_epochs"])["test"].low
    assert not series(charts(metrics=epoch_lines(4))["acc_epochs"])[
        "test"
    ].low  # how many images there are is not known


def test_the_schedule_is_shown_as_planned_and_as_run():
    metrics = epoch_lines(2)
    for line in metrics:
        line["momentum"] = 0.85 + 0.05 * line["epoch"]
    plan = SchedulePlan((0.5, 1.0, 4.0), (0.1, 0.2, 0.0), (0.95, 0.85, 0.95))
    found = charts(metrics=metrics, plan=plan)
    for name, planned in (("lr", plan.lrs), ("momentum", plan.momenta)):
        lines = series(found[name])
        assert (lines["as planned"].x, lines["as planned"].y) == (plan.epochs, planned)
        assert lines["as planned"].dashed
        assert lines["as run"].x[-1] == 2  # of the four epochs that were planned
    assert render(found["lr"]).std() > 5


def test_a_momentum_that_never_changes_is_no_chart():
    metrics = [{**line, "momentum": 0.9} for line in epoch_lines(2)]
    assert "momentum" not in charts(metrics=metrics)
    assert "momentum" not in charts(metrics=metrics, plan=SchedulePlan((1.0, 2.0), (0.1, 0.1), (0.9, 0.9)))
    assert "momentum" in charts(metrics=metrics, plan=SchedulePlan((1.0, 2.0), (0.1, 0.1), (0.9, 0.8)))


def test_gradient_norm_and_throughput_come_from_what_was_measured():
    metrics = epoch_lines(2)
    metrics[4]["train/grad_norm"], metrics[9]["train/grad_norm"] = 3.0, 200.0
    timing = [
        {"kind": "step", "epoch": 0.5, "step": 5, "images_per_s": 900.0},
        {"kind": "epoch", "epoch": 1, "step": 10, "seconds": 12.5},
        {"kind": "step", "epoch": 1.5, "step": 15, "images_per_s": 1000.0},
    ]
    found = charts(metrics=metrics, timing=timing)
    (gradient,) = found["grad_norm"].series
    assert (gradient.x, gradient.y) == ([0.5, 1.0], [3.0, 200.0])
    assert found["grad_norm"].y_log
    (rate,) = found["throughput"].series
    assert (rate.x, rate.y) == ([0.5, 1.5], [900.0, 1000.0])
    assert found["throughput"].y_label == "images/s"
    assert found["throughput"].y_range == (0, pytest.approx(1080))


def test_curves_of_one_epoch_on_validation_without_step_lines():
    only = [line for line in epoch_lines(1, held_out="val") if line["kind"] == "epoch"]
    found = charts(metrics=only)
    assert list(found) == ["loss_epochs", "acc_epochs"]  # no learning rate was logged
    assert "validation" in found["acc_epochs"].title
    assert series(found["acc_epochs"])["validation"].x == [1]
    assert "best validation accuracy" in found["acc_epochs"].caption
    assert render(found["loss_epochs"]).std() > 2


def test_long_curves_get_a_running_mean_and_leave_out_what_is_not_finite():
    metrics = epoch_lines(40)
    metrics[5]["train/loss"] = float("nan")
    pale, mean = charts(metrics=metrics)["loss_steps"].series
    assert pale.pale
    assert len(pale.y) == 399
    assert np.std(np.diff(mean.y)) < np.std(np.diff(pale.y)) / 2
    assert np.interp(20, mean.x, mean.y) == pytest.approx(2.3 / 21, abs=0.03)


def test_before_the_first_line_there_is_a_note():
    result = Curves().build(make_run(metrics=[]))
    assert not result.figures
    assert "No step" in result.notes[0]


def test_curves_of_a_run_in_its_first_epoch():
    metrics = [line for line in epoch_lines(1)[:5] if line["kind"] == "step"]
    assert list(charts(metrics=metrics)) == ["loss_steps", "acc_steps", "lr"]


# LR finder


def test_lr_finder_curve_marks_the_suggestion():
    finding = range_test()
    result = LRFinderCurve().build(make_run(lr_finding=finding))
    (chart,) = result.figures
    assert chart.x_log
    (mark,) = chart.marks
    assert (mark.x, mark.label) == (4.6e-4, "suggested: 0.00046")
    assert "steepest descent" in chart.caption
    assert result.scalars["lowest_loss_lr"] == pytest.approx(5e-3, rel=0.2)
    assert series(chart)["loss"].y == pytest.approx(finding.losses)
    assert chart.y_range[1] < 4 < max(finding.losses)  # the explosion at the end does not flatten the descent
    assert series(chart)["lowest loss"].x == [result.scalars["lowest_loss_lr"]]


def test_lr_finder_curve_without_a_finding_or_a_finite_loss():
    assert "did not look" in LRFinderCurve().build(make_run()).notes[0]
    nan = LRFinding((1e-3, 1e-2), (float("nan"), float("inf")), 1e-3, "steepest descent")
    result = LRFinderCurve().build(replace(make_run(), lr_finding=nan))
    assert not result.figures
    assert "finite" in result.notes[0]
