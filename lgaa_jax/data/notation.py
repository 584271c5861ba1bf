"""The text of `config.tasks`, which picks tasks from the sources."""

import dataclasses
import re

from lgaa_jax.data import folders, tfds_sets
from lgaa_jax.data.sources import lookup
from lgaa_jax.errors import UserError


@dataclasses.dataclass(frozen=True)
class TaskSpec:
    """One element of `config.tasks`."""

    name: str  # as written, without spaces; `mnist#2` where these images come the second time
    source: str
    classes: tuple[int, ...] | None  # ascending; None: all
    base: str  # name of the first task with these images


def split_tasks(text: str) -> list[str]:
    """The elements of `config.tasks`, as they are written."""
    return [part.strip() for part in re.split(r",(?![^\[]*\])", text)]


def parse_tasks(text: str, data_dir: str = "") -> tuple[TaskSpec, ...]:
    """Reads `config.tasks`, such as "mnist[0-4],letters"."""
    parts = split_tasks(text)
    if "" in parts:
        raise UserError(f"tasks={text!r} has an empty task; write it like 'digits,letters'.")
    specs: list[TaskSpec] = []
    for part in parts:
        spec = _parse_task(part, data_dir)
        same = [s for s in specs if (s.source, s.classes) == (spec.source, spec.classes)]
        if same:
            base = same[0].name
            spec = dataclasses.replace(spec, name=f"{base}#{len(same) + 1}", base=base)
        if spec.name in [s.name for s in specs]:  # a folder's name may end like that, too
            raise UserError(f"tasks={text!r} has two tasks {spec.name!r}; rename that folder.")
        specs.append(spec)
    return tuple(specs)


def _parse_task(text: str, data_dir: str) -> TaskSpec:
    match = re.fullmatch(r"([^\[\]]+)(\[[^\[\]]*\])?", text)
    if not match:
        raise UserError(
            f"cannot read the brackets of task {text!r}; write it like 'mnist[0,2,7-9]'."
        )
    source, bracket = match[1].strip(), re.sub(r"\s", "", match[2] or "")
    limit = lookup(source, data_dir).num_classes
    if not bracket:
        return TaskSpec(source, source, None, base=source)
    if not limit:
        raise UserError(
            f"task {text!r} asks for classes, but {source} is unlabelled; drop {bracket}."
        )
    classes = [c for item in bracket[1:-1].split(",") for c in _parse_classes(item, text, limit)]
    repeated = sorted({c for c in classes if classes.count(c) > 1})
    if repeated:
        raise UserError(f"task {text!r} has class {repeated[0]} more than once; name it once.")
    name = source + bracket
    return TaskSpec(name, source, tuple(sorted(classes)), base=name)


def _parse_classes(item: str, text: str, limit: int) -> range:
    """Reads `3` or `7-9`; `limit` is the source's number of classes."""
    match = re.fullmatch(r"([0-9]+)(?:-([0-9]+))?", item)
    if not match:
        raise UserError(f"cannot read {item!r} in task {text!r}; write it like 'mnist[0,2,7-9]'.")
    first, last = int(match[1]), int(match[2] or match[1])
    if last < first:
        raise UserError(f"the range {item!r} in task {text!r} descends; write '{last}-{first}'.")
    if last >= limit:
        raise UserError(f"task {text!r} asks for class {last}; its classes are 0 to {limit - 1}.")
    return range(first, last + 1)


def check_tasks(tasks: str, data_dir: str) -> tuple[TaskSpec, ...]:
    """Returns the TaskSpecs of the text; UserError if one cannot be loaded; reads no image."""
    specs = parse_tasks(tasks, data_dir)
    for name in dict.fromkeys(spec.source for spec in specs):
        if not folders.is_folder(name) and lookup(name, data_dir).read is None:
            tfds_sets.check(tfds_sets.find(name, data_dir), data_dir)
    return specs
