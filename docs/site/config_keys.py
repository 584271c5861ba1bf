"""Every key of configs/default.py with its default and comment, as a page of the site."""

import ast
import pathlib
import tokenize

HEAD = "# Config keys\n\nAs in `configs/default.py`; `--config.KEY=VALUE` sets one.\n\n"


def config_keys(path: pathlib.Path) -> list[tuple[str, str, str]]:
    """Key, default and comment of each assignment to the config in `get_config`.

    The comment is that beside the line, or the whole lines of comment above it.
    """
    source = path.read_text(encoding="utf-8")
    lines = source.splitlines()
    with path.open("rb") as file:
        comments = {
            token.start[0]: token.string.lstrip("# ")
            for token in tokenize.tokenize(file.readline)
            if token.type == tokenize.COMMENT
        }
    (function,) = (
        node
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef) and node.name == "get_config"
    )
    prefixes, found = {"c": ""}, []
    for node in function.body:
        if not isinstance(node, ast.Assign):
            continue
        targets = [t for t in node.targets if isinstance(t, ast.Attribute)]
        if not targets:
            continue
        key = prefixes.get(ast.unparse(targets[0].value), "optim.") + targets[0].attr
        if isinstance(node.value, ast.Call):  # a section, and the name it has from here on
            aliases = [t.id for t in node.targets if isinstance(t, ast.Name)]
            prefixes |= dict.fromkeys(aliases, f"{key}.")
            continue
        places = range(node.lineno, (node.end_lineno or node.lineno) + 1)
        beside = [comments[i] for i in places if i in comments]
        above, i = [], node.lineno - 1
        while i in comments and lines[i - 1].lstrip().startswith("#"):
            above.insert(0, comments[i])
            i -= 1
        found.append((key, ast.unparse(node.value), " ".join(beside or above)))
    return found


def page(path: pathlib.Path) -> str:
    """The page, in Markdown; path: of configs/default.py."""
    rows = (
        f"| `{key}` | `{value}` | {comment.replace('|', chr(92) + '|')} |"
        for key, value, comment in config_keys(path)
    )
    return HEAD + "| key | default | |\n|---|---|---|\n" + "\n".join(rows) + "\n"
