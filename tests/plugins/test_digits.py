import numpy as np
import pytest
from pydantic import ValidationError

from frame_plugins.data.digits import Digits, frame_components


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return Digits().build(tmp_path_factory.mktemp("nothing-here"))


def test_is_offered_under_its_name():
    assert frame_components() == {"digits": Digits}


def test_images_are_grey_32x32_and_use_the_whole_range(data):
    assert data.train.images.shape == (1437, 32, 32, 1)
    assert data.test.images.shape == (360, 32, 32, 1)
    assert data.shape == (32, 32, 1)
    assert data.train.images.dtype == np.uint8
    assert (data.train.images.min(), data.train.images.max()) == (0, 255)
    assert data.classes == ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")


def test_enlarged_images_show_the_original_ones(data):
    from sklearn.datasets import load_digits

    digits = load_digits()
    for index in (0, 100, 359):
        number = int(data.test.source(index).removeprefix("digits[").removesuffix("]"))
        assert data.test.targets[index] == digits.target[number]
        shrunk = data.test.images[index, :, :, 0].reshape(8, 4, 8, 4).mean(axis=(1, 3)) / 255 * 16
        assert np.corrcoef(shrunk.ravel(), digits.images[number].ravel())[0, 1] > 0.98


def test_split_is_stratified_and_has_no_image_twice(data):
    assert not set(data.train.sources) & set(data.test.sources)
    assert len({*data.train.sources, *data.test.sources}) == 1797
    shares = np.bincount(data.test.targets) / np.bincount([*data.train.targets, *data.test.targets])
    assert shares == pytest.approx([0.2] * 10, abs=0.01)


def test_mean_and_std_are_those_of_the_training_images(data):
    pixels = data.train.images / 255
    assert data.mean == pytest.approx([pixels.mean()])
    assert data.std == pytest.approx([pixels.std()])


def test_same_data_each_time(data, tmp_path):
    again = Digits().build(tmp_path)
    assert again.checksum == data.checksum
    assert again.test.sources == data.test.sources
    assert Digits(test_fraction=0.3).build(tmp_path).checksum != data.checksum


@pytest.mark.parametrize("fraction", [0.01, 0.9])
def test_extreme_fractions_still_have_every_digit(tmp_path, fraction):
    data = Digits(test_fraction=fraction).build(tmp_path)
    assert set(data.train.targets) == set(data.test.targets) == set(range(10))


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.2])
def test_impossible_fractions_are_refused(fraction):
    with pytest.raises(ValidationError):
        Digits(test_fraction=fraction)
