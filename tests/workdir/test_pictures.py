"""Image grids as files."""

import numpy as np
import PIL.Image
import pytest

from lgaa_jax.workdir import pictures


@pytest.mark.parametrize("channels", [1, 3])
def test_grid_holds_each_image_enlarged(channels, tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2, 3, 16, 12, channels), np.uint8)
    picture = pictures.grid(images, cell=30, gap=2)
    h, w = 16 * 3 + 2, 12 * 3 + 2
    assert picture.dtype == np.uint8
    assert picture.shape == (2 * h + 2, 3 * w + 2, channels)
    for row in range(2):
        for col in range(3):
            cell = picture[row * h : (row + 1) * h, col * w : (col + 1) * w]
            assert (cell[:2] == 128).all()
            assert (cell[:, :2] == 128).all()
            np.testing.assert_array_equal(cell[3::3, 3::3], images[row, col])
            np.testing.assert_array_equal(cell[2::3, 4::3], images[row, col])
    pictures.save_png(tmp_path / "images" / "a.png", picture)
    with PIL.Image.open(tmp_path / "images" / "a.png") as read:
        np.testing.assert_array_equal(np.asarray(read).reshape(picture.shape), picture)


def test_grid_leaves_large_images_as_they_are():
    assert pictures.grid(np.zeros((1, 1, 40, 40, 1), np.uint8)).shape == (44, 44, 1)


@pytest.mark.parametrize("channels", [1, 3])
def test_names_stand_above_their_columns(channels):
    images = np.zeros((1, 3, 32, 32, channels), np.uint8)
    bare = pictures.grid(images)
    for names in (["0", "", "2"], ["sandal", "", "ankle boot"], ["n" * 999, "", "\udcff\n"]):
        picture = pictures.grid(images, names)
        height = len(picture) - len(bare)
        assert 10 < height <= 104
        np.testing.assert_array_equal(picture[height:], bare)
        dark = (picture[:height] < 128).any((0, 2))
        columns = [dark[34 * i : 34 * (i + 1)].any() for i in range(3)]
        assert columns == [True, False, True]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("names", [(), ("0", "sandal", "2")])
def test_images_are_cut_out_of_a_grid_as_they_were(channels, names, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (4, 3, 16, 12, channels), np.uint8)
    pictures.save_png(tmp_path / "a.png", pictures.grid(images, names))
    picture = pictures.read_png(tmp_path / "a.png")
    np.testing.assert_array_equal(pictures.cut(picture, 4, images.shape[2:]), images)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_table_has_each_grid_in_its_place_and_nothing_where_there_is_none(channels):
    rng = np.random.default_rng(0)
    wide, narrow, last = (
        rng.integers(0, 256, (2, n, 32, 32, channels), np.uint8) for n in (5, 2, 5)
    )
    blocks = [[wide, narrow], [None, last]]
    picture = pictures.table(blocks, ["first", "second"], ["after first", "after second"])
    height, width = 2 * 34 + 2 + 8, 5 * 34 + 2 + 8
    top, left = len(picture) - 2 * height, picture.shape[1] - 2 * width
    places = {(0, 0): (wide, 4), (0, 1): (narrow, 4 + 3 * 34 // 2), (1, 1): (last, 4)}
    rest = picture.copy()
    for (row, column), (images, before) in places.items():
        expected = pictures.grid(images)
        y, x = top + row * height, left + column * width + before
        place = slice(y, y + expected.shape[0]), slice(x, x + expected.shape[1])
        np.testing.assert_array_equal(picture[place], expected)
        rest[place] = 255
    assert (rest[top:, left:] == 255).all()  # between the grids, and where there is none
    for words in (rest[:top, left : left + width], rest[:top, left + width :]):
        assert (words < 128).any()
    for words in (rest[top : top + height, :left], rest[top + height :, :left]):
        assert (words < 128).any()
    assert (rest[:top, :left] == 255).all()


def test_a_name_above_a_wide_column_is_cut_where_the_column_ends():
    name = "after a data set of a long name"
    picture = pictures.table([[np.zeros((1, 8, 32, 32, 1), np.uint8)]], ["a"], [name])
    assert len(picture) - (34 + 2 + 8) < 30  # not on end
    long = pictures.table([[np.zeros((1, 8, 32, 32, 1), np.uint8)]], ["a" * 99], [name * 9])
    assert long.shape[1] < 144 + 16 + 8 * 34 + 2 + 8 + 1


@pytest.mark.parametrize(
    ("count", "shape"), [(1, (16, 16, 1)), (10, (32, 32, 3)), (7, (64, 48, 1))]
)
def test_the_columns_of_a_file_are_counted(tmp_path, count, shape):
    images = np.zeros((2, count, *shape), np.uint8)
    pictures.save_png(tmp_path / "a.png", pictures.grid(images, ["name"] * count))
    assert pictures.columns(tmp_path / "a.png", shape) == count


@pytest.mark.parametrize("bad", [np.zeros((2, 8, 8, 1), np.uint8), np.zeros((1, 1, 8, 8, 1))])
def test_grid_refuses_another_form(bad):
    with pytest.raises(ValueError, match="a grid takes uint8"):
        pictures.grid(bad)


def test_a_picture_is_written_at_once_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    pictures.save_png(path, np.zeros((4, 6, 3), np.uint8))
    before = path.read_bytes()

    def save(self, file, **options):
        file.write(b"half a picture")
        raise OSError("no space left on device")

    monkeypatch.setattr(PIL.Image.Image, "save", save)
    with pytest.raises(OSError, match="no space"):
        pictures.save_png(path, np.ones((4, 6, 3), np.uint8))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]
