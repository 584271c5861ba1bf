"""Who may import what, read off the source; and that the map in CONTRIBUTING.md agrees with it."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = sorted((ROOT / "lgaa_jax").rglob("*.py"))
CONFIGS = sorted((ROOT / "configs").glob("*.py"))
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
# A room imports from itself and from those before it; so does what lies beside the rooms, which
# stands here by its own name. Data and networks know nothing of each other.
ORDER = (
    "errors",
    "files",
    "seals",
    "data",
    "networks",
    "training",
    "evaluation",
    "workdir",
    "model",
)
ORDER += ("explore", "report", "run")
STRANGERS = {("data", "networks"), ("networks", "data")}
ABOVE = {"prepare", "__init__"}  # beside the rooms, above them all; nothing imports them
OWNERS = {  # the only modules that may import each of these
    "tensorflow_datasets": ("data/tfds_sets.py", "data/records.py"),
    "array_record": ("data/set_files.py", "data/records.py"),
    "grain": ("data/ahead.py",),
    "orbax": ("workdir/storage.py",),
    "tensorboardX": ("workdir/board.py",),
    "jinja2": ("report/page.py",),
    "vl_convert": ("report/library.py",),
    "rich": ("run/console.py", "run/progress.py"),
    "tensorflow": (),
    "torch": ("evaluation/inception.py",),
    "torch_fidelity": ("evaluation/inception.py",),
}
LONGEST = 200  # lines of a module


def imported(path):
    """The modules that a file imports, functions included, as tuples of names."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (tuple(alias.name.split(".")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} has a relative import"
            yield from ((*node.module.split("."), alias.name) for alias in node.names)


def own(path):
    """What a file imports of the package, each as a file below it."""
    for names in imported(path):
        if names[0] == "lgaa_jax":
            *parents, last = names[1:]
            folder = ROOT / "lgaa_jax" / Path(*parents)
            module = folder / f"{last}.py" if folder.is_dir() else folder.with_suffix(".py")
            assert module.is_file(), (path, names)
            yield module.relative_to(ROOT / "lgaa_jax")


def room(path):
    """The room of a file below the package, or the name of one that lies beside them."""
    return path.parts[0].removesuffix(".py")


def named(path):
    return str(path.relative_to(ROOT / "lgaa_jax"))


@pytest.mark.parametrize("path", PACKAGE, ids=named)
def test_a_room_imports_from_itself_and_the_rooms_before_it(path):
    here = room(path.relative_to(ROOT / "lgaa_jax"))
    for module in own(path):
        there = room(module)
        assert there not in ABOVE
        assert (here, there) not in STRANGERS
        if here not in ABOVE:
            assert ORDER.index(there) <= ORDER.index(here), module


def test_the_drawing_of_the_rooms_has_the_arrows_of_the_source():
    (drawing,) = re.findall(r"```mermaid\n(.*?)```", CONTRIBUTING, flags=re.DOTALL)
    drawn = re.findall(r"^ *([\w.]+) --> ([\w.]+)$", drawing, flags=re.MULTILINE)
    found = set()
    for path in [ROOT / "launch.py", *PACKAGE]:
        if path == ROOT / "lgaa_jax/__init__.py":
            continue  # above them all, and not drawn
        top = ROOT if path.parent == ROOT else ROOT / "lgaa_jax"
        here = path.relative_to(top).parts[0]
        found |= {(here, module.parts[0]) for module in own(path) if module.parts[0] != here}
    below = {"errors.py", "files.py", "seals.py"}  # below all rooms, and not drawn
    assert sorted(drawn) == sorted((a, b) for a, b in found if not {a, b} & below)


def test_the_map_names_every_module_once_and_no_other():
    section = CONTRIBUTING.split("\n## Map\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `([\w/]+\.py)` \| \S.* \|$", section, flags=re.MULTILINE)
    modules = [named(path) for path in PACKAGE if path.name != "__init__.py"]
    assert sorted(rows) == sorted([*modules, "launch.py", "configs/default.py"])


def test_the_map_is_in_the_order_of_the_rooms():
    rooms = re.findall(r"^\| \*\*`(\w+)`\*\* \|", CONTRIBUTING, flags=re.MULTILINE)
    assert rooms == [name for name in ORDER if (ROOT / "lgaa_jax" / name).is_dir()]
    modules = re.findall(r"^\| `(\w+)/\w+\.py` \|", CONTRIBUTING, flags=re.MULTILINE)
    assert list(dict.fromkeys(modules[1:])) == rooms  # the first is configs/default.py


def test_no_module_imports_itself_in_a_circle():
    arrows = {named(path): {str(module) for module in own(path)} for path in PACKAGE}
    while leaves := {path for path, to in arrows.items() if not to & arrows.keys()}:
        arrows = {path: to for path, to in arrows.items() if path not in leaves}
    assert not arrows


@pytest.mark.parametrize("path", PACKAGE, ids=named)
def test_an_outside_library_has_one_module_that_knows_it(path):
    roots = {names[0] for names in imported(path)}
    assert "configs" not in roots
    for package, owners in OWNERS.items():
        assert package not in roots or named(path) in owners


@pytest.mark.parametrize("path", PACKAGE, ids=named)
def test_a_module_fits_in_the_head(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST


def test_the_command_line_knows_the_run_alone():
    assert {room(module) for module in own(ROOT / "launch.py")} <= {"errors", "files", "run"}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_configs_import_nothing_of_the_package(path):
    assert {names[0] for names in imported(path)} <= {"configs", "ml_collections"}


def test_importing_the_driver_loads_nothing_slow():
    heavy = {"torch", "tensorflow", "tensorflow_datasets", "tensorboardX", "matplotlib", "sklearn"}
    heavy |= {"jinja2", "vl_convert", "grain"}
    code = f"import sys, lgaa_jax.run.driver; print(*sorted(sys.modules.keys() & {heavy}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
