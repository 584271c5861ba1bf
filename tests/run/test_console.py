"""What a run says on its console, in a file and in a terminal."""

import io
import re
import time
import types

import jax
import numpy as np
import pytest
from conftest import small_config
from rich.console import Console as RichConsole

from lgaa_jax.data.loading import Task
from lgaa_jax.data.split import Split
from lgaa_jax.run import progress, tables
from lgaa_jax.run.console import Console
from lgaa_jax.workdir.record import Record


def make_task(name, train, test, class_names=(), notes=(), labelled=1.0):
    def split(n):
        labels = np.arange(n, dtype=np.int32) % max(len(class_names), 1)
        known = np.where(np.arange(n) < labelled * n, labels, -1).astype(np.int32)
        return Split(
            np.zeros((n, 2, 2, 1), np.uint8), known if class_names else known * 0 - 1, labels
        )

    classes = tuple(range(len(class_names)))
    return Task(
        name, split(train), split(test), classes, len(classes), name, tuple(class_names), notes
    )


def experiment(*tasks, ends=(850, 1700)):
    config = small_config(seed=3, batch_size=64)
    return types.SimpleNamespace(
        config=config,
        tasks=tasks,
        layout=types.SimpleNamespace(num_devices=1),
        ends=ends,
        names=[task.name for task in tasks],
    )


STATE = types.SimpleNamespace(step=0, evaluated={"generator": {"w": np.zeros((3, 4))}})
FOLDER = make_task("folder:pets", 30, 10, ("cat", "dog"), ("2 files passed over: 2 .txt",))
RECORD = Record(
    measured=(
        {"digits": {"accuracy": 0.99, "psnr": 21.26}},
        {"digits": {"accuracy": 0.986, "psnr": 20.5}, "letters": {"accuracy": 0.998, "psnr": 21.4}},
    ),
    measured_with=({}, {}),
    step=1700,
)
NAMES = ["digits", "letters"]


def test_the_opening_lines_say_what_runs_and_on_what():
    tasks = make_task("digits", 1297, 500, "0123456789", labelled=0.1), FOLDER
    lines = list(tables.opening(experiment(*tasks), "runs/x", STATE, "new"))
    assert lines == [
        ("workdir", "runs/x (new)"),
        ("device", f"cpu (the first of {len(jax.devices())})"),
        ("strategy", "lgaa, labels all, seed 3"),
        ("task 1", "digits: 1,297 training and 500 test images, 10 classes, 10 % labelled"),
        ("task 2", "folder:pets: 30 training and 10 test images, 2 classes"),
        ("", "class 0, cat: 15 training, 5 test"),
        ("", "class 1, dog: 15 training, 5 test"),
        ("", "2 files passed over: 2 .txt"),
        ("parameters", "generator 12"),
        ("steps", "1,700 of 64 images (850 a task)"),
    ]


def test_the_opening_says_how_many_of_the_devices_are_used():
    there = len(jax.devices())
    run = experiment(FOLDER)
    for used, text in ((1, f"the first of {there}"), (there, f"all {there}")):
        run.layout = types.SimpleNamespace(num_devices=used)
        assert ("device", f"cpu ({text})") in tables.opening(run, "runs/x", STATE, "new")


def test_a_folder_of_many_classes_lists_the_first():
    task = make_task("folder:many", 50, 50, [f"c{i}" for i in range(25)])
    lines = list(tables.class_lines(task))
    assert len(lines) == tables.MOST_CLASSES + 1
    assert lines[-1] == "and 5 classes more"


def test_unequal_tasks_and_unlabelled_ones_are_said():
    task = make_task("plain", 20, 5)
    lines = dict(tables.opening(experiment(task, task, ends=(10, 40)), "x", STATE, "new"))
    assert lines["task 1"] == "plain: 20 training and 5 test images, no labels"
    assert lines["steps"] == "40 of 64 images (10 + 30)"


def test_after_a_task_there_is_a_row_of_accuracies_and_forgetting():
    first = RECORD.first(1, 850)
    assert tables.after_task(NAMES, first) == "after digits: accuracy (%)  digits 99.0  mean 99.0"
    assert tables.after_task(NAMES, RECORD) == (
        "after letters: accuracy (%)  digits 98.6  letters 99.8  mean 99.2  forgotten 0.4"
    )


def test_without_classes_the_row_is_of_the_reconstructions():
    record = Record(({"a": {"psnr": 20.04, "domain_accuracy": 1.0}},), ({},), 5)
    assert tables.after_task(["a", "b"], record) == "after a: PSNR (dB)  a 20.0"


def test_the_closing_table_says_how_much_colour_there_is():
    grey = {"accuracy": 0.9, "psnr": 20.0}
    svhn = grey | {"chroma": 0.125, "generation/chroma": 0.5}
    rows = list(tables.closing_rows(NAMES, Record(({"digits": grey, "letters": svhn},), ({},), 5)))
    assert rows[-3:] == [
        ["PSNR (dB)", "20.0", "20.0"],
        ["chroma (%)", "-", "12.5"],
        ["sampled chroma (%)", "-", "50.0"],
    ]


