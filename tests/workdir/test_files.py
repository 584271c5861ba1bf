import json

import jax.numpy as jnp
import ml_collections
import numpy as np
import PIL.Image
import pytest

from lgaa_jax import files
from lgaa_jax.run.progress import Progress
from lgaa_jax.workdir import pictures
from lgaa_jax.workdir.metadata import resolved_config
from lgaa_jax.workdir.scalars import ScalarLog


def lines(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def config(**changes):
    c = ml_collections.ConfigDict({"seed": 0, "pair": (1, 2), "log": {"every": 50, "keep": 2}})
    c.update_from_flattened_dict(changes)
    return c


def test_write_json_replaces_whole_files(tmp_path):
    path = tmp_path / "deep" / "results.json"
    files.write_json(path, {"a": 1})
    files.write_json(path, {"a": [0.5, None], "b": "x"})
    assert json.loads(path.read_text()) == {"a": [0.5, None], "b": "x"}
    for bad in (float("nan"), object()):
        with pytest.raises((ValueError, TypeError)):
            files.write_json(path, {"a": bad})
    assert json.loads(path.read_text())["b"] == "x"
    assert [p.name for p in path.parent.iterdir()] == ["results.json"]


def test_write_json_says_which_file_holds_nan(tmp_path):
    with pytest.raises(ValueError, match=r"results\.json cannot be written.* nan"):
        files.write_json(tmp_path / "results.json", [float("nan")])


def test_scalars_are_on_disk_at_once(tmp_path):
    with ScalarLog(tmp_path) as log:
        log.scalars(5, 0, {"train/loss/critic": jnp.float32(0.5), "n": 2})
        assert lines(tmp_path) == [{"step": 5, "task": 0, "train/loss/critic": 0.5, "n": 2.0}]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_scalars_refuse_what_is_no_json(tmp_path, bad):
    with ScalarLog(tmp_path) as log:
        with pytest.raises(ValueError, match=r"train/loss is .* at step 7"):
            log.scalars(7, 0, {"train/loss": bad})
        with pytest.raises(ValueError, match="'step'"):
            log.scalars(7, 0, {"step": 1.0})
    assert lines(tmp_path) == []


def test_a_resumed_log_drops_the_lines_of_steps_to_be_done_again(tmp_path):
    with ScalarLog(tmp_path) as log:
        for step in (10, 20, 30):
            log.scalars(step, 0, {"x": step})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 15, "ta')
    with ScalarLog(tmp_path, resume_step=20) as log:
        log.scalars(25, 1, {"x": 0})
    assert [line["step"] for line in lines(tmp_path)] == [10, 20, 25]
    with ScalarLog(tmp_path, resume_step=0):
        pass
    assert lines(tmp_path) == []


@pytest.mark.parametrize("channels", [1, 3])
def test_tensorboard_holds_scalars_and_pictures(tmp_path, channels):
    with ScalarLog(tmp_path, resume_step=4) as log:
        log.scalars(5, 0, {"train/loss": 0.5})
        log.image(5, "pictures/drawn", np.zeros((4, 6, channels), np.uint8))
    (events,) = (tmp_path / "tensorboard").iterdir()
    content = events.read_bytes()
    assert b"train/loss" in content
    assert b"pictures/drawn" in content
    assert b"PNG" in content


@pytest.mark.parametrize("channels", [1, 3])
def test_grid_holds_each_image_enlarged(channels, tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2, 3, 16, 12, channels), np.uint8)
    picture = pictures.grid(images, cell=30, gap=2)
    h, w = 16 * 3 + 2, 12 * 3 + 2
    assert picture.dtype == np.uint8
    assert picture.shape == (2 * h + 2, 3 * w + 2, channels)
    for row in range(2):
        for col in range(3):
            cell = picture[row * h : (row + 1) * h, col * w : (col + 1) * w]
            assert (cell[:2] == 128).all()
            assert (cell[:, :2] == 128).all()
            np.testing.assert_array_equal(cell[3::3, 3::3], images[row, col])
            np.testing.assert_array_equal(cell[2::3, 4::3], images[row, col])
    pictures.save_png(tmp_path / "images" / "a.png", picture)
    with PIL.Image.open(tmp_path / "images" / "a.png") as read:
        np.testing.assert_array_equal(np.asarray(read).reshape(picture.shape), picture)


def test_grid_leaves_large_images_as_they_are():
    assert pictures.grid(np.zeros((1, 1, 40, 40, 1), np.uint8)).shape == (44, 44, 1)


@pytest.mark.parametrize("bad", [np.zeros((2, 8, 8, 1), np.uint8), np.zeros((1, 1, 8, 8, 1))])
def test_grid_refuses_another_form(bad):
    with pytest.raises(ValueError, match="a grid takes uint8"):
        pictures.grid(bad)


def test_resolved_config_is_plain_json_with_versions(tmp_path):
    resolved = resolved_config(config())
    assert resolved["config"] == {"seed": 0, "pair": [1, 2], "log": {"every": 50, "keep": 2}}
    assert {"python", "jax", "jaxlib", "flax", "numpy"} <= resolved["versions"].keys()
    files.write_json(tmp_path / "config.json", resolved)
    assert json.loads((tmp_path / "config.json").read_text()) == resolved


def test_progress_shows_task_losses_and_rate(capsys):
    with Progress(total=10, initial=4, batch_size=8) as progress:
        for _ in range(6):
            progress.update()
        progress.show("digits", {"critic": jnp.float32(-1.25)})
    shown = capsys.readouterr()
    assert shown.out == ""
    for part in ("digits", "10/10", "critic=-1.25", "images/s="):
        assert part in shown.err.splitlines()[-1].rpartition("\r")[2]
