"""Keeps the runs that the documents quote, and writes the documents' tables from them.

    python docs/tables.py keep NAME WORKDIR... --machine="one core of an AMD EPYC" [--label=LABEL]
    python docs/tables.py

`keep` copies what a table needs of finished runs into docs/runs/NAME/, a small file for each. The
second form writes every table anew that stands in a document between `<!-- runs/NAME: METRICS -->`
and `<!-- end -->`: a column for each label (of itself the strategy), the mean over its seeds and ±
their standard deviation, then where the figures are from. METRICS are the beginnings of the lines
to be shown, such as `accuracy, PSNR`.
"""

import argparse
import json
import pathlib
import re
import shlex
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

from lgaa_jax.errors import UserError
from lgaa_jax.files import write_json
from lgaa_jax.report import comparison_table

ROOT = pathlib.Path(__file__).parents[1]
RUNS = ROOT / "docs/runs"
DOCUMENTS = (ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")))
TABLE = re.compile(r"(<!-- runs/(\S+):\s(.*?)\s-->\n).*?(<!-- end -->)", re.DOTALL)
# Where the one who ran it keeps things; no number depends on it.
PLACES = ("data_dir", "cache_dir", "reference_dir", "inception_weights")
OF_A_PLACE = re.compile(rf"--?(workdir|config\.\w+\.({'|'.join(PLACES)}))(=.*)?")

Run = dict[str, Any]


def kept(workdir: pathlib.Path, machine: str, label: str) -> Run:
    """What is kept of a finished run. Raises UserError where it is none, or sources had changes."""
    written, results = (
        json.loads((workdir / name).read_text()) for name in ("config.json", "results.json")
    )
    if not results["finished"]:
        raise UserError(f"{workdir} is not finished; the command of its config.json goes on.")
    if written.get("commit", "+").endswith("+"):
        raise UserError(f"{workdir} was not made by a commit alone; run it from a clean clone.")
    config = written["config"]
    for section in ("data", "eval"):
        config[section] |= {key: "" for key in PLACES if key in config[section]}
    return {
        "label": label or config["strategy"],
        "command": without_places(written["command"]),
        "machine": machine,
        "device": written["device"],
        "commit": written["commit"],
        "versions": written["versions"],
        "config": config,
        "results": results,
    }


def without_places(command: str) -> str:
    """The command line of a run without what is of one machine alone."""
    parts, kept = iter(shlex.split(command)), []
    for part in parts:
        if match := OF_A_PLACE.fullmatch(part):
            if not match[3]:
                next(parts)  # `--workdir DIR`
        else:  # `--mode=compare` starts its runs with the whole path of launch.py
            kept.append("launch.py" if part.endswith("/launch.py") else part)
    return shlex.join(kept)


def read(folder: pathlib.Path) -> dict[str, list[Run]]:
    """The kept runs of a folder by label, in the order of their seeds.

    Raises UserError where runs that make one column differ in more than the seed.
    """
    found: dict[str, list[Run]] = {}
    for path in sorted(folder.glob("*.json")):
        run = json.loads(path.read_text())
        found.setdefault(run["label"], []).append(run)
    if not found:
        raise UserError(f"{folder} holds no runs; `python docs/tables.py keep` puts them there.")
    for label, runs in found.items():
        runs.sort(key=lambda run: run["config"]["seed"])
        if len({source(run) for run in runs}) > 1:
            raise UserError(f"{folder}: the runs of {label} are not of one command and version.")
    return found


def source(run: Run) -> str:
    """The command with SEED in the seed's place, the machine, the versions."""
    command = re.sub(r"(--config\.seed)=\d+", r"\1=SEED", run["command"])
    if "--config.seed" not in command:
        command += " --config.seed=SEED"
    made = f"jax {run['versions']['jax']}, commit {run['commit'][:7]}"
    return f"`{command}`; {run['machine']}; {made}"


def table(runs: dict[str, list[Run]], metrics: Sequence[str]) -> str:
    """The Markdown of a table and of where its figures are from."""
    results = {label: [run["results"] for run in own] for label, own in runs.items()}
    lines = [comparison_table.markdown(results, metrics), ""]
    for label, own in runs.items():
        seeds = ", ".join(str(run["config"]["seed"]) for run in own)
        lines.append(textwrap.fill(f"{label}, seeds {seeds}: {source(own[0])}.", 100))
        lines.append("")
    return "\n".join(lines[:-1]) + "\n"


def written(text: str) -> str:
    """A document with each of its tables as the kept runs have it."""

    def new(match: re.Match[str]) -> str:
        begin, name, metrics, end = match.groups()
        return begin + table(read(RUNS / name), re.split(r",\s+", metrics)) + end

    return TABLE.sub(new, text)


def main(argv: Sequence[str]) -> None:
    """See the top of this file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command")
    keep = commands.add_parser("keep", help="copies finished runs into docs/runs/NAME/")
    keep.add_argument("name")
    keep.add_argument("workdirs", nargs="+", type=pathlib.Path)
    keep.add_argument("--machine", required=True)
    keep.add_argument("--label", default="")
    given = parser.parse_args(argv)
    if given.command == "keep":
        for workdir in given.workdirs:
            run = kept(workdir, given.machine, given.label)
            stem = re.sub(r"\W+", "_", run["label"])
            write_json(RUNS / given.name / f"{stem}-{run['config']['seed']}.json", run)
    for path in DOCUMENTS:
        text = path.read_text()
        if (changed := written(text)) != text:
            path.write_text(changed)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except UserError as error:
        sys.exit(f"docs/tables.py: {error}")
