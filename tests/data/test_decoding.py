"""What is read of an image file, and that nothing but a listed reason comes of a damaged one."""

import io
import struct
import threading
import warnings

import numpy as np
import pytest
from PIL import Image

from lgaa_jax.data import decoding
from lgaa_jax.data.decoding import decode, suffixes
from lgaa_jax.data.images import Form
from lgaa_jax.errors import UserError

RGB = Form(16, 3, 0, "white")


def read(path, form=RGB):
    """The image and the facts of one sound file."""
    decoded = decode([path], form.fit)
    assert decoded.broken == {}
    return decoded.images[0], decoded.facts[0]


def turned_exif(*tags):
    """An EXIF block with orientation 6 (shown turned by 90 degrees) and other tags.

    tags: (number, type, value of at least 8 bytes).
    """
    entries = sorted([(0x0112, 3, struct.pack(">HH", 6, 0)), *tags])
    head, data = b"MM\0*\0\0\0\x08" + struct.pack(">H", len(entries)), b""
    start = len(head) + 12 * len(entries) + 4
    for number, kind, value in entries:
        head += struct.pack(">HHI", number, kind, 1)
        head += value if len(value) == 4 else struct.pack(">I", start + len(data))
        data += value if len(value) > 4 else b""
    return b"Exif\0\0" + head + b"\0\0\0\0" + data


def upper_half():
    photo = Image.new("RGB", (16, 16))
    photo.paste((255, 255, 255), (0, 0, 16, 8))
    return photo


ODD = {
    "make as a rational": (0x010F, 5, struct.pack(">II", 3, 1)),
    "a rational over zero": (0x9204, 10, struct.pack(">ii", -1, 0)),
}


@pytest.mark.parametrize("tag", ODD.values(), ids=ODD)
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_odd_exif_tags_do_not_keep_an_image_from_being_turned(tmp_path, suffix, tag):
    upper_half().save(tmp_path / f"x.{suffix}", exif=turned_exif(tag), quality=100)
    image, _ = read(tmp_path / f"x.{suffix}")
    np.testing.assert_allclose(image[..., 0].mean(0), [0] * 8 + [255] * 8, atol=12)


