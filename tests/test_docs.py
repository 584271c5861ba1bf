"""What the documents name as evidence exists: tests, config keys and files."""

import re
from pathlib import Path

import pytest

from configs import default

ROOT = Path(__file__).parents[1]
DOCUMENTS = ("docs/fidelity.md", "docs/theory.md", "CONTRIBUTING.md")


def code_spans(document):
    """The inline code of a Markdown file, code blocks aside."""
    text = (ROOT / document).read_text(encoding="utf-8")
    return re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


def config_keys(tree, prefix=""):
    for name, value in tree.items():
        yield prefix + name
        if isinstance(value, dict):
            yield from config_keys(value, f"{prefix}{name}.")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_named_tests_exist(document):
    for span in code_spans(document):
        if "::" in span:
            file, name = span.split("::")
            (path,) = (ROOT / "tests").rglob(file)
            source = path.read_text(encoding="utf-8")
            assert f"\ndef {name}(" in source, span


@pytest.mark.parametrize("document", DOCUMENTS)
def test_named_files_exist(document):
    for span in code_spans(document):
        if re.fullmatch(r"[\w./-]+\.py(:\w+)?", span):
            path = span.split(":")[0]
            assert (ROOT / path).exists() or any((ROOT / "tests").rglob(path)), span


def named(document):
    """The spans that may be config keys: lower-case words joined by dots, files aside."""
    words = (span for span in code_spans(document) if re.fullmatch(r"[a-z]\w*(\.\w+)*", span))
    return {word for word in words if not word.endswith((".py", ".md", ".json"))}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_named_config_keys_exist(document):
    keys = set(config_keys(default.get_config().to_dict()))
    sections = {key.split(".")[0] for key in keys if "." in key}
    dotted = {key for key in named(document) if "." in key and key.split(".")[0] in sections}
    assert dotted <= keys
    if document == "docs/fidelity.md":  # where a single word is a key, too
        assert {key for key in named(document) if "." not in key} <= keys
        assert len(named(document)) > 15


def test_the_readme_names_every_config():
    configs = {path.name for path in (ROOT / "configs").glob("*.py")} - {"default.py"}
    assert configs <= set(code_spans("README.md"))
