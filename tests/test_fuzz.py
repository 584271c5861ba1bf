"""What holds of generated input: short here, long with `-m fuzz`; both print their counts.

Whole starts of launch.py and kills of whole runs: benchmarks/robustness.py.
"""

import collections
import shutil

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import read_json, same, small_config, untrained_run

from benchmarks import mistakes
from lgaa_jax import files
from lgaa_jax.data import folder_images, folders
from lgaa_jax.data.decoding import decode
from lgaa_jax.data.images import Form
from lgaa_jax.data.notation import parse_tasks, split_tasks
from lgaa_jax.data.quoting import quoted, unquoted
from lgaa_jax.errors import UserError
from lgaa_jax.run import driver, session
from lgaa_jax.run.checks import check_config
from lgaa_jax.workdir.checkpoint import Checkpoints
from lgaa_jax.workdir.metadata import dotted
from lgaa_jax.workdir.record import Record

FORM = Form(8, 1, 0, "white")
RANDOM = st.randoms(use_true_random=False)


def lengths(short, long):
    """A test's numbers of examples."""
    cases = [pytest.param(short, id="short"), pytest.param(long, id="long", marks=pytest.mark.fuzz)]
    return pytest.mark.parametrize("examples", cases)


@pytest.fixture
def explore(request, record_property):
    """Runs `check` on so many examples of strategies and counts what it returns."""

    def run(examples, check, *strategies):
        counts = collections.Counter()

        # The same examples each time: what fails once, fails again.
        @hypothesis.settings(
            max_examples=examples,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(st.tuples(*strategies))
        def one(drawn):
            counts[check(*drawn)] += 1

        one()
        record_property("counts", dict(counts))
        return counts

    return run


def outcome(call, *arguments):
    """What a call returns; None where it says in one sentence what is wrong."""
    try:
        return call(*arguments)
    except UserError as error:
        said = str(error)
    assert said.strip()
    assert "\n" not in said
    return None


def tasks_texts():
    """Names with brackets after some of them, most of them sound; and any tokens in a row."""
    item = st.sampled_from(["0", "3", "1-2", "9", " 7 ", "'5'", "4-2", "10", "x", ""])
    bracket = st.lists(item, max_size=3).map(lambda items: f"[{','.join(items)}]")
    name = st.sampled_from(["digits", " letters", "mnist ", "letters#2", "folder:''", ""])
    task = st.builds(str.__add__, name, st.just("") | bracket)
    words = st.sampled_from([t for t in mistakes.TOKENS if t != "nosuchset"]) | st.text(max_size=3)
    return st.lists(task, max_size=4).map(",".join) | st.lists(words, max_size=8).map("".join)


@lengths(150, 5000)
def test_a_text_of_tasks_is_refused_or_read_and_its_names_mean_the_same(explore, examples):
    def check(text):
        assert "".join(split_tasks(text)) == "".join(part.strip() for part in split_tasks(text))
        specs = outcome(parse_tasks, text)
        if specs is None:
            return "refused"
        names = [spec.name for spec in specs]
        assert len({*names}) == len(names)
        first = [spec for spec in specs if spec.name == spec.base]
        assert parse_tasks(",".join(spec.name for spec in first)) == tuple(first)
        return "read"

    explore(examples, check, tasks_texts())


@lengths(100, 5000)
def test_a_path_or_name_in_quotes_is_one_task_and_comes_back(explore, examples):
    def check(text):
        assert unquoted(quoted(text)) == text
        task = folders.PREFIX + quoted(text)
        if text.strip() != text or not text:
            return "outside spaces"
        assert split_tasks(f"digits,{task},letters") == ["digits", task, "letters"]
        return "one task"

    explore(examples, check, st.text(max_size=20))


def changes():
    """One to three keys of a config, with any value of their type."""
    numbers = st.floats() | st.sampled_from([0.0, -1.0, 1.0, 0.5, 1e300])
    whole = st.integers() | st.sampled_from([0, -1, 1, 7, 16, 32, 64])
    texts = st.text(max_size=9) | st.sampled_from(mistakes.WORDS)
    kinds = {bool: st.booleans(), int: whole, float: numbers, str: texts}
    keys = dotted(small_config().to_dict())
    key = st.sampled_from(sorted(keys))
    one = key.flatmap(lambda k: st.tuples(st.just(k), kinds[type(keys[k])]))
    return st.lists(one, min_size=1, max_size=3).map(dict)


@lengths(150, 5000)
def test_a_config_is_refused_in_one_sentence_or_sound(explore, examples):
    def check(changed):
        config = small_config(**changed)
        return "refused" if outcome(lambda: check_config(config) or True) is None else "sound"

    counts = explore(examples, check, changes())
    assert len(counts) == 2


@lengths(15, 1000)
def test_a_folder_of_images_is_refused_or_every_image_is_loaded_or_named(
    explore, examples, tmp_path
):
    def check(rng, skip_broken):
        shutil.rmtree(tmp_path)
        mistakes.image_folder(rng, tmp_path / "images")
        source = folders.PREFIX + quoted(str(tmp_path / "images"))
        folder = outcome(folders.scan, source)
        if folder is None:
            return "refused"
        given = source, folder, FORM.fit, {}, skip_broken, tmp_path / "cache"
        found = outcome(folder_images.load, *given)
        if found is None:
            return "refused"
        for images, labels in (found.train, found.test):
            assert images.shape == (len(labels), 8, 8, 1)
            assert len(labels)
            assert set(labels) <= {-1, *range(len(folder.class_names))}
        again = folder_images.load(*given)  # as it was kept
        assert again.notes == found.notes
        assert same(again[:2], found[:2])
        return "loaded"

    explore(examples, check, RANDOM, st.booleans())


@lengths(60, 5000)
def test_an_image_file_is_read_or_has_a_reason(explore, examples, tmp_path):
    def check(rng):
        content, suffix = mistakes.image(rng)
        path = tmp_path / f"x.{suffix}"
        path.write_bytes(content)
        decoded = decode([path], FORM.fit)
        assert len(decoded.images) + len(decoded.broken) == 1
        assert all("\n" not in why for why in decoded.broken.values())
        return "broken" if decoded.broken else "read"

    explore(examples, check, RANDOM)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A workdir with checkpoints of steps 1 and 2, and their arrays."""
    workdir, rng = tmp_path_factory.mktemp("fuzz") / "run", np.random.default_rng(0)
    states = {step: {"a": jnp.asarray(rng.normal(size=(40, 5)))} for step in (1, 2)}
    with Checkpoints(workdir, keep=2) as checkpoints:
        for step, state in states.items():
            checkpoints.save(step, state, {"task": step})
    return workdir, states


def damage(rng, path):
    """Cuts a file short, changes a bit of it or removes it."""
    content, kind = bytearray(path.read_bytes()), rng.randint(0, 2)
    if kind == 0:
        content = content[: rng.randrange(len(content))]
    elif kind == 1:
        content[rng.randrange(len(content))] ^= 1 << rng.randint(0, 7)
    path.write_bytes(content)
    if kind == 2:
        path.unlink()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Orbax's readers
@lengths(15, 1000)
def test_of_damaged_checkpoints_nothing_wrong_is_read(explore, examples, saved, tmp_path):
    workdir, states = saved
    stored = sorted(p.relative_to(workdir) for p in workdir.rglob("checkpoints/*/**/*"))
    stored = [p for p in stored if (workdir / p).is_file() and (workdir / p).stat().st_size]
    forms = jax.eval_shape(lambda: states[1])

    def check(rng):
        shutil.rmtree(tmp_path)
        shutil.copytree(workdir, tmp_path)
        for _ in range(rng.randint(1, 2)):
            if (path := tmp_path / rng.choice(stored)).exists() and path.stat().st_size:
                damage(rng, path)
        with Checkpoints(tmp_path, keep=2) as checkpoints:
            found = outcome(checkpoints.newest, lambda step: checkpoints.restore(step, forms))
        if found is None:
            return "none is sound"
        state, meta = found
        assert same(state, states[meta["task"]])
        return f"step {meta['task']} is sound"

    explore(examples, check, RANDOM)


class KilledError(BaseException):
    """Stands for SIGKILL at a place where a file is written."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The config and the folder of a run left alone, which nothing was trained of."""
    config = small_config(**{"tasks": "digits", "eval.generation": "never"})
    workdir, experiment = tmp_path_factory.mktemp("fuzz") / "run", session.build(config)
    with pytest.MonkeyPatch.context() as m:
        m.setattr(session, "build", lambda _: experiment)
        untrained_run(config, workdir)
        yield config, workdir


def holds(workdir):
    """All that a run has made, by its path, less what depends on the clock."""
    results = {k: v for k, v in read_json(workdir / "results.json").items() if k != "seconds"}
    lines = (workdir / "metrics.jsonl").read_text()
    pictures = {p.relative_to(workdir): p.read_bytes() for p in workdir.rglob("images/**/*.png")}
    return results, lines, pictures, (workdir / "report.html").exists()


@lengths(3, 200)
def test_a_run_killed_while_it_writes_a_file_is_finished_by_the_next(
    explore, examples, finished, tmp_path, monkeypatch
):
    """After training: evaluation, results, pictures and report, at each file's start and end."""
    config, whole = finished
    expected, write = holds(whole), files.os.replace

    def check(count, after):
        shutil.rmtree(tmp_path)
        (tmp_path / "run").mkdir(parents=True)
        shutil.copytree(whole / "checkpoints", tmp_path / "run/checkpoints")
        written = []

        def replace(source, target):
            written.append(target)
            if len(written) > count and not after:
                raise KilledError
            write(source, target)
            if len(written) > count:
                raise KilledError

        with monkeypatch.context() as m:
            m.setattr(files.os, "replace", replace)
            try:
                driver.run(config, tmp_path / "run")
                found = "finished"
            except KilledError:
                found = f"killed at {written[-1].name}"
        driver.run(config, tmp_path / "run")
        assert holds(tmp_path / "run") == expected
        return found

    explore(examples, check, st.integers(0, 14), st.booleans())


def test_a_record_of_any_numbers_comes_back_from_a_file(explore, tmp_path):
    metrics = st.dictionaries(st.text(max_size=5), st.floats(), max_size=3)

    def check(values, seconds):
        record = Record().with_task(0, 5, {"a": values}, {"samples": 5}).after(seconds)
        files.write_json(tmp_path / "record.json", record.to_json())
        assert Record.from_json(read_json(tmp_path / "record.json")) == record
        return "same"

    explore(100, check, metrics, st.floats(0, 1e9))
