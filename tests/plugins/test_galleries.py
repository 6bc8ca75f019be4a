from dataclasses import replace

import numpy as np
import pytest

from fakes.analysis_run import CLASSES, make_run, predictions_of
from fakes.pictures import captions, render
from frame_plugins.analyzers.galleries import Correct, Misclassified


def test_misclassified_shows_the_most_confident_mistakes():
    run = make_run(mistakes=40)
    result = Misclassified().build(run)
    predictions = run.predictions
    wrong = [i for i in range(100) if predictions.predicted[i] != predictions.targets[i]]
    expected = sorted(wrong, key=lambda i: -predictions.confidence[i])[:25]
    assert [image.index for image in result.images] == expected
    first = result.images[0]
    assert (first.target, first.predicted) == (CLASSES[expected[0] % 10], CLASSES[predictions.predicted[expected[0]]])
    np.testing.assert_array_equal(first.image, run.data.test.images[expected[0]])
    (table,) = result.tables
    assert table.columns == ("index", "true", "predicted", "confidence", "loss", "source")
    row = dict(zip(table.columns, table.rows[0], strict=True))
    assert row["source"] == f"{expected[0]:04}.png"
    assert row["confidence"] == pytest.approx(predictions.confidence[expected[0]], abs=1e-6)
    assert row["loss"] == pytest.approx(predictions.losses[expected[0]], abs=1e-6)
    said = f"{first.target} → {first.predicted}\n{100 * first.confidence:.1f} % · #{first.index}"
    assert captions(result.figures[0])[0] == said
    assert [each.index for each in result.figures[0].thumbnails] == expected
    assert result.scalars == {"images": 40.0, "share": 0.4}
    assert not result.notes


def test_orders_of_a_gallery():
    run = make_run(mistakes=40)
    first = [image.index for image in Misclassified(order="first", count=12).build(run).images]
    assert first == sorted(first)
    drawn = [image.index for image in Correct(count=12).build(run).images]
    assert drawn == [image.index for image in Correct(count=12).build(run).images]
    assert drawn != [image.index for image in Correct(count=12).build(replace(run, seed=8)).images]
    assert all(run.predictions.correct[drawn])
    assert not set(drawn) & set(first)


@pytest.mark.parametrize(("order", "fact", "sign"), [("loss", "loss", -1), ("least_confident", "confidence", 1)])
@pytest.mark.parametrize("component", [Correct, Misclassified])
def test_orders_by_loss_and_by_least_confidence(component, order, fact, sign):
    run = make_run(mistakes=40)
    result = component(order=order, count=7).build(run)
    values = [sign * getattr(image, fact) for image in result.images]
    every = {"loss": run.predictions.losses, "confidence": run.predictions.confidence}[fact]
    ours = run.predictions.correct == (component is Correct)
    assert values == pytest.approx(sorted(sign * every[ours])[:7])
    (picture,) = result.figures
    assert result.title == picture.title == picture.image.get_suptitle()
    assert {"loss": "the highest losses", "least_confident": "the least confident"}[order] in result.title
    assert (f"loss {result.images[0].loss:.2f}" in captions(picture)[0]) == (order == "loss")


def test_a_gallery_of_each_class_has_a_row_for_each():
    run = make_run(mistakes=40, count=200)
    result = Misclassified(per_class=True, order="loss", count=3).build(run)
    predictions = run.predictions
    for c, name in enumerate(CLASSES):
        wrong = np.flatnonzero(~predictions.correct & (predictions.targets == c))
        expected = sorted(wrong, key=lambda i: -predictions.losses[i])[:3]
        assert [image.index for image in result.images if image.target == name] == expected
    grid = result.figures[0].image.axes
    rows = [axes.get_ylabel() for axes in grid if axes.get_ylabel()]
    assert rows == [name for name in CLASSES if name in {image.target for image in result.images}]
    first = result.images[0]
    said = f"→ {first.predicted}\n{100 * first.confidence:.1f} %\n#{first.index}\nloss {first.loss:.2f}"
    assert captions(result.figures[0])[0] == said
    thumbnail = result.figures[0].thumbnails[0]
    assert (thumbnail.group, thumbnail.note) == (first.target, f"loss {first.loss:.2f}")
    assert "for each class" in result.title
    assert render(result.figures[0]).std() > 5


def test_a_gallery_of_each_class_names_the_classes_without_a_mistake_and_draws_the_first_twenty():
    names = [f"class {i}" for i in range(30)]
    run = make_run(mistakes=0, classes=names, count=120)
    right = Correct(per_class=True, count=2).build(run)
    assert len(right.images) == 60
    assert len([axes for axes in right.figures[0].image.axes if axes.get_ylabel()]) == 20
    assert "the first 20 of 30 classes" in right.figures[0].caption
    logits = run.predictions.logits.copy()
    logits[3] = np.eye(30)[4] * 20
    wrong = Misclassified(per_class=True).build(replace(run, predictions=predictions_of(logits, run.data.test.targets)))
    assert [(image.target, image.predicted) for image in wrong.images] == [("class 3", "class 4")]
    assert wrong.notes[0].startswith("No mistake among the test images of: class 0, class 1, class 2, class 4")


def test_defaults_are_25_images_or_8_of_each_class():
    run = make_run(mistakes=60, classes=("one", "two"))
    assert len(Misclassified().build(run).images) == 25
    every = Misclassified(per_class=True).build(run).images
    assert [image.target for image in every] == ["one"] * 8 + ["two"] * 8


@pytest.mark.parametrize(
    ("mistakes", "figures", "note"),
    [(0, 0, "The model made no mistake on the test images: there is none to show."),
     (1, 1, "Only 1 of the 25 images asked for: the model made no more mistakes on the test images."),
     (3, 1, "Only 3 of the 25 images asked for: the model made no more mistakes on the test images.")],
)  # fmt: skip
def test_a_gallery_with_too_few_mistakes_says_so(mistakes, figures, note):
    result = Misclassified().build(make_run(mistakes=mistakes))
    assert len(result.figures) == figures
    assert len(result.images) == mistakes
    assert result.notes == (note,)


def test_a_gallery_of_grey_images_with_long_class_names():
    names = ("great white shark, Carcharodon carcharias", "hammerhead, hammerhead shark")
    (picture,) = Misclassified(count=6).build(make_run(channels=1, classes=names)).figures
    assert all(len(line) <= 22 for caption in captions(picture) for line in caption.split("\n"))
    pixels = render(picture)
    middle = pixels[len(pixels) // 4, :300]
    assert (middle == middle[:, :1]).all()  # grey
    assert len(np.unique(middle)) > 5