def test_damaged_exif_leaves_the_image_as_it_is(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        upper_half().save(tmp_path / "x.jpg", exif=b"Exif\0\0MM\0*\xff\xff", quality=100)
    image, _ = read(tmp_path / "x.jpg")
    np.testing.assert_allclose(image[..., 0].mean(1), [255] * 8 + [0] * 8, atol=12)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_every_orientation_is_turned_as_pillow_turns_it(tmp_path, orientation, suffix):
    from PIL import ImageOps

    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(tmp_path / f"x.{suffix}", exif=exif)
    expected = Image.fromarray(pixels)
    expected.getexif()[0x0112] = orientation
    image, _ = read(tmp_path / f"x.{suffix}")
    np.testing.assert_array_equal(image, np.asarray(ImageOps.exif_transpose(expected)))


@pytest.mark.parametrize(
    "suffix",
    ["bmp", "tif", "TIFF", "gif", "jfif", "ppm", "png", "webp", "tga", "jp2", "ico", "pcx"],
)
def test_still_formats_are_read(tmp_path, suffix):
    kind = {"jfif": "JPEG"}.get(suffix)
    Image.new("RGB", (16, 16), (250, 120, 10)).save(tmp_path / f"x.{suffix}", format=kind)
    image, facts = read(tmp_path / f"x.{suffix}")
    np.testing.assert_allclose(image[8, 8], (250, 120, 10), atol=8)
    assert not facts.animated
    assert f".{suffix.lower()}" in suffixes()


@pytest.mark.parametrize("suffix", ["gif", "tif", "webp", "png"])
def test_the_first_of_several_frames_is_read(tmp_path, suffix):
    frames = [Image.new("RGB", (16, 16), (grey,) * 3) for grey in (200, 0, 90)]
    frames[0].save(tmp_path / f"x.{suffix}", save_all=True, append_images=frames[1:])
    image, facts = read(tmp_path / f"x.{suffix}")
    np.testing.assert_allclose(image, 200, atol=3)
    assert facts.animated


@pytest.mark.parametrize(
    ("value", "suffix", "depth"),
    [(51400, "png", "16-bit"), (51400, "tif", "16-bit"), (200.4, "tif", "floating-point")],
)
def test_deep_grey_becomes_eight_bits(tmp_path, value, suffix, depth):
    kind = np.float32 if depth == "floating-point" else np.uint16
    Image.fromarray(np.full((16, 16), value, kind)).save(tmp_path / f"x.{suffix}")
    image, facts = read(tmp_path / f"x.{suffix}", Form(16, 1, 0, "white"))
    assert image[0, 0, 0] == 200
    assert (facts.depth, facts.peak) == (depth, pytest.approx(value))


def test_the_transparent_level_of_16_bit_grey_shows_the_ground(tmp_path):
    levels = np.full((16, 16), 51400, np.uint16)
    levels[:8] = 0
    Image.fromarray(levels).save(tmp_path / "x.png", transparency=0)
    image, _ = read(tmp_path / "x.png", Form(16, 1, 0, "grey"))
    assert image[..., 0].mean(1).tolist() == [128] * 8 + [200] * 8


@pytest.mark.parametrize(("background", "level"), [("white", 255), ("grey", 128), ("black", 0)])
def test_the_background_shows_where_an_image_is_transparent_and_nowhere_else(
    tmp_path, background, level
):
    clear = Image.new("RGBA", (16, 16), (9, 9, 9, 0))
    clear.paste((0, 0, 0, 255), (4, 4, 12, 12))
    opaque = Image.new("RGB", (16, 16), (7, 8, 9))
    keyed = Image.new("L", (16, 16), 3)
    keyed.paste(50, (4, 4, 12, 12))
    clear.save(tmp_path / "a.png")
    opaque.save(tmp_path / "b.png")
    keyed.save(tmp_path / "c.png", transparency=3)
    paths = [tmp_path / name for name in ("a.png", "b.png", "c.png")]
    images = decode(paths, Form(16, 3, 0, background).fit).images
    assert images[:, 0, 0].tolist() == [[level] * 3, [7, 8, 9], [level] * 3]
    assert images[:, 8, 8].tolist() == [[0] * 3, [7, 8, 9], [50] * 3]


def test_an_error_of_the_disk_may_go_better_and_a_damaged_file_not(tmp_path):
    (tmp_path / "x.png").write_text("none")
    assert decode([tmp_path / "x.png"], RGB.fit).lasting
    gone = decode([tmp_path / "gone.png"], RGB.fit)
    assert (gone.broken, gone.lasting) == ({0: "No such file or directory"}, False)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (TypeError("an int\nis required"), "TypeError an int is required"),
        (AttributeError(), "AttributeError"),
        (struct.error("unpack"), "error unpack"),
        (OverflowError("too large"), "OverflowError too large"),
        (EOFError(), "EOFError"),
        (SyntaxError("broken PNG"), "broken PNG"),
        (Image.DecompressionBombError("bomb"), "DecompressionBombError bomb"),
        (UserError("8x8 pixels"), "8x8 pixels"),
    ],
)
def test_whatever_is_raised_for_an_image_is_its_reason(tmp_path, error, reason):
    def fail(image):
        raise error

    Image.new("L", (4, 4)).save(tmp_path / "x.png")
    assert decode([tmp_path / "x.png"], fail).broken == {0: reason}


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"])
def test_a_damaged_file_is_an_image_or_a_reason_and_never_an_error(tmp_path, kind):
    rng = np.random.default_rng(0)
    buffer = io.BytesIO()
    image = Image.fromarray(rng.integers(0, 256, (24, 20, 3), np.uint8))
    exif = {} if kind in ("GIF", "BMP") else {"exif": turned_exif(*ODD.values())}
    image.save(buffer, kind, **exif if kind != "TIFF" else {})
    whole, paths = buffer.getvalue(), []
    for i in range(60):
        content = bytearray(whole[: rng.integers(len(whole))] if i % 3 == 0 else whole)
        for _ in range(0 if i % 3 == 0 else rng.integers(1, 9)):  # at the head every other time
            content[rng.integers(len(whole) if i % 3 == 1 else 100)] = rng.integers(256)
        paths.append(tmp_path / str(i))
        paths[-1].write_bytes(content)
    decoded = decode(paths, RGB.fit)
    assert len(decoded.images) == len(decoded.facts) == 60 - len(decoded.broken)
    assert len(decoded.broken) >= 10
    assert all(why and len(why) <= 200 and "\n" not in why for why in decoded.broken.values())


def test_an_image_that_takes_too_long_is_given_up_and_the_others_are_read(tmp_path, monkeypatch):
    """More of them than there are threads; too many end it."""
    monkeypatch.setattr(decoding, "SECONDS", 0.2)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    never, paths = threading.Event(), [tmp_path / f"{i}.png" for i in range(8)]
    for i, path in enumerate(paths):
        Image.new("L", (4, 4), i).save(path)

    def fit(image):
        if image.getpixel((0, 0)) in slow:
            never.wait()
        return RGB.fit(image)

    slow = {1, 2, 4, 7}
    decoded = decode(paths, fit)
    assert decoded.broken == dict.fromkeys(slow, "it takes more than 0.2 s")
    assert not decoded.lasting
    assert decoded.images[:, 0, 0, 0].tolist() == [0, 3, 5, 6]
    slow = {*range(6)}
    with pytest.raises(UserError, match=r"0\.png and 4 more images take longer than 0\.2 s each"):
        decode(paths, fit)
    never.set()
