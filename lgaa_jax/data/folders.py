"""Folders of PNG, JPEG and WebP files as a source of tasks: `folder:PATH` in `config.tasks`.

labels   PATH/NAME/... makes a class of each folder NAME, in the order of their names, with the
         images at any depth below it. Images in PATH itself, and no such folders: unlabelled.
splits   PATH/train and PATH/test, each of that form, where both exist. Otherwise one image in ten
         is a test image, by a checksum of its path below PATH: it stays one whatever is added.
images   turned upright by their EXIF entry, 16-bit ones brought to 8 bits, then `fit`.

Images are decoded once and kept in `data.cache_dir`, under a name that depends on the names, sizes
and times of the files and on all that is record to them.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from absl import logging
from PIL import Image, ImageOps

from lgaa_jax.errors import UserError

PREFIX = "folder:"


SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


TEST_SHARE = 10  # one image in so many is a test image


NAMED = 5  # broken files that a message names


VERSION = 1  # of what is record to an image here and in `fit`; another one makes caches anew


Fit = Callable[[Image.Image], np.ndarray]  # to uint8 [size, size, channels]


@dataclasses.dataclass(frozen=True)
class File:
    """An image file of a folder."""

    name: str  # path below the folder, with slashes
    stamp: tuple[int, int]  # size in bytes, time of its last change in ns
    test: bool
    label: str | None  # name of its class


def is_folder(source: str) -> bool:
    """Whether a source of `config.tasks` is a folder."""
    return source.startswith(PREFIX)


def scan(source: str) -> list[File]:
    """Lists the folder of a source `folder:PATH` by name; opens no image. Raises UserError."""
    root = _root(source)
    if not root.is_dir():
        raise UserError(f"task {source!r}: there is no folder {root}; name one that exists.")
    split = all((root / part).is_dir() for part in ("train", "test"))
    files = [_file(name, stamp, split) for name, stamp in _walk(root) if _counts(name, split)]
    if not files:
        raise UserError(
            f"task {source!r}: {root} holds no PNG, JPEG or WebP image; name a folder that does."
        )
    inside = [file.name for file in files if file.label is not None]
    beside = [file.name for file in files if file.label is None]
    if inside and beside:
        raise UserError(
            f"task {source!r}: {root} holds images in folders ({inside[0]}) and beside them "
            f"({beside[0]}); make each folder a class, or leave all images in one."
        )
    for part, test in (("training", False), ("test", True)):
        if not any(file.test == test for file in files):
            raise UserError(
                f"task {source!r}: of the {len(files)} images in {root}, none is a {part} image; "
                "add images, or sort them into the folders train and test."
            )
    return files


def _root(source: str) -> Path:
    return Path(source.removeprefix(PREFIX)).expanduser()


def _walk(root: Path) -> list[tuple[str, tuple[int, int]]]:
    """Name and stamp of every image below `root`, sorted; what begins with a dot is left out."""
    found, folders = [], [root]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    folders.append(Path(entry.path))
                elif entry.name.lower().endswith(SUFFIXES):
                    name, stat = os.path.relpath(entry.path, root), entry.stat()
                    found.append((name.replace(os.sep, "/"), (stat.st_size, stat.st_mtime_ns)))
    return sorted(found)


def _counts(name: str, split: bool) -> bool:
    """Whether an image belongs to one of the splits, where there are folders for them."""
    return not split or name.startswith(("train/", "test/"))


def _file(name: str, stamp: tuple[int, int], split: bool) -> File:
    part, _, inner = name.partition("/") if split else ("", "", name)
    test = part == "test" if split else zlib.crc32(name.encode()) % TEST_SHARE == 0
    label, below, _ = inner.partition("/")
    return File(name, stamp, test, label if below else None)


def classes(source: str) -> list[str]:
    """The classes of a folder, in the order of their labels; none if it is unlabelled."""
    return _classes(scan(source))


def _classes(files: list[File]) -> list[str]:
    return sorted({file.label for file in files} - {None})


def load(source: str, fit: Fit, rules: dict, skip_broken: bool, cache: Path):
    """Decodes a folder, or reads what an earlier call kept in the folder `cache`.

    fit: what is record to each image, described by `rules` for the name of the cache.
    Returns (images uint8 [n, size, size, channels], labels int32 [n]) of train and of test, labels
    -1 where there are none. Raises UserError with the files that cannot be read, unless
    `skip_broken` leaves them out.
    """
    files, root = sorted(scan(source), key=lambda file: file.test), _root(source)
    facts = [VERSION, str(root.resolve()), rules, [(file.name, file.stamp) for file in files]]
    kept = cache / hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]
    decoded = _read(kept)
    if decoded is None:
        decoded = _decode(root, files, fit)
        _keep(kept, *decoded)
    images, broken = decoded
    if broken:
        some = "; ".join(f"{name} ({why})" for name, why in list(broken.items())[:NAMED])
        some += f" and {len(broken) - NAMED} more" if len(broken) > NAMED else ""
        if not skip_broken or len(broken) == len(files):
            raise UserError(
                f"task {source!r}: {len(broken)} of {len(files)} images cannot be used: {some}; "
                "mend or remove them, or leave them out with data.skip_broken=True."
            )
        logging.warning("task %r: %d images are left out: %s", source, len(broken), some)
    number = {None: -1} | {name: i for i, name in enumerate(_classes(files))}
    files = [file for file in files if file.name not in broken]
    labels = np.array([number[file.label] for file in files], np.int32)
    first = sum(not file.test for file in files)
    return (images[:first], labels[:first]), (images[first:], labels[first:])


def _decode(root: Path, files: list[File], fit: Fit):
    """All images [n, size, size, channels], and why each of the others cannot be used."""

    def decode(file: File) -> np.ndarray | str:
        try:
            with Image.open(root / file.name) as image:
                return fit(_eight_bits(ImageOps.exif_transpose(image)))
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            return " ".join(str(error).split())

    images, used, broken = None, 0, {}
    # Pillow decodes without Python's lock, so that threads do; one array, filled as they come.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for file, result in zip(files, pool.map(decode, files), strict=True):
            if isinstance(result, str):
                broken[file.name] = result
                continue
            if images is None:
                images = np.empty((len(files), *result.shape), np.uint8)
            images[used] = result
            used += 1
    return (np.empty((0, 1, 1, 1), np.uint8) if images is None else images[:used]), broken


def _eight_bits(image: Image.Image) -> Image.Image:
    """A 16-bit grey image in 8 bits, which Pillow would clip; others as they are."""
    if not image.mode.startswith("I"):
        return image
    return Image.fromarray((np.asarray(image).clip(0, 65535) // 257).astype(np.uint8))


def _read(kept: Path) -> tuple[np.ndarray, dict[str, str]] | None:
    """What `_keep` kept; None if it is not there or was cut short."""
    try:
        broken = json.loads(kept.with_suffix(".json").read_text())
        return np.load(kept.with_suffix(".npy")), broken
    except (OSError, ValueError, EOFError):
        return None


def _keep(kept: Path, images: np.ndarray, broken: dict[str, str]) -> None:
    """Keeps what was decoded, for the next start; where that fails, a run is only slower."""
    partial = kept.with_suffix(f".{os.getpid()}.npy")
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.save(partial, images)
        kept.with_suffix(".json").write_text(json.dumps(broken))
        partial.replace(kept.with_suffix(".npy"))
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        logging.warning(
            "decoded images cannot be kept in %s (%s); name another data.cache_dir, or they are "
            "decoded at every start.",
            kept.parent,
            error.strerror,
        )
