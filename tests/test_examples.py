"""The examples of the documents: configs and commands are sound, and the tutorial runs as it is."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from configs import default
from lgaa_jax.run import checks

ROOT = Path(__file__).parents[1]
DOCUMENTS = ("README.md", "CONTRIBUTING.md", *sorted(p.name for p in ROOT.glob("docs/*.md")))
TUTORIAL = "tutorial.md"
CONFIG_FILE = "configs/my_images.py"  # what the tutorial has its reader write
LENGTH = "    c.steps_per_task = 600\n"


def blocks(document, language):
    """The code blocks of a document in a language, without the indentation of a list."""
    folder = ROOT if (ROOT / document).is_file() else ROOT / "docs"
    text = (folder / document).read_text(encoding="utf-8")
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```", text, flags=re.DOTALL | re.MULTILINE)
    return [re.sub(rf"^{indent}", "", code, flags=re.MULTILINE) for indent, code in found]


def commands(document):
    """The lines of the shell in a document, each as its words."""
    for block in blocks(document, "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            yield shlex.split(line.split(" [--")[0], comments=True)


def launched():
    """(config, dotted keys and values) of every launch.py that a document calls."""
    for document in DOCUMENTS:
        for words in commands(document):
            if "launch.py" in words:
                flags = dict(w[2:].partition("=")[::2] for w in words if w.startswith("--"))
                yield pytest.param(flags, id=f"{document}: {flags['config']}")


def get_config(source, preset=""):
    names: dict = {}
    exec(source, names)
    return names["get_config"](preset)


@pytest.mark.parametrize("flags", [*launched()])
def test_a_command_names_a_config_and_keys_that_exist(flags):
    file, _, preset = flags["config"].partition(":")
    if file == CONFIG_FILE:
        (source,) = [b for b in blocks(TUTORIAL, "python") if "get_config" in b]
    else:
        source = (ROOT / file).read_text(encoding="utf-8")
    config = default.get_config() if file.endswith("default.py") else get_config(source, preset)
    keys = config.to_dict()
    for name in flags:
        if name.startswith("config."):
            tree = keys
            for part in name.split(".")[1:]:
                tree = tree[part]
    known = {"config", "workdir", "mode", "strategies", "seeds", "devices", "step"}
    known |= {"coordinator", "processes", "process"}
    assert {name for name in flags if not name.startswith("config.")} <= known


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_config_that_is_shown_passes_the_checks_of_a_run(document):
    for source in blocks(document, "python"):
        if "def get_config" in source:
            checks.check_config(get_config(source))


@pytest.mark.ci
def test_the_tutorial_runs_from_its_first_line_to_its_last(tmp_path):
    """As a reader would: in a copy of the clone, each block in its order. Only shorter."""
    shutil.copy(ROOT / "launch.py", tmp_path)
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    text = (ROOT / "docs" / TUTORIAL).read_text(encoding="utf-8")
    for language, code in re.findall(r"^```(python|bash)\n(.*?)^```", text, re.DOTALL | re.M):
        if "get_config" in code:
            assert code.count(LENGTH) == 1
            code = code.replace(LENGTH, "    default.shrink(c)\n")
        if name := re.match(r"# (\S+\.py)\n", code):
            (tmp_path / name[1]).write_text(code)
            continue
        script = code.replace("python ", f"{shlex.quote(sys.executable)} ")
        command = ["bash", "-ec", script] if language == "bash" else [sys.executable, "-c", code]
        ran = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
        assert ran.returncode == 0, f"{code}\n{ran.stdout}\n{ran.stderr}"
