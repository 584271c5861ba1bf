"""Folders of image files as a source of tasks: `folder:PATH` in `config.tasks`.

path     In quotes where there are commas or brackets in it: quoting.py.
files    Every still image that Pillow reads (decoding.py), found by its suffix in any case; of
         several frames or pages the first. Links and unreadable folders: listing.py.
splits   PATH/train and PATH/test, and what else is taken as such: layout.py. Otherwise one image in
         ten is for testing: classes.py.
labels   Each folder NAME in PATH, or in its splits, is a class: classes.py.
images   Decoded and kept: folder_images.py.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from lgaa_jax.data import layout, listing
from lgaa_jax.data.classes import File, class_names, counted
from lgaa_jax.data.listing import printable
from lgaa_jax.data.quoting import unquoted
from lgaa_jax.errors import UserError
from lgaa_jax.files import expand

PREFIX = "folder:"


@dataclasses.dataclass(frozen=True)
class Folder:
    """What a folder holds, and how it is taken."""

    root: Path
    files: list[File]  # by name
    class_names: tuple[str, ...]  # in the order of their labels; () if unlabelled
    unreadable: dict[str, str]  # folders in it that cannot be listed, and why
    notes: list[str]  # on how it is taken, and what is left out


def is_folder(source: str) -> bool:
    """Whether a source of `config.tasks` is a folder."""
    return source.startswith(PREFIX)


def scan(source: str) -> Folder:
    """Lists the folder of a source `folder:PATH`; opens no image. Raises UserError."""
    root = expand(unquoted(source.removeprefix(PREFIX)))
    where = f"task {source!r}: {printable(str(root))}"
    found = _walk(root, source, where)
    notes = found.notes()
    if not found.images:
        unreadable = [f"{printable(name)}: {why}" for name, why in found.unreadable.items()]
        what = "; ".join([*unreadable, *notes]) or "no file at all"
        raise UserError(f"{where} holds no image ({what}); name a folder that does.")
    files, taken = layout.arrange(found, where)
    _check_splits(files, where)
    return Folder(root, files, class_names(files), found.unreadable, [*taken, *notes])


def _walk(root: Path, source: str, where: str) -> listing.Listing:
    try:
        return listing.walk(root)
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(
            f"task {source!r}: there is no folder {printable(str(root))}; name one that exists."
        ) from None
    except (OSError, RuntimeError, ValueError) as error:  # links in a circle, a zero in the name
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{where} cannot be read ({reason}); name another folder.") from None


def _check_splits(files: Sequence[File], where: str) -> None:
    """Raises UserError where the training or the test split has no image."""
    for split, test in (("training", False), ("test", True)):
        if not any(file.test == test for file in files):
            raise UserError(
                f"{where}: of its {counted(len(files))}, none is a {split} image; add images, or "
                "sort them into the folders train and test."
            )
