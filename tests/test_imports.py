"""Who may import what, read off the source; and what importing the driver must not load."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = {path.stem: path for path in (ROOT / "lgaa_jax").glob("*.py")}
CONFIGS = sorted((ROOT / "configs").glob("*.py"))
OWNERS = {  # the only module that may import each of these
    "tensorflow_datasets": "prepare",
    "orbax": "checkpoint",
    "tensorboardX": "report",
    "tqdm": "report",
    "tensorflow": None,
    "torch": "inception",
    "torch_fidelity": "inception",
}


def imported(path):
    """All modules that a file imports, functions included: (outside roots, names in lgaa_jax)."""
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} has a relative import"
            names += [[*node.module.split("."), alias.name] for alias in node.names]
    own = {parts[1] if len(parts) > 1 else "" for parts in names if parts[0] == "lgaa_jax"}
    return {parts[0] for parts in names}, own


def test_the_command_line_knows_the_driver_the_caches_and_the_error_only():
    assert imported(ROOT / "launch.py")[1] == {"train", "compare", "cache", "errors"}


@pytest.mark.parametrize("module", sorted(PACKAGE))
def test_the_package_keeps_to_its_layers(module):
    roots, own = imported(PACKAGE[module])
    assert "train" not in own
    assert "configs" not in roots
    if module in (
        "clustering",
        "losses",
        "metrics",
        "ops",
        "errors",
        "embedded",
        "generation",
        "plots",
        "risk",
        "strategies",
    ):
        assert own == set()
    for package, owner in OWNERS.items():
        assert package not in roots or module == owner


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_configs_import_nothing_of_the_package(path):
    roots, _ = imported(path)
    assert roots <= {"configs", "ml_collections"}


def test_importing_the_driver_loads_nothing_slow():
    heavy = {"torch", "tensorflow", "tensorflow_datasets", "tensorboardX", "matplotlib", "sklearn"}
    code = f"import sys, lgaa_jax.train; print(*sorted(sys.modules.keys() & {heavy}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
