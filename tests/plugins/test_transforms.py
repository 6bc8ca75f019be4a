"""albumentations and torchvision pipelines: mistakes are named, randomness comes from the given generator only."""

import json
import pickle
import random
from importlib.metadata import version

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from frame import DataInfo, UserError
from frame_plugins.transforms.albumentations_pipeline import Albumentations
from frame_plugins.transforms.torchvision_transform import TorchvisionTransform

INFO = DataInfo(("cat", "dog"), (32, 32, 3), (0.5, 0.25, 0.75), (0.2, 0.2, 0.2), 100)
IMAGE = np.random.default_rng(7).integers(0, 256, (32, 32, 3), dtype=np.uint8)
S10 = [
    {"use": "PadIfNeeded", "min_height": 40, "min_width": 40, "border_mode": 0, "fill": 0},
    {"use": "RandomCrop", "height": 32, "width": 32},
    {"use": "HorizontalFlip", "p": 0.5},
    {
        "use": "CoarseDropout",
        "num_holes_range": [1, 1],
        "hole_height_range": [8, 8],
        "hole_width_range": [8, 8],
        "fill": "mean",
        "p": 0.75,
    },
]
TORCHVISION_S10 = [{"use": "RandomCrop", "size": 32, "padding": 4}, {"use": "RandomHorizontalFlip"}]
BOTH = [(Albumentations, S10), (TorchvisionTransform, TORCHVISION_S10)]


def build(component, pipeline, info=INFO):
    """Build as a recipe does: from strictly validated JSON values."""
    return component.model_validate_json(json.dumps({"pipeline": pipeline}), strict=True).build(info)


@pytest.mark.parametrize(("component", "pipeline"), BOTH)
class TestRandomness:
    def test_the_same_state_gives_the_same_image_and_others_differ(self, component, pipeline):
        apply = build(component, pipeline)
        first = [apply(IMAGE, np.random.default_rng(seed)) for seed in range(20)]
        again = [apply(IMAGE, np.random.default_rng(seed)) for seed in reversed(range(20))][::-1]
        assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))
        assert len({image.tobytes() for image in first}) > 15
        assert first[0].shape == (32, 32, 3)
        assert first[0].dtype == np.uint8

    def test_leaves_the_global_generators_and_the_image_alone(self, component, pipeline):
        apply = build(component, pipeline)
        before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
        copy = IMAGE.copy()
        for seed in range(5):
            apply(IMAGE, np.random.default_rng(seed))
        assert (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()) == before
        assert np.array_equal(IMAGE, copy)

    def test_does_not_depend_on_the_global_generators(self, component, pipeline):
        apply = build(component, pipeline)
        first = apply(IMAGE, np.random.default_rng(3))
        random.random(), np.random.random(), torch.rand(1)
        assert np.array_equal(apply(IMAGE, np.random.default_rng(3)), first)

    def test_travels_to_a_worker_process(self, component, pipeline):
        apply = build(component, pipeline)
        expected = apply(IMAGE, np.random.default_rng(3))
        moved = pickle.loads(pickle.dumps(apply))
        assert np.array_equal(moved(IMAGE, np.random.default_rng(3)), expected)


@pytest.mark.parametrize(
    ("component", "flips"),
    [
        (Albumentations, [{"use": "HorizontalFlip", "p": 0.5}, {"use": "VerticalFlip", "p": 0.5}]),
        (TorchvisionTransform, [{"use": "RandomHorizontalFlip"}, {"use": "RandomVerticalFlip"}]),
    ],
)
def test_two_transforms_of_a_pipeline_are_independent(component, flips):
    apply = build(component, flips)
    outcomes = dict.fromkeys(("none", "horizontal", "vertical", "both"), 0)
    variants = {
        IMAGE.tobytes(): "none",
        IMAGE[:, ::-1].tobytes(): "horizontal",
        IMAGE[::-1].tobytes(): "vertical",
        IMAGE[::-1, ::-1].tobytes(): "both",
    }
    for seed in range(400):
        outcomes[variants[apply(IMAGE, np.random.default_rng([1, seed])).tobytes()]] += 1
    assert all(60 < count < 140 for count in outcomes.values()), outcomes  # 100 each; 4.6 standard deviations


