"""A page from its template. Alone knows Jinja."""

from collections.abc import Iterable, Sequence
from typing import Any

from lgaa_jax.report import charts, library

REPORT = "report.html"  # in a workdir
MOST_NAMES = 8  # of tasks in a heading


def heading(strategies: Iterable[str], tasks: Sequence[str]) -> str:
    """What a page is of: strategies and tasks, of many the first ones."""
    more = len(tasks) - MOST_NAMES
    rest = [f"{more} tasks more"] if more > 0 else []
    return f"{', '.join(strategies)} on {', '.join([*tasks[:MOST_NAMES], *rest])}"


def render(template: str, **context: Any) -> bytes:
    """The page as one file, with styles, scripts and charts in it; UTF-8.

    Every text that comes from a run, like a folder's name, is escaped.
    """
    # Here, because importing the driver is to load nothing that only a report needs.
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("lgaa_jax.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template(template).render(
        **context, library=library.script(), chart_config=charts.CONFIG
    )
    return text.encode(errors="replace")  # a name may hold bytes that are no text
