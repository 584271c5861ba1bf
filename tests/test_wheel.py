"""The wheel: it holds every module, and what it installs runs from any folder."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import jax
import pytest

ROOT = Path(__file__).parents[1]
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "--no-cache-dir"]


def checked(command, cwd, **environment):
    """The output of a command that must end well."""
    env = {**os.environ, **environment}
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from a copy: a build leaves files beside the source."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    shutil.copytree(ROOT / "lgaa_jax", source / "lgaa_jax")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    options = ["--no-deps", "--no-index", "--no-build-isolation"]
    checked([*PIP, "wheel", *options, "--wheel-dir", folder, source], folder)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def elsewhere(wheel, tmp_path_factory):
    """A folder with the command line and the configs, and the package nowhere near it."""
    folder = tmp_path_factory.mktemp("elsewhere")
    installed = folder / "installed"
    options = ["--no-deps", "--no-index", "--no-compile", "--target", installed]
    checked([*PIP, "install", *options, wheel], folder)
    shutil.copy(ROOT / "launch.py", folder)
    shutil.copytree(ROOT / "configs", folder / "configs")
    return folder


def run(folder, *arguments):
    return checked(
        [sys.executable, *arguments],
        folder,
        PYTHONPATH=str(folder / "installed"),
        JAX_COMPILATION_CACHE_DIR=jax.config.jax_compilation_cache_dir,
    )


def test_the_wheel_holds_every_module_and_template_and_nothing_else(wheel):
    files = zipfile.ZipFile(wheel).namelist()
    package = ROOT / "lgaa_jax"
    templates = (package / "report/templates").iterdir()
    expected = {str(path.relative_to(ROOT)) for path in (*package.rglob("*.py"), *templates)}
    assert {name for name in files if ".dist-info/" not in name} == expected


@pytest.mark.ci
def test_what_was_installed_runs_the_smoke_config_from_another_folder(elsewhere):
    where = run(elsewhere, "-c", "import lgaa_jax; print(lgaa_jax.__file__)").strip()
    assert Path(where) == elsewhere / "installed/lgaa_jax/__init__.py"
    smoke = ["--config=configs/quickstart.py:smoke", "--workdir=run"]
    run(elsewhere, "launch.py", *smoke, "--config.eval.generation=never")
    assert json.loads((elsewhere / "run/results.json").read_text())["finished"]
    changed = json.loads((elsewhere / "run/config.json").read_text())["changed"]
    assert (changed["net.width"], changed["eval.generation"]) == (0, "last")
    assert "Keys that differ from the defaults." in (elsewhere / "run/report.html").read_text()


def test_the_program_that_prepares_sets_starts_from_another_folder(elsewhere):
    assert "NAME" in run(elsewhere, "-m", "lgaa_jax.prepare", "--help")