def printed(write):
    file = io.StringIO()
    write(Console(file))
    return file.getvalue()


def test_the_closing_table_has_the_matrix_and_the_paths(tmp_path):
    (tmp_path / "sequence.png").touch()
    results = {"average_accuracy": 0.992, "forgetting": 0.004}
    (tmp_path / "report.html").touch()
    path = tmp_path / "results.json"
    text = printed(lambda c: c.closing(NAMES, RECORD, results, path, tmp_path))
    lines = [line.split() for line in text.strip().splitlines()]
    assert lines == [
        ["accuracy", "(%)", "digits", "letters"],
        ["after", "digits", "99.0", "-"],
        ["after", "letters", "98.6", "99.8"],
        ["PSNR", "(dB)", "20.5", "21.4"],
        ["average", "99.2", "%,", "forgotten", "0.4", "points"],
        ["results", str(path)],
        ["report", str(tmp_path / "report.html")],
        ["pictures", str(tmp_path), "(all", "tasks:", "sequence.png)"],
    ]


def test_pictures_are_named_as_far_as_there_are_some(tmp_path):
    """None before the end of a task, and that of all tasks at the end of a run."""
    assert [*tables.closing({}, tmp_path / "r", tmp_path / "none")][1:] == []
    assert [*tables.closing({}, tmp_path / "r", tmp_path)][1:] == [("pictures", str(tmp_path))]


def test_into_a_file_long_lines_stay_whole_and_nothing_is_coloured():
    name = "x" * 150
    text = printed(lambda c: c.say(f"[bold]{name}[/bold] :smile:"))
    assert text == f"[bold]{name}[/bold] :smile:\n"


def test_without_a_terminal_a_line_tells_of_the_progress_every_half_minute(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    file = io.StringIO()
    with progress.Progress(RichConsole(file=file, width=100), total=100, initial=20) as bar:
        bar.measured("letters 99.0")
        bar.show("digits", {"critic": -1.254, "domain": 0.5})
        for _ in range(4):
            now[0] += 10.0
            bar.update(10)
    assert file.getvalue() == "step 50/100  digits  letters 99.0  critic -1.25  0:00:50 left\n"


def test_in_a_terminal_one_bar_shows_the_task_its_losses_and_the_time_left():
    file = io.StringIO()
    console = RichConsole(file=file, force_terminal=True, width=120)
    with progress.Progress(console, total=100, initial=0) as bar:
        bar.measured("letters 99.0")
        bar.show("digits", {"critic": -1.25})
        bar.update(40)
        bar.update(10)
    shown = file.getvalue()
    for part in ("digits", "50/100", "letters 99.0", "critic -1.25", "left"):
        assert part in shown


@pytest.mark.parametrize(
    ("width", "losses"),
    [(110, ["reconstruction 8.25", "critic -1.25"]), (90, ["reconstruction 8.25"]), (70, [])],
)
def test_a_narrow_terminal_shows_fewer_losses_and_the_whole_count(width, losses):
    file = io.StringIO()
    console = RichConsole(file=file, force_terminal=True, width=width)
    with progress.Progress(console, total=1700, initial=1000) as bar:
        bar.measured("accuracy digits 99.0")
        bar.show("letters", {"critic": -1.25, "reconstruction": 8.25})
        bar.update(100)
        bar.update(100)
    last = re.sub(r"\x1b\[[^a-zA-Z]*[a-zA-Z]", "", file.getvalue()).strip().splitlines()[-1]
    assert "1200/1700" in last
    assert "  ".join(["accuracy digits 99.0", *losses]) in last
    assert (" critic" in last, " reconstruction" in last) == (len(losses) > 1, bool(losses))
    assert "left" in last


@pytest.mark.parametrize("initial", [0, 100])
def test_a_bar_that_has_nothing_to_count_shows_nothing(initial):
    file = io.StringIO()
    with progress.Progress(RichConsole(file=file), total=100, initial=initial):
        pass
    assert file.getvalue() == ""


def test_many_tasks_have_a_row_each_and_a_line_names_the_least_of_them():
    names = [f"set{i}" for i in range(tables.MOST_TASKS + 1)]
    measured = [{name: {"accuracy": 0.9, "psnr": 20.0}} for name in names[:-1]]
    final = {name: {"accuracy": 0.5 + i / 100, "psnr": 21.0} for i, name in enumerate(names)}
    record = Record((*measured, final), ({},) * len(names), step=1)
    head, *rows = tables.closing_rows(names, record)
    assert head == ["accuracy (%)", "learned", "in the end", "PSNR (dB)"]
    assert rows[0] == ["set0", "90.0", "50.0", "21.0"]
    assert rows[-1] == [names[-1], "62.0", "62.0", "21.0"]
    assert len(rows) == len(names)
    line = tables.after_task(names, record)
    assert line.startswith("after set12: accuracy (%)  13 tasks, the least set0 50.0  mean 56.0")
