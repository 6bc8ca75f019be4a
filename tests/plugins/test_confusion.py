from dataclasses import replace

import numpy as np

from fakes.analysis_run import CLASSES, make_run, random_split
from fakes.pictures import captions, render
from frame import Split
from frame_plugins.analyzers.confusion import Confusion


def test_confusion_counts_pairs_and_scores():
    targets = np.array([0, 0, 0, 0, 1, 1, 2, 2])
    predicted = np.array([0, 0, 1, 1, 1, 0, 2, 2])
    names = ("cat", "dog", "eel", "fox")  # the set has no fox, and none is predicted
    run = make_run(mistakes=0, classes=names, test=Split(random_split(8).images, targets))
    logits = np.eye(4, dtype=np.float32)[predicted]
    run = replace(run, predictions=replace(run.predictions, logits=logits, targets=targets))
    result = Confusion().build(run)
    scores = {row[0]: row[1:] for row in result.tables[0].rows}
    assert scores["cat"] == (0.6667, 0.5, 0.5714, 4)
    assert scores["eel"] == (1.0, 1.0, 1.0, 2)
    assert scores["fox"] == (None, None, None, 0)
    assert list(result.tables[1].rows) == [("cat", "dog", 2, 0.5), ("dog", "cat", 1, 0.5)]
    matrix, pairs = result.figures
    assert matrix.classes == names
    assert matrix.counts.tolist() == [[2, 2, 0, 0], [1, 1, 0, 0], [0, 0, 2, 0], [0, 0, 0, 0]]
    rows = [axes.get_ylabel() for axes in pairs.image.axes if axes.get_ylabel()]
    assert rows == ["cat\n→ dog\n2 images", "dog\n→ cat\n1 image"]
    assert render(matrix).std() > 5


def test_images_of_the_cells_are_the_most_confident_ones():
    run = make_run(mistakes=300, count=1000)
    result = Confusion(images_per_cell=2).build(run)
    found = {}
    for image in result.images:
        found.setdefault((CLASSES.index(image.target), CLASSES.index(image.predicted)), []).append(image.index)
    predictions = run.predictions
    for true, predicted in zip(*result.figures[0].counts.nonzero(), strict=True):
        there = np.flatnonzero((predictions.targets == true) & (predictions.predicted == predicted))
        expected = sorted(there, key=lambda i: -predictions.confidence[i])[:2]
        assert found.pop((true, predicted)) == expected
    assert not found
    np.testing.assert_array_equal(result.images[0].image, run.data.test.images[result.images[0].index])


def test_the_picture_of_confused_pairs_has_a_row_a_pair_the_most_frequent_first():
    run = make_run(mistakes=300, count=1000)
    result = Confusion(pairs=3).build(run)
    counts = result.figures[0].counts.copy()
    np.fill_diagonal(counts, 0)
    most = sorted(counts.ravel().tolist(), reverse=True)[:3]
    assert [row[2] for row in result.tables[1].rows] == most
    picture = result.figures[1]
    labels = [axes.get_ylabel() for axes in picture.image.axes if axes.get_ylabel()]
    assert labels == [f"{row[0]}\n→ {row[1]}\n{row[2]} images" for row in result.tables[1].rows]
    assert len(captions(picture)) == sum(min(count, 8) for count in most)
    shares = [float(caption.split(" %")[0]) for caption in captions(picture)[: min(most[0], 8)]]
    assert shares == sorted(shares, reverse=True)


def test_confusion_of_many_classes_keeps_to_its_images_and_draws():
    run = make_run(classes=[f"class {i}" for i in range(60)], count=2400, mistakes=1800, size=4)
    result = Confusion(pairs=3).build(run)
    assert len(result.images) == 600
    assert all(image.target != image.predicted for image in result.images)
    assert len(result.tables[1].rows) == 3
    assert render(result.figures[0]).std() > 5


def test_confusion_without_a_mistake_or_without_pairs_is_the_matrix_alone():
    for mistakes, pairs in ((0, 10), (40, 0)):
        result = Confusion(pairs=pairs, images_per_cell=0).build(make_run(mistakes=mistakes))
        assert [figure.name for figure in result.figures] == ["confusion"]
        assert not result.tables[1].rows
        assert not result.images
