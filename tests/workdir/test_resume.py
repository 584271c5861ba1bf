"""With which config a run may go on, and the sentence where it may not."""

import json
import types

import pytest
from conftest import small_config

from lgaa_jax.errors import UserError
from lgaa_jax.workdir import resume
from lgaa_jax.workdir.metadata import plain_config, run_metadata, write_metadata


def begin(folder, **changes):
    """A folder in which a run was started: tasks a and b, room for three."""
    c = small_config(**{"tasks": "a,b", "max_tasks": 3, **changes})
    write_metadata(folder, run_metadata(c, {}, {}, {}))
    return folder


def check(folder, free=(), **changes):
    """What has changed where the run in `folder` may go on with this config."""
    c = small_config(**{"tasks": "a,b", "max_tasks": 3, **changes})
    resume.check_same_config(folder, c, free)
    return resume.changes(folder, resume.require_config(folder), plain_config(c), free)


def test_the_same_config_may_go_on(tmp_path):
    run = begin(tmp_path)
    assert check(run) == {}
    assert check(run, free=("log.every",), **{"log.every": 7}) == {"log.every": [2, 7]}
    resume.check_same_config(tmp_path / "none", small_config(seed=9))


def test_another_config_is_refused_with_both_values(tmp_path):
    with pytest.raises(UserError, match=r"another --workdir or put the values back") as error:
        check(begin(tmp_path), free=("log.keep_checkpoints",), **{"seed": 3, "log.every": 7})
    assert "another log.every (there 2, now 7), seed (there 0, now 3)" in str(error.value)


def test_a_key_that_came_or_went_is_a_difference(tmp_path):
    c = small_config(tasks="a,b", max_tasks=3)
    content = run_metadata(c, {}, {}, {})
    content["config"]["pair"] = [1, 2]
    del content["config"]["seed"]
    write_metadata(tmp_path, content)
    with pytest.raises(
        UserError, match=r"pair \(there \[1, 2\], now absent\), seed \(there absent"
    ):
        check(tmp_path)


def test_a_key_that_an_earlier_version_lacks_counts_as_its_value_there(tmp_path, monkeypatch):
    monkeypatch.setattr(resume, "ADDED", {"pair": 3, "unknown": 4})
    run = begin(tmp_path)
    c = small_config(tasks="a,b", max_tasks=3)
    with c.unlocked():
        c.pair = 3
    resume.check_same_config(run, c)
    c.pair = 5
    with pytest.raises(UserError, match=r"another pair \(there 3, now 5\): choose"):
        resume.check_same_config(run, c)


@pytest.mark.parametrize(
    "content",
    ["", '{"config": {', "[]", '{"other": 1}', '{"config": 3}', '{"config": {"seed": 0}}'],
)
def test_a_broken_config_is_named(tmp_path, content):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(UserError, match=r"config\.json is not the config of a run"):
        check(tmp_path)


def test_a_config_that_is_a_folder_is_named(tmp_path):
    (tmp_path / "config.json").mkdir()
    with pytest.raises(UserError, match=r"config\.json is not the config of a run, or damaged"):
        check(tmp_path)


def test_values_that_json_writes_in_another_way_are_the_same(tmp_path):
    c = small_config(tasks="a,b", ema_decay=float("nan"), **{"loss.beta": float("inf")})
    with c.unlocked():
        c.pair = (1, 2)
    content = run_metadata(c, {}, {}, {})
    assert content["config"]["pair"] == [1, 2]
    content["config"]["loss"]["gp"] = 10
    (tmp_path / "config.json").write_text(json.dumps(content))
    resume.check_same_config(tmp_path, c)
    c.loss.gp = 10.5
    with pytest.raises(UserError, match=r"another loss\.gp \(there 10, now 10\.5\): choose"):
        resume.check_same_config(tmp_path, c)


def test_more_tasks_for_a_run_of_a_config_without_a_key_of_today(tmp_path):
    content = run_metadata(small_config(tasks="a,b", max_tasks=3), {}, {}, {})
    del content["config"]["data"]["crop"]
    write_metadata(tmp_path, content)
    with pytest.raises(UserError, match=r'another data\.crop \(there absent, now "16"\): choose'):
        check(tmp_path, tasks="a,b,c", **{"data.crop": "16"})


@pytest.mark.parametrize(
    ("before", "after"),
    [("", ""), ("16", "16"), ("16", "16,16,24"), ("16,24", "16,24,8"), ("0,0", "")],
)
def test_tasks_may_grow_at_the_end_and_their_crops_with_them(tmp_path, before, after):
    run = begin(tmp_path, **{"data.crop": before})
    found = check(run, tasks="a, b,c[0,1]", **{"data.crop": after})
    assert found.pop("tasks") == ["a,b", "a, b,c[0,1]"]
    assert found == ({} if before == after else {"data.crop": [before, after]})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tasks": "a"}, r'another tasks \(there "a,b", now "a"\)'),
        ({"tasks": "a,c,b"}, "another tasks"),
        ({"tasks": "a,b,c", "max_tasks": 4}, "another max_tasks .*, tasks"),
        ({"tasks": "a,b,c", "data.crop": "16,8,8"}, r"another data\.crop"),
        ({"tasks": "a,b,c", "seed": 1}, r"another seed \(there 0, now 1\): choose"),
    ],
)
def test_any_other_change_of_the_tasks_is_refused(tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        check(begin(tmp_path), **changes)


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ({"max_tasks": 0}, "has room for its 2 tasks only, as max_tasks was not set when it was"),
        ({"strategy": "joint"}, "has strategy='joint', which learns all tasks at once, and cannot"),
    ],
)
def test_a_run_that_cannot_be_given_more_tasks_says_so(tmp_path, run, message):
    with pytest.raises(UserError, match=message) as error:
        check(begin(tmp_path, **run), tasks="a,b,c", **run)
    assert "\n" not in str(error.value)


def test_a_new_task_may_not_have_more_classes_than_the_networks():
    loaded = [types.SimpleNamespace(name=f"task{n}", num_classes=n) for n in (3, 10, 0, 10, 11)]
    resume.check_classes("run", loaded[:4], 2)
    with pytest.raises(UserError, match=r"task 'task11' has 11 classes and .* have room for 10"):
        resume.check_classes("run", loaded, 2)


def data(**changes):
    found = {"labels": {"a": [0, 1], "b": []}, "classes": {"a": ["x", "y"]}}
    prints = {"a": {"training": 30, "images": "0f"}, "b": {"training": 5, "images": "1e"}}
    return found | {"data": prints} | changes


def test_the_same_data_may_go_on_and_new_tasks_may_have_any():
    resume.check_same_data("run", data(), data())
    more = data()
    more["data"]["c"] = {"training": 7, "images": "2d"}
    resume.check_same_data("run", data(), {**more, "labels": {**more["labels"], "c": [0]}})
    without = {key: value for key, value in data().items() if key != "data"}
    resume.check_same_data("run", without, data())
    resume.check_same_data("run", {}, data())  # of a version that wrote neither


@pytest.mark.parametrize(
    ("now", "says"),
    [
        (data(classes={"a": ["y", "z"]}), r'classes \(there \["x", "y"\], now \["y", "z"\]\)'),
        (
            data(data={"a": {"training": 40, "images": "0c"}, "b": data()["data"]["b"]}),
            r'other training \(there 30, now 40\), images \(there "0f", now "0c"\); put them back',
        ),
    ],
)
def test_data_that_changed_are_refused_with_what_differs(now, says):
    with pytest.raises(UserError, match=r"the data of task 'a' have changed .*" + says):
        resume.check_same_data("run", data(), now)