def test_the_s10_pipeline_cuts_holes_of_the_mean_colour():
    apply = build(Albumentations, [{**S10[3], "p": 1}])
    changed = apply(np.full((32, 32, 3), 200, np.uint8), np.random.default_rng(0))
    hole = (changed == np.array([128, 64, 191], np.uint8)).all(axis=2)  # 255 * mean, rounded
    rows, columns = np.nonzero(hole)
    assert hole.sum() == 64
    assert np.ptp(rows) == np.ptp(columns) == 7
    assert (changed[~hole] == 200).all()


def test_fill_mean_serves_torchvision_too():
    apply = build(TorchvisionTransform, [{"use": "Pad", "padding": 1, "fill": "mean"}])
    assert apply(IMAGE, np.random.default_rng(0))[0, 0].tolist() == [128, 64, 191]


@pytest.mark.parametrize("component", [Albumentations, TorchvisionTransform])
def test_one_channel_images_keep_their_channel(component):
    flip = "HorizontalFlip" if component is Albumentations else "RandomHorizontalFlip"
    apply = build(component, [{"use": flip, "p": 1}], DataInfo(("0", "1"), (8, 8, 1), (0.5,), (0.5,), 10))
    image = IMAGE[:8, :8, :1]
    assert np.array_equal(apply(image, np.random.default_rng(0)), image[:, ::-1])


@pytest.mark.parametrize(
    ("component", "pipeline"),
    [
        (Albumentations, [{"use": "OneOf", "p": 1, "transforms": [{"use": "HorizontalFlip", "p": 1}]}]),
        (
            TorchvisionTransform,
            [{"use": "RandomApply", "p": 1.0, "transforms": [{"use": "RandomHorizontalFlip", "p": 1.0}]}],
        ),
        (
            Albumentations,
            [
                {
                    "use": "OneOrOther",
                    "p": 1,
                    "first": {"use": "HorizontalFlip", "p": 1},
                    "second": {"use": "HorizontalFlip", "p": 1},
                }
            ],
        ),
    ],
)
def test_pipelines_nest(component, pipeline):
    assert np.array_equal(build(component, pipeline)(IMAGE, np.random.default_rng(0)), IMAGE[:, ::-1])


def test_torchvision_takes_enumerations_and_dtypes_by_name():
    apply = build(
        TorchvisionTransform,
        [
            {"use": "Resize", "size": [16, 16], "interpolation": "nearest"},
            {"use": "AutoAugment", "policy": "cifar10"},
            {"use": "ToDtype", "dtype": "float32", "scale": True},
            {"use": "ToDtype", "dtype": "uint8", "scale": True},
        ],
    )
    image = apply(IMAGE, np.random.default_rng(0))
    assert image.shape == (16, 16, 3)
    assert image.dtype == np.uint8


FLOATS = {"use": "ToDtype", "dtype": "float32", "scale": True}


@pytest.mark.parametrize(
    ("component", "pipeline", "named"),
    [
        (Albumentations, [{"use": "ToFloat", "p": 0.5}], "ToFloat gives float32"),
        (Albumentations, [{"use": "HorizontalFlip"}, {"use": "Normalize"}], "Normalize gives float32"),
        (
            Albumentations,
            [{"use": "OneOf", "transforms": [{"use": "ToFloat", "p": 0.1}], "p": 0.5}],
            "ToFloat gives float32",
        ),
        (TorchvisionTransform, [{"use": "RandomHorizontalFlip"}, FLOATS], "ToDtype gives float32"),
        (TorchvisionTransform, [{"use": "RandomApply", "p": 0.3, "transforms": [FLOATS]}], "ToDtype gives float32"),
        (TorchvisionTransform, [{"use": "ToDtype", "dtype": "int32"}], "ToDtype gives int32"),
    ],
)
def test_a_step_that_gives_other_pixels_than_uint8_is_named_at_the_first_image_it_does_so(component, pipeline, named):
    apply = build(component, pipeline)
    refused = []
    for seed in range(100):
        try:
            assert apply(IMAGE, np.random.default_rng(seed)).dtype == np.uint8
        except UserError as error:
            refused.append(str(error))
    library = "albumentations" if component is Albumentations else "torchvision"
    assert set(refused) == {
        f"{library}: {named} pixels: leave it out; every transform gives uint8, 0..255, and the host normalises last "
        "(data.normalize)"
    }


