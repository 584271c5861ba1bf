"""The workdir itself: whether a run can live there."""

import os
import re
from pathlib import Path

from lgaa_jax.errors import UserError
from lgaa_jax.files import PathLike, expand


def usable_folder(workdir: PathLike) -> Path:
    """The folder that a user named, which may not exist yet; nothing is made.

    Raises UserError where nothing can be written there, or not read back.
    """
    folder = expand(workdir)
    there = folder.absolute()
    while not os.path.lexists(there):
        there = there.parent
    if not there.is_dir():
        what = "not a folder" if there.exists() else "a dead link"
        raise UserError(f"--workdir={workdir}: {there} is {what}; name another --workdir.")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UserError(
            f"--workdir={workdir}: nothing can be written in {there}; name another --workdir."
        )
    # Orbax 0.12 takes its own folder for a pattern of names, and finds nothing that it saved.
    if odd := re.search(r"[\[\]\\]", str(folder.resolve())):
        raise UserError(
            f"--workdir={workdir}: checkpoints cannot be read back from a folder with {odd[0]} "
            f"in its path ({folder.resolve()}); name another --workdir."
        )
    return folder
