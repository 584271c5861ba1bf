"""What --mode=explore found: its figures and its tables."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lgaa_jax.report.metric_names import metric
from lgaa_jax.report.samples import MOST_BYTES, Picture, embedded
from lgaa_jax.report.tables import Table, number, titled
from lgaa_jax.report.written import Written
from lgaa_jax.workdir.picture_files import EXPLORE_FOLDER, FOLDER, stems

# What the figures of a task show, by the ends of their files' names.
OF_A_TASK = {
    "interpolation": (
        "From one test image to another: with z, class and task moving in a line, and with z alone."
    ),
    "from_the_task_before": (
        "From an image of the task before: with z, class and task moving, and with z alone."
    ),
    "traversal": "One image with one dimension of z moved from -3 to 3; the strongest first.",
    "translation": (
        "Test images, their reconstructions, and their content in each task: z carried to the "
        "codes there, and z as it is."
    ),
    "generation": "New images of each class.",
    "neighbours": "Test images and their nearest by z among the test images of all tasks.",
}
OF_ALL_TASKS = {
    "generation_by_task.png": "New images of each task.",
    "codes.png": "Codes of test images in a plane, by task and class.",
}
OF_CODES = ("linear_probe", "neighbours_of_the_task", "neighbours_of_the_class")
NOVELTY = ("reconstruction_error", "code_density")
DISENTANGLEMENT = ("mig", "mig_turned", "disentanglement", "completeness", "informativeness")
CODES = {"z": "z", "z_and_class": "z with class"}


class Figure(NamedTuple):
    """A figure; picture: None where it is too large for the page."""

    title: str
    text: str
    picture: Picture | None
    path: Path  # from the workdir


def figures(written: Written) -> Iterator[Figure]:
    """The figures of what was measured, in the order in which they are shown."""
    if "explore" not in written.results:
        return
    room = MOST_BYTES
    within = Path(FOLDER, EXPLORE_FOLDER)
    names = zip(stems(written.names), written.short, strict=True)
    kinds = OF_A_TASK.items()
    files = [(f"{stem}_{kind}.png", short, text) for stem, short in names for kind, text in kinds]
    files += [(file, "all tasks", text) for file, text in OF_ALL_TASKS.items()]
    for file, title, text in files:
        path = written.folder / within / file
        if path.is_file():
            content = path.read_bytes()
            room -= len(content)
            picture = embedded(content, f"{title}: {text}") if room >= 0 else None
            yield Figure(title, text, picture, within / file)


def tables(written: Written) -> Iterator[Table]:
    """The tables of what was measured, as far as there are numbers for them."""
    found = written.results.get("explore", {})
    split, short = written.split, dict(zip(written.names, written.short, strict=True))
    makers = (_of_codes, _detection, _novelty, _disentanglement)
    yield from (table for make in makers if (table := make(found, short, split)).rows)


Found = Mapping[str, Any]  # what results.json has as `explore`
Short = Mapping[str, str]  # the tasks' names for people, by their names


def _of_codes(found: Found, short: Short, split: str) -> Table:
    rows = [
        (titled(key), [number(key, found[key].get(name)) for name in short])
        for key in OF_CODES
        if key in found
    ]
    caption = f"Codes z of the {split} images of each task. ↑ higher is better."
    return Table(caption, "metric", [*short.values()], rows)


def _detection(found: Found, short: Short, split: str) -> Table:
    taken = found.get("task_detection", {})
    rows = [
        (short[name], [number("task_detection", shares.get(other)) for other in short])
        for name, shares in taken.items()
    ]
    caption = f"Which task the {split} images of each task are taken for, in per cent."
    return Table(caption, "task", [f"taken for {name}" for name in short.values()], rows)


def _novelty(found: Found, short: Short, split: str) -> Table:
    rows = [
        (f"{short[e['unseen']]} after {short[e['after_task']]}", _numbers(e, NOVELTY))
        for e in found.get("novelty", [])
    ]
    caption = f"How well {split} images of the next task are told as new. Chance is 0.5."
    return Table(caption, "new task", [metric(key).title for key in NOVELTY], rows)


def _disentanglement(found: Found, short: Short, split: str) -> Table:
    rows = [
        (
            f"{short[e['task']]} after {short[e['after_task']]}, {name}",
            _numbers(e[code], DISENTANGLEMENT),
        )
        for e in found.get("disentanglement", [])
        for code, name in CODES.items()
        if code in e
    ]
    caption = f"How the codes of {split} images hold their known factors. 1 is the best."
    return Table(caption, "codes", [metric(key).title for key in DISENTANGLEMENT], rows)


def _numbers(entry: Mapping[str, float], keys: Sequence[str]) -> list[Any]:
    return [number(key, entry.get(key)) for key in keys]
