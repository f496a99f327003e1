import numpy as np
import pytest

from jaxopt_study.data.pictures import resize


def test_four_pixels_to_two_averages_the_inner_neighbours() -> None:
    # Output centres lie at 0.5 and 2.5: halfway between pixels 0, 1 and between 2, 3.
    row = np.array([[[10], [20], [30], [50]]], np.uint8)
    assert resize(row, 1, 2).ravel().tolist() == [15, 40]


def test_two_by_two_to_four_by_four_by_hand() -> None:
    # Centres at -0.25, 0.25, 0.75, 1.25: the edge, a quarter, three quarters, the edge.
    image = np.array([[0, 100], [200, 40]], np.uint8)[:, :, None]
    expected = [[0, 25, 75, 100], [50, 59, 76, 85], [150, 126, 79, 55], [200, 160, 80, 40]]
    # At a quarter down and across: 0.75 * 25 + 0.25 * 160 = 58.75, and so on.
    assert resize(image, 4, 4)[:, :, 0].tolist() == expected


def test_shrinking_does_not_antialias() -> None:
    # Eight pixels to two: centres at 1.5 and 5.5; pixels 0, 3, 4 and 7 have no say.
    row = np.array([[[255], [10], [20], [255], [255], [30], [40], [255]]], np.uint8)
    assert resize(row, 1, 2).ravel().tolist() == [15, 35]


@pytest.mark.parametrize(("height", "width"), [(375, 500), (31, 7), (8, 8), (1, 1), (128, 128)])
@pytest.mark.parametrize("size", [1, 8, 32, 61])
def test_agrees_with_the_definition_in_double_precision(height: int, width: int, size: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    resized = resize(image, size, size)
    assert resized.dtype == np.uint8
    assert resized.shape == (size, size, 3)
    for i, j in {(0, 0), (size // 2, size // 3), (size - 1, size - 1)}:
        assert np.abs(resized[i, j] - _sample(image, i, j, size)).max() <= 0.5 + 1e-3


def test_the_extremes_stay_extremes() -> None:
    assert (resize(np.full((5, 9, 1), 255, np.uint8), 7, 4) == 255).all()
    assert (resize(np.zeros((5, 9, 1), np.uint8), 7, 4) == 0).all()


def _sample(image: np.ndarray, i: int, j: int, size: int) -> np.ndarray:
    """The bilinear sample at the centre of output pixel (i, j), one term at a time."""
    total = np.zeros(image.shape[2])
    y, x = ((k + 0.5) * n / size - 0.5 for k, n in ((i, image.shape[0]), (j, image.shape[1])))
    for row, row_share in ((np.floor(y), 1 - (y - np.floor(y))), (np.floor(y) + 1, y - np.floor(y))):
        for column, column_share in ((np.floor(x), 1 - (x - np.floor(x))), (np.floor(x) + 1, x - np.floor(x))):
            inside = image[int(np.clip(row, 0, image.shape[0] - 1)), int(np.clip(column, 0, image.shape[1] - 1))]
            total += row_share * column_share * inside
    return total
