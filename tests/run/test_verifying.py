"""--mode=verify: what it finds, and that a run makes again whatever can be made again."""

import json
import shutil

import pytest
from conftest import small_config, untrained_run

import lgaa_jax
from lgaa_jax.errors import UserError
from lgaa_jax.run import driver
from lgaa_jax.run.verifying import verify
from lgaa_jax.seals import closed

CONFIG = {"tasks": "digits", "eval.generation": "never"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run with an export and a file of the kind that reference classifiers have."""
    workdir = tmp_path_factory.mktemp("verify") / "run"
    untrained_run(small_config(**CONFIG), workdir)
    lgaa_jax.export(workdir)
    (workdir / "reference").mkdir()
    (workdir / "reference/0.msgpack").write_bytes(closed(b"parameters"))
    return workdir


@pytest.fixture
def workdir(run, tmp_path):
    """A copy of it, to break."""
    return shutil.copytree(run, tmp_path / "run")


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def edit(path):
    """A value that is another number, and no damage to the form of a file."""
    found = json.loads(path.read_text())
    found["reconstruction"]["digits"]["psnr"] += 1.0
    path.write_text(json.dumps(found))


def test_a_sound_run_is_called_sound_and_nothing_is_changed(run, capsys):
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    assert verify(run)
    said = capsys.readouterr().out
    assert said.splitlines()[-1] == f"{run}: sound"
    assert "checkpoint of step 5            sound" in said
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before


@pytest.mark.parametrize(
    ("name", "damage", "says"),
    [
        ("config.json", flip, "config.json                     missing or damaged"),
        ("evaluations.json", flip, "evaluations.json                damaged; the same command"),
        ("results.json", edit, "results.json                    damaged; the same command"),
        ("reference/0.msgpack", flip, "reference/0.msgpack             damaged; the same"),
        ("images/0_after_digits/digits_real.png", flip, "digits_real.png damaged; the same"),
        ("export/weights.safetensors", flip, "damaged: weights.safetensors; export again"),
        ("export/encode.stablehlo", flip, "damaged: encode.stablehlo; export again"),
        ("export/model.json", flip, "damaged: model.json; export again"),
    ],
)
def test_each_kind_of_file_is_checked(workdir, capsys, name, damage, says):
    damage(workdir / name)
    assert not verify(workdir)
    said = capsys.readouterr().out
    assert says in said
    assert "1 of" in said.splitlines()[-1]
    assert said.splitlines()[-1].endswith("damaged")


def test_a_damaged_checkpoint_is_named(workdir, capsys):
    stored = max((workdir / "checkpoints").rglob("d/*"), key=lambda path: path.stat().st_size)
    flip(stored)
    assert not verify(workdir)
    assert "the checkpoint of step 5 in" in capsys.readouterr().out


def test_the_same_command_makes_again_what_is_damaged(workdir):
    files = ("evaluations.json", "results.json", "images/0_after_digits/digits_real.png")
    files += ("images/sequence.png", "config.json")
    whole = {name: (workdir / name).read_bytes() for name in files[:-1]}
    for name in whole:
        flip(workdir / name)
    (workdir / "explored.json").write_text("{")
    driver.run(small_config(**CONFIG), workdir)
    assert {name: (workdir / name).read_bytes() for name in whole} == whole


def test_damaged_exports_and_results_are_not_used(workdir):
    (workdir / "results.json").write_text("{")
    assert "results" not in lgaa_jax.load(workdir).card
    flip(workdir / "export/weights.safetensors")
    with pytest.raises(UserError, match=r"weights\.safetensors cannot be read"):
        lgaa_jax.load(workdir / "export")
    flip(workdir / "export/model.json")
    with pytest.raises(UserError, match=r"model\.json is not the config of a run, or damaged"):
        lgaa_jax.load(workdir / "export")


def test_where_there_is_no_run_it_says_so(tmp_path):
    with pytest.raises(UserError, match="holds no checkpoints"):
        verify(tmp_path)
