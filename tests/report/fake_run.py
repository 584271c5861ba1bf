"""The files of a run as training leaves them, with numbers of our own; and a page read back."""

import html.parser
import json

import numpy as np
from conftest import small_config

from configs import default
from lgaa_jax import files
from lgaa_jax.workdir import pictures
from lgaa_jax.workdir.metadata import run_metadata
from lgaa_jax.workdir.picture_files import GRID_ROWS, grid_path
from lgaa_jax.workdir.record import Record

STEPS = 100  # of each task
TERMS = ("target_risk", "source_risk", "discrepancy", "labelling_error", "bound")


def write_run(
    workdir, tasks, *, done=None, seed=0, strategy="lgaa", shape=(16, 16, 1), images=True, **changes
):
    """A run of `tasks`, {name: names of its classes}, of which `done` have ended; its results."""
    rng = np.random.default_rng(seed)
    names, done = list(tasks), len(tasks) if done is None else done
    config = small_config(strategy=strategy, seed=seed, tasks="digits,letters", **changes)
    config.data.update(size=shape[0], channels=shape[2])
    labels = {name: range(len(classes)) for name, classes in tasks.items()}
    metadata = run_metadata(config, tasks, labels, {}, default.get_config())
    files.write_json(workdir / "config.json", metadata)
    results = _results(names, done, seed, strategy, rng)
    files.write_json(workdir / "results.json", results)
    measured = [
        {name: {"psnr": 20.0 + t - i} for i, name in enumerate(names[: t + 1])} for t in range(done)
    ]
    record = Record(tuple(measured), (None,) * done, results["steps"], results["seconds"])
    files.write_json(workdir / "evaluations.json", record.to_json())
    lines = [
        {"step": 10 * n, "task": min((10 * n - 1) // STEPS, done - 1)}
        | {f"train/loss/{term}": float(rng.random() + 0.1) for term in ("critic", "class")}
        | {f"train/learning_rate/{phase}": 1e-3 for phase in ("critic", "generator")}
        for n in range(1, done * STEPS // 10 + 1)
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (workdir / "metrics.jsonl").write_text(text)
    if images:
        _draw(workdir, tasks, done, shape, rng)
    return results


def _results(names, done, seed, strategy, rng):
    accuracy = [
        [float(rng.random()) if i <= t < done else None for i in range(len(names))]
        for t in range(len(names))
    ]
    known = names[:done]
    forgotten = {
        name: max(row[i] for row in accuracy[i : done - 1]) - accuracy[done - 1][i]
        for i, name in enumerate(known[:-1])
    }
    return {
        "strategy": strategy,
        "tasks": names,
        "seed": seed,
        "steps": done * STEPS,
        "seconds": 75.0 + seed,
        "finished": done == len(names),
        "accuracy": accuracy,
        "average_accuracy": float(np.mean(accuracy[done - 1][:done])),
        **({"forgetting": float(np.mean(list(forgotten.values())))} if forgotten else {}),
        **({"forgetting_by_task": forgotten} if forgotten else {}),
        "domain_accuracy": [0.5] * done + [None] * (len(names) - done),
        "reconstruction": {n: {"mse": 0.01, "psnr": 20 + rng.random()} for n in known},
        "generation": {n: {"precision": rng.random(), "samples": 10} for n in known},
        "risk": [
            {"after_task": after, "task": name, **{term: float(rng.random()) for term in TERMS}}
            for t, after in enumerate(known)
            for name in known[: t + 1]
        ],
    }


def _draw(workdir, tasks, done, shape, rng):
    names = list(tasks)
    for t in range(done):
        for i, name in enumerate(names[: t + 1]):
            for kind in ("real", "reconstructed", "generated"):
                columns = len(tasks[name]) or 10
                cells = rng.integers(0, 256, (GRID_ROWS, columns, *shape), np.uint8)
                pictures.save_png(grid_path(workdir, names, t, i, kind), pictures.grid(cells))


class Page(html.parser.HTMLParser):
    """Of a report: its tables, all text in it, and the texts of its images.

    tables: {caption: {row: {column: exact number, or the text where there is none}}}.
    """

    def __init__(self, path):
        super().__init__()
        self.tables, self.alts, self.tags, self.texts = {}, [], [], []
        self._open, self._value = [], None
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append(tag)
        if tag == "img":
            self.alts.append(attrs["alt"])
        elif tag == "table":
            self._caption, self._rows = "", []
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("th", "td"):
            self._rows[-1].append("")
        elif tag == "data" and self._open[-1] in ("th", "td"):
            self._value = float(attrs["value"])
        if tag not in ("img", "meta", "link", "input"):
            self._open.append(tag)

    def handle_data(self, data):
        within = self._open[-1] if self._open else ""
        if within not in ("script", "style"):
            self.texts.append(data)
        if "caption" in self._open:
            self._caption += data
        elif {"th", "td"} & {*self._open[-2:]} and within not in ("small", "data"):
            self._rows[-1][-1] += data

    def handle_endtag(self, tag):
        assert self._open.pop() == tag
        if tag == "td" and self._value is not None:
            self._rows[-1][-1], self._value = self._value, None
        elif tag == "table":
            (_, *columns), *rows = self._rows
            self.tables[self._caption] = {
                name: dict(zip(columns, cells, strict=True)) for name, *cells in rows
            }

    def table(self, begin):
        """The one table whose caption begins so."""
        (found,) = [t for caption, t in self.tables.items() if caption.startswith(begin)]
        return found

    @property
    def text(self):
        """What is read in the page, in one line."""
        return " ".join(" ".join(self.texts).split())


def specs(path):
    """The specifications of the charts of a page, by their descriptions."""
    parts = path.read_text().split('<script type="application/json">')[1:]
    found = [json.loads(part.split("</script>")[0]) for part in parts]
    return {spec["description"]: spec for spec in found}
