"""The page of config keys that the documentation site makes."""

import ast
import importlib.util
from pathlib import Path

from configs import default

ROOT = Path(__file__).parents[1]
SPEC = importlib.util.spec_from_file_location("config_keys", ROOT / "docs/site/config_keys.py")
config_keys = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(config_keys)


def flat(tree, prefix=""):
    for key, value in tree.items():
        section = isinstance(value, dict) and prefix != "optim."  # an optimiser is one row
        yield from flat(value, f"{prefix}{key}.") if section else [(f"{prefix}{key}", value)]


def test_it_has_every_key_with_its_default():
    rows = config_keys.config_keys(ROOT / "configs/default.py")
    found = {key: ast.literal_eval(value) for key, value, _ in rows}
    assert found == dict(flat(default.get_config().to_dict()))
    assert len(found) == len(rows)


def test_it_has_the_comment_beside_a_key_or_that_above_it():
    rows = {key: text for key, _, text in config_keys.config_keys(ROOT / "configs/default.py")}
    assert rows["loss.beta"].startswith("weight of KL(q(z|x) to N(0, I))")
    assert rows["max_tasks"].startswith("Tasks that the networks have room for, N; 0: as many")
    page = config_keys.page(ROOT / "configs/default.py")
    assert "| `loss.beta` | `1.0` | weight of KL(q(z\\|x) to N(0, I))" in page
