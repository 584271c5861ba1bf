"""The text of `config.tasks`, which picks tasks from the sources.

`mnist[0,2,7-9]` takes the classes with these labels. In the brackets of a folder the name of a
class means that class, and two names with a dash between them mean all classes from one to the
other; any other number or range means labels. So where classes are called 1 to 12, [1] is the class
called 1, whose label is 0. Quotes: quoting.py.
"""

import dataclasses
import re
from collections.abc import Sequence

from lgaa_jax.data import folders, tfds_sets
from lgaa_jax.data.listing import printable
from lgaa_jax.data.quoting import QUOTED, quoted, unquoted
from lgaa_jax.data.sources import lookup
from lgaa_jax.errors import UserError, require


@dataclasses.dataclass(frozen=True)
class TaskSpec:
    """One element of `config.tasks`."""

    name: str  # as written, without spaces; `mnist#2` where these images come the second time
    source: str
    classes: tuple[int, ...] | None  # ascending; None: all
    base: str  # name of the first task with these images


ITEM = rf"\s*(?:{QUOTED}\s*(?=[,\]])|[^,\[\]]*)"  # in brackets
SOURCE = rf"\s*(?:{folders.PREFIX}\s*{QUOTED}\s*(?=[,\[]|$)|[^,\[\]]*)"
TASK = re.compile(rf"({SOURCE})(\[{ITEM}(?:,{ITEM})*\])?\s*(?=,|$)")
REST = re.compile(r"(?:[^\[,]|\[[^\]]*\]?)*")


def split_tasks(text: str) -> list[str]:
    """The elements of `config.tasks`, as they are written. Raises UserError unless it is text."""
    require(isinstance(text, str), "tasks", text, "text such as 'digits,letters'")
    parts, start = [], 0
    while start <= len(text):
        # What is no task ends at the next comma that is in no brackets, to be refused as a whole.
        match = TASK.match(text, start) or REST.match(text, start)
        end = match.end() if match else len(text)
        parts.append(text[start:end].strip())
        start = end + 1
    return parts


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
    match = TASK.fullmatch(text)
    if not match:
        raise UserError(
            f"cannot read the brackets of task {text!r}; write it like 'mnist[0,2,7-9]', and a "
            "path that has brackets or commas in quotes, like folder:'a[b],c'."
        )
    name, bracket = _source_name(match[1].strip()), match[2]
    source = lookup(name, data_dir)
    if bracket is None:
        return TaskSpec(name, name, None, base=name)
    if not source.num_classes:
        raise UserError(
            f"task {text!r} asks for classes, but {name} is unlabelled; drop {bracket}."
        )
    items = [_plain(item) for item in re.findall(rf"[\[,]({ITEM})", bracket)]
    names = source.class_names if folders.is_folder(name) else ()
    classes = [c for item in items for c in _classes(item, text, names, source.num_classes)]
    repeated = sorted({c for c in classes if classes.count(c) > 1})
    if repeated:
        raise UserError(f"task {text!r} has class {repeated[0]} more than once; name it once.")
    name, source_name = f"{name}[{','.join(map(quoted, items))}]", name
    return TaskSpec(name, source_name, tuple(sorted(classes)), base=name)


def _source_name(text: str) -> str:
    """A source in the one way to write it: a path in quotes only where it needs them."""
    if not folders.is_folder(text):
        return text
    path = text.removeprefix(folders.PREFIX).strip()
    if path.startswith(("'", '"')) and not re.fullmatch(QUOTED, path):
        raise UserError(
            f"cannot read the quotes of task {text!r}; close them after the path, and double a "
            "quote within it."
        )
    if not unquoted(path):
        raise UserError(f"task {text!r} names no folder; write it like 'folder:PATH'.")
    return folders.PREFIX + quoted(unquoted(path))


def _plain(item: str) -> str:
    """What stands in brackets between two commas: without its quotes, a range without spaces."""
    item = unquoted(item.strip())
    return re.sub(r"\s", "", item) if re.fullmatch(r"[0-9\s-]+", item) else item


def _classes(item: str, text: str, names: Sequence[str], count: int) -> range:
    """The labels that `cat`, `cat-dog`, `3` or `7-9` means; `count` is the number of classes."""
    ends = _named(printable(item), names)
    if ends is None:
        ends = _numbered(item, text, names)
    first, last = ends
    if last < first:
        low, _, high = item.partition("-")
        raise UserError(f"the range {item!r} in task {text!r} descends; write '{high}-{low}'.")
    if last >= count:
        raise UserError(f"task {text!r} asks for class {last}; its classes are 0 to {count - 1}.")
    return range(first, last + 1)


def _named(item: str, names: Sequence[str]) -> tuple[int, int] | None:
    """The first and last label of the name of a class, or of two with a dash between them."""
    labels = {name: label for label, name in enumerate(names)}
    if item in labels:
        return labels[item], labels[item]
    for dash in re.finditer("-", item):
        first, last = item[: dash.start()], item[dash.end() :]
        if first in labels and last in labels:
            return labels[first], labels[last]
    return None


def _numbered(item: str, text: str, names: Sequence[str]) -> tuple[int, int]:
    """The first and last label of a number or a range."""
    match = re.fullmatch(r"([0-9]+)(?:-([0-9]+))?", item)
    if not match:
        or_names = f" or with names of its classes, such as {quoted(names[0])}" if names else ""
        raise UserError(
            f"cannot read {item!r} in task {text!r}; write it like 'mnist[0,2,7-9]'{or_names}."
        )
    if match[1] in names or match[2] in names:
        raise UserError(
            f"the range {item!r} in task {text!r} has one end that is the name of a class and one "
            "that is none; name two classes."
        )
    return int(match[1]), int(match[2] or match[1])


def check_tasks(tasks: str, data_dir: str) -> tuple[TaskSpec, ...]:
    """Returns the TaskSpecs of the text; UserError if one cannot be loaded; reads no image."""
    specs = parse_tasks(tasks, data_dir)
    for name in dict.fromkeys(spec.source for spec in specs):
        if not folders.is_folder(name) and lookup(name, data_dir).read is None:
            tfds_sets.prepared(name, data_dir)
    return specs
