"""What may come from somebody else is data: nothing of it is executed, and it is bounded."""

import ast
import io
import re
import zlib
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from lgaa_jax.data import decoding
from lgaa_jax.data.decoding import BrokenImageError, opened
from lgaa_jax.workdir.picture_files import stems

ROOT = Path(__file__).parents[1]


def calls(tree):
    """The functions that are called, as they are written, with the names of their arguments."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), {keyword.arg for keyword in node.keywords}


def test_nothing_in_the_package_can_unpickle():
    """Nothing that can is imported or called; NumPy is told not to."""
    able = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "runpy"}
    for path in [ROOT / "launch.py", *(ROOT / "lgaa_jax").rglob("*.py")]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            assert not {name.split(".")[0] for name in names} & able, path
        for function, arguments in calls(tree):
            assert function not in {"eval", "exec", "compile", "torch.load"}, path
            if function in {"np.load", "np.save"}:
                assert "allow_pickle" in arguments, path
            assert function != "np.savez"


def claimed(width, height):
    """A PNG file of a few bytes that claims to be of any size."""

    def chunk(kind, content):
        checksum = zlib.crc32(kind + content)
        return len(content).to_bytes(4, "big") + kind + content + checksum.to_bytes(4, "big")

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 0, 0, 0, 0])
    data = zlib.compress(b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data)


@pytest.mark.parametrize("size", [(10_000, 8_001), (1, 80_000_001), (10_001, 8_000)])
def test_an_image_that_claims_too_many_pixels_is_not_decoded(size, monkeypatch):
    monkeypatch.setattr(PngImageFile, "load", lambda image: pytest.fail("decoded"))
    with (
        pytest.raises(BrokenImageError, match="pixels are too many"),
        opened(io.BytesIO(claimed(*size))),
    ):
        pass
    assert decoding.MOST_PIXELS == 80_000_000


def test_of_an_animation_the_first_frame_alone_is_decoded(monkeypatch):
    frames = [Image.new("L", (8, 8), level) for level in (10, 90, 170)]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    with opened(file) as image:
        assert image.convert("L").getpixel((0, 0)) == 10
        assert image.tell() == 0


@pytest.mark.parametrize(
    "name", ["folder:../../etc", "folder:/a/..", "mnist[../x]", "..", "a/b", "a\\b", "a\0b", "~"]
)
def test_no_name_of_a_task_leads_out_of_its_folder(name):
    (stem,) = stems([name])
    assert re.fullmatch(r"[\w-]+", stem)
