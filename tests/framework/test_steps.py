"""Steps against the loop that it counts for, for any size of data, batch, accumulation and any number of epochs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from frame import Steps, UserError

sizes = st.integers(1, 400)


@st.composite
def counted(draw) -> Steps:
    samples, batch_size, drop_last = draw(sizes), draw(sizes), draw(st.booleans())
    assume(samples >= batch_size or not drop_last)
    epochs = draw(st.integers(1, 5) | st.floats(0.01, 5))
    return Steps(samples, batch_size, epochs, draw(st.integers(1, 12)), drop_last)


def batches(steps: Steps) -> list[int]:
    """Return the sizes of an epoch's batches, made as a loader makes them: by cutting the samples up."""
    order = list(range(steps.samples))
    cut = [len(order[start : start + steps.batch_size]) for start in range(0, steps.samples, steps.batch_size)]
    return [size for size in cut if size == steps.batch_size or not steps.drop_last]


def groups(steps: Steps) -> list[list[int]]:
    """Return the sizes of an epoch's batches, in the groups that one optimizer step takes."""
    sizes = batches(steps)
    return [sizes[start : start + steps.accumulate] for start in range(0, len(sizes), steps.accumulate)]


@given(counted())
@example(Steps(50_000, 512, 24))
@example(Steps(1, 1, 1, 12))
def test_an_epoch_is_what_the_loop_does(steps):
    sizes = batches(steps)
    assert steps.batches_per_epoch == len(sizes)
    assert steps.samples_per_epoch == sum(sizes)
    assert [steps.batch_samples(batch) for batch in range(len(sizes))] == sizes


@given(counted())
@example(Steps(100, 10, 2, 3, drop_last=True))
def test_a_group_is_one_optimizer_step(steps):
    expected = groups(steps)
    assert steps.per_epoch == len(expected)
    assert [steps.group_samples(batch) for batch in range(steps.batches_per_epoch)] == [
        sum(group) for group in expected for _ in group
    ]
    assert [steps.ends_group(batch) for batch in range(steps.batches_per_epoch)] == [
        number == len(group) - 1 for group in expected for number in range(len(group))
    ]


@given(counted())
def test_the_losses_of_a_group_weigh_one(steps):
    weight = 0.0
    for batch in range(steps.batches_per_epoch):
        weight += steps.batch_samples(batch) / steps.group_samples(batch)
        if steps.ends_group(batch):
            assert weight == pytest.approx(1)
            weight = 0.0
    assert weight == 0


@given(counted())
def test_a_run_never_steps_too_often_or_too_rarely(steps):
    taken = 0
    for epoch in range(steps.passes):
        assert taken == steps.at_epoch(epoch)
        assert steps.batches_in(epoch) > 0
        assert steps.ends_group(steps.batches_in(epoch) - 1)
        own = sum(steps.ends_group(batch) for batch in range(steps.batches_in(epoch)))
        assert own == steps.steps_in(epoch)
        taken += own
    assert taken == steps.total == max(1, steps.at_epoch(steps.epochs))


def test_a_run_of_whole_epochs_has_no_short_one():
    steps = Steps(50_000, 512, 24)
    assert steps.passes == 24
    assert {steps.batches_in(epoch) for epoch in range(24)} == {98}


def test_a_fraction_of_an_epoch_ends_early_at_a_whole_step():
    steps = Steps(50_000, 1024, 9.9, drop_last=True)
    assert (steps.per_epoch, steps.total, steps.passes, steps.batches_in(9)) == (48, 475, 10, 43)
    steps = Steps(100, 10, 1.6, accumulate=3)  # groups of 3, 3, 3 and 1 batches
    assert (steps.total, steps.passes, steps.batches_in(1)) == (6, 2, 6)
    assert Steps(100, 10, 1.01).passes == 1  # less than half a step


def test_the_s10_recipe():
    steps = Steps(samples=50_000, batch_size=512, epochs=24)
    assert (steps.batches_per_epoch, steps.per_epoch, steps.total, steps.at_epoch(5)) == (98, 98, 2352, 490)
    assert replace(steps, drop_last=True).total == 24 * 97
    assert replace(steps, accumulate=4).per_epoch == 25


@pytest.mark.parametrize(
    ("samples", "drop_last", "message"),
    [
        (0, False, "an epoch has no batch: 0 training images, batches of 8"),
        (
            7,
            True,
            "an epoch has no batch: 7 training images, batches of 8, the incomplete one dropped (data.drop_last)",
        ),
    ],
)
def test_an_epoch_without_a_batch(samples, drop_last, message):
    with pytest.raises(UserError) as error:
        Steps(samples, 8, 1, drop_last=drop_last)
    assert str(error.value) == message
