"""What the documents name exists: tests, files, code, config keys, links; and their form."""

import ast
import re
import textwrap
from pathlib import Path

import pytest

from configs import default

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "lgaa_jax").rglob("*.py"))
DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    *sorted(f"docs/{p.name}" for p in ROOT.glob("docs/*.md")),
)
WIDTH = 100  # of a line of prose


def read(document):
    return (ROOT / document).read_text(encoding="utf-8")


def prose(document):
    """The text of a Markdown file without its code blocks and equations."""
    return re.sub(r"^ *```.*?^ *```", "", read(document), flags=re.DOTALL | re.MULTILINE)


def code_spans(document):
    """The inline code of a Markdown file, code blocks aside."""
    return re.findall(r"`([^`\n]+)`", prose(document))


def config_keys(tree, prefix=""):
    for name, value in tree.items():
        yield prefix + name
        if isinstance(value, dict):
            yield from config_keys(value, f"{prefix}{name}.")


def defined(body):
    """The names that the statements of a module or class define, each with its own body."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name, node.body if isinstance(node, ast.ClassDef) else []
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from ((target.id, []) for target in targets if isinstance(target, ast.Name))


def code_names():
    """module.name, module.Class.member and Class.member of all that the package defines."""
    for path in MODULES:
        for name, members in defined(ast.parse(path.read_text(encoding="utf-8")).body):
            yield f"{path.stem}.{name}"
            for member, _ in defined(members):
                yield f"{name}.{member}"
                yield f"{path.stem}.{name}.{member}"


def slug(heading):
    """The anchor that GitHub gives to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def anchors(document):
    return {slug(h) for h in re.findall(r"^#+ (.*)$", prose(document), flags=re.MULTILINE)}


def paragraphs(document):
    """The lines of prose of a Markdown file: neither table nor heading, picture or block."""
    return [line for line in prose(document).splitlines() if not re.match(r"\||#+ |!\[", line)]


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
    homes = (ROOT, ROOT / "lgaa_jax", ROOT / "configs")
    for span in code_spans(document):
        if re.fullmatch(r"[\w./-]+\.py(:\w+)?", span):
            path = span.split(":")[0]
            there = any((home / path).is_file() for home in homes)
            assert there or any((ROOT / "tests").rglob(path)), span


@pytest.mark.parametrize("document", DOCUMENTS)
def test_named_config_keys_and_names_of_the_code_exist(document):
    keys, names = set(config_keys(default.get_config().to_dict())), set(code_names())
    heads = {name.split(".")[0] for name in (*keys, *names) if "." in name}
    spans = (span for span in code_spans(document) if re.fullmatch(r"[A-Za-z]\w*(\.\w+)+", span))
    files = re.compile(r".*\.(py|md|json|jsonl|png|csv)")
    dotted = {span for span in spans if not files.fullmatch(span)}
    assert {span for span in dotted if span.split(".")[0] in heads} <= keys | names


def test_single_words_in_the_page_on_fidelity_are_config_keys():
    spans = {span for span in code_spans("docs/fidelity.md") if re.fullmatch(r"[a-z]\w*", span)}
    assert spans <= set(config_keys(default.get_config().to_dict()))
    assert len(spans) > 5


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_within_the_repository_lead_somewhere(document):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(document)):
        if not re.match(r"[a-z]+:", target):
            file, _, anchor = target.partition("#")
            path = (ROOT / document).parent / file if file else ROOT / document
            assert path.exists(), target
            assert not anchor or anchor in anchors(path), target


@pytest.mark.parametrize("document", DOCUMENTS)
def test_no_line_of_prose_is_longer_than_a_reader_takes_in(document):
    for line in paragraphs(document):  # but one that cannot be broken, such as a URL
        broken = textwrap.wrap(line, WIDTH, break_long_words=False, break_on_hyphens=False)
        assert len(broken) <= 1, line


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_fence_has_a_line_of_its_own(document):
    """A block that was filled as if it were prose is none any more."""
    fences = re.findall(r"^ *```.*$", read(document), flags=re.MULTILINE)
    assert [f for f in fences if not re.fullmatch(r" *```(\{?\w+\}?)?", f)] == []


def test_every_config_is_in_the_table_of_configs():
    configs = {path.name for path in (ROOT / "configs").glob("*.py")} - {"default.py"}
    assert configs <= set(code_spans("docs/reference.md"))


def test_the_readme_links_every_document():
    targets = set(re.findall(r"\]\(([^)#\s]+)", read("README.md")))
    assert set(DOCUMENTS) - {"README.md"} <= targets
