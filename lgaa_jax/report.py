"""What a run writes into its workdir, checkpoints aside: JSON, metrics, TensorBoard, pictures."""

import contextlib
import importlib.metadata
import json
import math
import os
import pathlib
import platform
import sys
import time
from collections.abc import Iterator, Mapping

import ml_collections
import numpy as np
import PIL.Image
import tqdm

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "lgaa-jax")
_GREY = 128  # of the lines in a grid: seen on black and on white images


def write_json(path: str | os.PathLike, obj):
    """Writes `obj` as indented JSON, at once or not at all. Raises ValueError for nan and inf."""
    try:
        text = json.dumps(obj, indent=2, allow_nan=False) + "\n"
    except ValueError as error:
        raise ValueError(
            f"{path} cannot be written, a value in it is nan or inf: {error}"
        ) from error
    write_bytes(path, text.encode())


def write_bytes(path: str | os.PathLike, content: bytes):
    """Gives the file new content; a reader, or a kill midway, sees the old or the new, whole."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


class ScalarLog(contextlib.AbstractContextManager):
    """Scalars in metrics.jsonl and, with the image grids, in tensorboard/. A context manager."""

    def __init__(self, workdir: str | os.PathLike, resume_step: int = 0):
        """Drops what an earlier process logged after `resume_step`, the step to go on from."""
        # Here, because it takes a second and evaluation has no use for it.
        import tensorboardX

        workdir = pathlib.Path(workdir)
        path = workdir / "metrics.jsonl"
        kept = list(_lines_until(path, resume_step)) if path.exists() else []
        write_bytes(path, b"".join(kept))
        self._file = path.open("a", encoding="utf-8")
        board = str(workdir / "tensorboard")
        self._board = tensorboardX.SummaryWriter(board, purge_step=resume_step + 1)

    def __exit__(self, *exc_info):
        self.close()

    def scalars(self, step: int, task: int | str, values: Mapping):
        """Writes one line {"step", "task", name: value, ...}. Raises ValueError for nan and inf."""
        values = {name: float(value) for name, value in values.items()}
        for name, value in values.items():
            if name in ("step", "task"):
                raise ValueError(f"a metric may not be called {name!r}: each line has that key")
            if not math.isfinite(value):
                raise ValueError(f"{name} is {value} at step {step}")
        line = {"step": int(step), "task": task, **values}
        self._file.write(json.dumps(line, allow_nan=False) + "\n")
        self._file.flush()
        for name, value in values.items():
            self._board.add_scalar(name, value, step)

    def image(self, step: int, tag: str, array: np.ndarray):
        """Shows a picture in TensorBoard. array: uint8 [H, W, 1 or 3]."""
        self._board.add_image(tag, array, step, dataformats="HWC")

    def close(self):
        """Writes what is still held back."""
        self._file.close()
        self._board.close()


def _lines_until(path: pathlib.Path, step: int) -> Iterator[bytes]:
    """The whole lines of a metrics.jsonl with at most that step; a kill may truncate the last."""
    for line in path.read_bytes().splitlines(keepends=True):
        with contextlib.suppress(ValueError, KeyError, TypeError):
            if line.endswith(b"\n") and json.loads(line)["step"] <= step:
                yield line


def grid(images: np.ndarray, cell: int = 32, gap: int = 2) -> np.ndarray:
    """One picture of rows and columns of images, with `gap` grey pixels between and around.

    images: uint8 [rows, cols, H, W, C], C 1 or 3. Small ones are enlarged by a whole factor
    until the shorter side has `cell` pixels. Returns uint8 [height, width, C].
    """
    if images.ndim != 5 or images.shape[-1] not in (1, 3) or images.dtype != np.uint8:
        form = f"{images.dtype} {images.shape}"
        raise ValueError(f"a grid takes uint8 [rows, cols, H, W, 1 or 3], not {form}")
    rows, cols, h, w, c = images.shape
    factor = max(1, -(-cell // min(h, w)))
    images = images.repeat(factor, axis=2).repeat(factor, axis=3)
    around = ((0, 0), (0, 0), (gap, 0), (gap, 0), (0, 0))  # above and left; the rest is added last
    cells = np.pad(images, around, constant_values=_GREY).swapaxes(1, 2)
    picture = cells.reshape(rows * (h * factor + gap), cols * (w * factor + gap), c)
    return np.pad(picture, ((0, gap), (0, gap), (0, 0)), constant_values=_GREY)


def save_png(path: str | os.PathLike, array: np.ndarray):
    """Writes a picture, uint8 [H, W, 1 or 3], as PNG; makes the folder when it is missing."""
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array).save(path, format="PNG")


def resolved_config(config: ml_collections.ConfigDict) -> dict:
    """{"config": every key as plain JSON values, "versions": {package: version}}."""
    versions = {"python": platform.python_version()}
    for name in _PACKAGES:
        # lgaa-jax itself is not installed when it runs from its sources.
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return {"config": _plain(config), "versions": versions}


def _plain(config: ml_collections.ConfigDict) -> dict:
    return json.loads(json.dumps(config.to_dict()))


class Progress(tqdm.tqdm):
    """A line on stderr with the task, the steps done (`update()`), images/s and a few losses."""

    def __init__(self, total: int, initial: int, batch_size: int):
        """Counts steps, from `initial` to `total`; a step takes `batch_size` images."""
        # In a log file every refresh is one more line.
        seconds = 1 if sys.stderr.isatty() else 30
        self._batch_size, self._shown_at = batch_size, (initial, time.monotonic())
        every = {"mininterval": seconds, "maxinterval": seconds}
        super().__init__(total=total, initial=initial, unit="step", **every)

    def show(self, task: str, losses: Mapping[str, float]):
        """Sets what the next refresh shows; images/s are those since the last call."""
        now, (n, then) = time.monotonic(), self._shown_at
        rate = (self.n - n) * self._batch_size / max(now - then, 1e-9)
        self._shown_at = (self.n, now)
        losses = {name: f"{float(value):.4g}" for name, value in losses.items()}
        self.set_description(task, refresh=False)
        self.set_postfix({"images/s": f"{rate:.0f}", **losses}, refresh=False)
