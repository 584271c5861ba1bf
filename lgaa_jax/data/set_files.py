"""The files of a prepared TFDS set: which of them is damaged, and how a message says so."""

import contextlib
import json
import shlex
import textwrap
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from lgaa_jax.errors import UserError

CHUNK = 2000  # records read at once


def command(name: str, data_dir: str) -> str:
    """Returns the shell command that prepares a set."""
    where = f" --data_dir={shlex.quote(data_dir)}" if data_dir else ""
    return f"pip install 'lgaa-jax[prepare]' && python -m lgaa_jax.prepare {name}{where}"


@contextlib.contextmanager
def boundary(
    name: str, folder: Path, data_dir: str, diagnose: Callable[[], str | None] = lambda: None
) -> Iterator[None]:
    """Whatever TFDS raises in the block becomes a UserError; `diagnose` finds the file."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # TFDS, protobuf and array_record raise kinds of their own
        raise damaged_set(name, folder, data_dir, diagnose() or reason_of(error)) from error


def damaged_set(name: str, folder: Path, data_dir: str, reason: str) -> UserError:
    """The message about a set of which something cannot be read."""
    return UserError(
        f"data set {name!r} in {folder} cannot be read ({reason}); copy that folder anew, or "
        f"remove it and prepare it with: {command(name, data_dir)}"
    )


def reason_of(error: Exception) -> str:
    """What an error says, on one line."""
    return textwrap.shorten(str(error), 300) or type(error).__name__


def absent(shards: Iterable[Path]) -> str | None:
    """The first shard that is missing or empty, with the reason; opens none."""
    for path in shards:
        if not path.is_file():
            return f"{path} is missing"
        if not path.stat().st_size:
            return f"{path} is empty"
    return None


def damaged(shards: Iterable[tuple[Path, int]]) -> str | None:
    """The first shard that cannot be read whole, with the reason; reads them all.

    shards: paths with the numbers of records that they should have.
    """
    for path, count in shards:
        try:
            found = _count(path)
        except Exception as error:  # array_record's own kinds
            return f"{path} is damaged: {error}"
        if found != count:
            return f"{path} has {found} records in place of {count}"
    return None


def _count(path: Path) -> int:
    """Reads all records of a shard; returns their number."""
    from array_record.python.array_record_module import ArrayRecordReader

    reader = ArrayRecordReader(str(path))
    try:
        count = int(reader.num_records())
        for start in range(0, count, CHUNK):
            reader.read(start, min(start + CHUNK, count))
        return count
    finally:
        reader.close()


def damaged_json(folder: Path) -> str | None:
    """The first JSON file below a folder that cannot be read, with the reason."""
    for path in sorted(folder.rglob("*.json")):
        try:
            json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            return f"{path} is damaged: {error}"
    return None
