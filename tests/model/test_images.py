"""Images of every kind in the form of a model, and one sentence for those that cannot be used."""

import numpy as np
import pytest
from PIL import Image

from lgaa_jax.data.images import Form, fit
from lgaa_jax.errors import UserError
from lgaa_jax.model.images import batches, is_one

FORM = Form(16, 1, 0, "white")
COLOUR = Form(16, 3, 0, "white")
PIXELS = np.random.default_rng(0).integers(0, 256, (20, 24, 3), np.uint8)


def formed(images, form=FORM, size=4):
    return np.concatenate(list(batches(images, form, size)))


@pytest.mark.parametrize("form", [FORM, COLOUR])
def test_every_kind_of_image_is_brought_to_form_as_in_training(form, tmp_path):
    expected = fit(Image.fromarray(PIXELS), form.size, form.channels)
    path = tmp_path / "image.png"
    Image.fromarray(PIXELS).save(path)
    kinds = (PIXELS, PIXELS / 255, np.float32(PIXELS / 255), Image.fromarray(PIXELS), path)
    for image in (*kinds, str(path)):
        assert is_one(image)
        np.testing.assert_array_equal(formed(image, form), expected[None])
    np.testing.assert_array_equal(formed([*kinds], form), np.stack([expected] * 5))
    np.testing.assert_array_equal(formed(np.stack([PIXELS] * 5), form), np.stack([expected] * 5))


def test_grey_without_a_channel_and_transparency_are_understood():
    grey = PIXELS[..., 0]
    expected = fit(Image.fromarray(grey), 16, 1)
    for images in (grey, grey[..., None], grey[None], grey[None, ..., None]):
        np.testing.assert_array_equal(formed(images)[0], expected)
    assert [is_one(x) for x in (grey, grey[..., None], grey[None])] == [True, True, False]
    clear = np.dstack([PIXELS, np.zeros((20, 24), np.uint8)])
    assert (formed(clear, COLOUR) == 255).all()


def test_images_in_form_stay_as_they_are_whatever_the_crop():
    images = np.random.default_rng(0).integers(0, 256, (6, 16, 16, 1), np.uint8)
    form = Form(16, 1, 128, "white")
    for given in (images, [*images]):
        np.testing.assert_array_equal(formed(given, form), images)


def test_batches_are_made_when_they_are_asked_for():
    class Counted(list):
        asked = 0

        def __getitem__(self, index):
            self.asked += 1
            return super().__getitem__(index)

    images = Counted([PIXELS] * 10)
    given = batches(images, FORM, 4)
    assert len(next(given)) == 4
    assert images.asked == 1
    assert [len(batch) for batch in given] == [4, 2]


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([], "there are no images; give at least one"),
        (np.zeros((0, 16, 16, 1), np.uint8), "there are no images"),
        (7, "images cannot be a int; give an array, a Pillow image or a path, or a list of them"),
        (None, "images cannot be a NoneType"),
        ({"a": PIXELS}, "images cannot be a dict"),
        (np.zeros(5, np.uint8), r"cannot have the shape \(5,\); give \[H, W\]"),
        (np.zeros((1, 2, 3, 4, 3), np.uint8), "cannot have the shape"),
        (np.zeros((5, 16, 16, 2), np.uint8), r"cannot have the shape \(5, 16, 16, 2\)"),
        ([PIXELS, 3], "image 1 cannot be used: it is a int; give an array"),
        ([PIXELS, [1, 2]], "image 1 cannot be used: it is a list"),
        ([np.zeros((3, 4, 5), np.uint8)], r"image 0 cannot be used: its shape is \(3, 4, 5\)"),
        ([np.zeros((0, 4, 3), np.uint8)], r"its shape is \(0, 4, 3\)"),
        (PIXELS.astype(np.int64), "from image 0 on, pixels are int64; give uint8, or floats"),
        (PIXELS > 3, "pixels are bool"),
        (PIXELS.astype(np.float32), "floats from 0 to 255; give them from 0 to 1, or as uint8"),
        (PIXELS / 127.5 - 1, "floats from -1 to 1"),
        (np.full((16, 16), np.nan), "floats from nan to nan"),
        ("nowhere.png", "image 'nowhere.png' cannot be used: No such file"),
        (__file__, "cannot be used: no image that Pillow knows"),
        ([PIXELS, "nowhere.png"], "image 'nowhere.png' cannot be used"),
    ],
)
def test_what_is_no_image_gets_one_sentence(images, message):
    with pytest.raises(UserError, match=message) as raised:
        formed(images)
    assert "\n" not in str(raised.value)


def test_an_image_smaller_than_its_crop_is_refused():
    with pytest.raises(UserError, match=r"image 0 .*: 24x20 pixels, data\.crop asks for"):
        formed(PIXELS, Form(16, 1, 128, "white"))
