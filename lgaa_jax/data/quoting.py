"""Quotes in `config.tasks`, around the path of a folder or the name of a class.

Text with a comma or brackets in it, a quote at its beginning or a blank at an end stands in quotes
of either kind; a quote of that kind within it is doubled: 'a,b[c]', "a,b[c]", 'it''s'.
"""

import re

QUOTED = r"""(?:'(?:[^']|'')*'|"(?:[^"]|"")*")"""  # a pattern of text in quotes


def quoted(text: str) -> str:
    """The text, in quotes where it needs them."""
    if not re.search(r"""^['"\s]|[,\[\]]|\s$""", text):
        return text
    mark = '"' if "'" in text else "'"
    return mark + text.replace(mark, mark * 2) + mark


def unquoted(text: str) -> str:
    """What `quoted` was given; text without quotes around it stays as it is."""
    if not re.fullmatch(QUOTED, text):
        return text
    return text[1:-1].replace(text[0] * 2, text[0])