@pytest.mark.parametrize(
    ("component", "flip"), [(Albumentations, "HorizontalFlip"), (TorchvisionTransform, "RandomHorizontalFlip")]
)
def test_pixels_that_come_as_floats_are_the_fault_of_the_transform_before(component, flip):
    apply = build(component, [{"use": flip}])
    with pytest.raises(UserError, match="is given float32 pixels: the transform before it must return uint8"):
        apply(IMAGE.astype(np.float32), np.random.default_rng(0))


def test_torchvision_takes_mirrored_and_read_only_images():
    view = IMAGE[:, ::-1]
    view.setflags(write=False)
    apply = build(TorchvisionTransform, [{"use": "RandomHorizontalFlip", "p": 1.0}])
    assert np.array_equal(apply(view, np.random.default_rng(0)), IMAGE)


@pytest.mark.parametrize(
    ("component", "step", "message"),
    [
        (
            Albumentations,
            {"use": "RandomCorp"},
            f"pipeline.0.use: albumentations {version('albumentations')} has no transform 'RandomCorp'; "
            "did you mean 'RandomCrop'?",
        ),
        (
            Albumentations,
            {"use": "RandomCrop", "heigth": 3, "width": 3},
            "pipeline.0.heigth: RandomCrop has no argument 'heigth'; did you mean 'height'?",
        ),
        (
            Albumentations,
            {"use": "RandomCrop", "height": -1, "width": 3},
            "albumentations: RandomCrop: height: Input should be greater than or equal to 1",
        ),
        (Albumentations, {"use": "RandomCrop", "height": 3}, "pipeline.0.width: is required by RandomCrop"),
        (Albumentations, {"p": 1}, "pipeline.0: each step needs `use`"),
        (
            Albumentations,
            {"use": "OneOf", "transforms": [{"p": 1}]},
            "pipeline.0.transforms.0: each step needs `use`, the name of a transform",
        ),
        (
            TorchvisionTransform,
            {"use": "RandomHorizontalFlop"},
            f"pipeline.0.use: torchvision {version('torchvision')} has no transform 'RandomHorizontalFlop'; "
            "did you mean 'RandomHorizontalFlip'?",
        ),
        (
            TorchvisionTransform,
            {"use": "Pad", "paddin": 1},
            "pipeline.0.paddin: Pad has no argument 'paddin'; did you mean 'padding'?",
        ),
        (TorchvisionTransform, {"use": "RandomHorizontalFlip", "p": 2.0}, "torchvision: RandomHorizontalFlip: "),
        (TorchvisionTransform, {"use": "ToDtype", "dtype": "float33"}, "torchvision: ToDtype: 'float33' is no dtype"),
        (
            TorchvisionTransform,
            {"use": "Resize", "size": 8, "interpolation": "best"},
            "torchvision: Resize: 'best' is not a valid InterpolationMode",
        ),
        (TorchvisionTransform, {"use": "Pad"}, "pipeline.0.padding: is required by Pad"),
    ],
)
def test_a_mistake_is_named_when_the_pipeline_is_built(component, step, message):
    with pytest.raises(UserError) as caught:
        build(component, [step])
    assert str(caught.value).startswith(message)


def test_all_mistakes_of_a_pipeline_are_reported_at_once():
    with pytest.raises(UserError) as caught:
        build(Albumentations, [{"use": "Flop"}, {"use": "RandomCrop", "hight": 1, "wide": 1}])
    assert [problem.key for problem in caught.value.problems] == [
        "pipeline.0.use",
        "pipeline.1.hight",
        "pipeline.1.wide",
    ]


@pytest.mark.parametrize("component", [Albumentations, TorchvisionTransform])
def test_a_pipeline_without_steps_is_refused_with_the_recipe(component):
    with pytest.raises(ValidationError):
        component(pipeline=[])


@pytest.mark.parametrize(
    ("component", "step", "message"),
    [
        (
            Albumentations,
            {"use": "RandomCrop", "height": 64, "width": 64},
            "the pipeline fails on an image of (32, 32, 3)",
        ),
        (Albumentations, {"use": "ToTensorV2"}, "albumentations: the pipeline ends with Tensor"),
        (TorchvisionTransform, {"use": "ToPILImage"}, "torchvision: the pipeline ends with Image"),
        (TorchvisionTransform, {"use": "CutMix"}, "the pipeline fails on an image of (32, 32, 3)"),
    ],
)
def test_what_fails_on_an_image_is_the_users_mistake(component, step, message):
    apply = build(component, [step])
    with pytest.raises(UserError) as caught:
        apply(IMAGE, np.random.default_rng(0))
    assert message in str(caught.value)
