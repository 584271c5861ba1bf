"""What lies below a folder: its images by name, and what is passed over. Opens no file.

Names that begin with a dot are left out. Links are followed, but every folder is entered once: in
its own place rather than by a link, and never by a link to a folder above.
"""

import collections
import contextlib
import dataclasses
import heapq
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from lgaa_jax.data.decoding import suffixes

Stamp = tuple[int, int]  # size in bytes, time of the last change in ns


@dataclasses.dataclass(frozen=True)
class Entry:
    """An image file below a folder."""

    name: str  # path below the folder, with slashes; bytes that are no text are surrogates
    stamp: Stamp
    problem: str = ""  # why it cannot be opened, as far as the listing tells


@dataclasses.dataclass
class Listing:
    """All that lies below a folder."""

    images: list[Entry]  # by name
    folders: list[str]  # names of all folders below it
    unreadable: dict[str, str]  # folders that cannot be listed, and why
    passed: collections.Counter[str]  # number of other files, by what they are

    def notes(self) -> list[str]:
        """A note on the files that are no images, if there are some."""
        count = self.passed.total()
        some = ", ".join(f"{number} {kind}" for kind, number in self.passed.most_common())
        return [f"{count} {'file' if count == 1 else 'files'} passed over: {some}"] * bool(count)


def printable(name: str) -> str:
    """A name from the file system as text that can be printed: what is none is escaped."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def walk(root: Path) -> Listing:
    """Lists all that lies below `root`. Raises OSError where `root` itself cannot be listed."""
    listing = Listing([], [], {}, collections.Counter())
    seen = set(_identities(root.resolve().parents))
    folders, links = [""], list[str]()
    while folders or links:  # links last, in the order of their names: the same on every machine
        linked = not folders
        name = heapq.heappop(links) if linked else folders.pop()
        try:
            identity = _identity(root / name)
            if identity in seen:
                if linked:
                    listing.passed["link to a folder that is listed already"] += 1
                continue
            seen.add(identity)
            with os.scandir(root / name) as entries:
                inner = [_add(entry, name, listing) for entry in entries]
        except OSError as error:
            if not name:
                raise
            listing.unreadable[f"{name}/"] = _reason(error)
            continue
        listing.folders += [name] * bool(name)
        folders += [path for path, kind in inner if kind == "folder"]
        for path, kind in inner:
            if kind == "link":
                heapq.heappush(links, path)
    listing.images.sort(key=lambda entry: entry.name)
    return listing


def _add(entry: "os.DirEntry[str]", folder: str, listing: Listing) -> tuple[str, str]:
    """Adds a file to the listing; returns the name of the entry and "folder", "link" or "file"."""
    name, suffix = f"{folder}/{entry.name}".lstrip("/"), os.path.splitext(entry.name)[1].lower()
    if entry.name.startswith("."):
        return name, "file"
    try:
        facts = entry.stat()
    except OSError as error:
        if suffix in suffixes():
            problem = (
                "a link to nothing" if isinstance(error, FileNotFoundError) else _reason(error)
            )
            listing.images.append(Entry(name, (0, 0), problem))
        else:
            listing.passed["dead link" if entry.is_symlink() else "unreadable"] += 1
        return name, "file"
    if stat.S_ISDIR(facts.st_mode):
        return name, "link" if entry.is_symlink() else "folder"
    if suffix in suffixes():
        # Opening a pipe would wait for ever.
        problem = "" if stat.S_ISREG(facts.st_mode) else "not a regular file"
        listing.images.append(Entry(name, (facts.st_size, facts.st_mtime_ns), problem))
    else:
        listing.passed[printable(suffix) or "without a suffix"] += 1
    return name, "file"


def _identity(path: Path) -> tuple[int, int]:
    facts = os.stat(path)
    return facts.st_dev, facts.st_ino


def _identities(paths: Iterable[Path]) -> set[tuple[int, int]]:
    found = set()
    for path in paths:
        with contextlib.suppress(OSError):
            found.add(_identity(path))
    return found


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__
