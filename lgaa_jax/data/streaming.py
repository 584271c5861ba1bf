"""Whether the images of a run are held in memory or stay on disk: the key `data.streaming`."""

from collections.abc import Iterable

import ml_collections

from lgaa_jax.data import reading
from lgaa_jax.data.images import Form
from lgaa_jax.errors import UserError

# Gigabytes. CelebA at 64x64 takes 2.4; while a task is learned, its images are in memory up to
# three times. A fixed number, and no share of what the machine has: the hosts of a run must agree.
AUTO = 4.0


def most_bytes(text: str) -> float:
    """The bytes that the images of all tasks may take before they are streamed.

    Raises UserError where the text is neither auto, on nor off, nor a number of gigabytes.
    """
    known = {"auto": AUTO * 1e9, "on": -1.0, "off": float("inf")}
    if text in known:
        return known[text]
    try:
        size = float(text)
    except ValueError:
        size = -1.0
    if not 0 <= size < float("inf"):
        raise UserError(
            f"data.streaming={text!r} cannot be used; it must be auto, on, off or the gigabytes of "
            "images from which on they are streamed, such as 16."
        )
    return size * 1e9


def streams(settings: ml_collections.ConfigDict, sources: Iterable[tuple[str, Form]]) -> bool:
    """Whether the images of these sources, each in its form, are streamed.

    settings: `config.data`. It is decided for all together, so that one program serves all tasks. A
    source that several tasks share counts once. Raises UserError as `most_bytes` and `reading`.
    """
    most = most_bytes(settings.streaming)
    if most in (-1.0, float("inf")):
        return most < 0
    size = sum(
        reading.count(source, settings.data_dir) * form.size**2 * form.channels
        for source, form in set(sources)
    )
    return size > most
