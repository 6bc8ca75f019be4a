import numpy as np
import pytest

from fakes.analysis_run import CLASSES, make_run, predictions_of, random_split
from fakes.pictures import captions
from frame import Split
from frame_plugins.analyzers.label_errors import LabelErrors


def run_with(truth, labels, strength=5.0, seed=0):
    """A run whose model knows the truth, with some noise, and whose test set has other labels here and there."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(len(truth), 10)) + strength * np.eye(10)[truth]
    test = random_split(len(truth), size=4)
    return make_run(test=Split(test.images, labels, test.sources), predictions=predictions_of(logits, labels))


def flipped(count=2000, share=0.05, seed=1):
    rng = np.random.default_rng(seed)
    truth = np.arange(count) % 10
    wrong = rng.choice(count, int(share * count), replace=False)
    labels = truth.copy()
    labels[wrong] = (truth[wrong] + rng.integers(1, 10, len(wrong))) % 10
    return truth, labels, set(wrong.tolist())


@pytest.mark.parametrize(("strength", "recall"), [(8, 0.97), (5, 0.75)])  # only confident contradictions count
def test_flipped_labels_are_found_and_their_share_is_estimated(strength, recall):
    truth, labels, wrong = flipped()
    result = LabelErrors(count=50).build(run_with(truth, labels, strength))
    (table,) = result.tables
    found = [row[0] for row in table.rows]
    assert len(wrong & set(found)) / len(wrong) >= recall
    assert len(wrong & set(found)) / len(found) > 0.97  # precision
    assert all(index in wrong for index in found[: len(wrong) // 2])  # the surest first
    assert result.scalars["estimated share of label errors"] == pytest.approx(0.05, abs=0.01)
    assert result.scalars["suspected images"] == len(found)
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    for row in rows[:50]:
        assert row["label"] == CLASSES[labels[row["index"]]]
        assert row["suggested"] == CLASSES[truth[row["index"]]]
        assert row["margin"] == pytest.approx(row["p(label)"] - row["p(suggested)"], abs=2e-4)
        assert row["source"] == f"{row['index']:04}.png"
    assert [row["margin"] for row in rows] == sorted(row["margin"] for row in rows)
    assert [image.index for image in result.images] == found[:50]
    assert result.images[0].target == rows[0]["label"]
    said = f"label: {rows[0]['label']}\nsuggested: {rows[0]['suggested']}\n"
    assert captions(result.figures[0])[0].startswith(said)
    assert "by eye" in result.figures[0].caption


def test_clean_labels_and_a_confident_model_raise_no_suspicion():
    truth = np.arange(1000) % 10
    result = LabelErrors().build(run_with(truth, truth, strength=12))
    assert result.scalars == {"suspected images": 0, "estimated share of label errors": 0}
    assert not result.figures
    assert not result.images
    assert "No test image" in result.notes[0]


def test_the_confident_joint_of_a_case_worked_by_hand():
    # Thresholds: class 0 has (.9 + .6 + .1 + .45) / 4 = .5125, class 1 has (.8 + .65 + .4) / 3 = .6167.
    of_class_0 = [0.9, 0.6, 0.1, 0.45, 0.2, 0.35, 0.6]
    labels = np.array([0, 0, 0, 0, 1, 1, 1])
    logits = np.log(np.stack([of_class_0, 1 - np.array(of_class_0)], axis=1))
    test = Split(random_split(7, size=4).images, labels)
    result = LabelErrors().build(make_run(classes=("a", "b"), test=test, predictions=predictions_of(logits, labels)))
    # Confident: 0 and 1 as a; 2 as b; 3 (.45, .55) as neither; 4 and 5 as b; 6 as a.
    assert [row[:3] for row in result.tables[0].rows] == [(2, "a", "b"), (6, "b", "a")]
    assert [row[5] for row in result.tables[0].rows] == [-0.8, -0.2]
    # Joint, its rows scaled to 4 and 3 images: (8/3, 4/3), (1, 2); off the diagonal 7/3 of 7.
    assert result.scalars["estimated share of label errors"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(("strength", "weak"), [(8, False), (1, True)])
def test_a_weak_model_is_said_to_be_too_weak_to_judge(strength, weak):
    notes = LabelErrors().build(run_with(*flipped(count=400)[:2], strength)).notes
    assert ["too weak to judge" in note for note in notes] == [True] * weak


def test_a_class_without_images_is_never_suggested():
    truth, labels, _ = flipped()
    labels[labels == 9] = 0  # no label says truck, though there are trucks
    (table,) = LabelErrors().build(run_with(truth, labels)).tables
    assert {row[2] for row in table.rows} <= set(CLASSES[:9])
    assert len(table.rows) > 50
