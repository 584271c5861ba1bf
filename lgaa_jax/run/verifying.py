"""Whether what a workdir holds is what was written: `--mode=verify`. Nothing is changed."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from lgaa_jax.errors import UserError
from lgaa_jax.evaluation import classifier
from lgaa_jax.files import PathLike, expand, read_json
from lgaa_jax.model import exporting
from lgaa_jax.run.calling import EXPORT
from lgaa_jax.run.console import Console
from lgaa_jax.run.finishing import EXPLORED, RESULTS
from lgaa_jax.run.reading import require_checkpoints
from lgaa_jax.workdir import pictures, results
from lgaa_jax.workdir.checkpoint import Checkpoints
from lgaa_jax.workdir.metadata import CONFIG, read_metadata
from lgaa_jax.workdir.picture_files import FOLDER
from lgaa_jax.workdir.record import EVALUATIONS, read_record
from lgaa_jax.workdir.scalars import METRICS, logged


class Finding(NamedTuple):
    """What was found of one thing in a workdir."""

    what: str
    verdict: str
    sound: bool


def verify(workdir: PathLike) -> bool:
    """Checks the files of a run, tells what was found, and returns whether all of it is sound.

    TensorBoard's files are not looked at, nor what an earlier version wrote without a checksum.
    Raises UserError where there is no run.
    """
    require_checkpoints(workdir)
    console, found = Console(), []
    for finding in _findings(expand(workdir)):
        found.append(finding)
        console.say(f"{finding.what:<31} {finding.verdict}")
    damaged = sum(not finding.sound for finding in found)
    console.say(f"{workdir}: {f'{damaged} of {len(found)} damaged' if damaged else 'sound'}")
    return not damaged


def _findings(workdir: Path) -> Iterator[Finding]:
    yield _config(workdir)
    with Checkpoints(workdir) as checkpoints:
        yield from (_checkpoint(checkpoints, step) for step in checkpoints.all_steps())
    for name, whole in _FILES.items():
        if (workdir / name).exists():
            yield _plain(name, whole(workdir))
    for path in sorted(workdir.glob(f"{FOLDER}/**/*.png")):
        if not pictures.sound_png(path):
            yield _plain(str(path.relative_to(workdir)), False)
    for path in sorted(workdir.glob(f"{classifier.FOLDER}/*.msgpack")):
        yield _plain(f"{classifier.FOLDER}/{path.name}", classifier.sound(path))
    if (workdir / EXPORT).exists():
        yield _export(workdir / EXPORT)


def _plain(what: str, sound: bool) -> Finding:
    again = "damaged; the same command as before makes it again"
    return Finding(what, "sound" if sound else again, sound)


def _config(workdir: Path) -> Finding:
    try:
        read_metadata(workdir)
    except ValueError:
        return Finding(CONFIG, "missing or damaged", False)
    return Finding(CONFIG, "sound", True)


def _checkpoint(checkpoints: Checkpoints, step: int) -> Finding:
    what = f"checkpoint of step {step}"
    try:
        checked = checkpoints.check(step)
    except UserError as error:
        return Finding(what, str(error), False)
    return Finding(what, "sound" if checked else "readable; saved without checksums", True)


def _lines_whole(workdir: Path) -> bool:
    """A last line that is cut short is no damage: a kill leaves it, the next start drops it."""
    count = (workdir / METRICS).read_bytes().count(b"\n")
    return sum(1 for _ in logged(workdir / METRICS)) == count


def _results_agree(workdir: Path) -> bool:
    """Whether results.json is what follows from the file of evaluations, where there is that."""
    found, record = results.read(workdir), read_record(workdir)
    if found is None or record is None:
        return found is not None
    arguments: dict[str, Any] = {"end": found["steps"], "class_names": found.get("classes", {})}
    names, strategy, seed = found["tasks"], found["strategy"], found["seed"]
    made = results.summary(names, strategy, seed, record, **arguments)
    own = {"seconds", "finished", "explore"}  # not of the evaluations alone
    return {**made, **{key: found[key] for key in own & found.keys()}} == found


def _export(folder: Path) -> Finding:
    try:
        damaged = exporting.damaged(folder, exporting.read_model(folder))
    except ValueError:
        damaged = [exporting.MODEL]
    verdict = f"damaged: {', '.join(damaged)}; export again" if damaged else "sound"
    return Finding(f"{EXPORT}/", verdict, not damaged)


_FILES: dict[str, Callable[[Path], bool]] = {
    EVALUATIONS: lambda workdir: read_record(workdir) is not None,
    RESULTS: _results_agree,
    EXPLORED: lambda workdir: isinstance(read_json(workdir / EXPLORED), dict),
    METRICS: _lines_whole,
}
