"""Charts as Vega-Lite specifications, which the library in the page draws.

Their colours have a contrast of 3:1 or more on the light and the dark page, so that switching the
theme draws nothing anew; text and axes are coloured by the style sheet of the page.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from lgaa_jax.report.curves import Panel

Spec = dict[str, Any]

COLOURS = ("#2f7ed8", "#d9660a", "#1f9e5f", "#b455c8", "#d6404a", "#0f95a8", "#8a7a1a", "#5f7a8c")
DASHES = ((1, 0), (6, 3), (2, 2))  # with each colour: more series than there are colours differ
HEIGHT = 190  # pixels
WIDEST = 40  # letters of all names below an axis that fit without being turned
LONGEST_NAME = 110  # pixels of a task's name below an axis
_INK, _FAINT, _RULE = "#16202c", "#d5dae1", "#808a96"
# Of the whole library, for every chart: what an exported picture has, too.
CONFIG: Spec = {
    "background": None,
    "view": {"stroke": None},
    "font": "system-ui, sans-serif",
    "axis": {
        "labelColor": _INK,
        "titleColor": _INK,
        "domainColor": _FAINT,
        "tickColor": _FAINT,
        "gridColor": _FAINT,
        "titleFontWeight": "normal",
        "labelLimit": LONGEST_NAME,
        "labelFontSize": 11,
        "titleFontSize": 12,
    },
    "legend": {
        "labelColor": _INK,
        "titleColor": _INK,
        "orient": "top",
        "title": None,
        "labelLimit": 200,
        "labelFontSize": 12,
        "columns": 2,
        "symbolStrokeWidth": 2.5,
        "symbolOpacity": 1,
        "symbolType": "stroke",
    },
    "line": {"strokeWidth": 2},
}


@dataclasses.dataclass(frozen=True)
class Chart:
    """One chart of a page."""

    title: str
    spec: Spec


def training(panel: Panel, tasks: Sequence[str], ends: Sequence[int]) -> Spec:
    """Curves along the steps; wherever one points, the values there.

    tasks: names, by the index in the points; ends: steps at which a dashed line ends a task.
    """
    x = {"field": "step", "type": "quantitative", "title": "step", "axis": {"tickCount": 5}}
    rule = {"type": "rule", "color": _RULE, "aria": False}
    curves = {
        "transform": [
            {"fold": list(panel.curves), "as": ["curve", "value"]},
            {"filter": "isValid(datum.value)"},
        ],
        "mark": {"type": "line", "aria": False, "clip": True},
        "encoding": {"x": x, "y": _values_axis(panel), **_series("curve", panel.curves)},
    }
    task_ends = {
        "data": {"values": [{"step": end} for end in ends]},
        "mark": {**rule, "strokeDash": [3, 3]},
        "encoding": {"x": x},
    }
    tip = _tip({"step": "step", "task": "task"} | {curve: curve for curve in panel.curves})
    shown = {"condition": {"param": "near", "empty": False, "value": 1}, "value": 0}
    pointed_at = {
        "params": [_near(encodings=["x"])],
        "mark": {**rule, "strokeWidth": 1.5},
        "encoding": {"x": x, "opacity": shown, "tooltip": tip},
    }
    rows = [{**point, "task": tasks[point["task"]]} for point in panel.points]
    return _spec(f"{panel.title} along the training steps", rows, [curves, task_ends, pointed_at])


def along(
    description: str,
    stops: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    unit: str,
    series: str = "task",
) -> Spec:
    """Values after each task, a line for each series, a band where rows have `low` and `high`.

    rows: after (one of the stops), series, value; unit: as the axis has it; series: what they are.
    """
    colours = _series("series", list(dict.fromkeys(row["series"] for row in rows)))
    angle = -30 if max(map(len, stops)) * len(stops) > WIDEST else 0
    x: Spec = {"field": "after", "type": "ordinal", "title": "after", "sort": list(stops)}
    x["axis"] = {"labelAngle": angle}
    y = {"field": "value", "type": "quantitative", "title": unit, "scale": {"zero": False}}
    colour = {"color": colours["color"]}
    tip = {"after": "after", series: "series", unit: "value"}
    layer: list[Spec] = []
    if any("low" in row for row in rows):
        tip |= {"each seed": "seeds"}
        ends = {"y": {**y, "field": "low"}, "y2": {"field": "high"}}
        band = {"type": "area", "opacity": 0.18, "aria": False}
        layer.append({"mark": band, "encoding": {"x": x, **ends, **colour}})
    layer.append({"mark": {"type": "line", "aria": False}, "encoding": {"x": x, "y": y, **colours}})
    size = {"condition": {"param": "near", "empty": False, "value": 130}, "value": 45}
    points = {
        "params": [_near()],
        "mark": {"type": "point", "filled": True, "opacity": 1, "aria": False},
        "encoding": {"x": x, "y": y, **colour, "size": size, "tooltip": _tip(tip)},
    }
    return _spec(description, rows, [*layer, points])


def _spec(description: str, rows: Sequence[Mapping[str, Any]], layer: Sequence[Spec]) -> Spec:
    """A chart as wide as its place in the page. description: for those who do not see it."""
    return {
        "description": description,
        "data": {"values": list(rows)},
        "width": "container",
        "height": HEIGHT,
        "layer": list(layer),
    }


def _near(**options: Any) -> Spec:
    """What is nearest to where one points."""
    select = {"type": "point", "nearest": True, "on": "pointerover", "clear": "pointerout"}
    return {"name": "near", "select": {**select, **options}}


def _values_axis(panel: Panel) -> Spec:
    """The vertical axis of a panel; a logarithmic one has lines at powers alone."""
    return {
        "field": "value",
        "type": "quantitative",
        "title": None,
        "scale": {"type": "log"} if panel.logarithmic else {"zero": False},
        "axis": {"tickCount": 2 if panel.logarithmic else 5},
    }


def _tip(fields: Mapping[str, str]) -> Spec:
    """What is shown where one points: field by title; numbers shortened.

    An expression rather than fields: with `nearest`, Vega-Lite 6 finds no words in those.
    """
    parts = []
    for title, field in fields.items():
        value = f"(datum.datum || datum)[{json.dumps(field)}]"
        form = "," if field == "step" else ".4~g"
        known = f"isNumber({value}) ? format({value}, '{form}') : {value}"
        parts.append(f"{json.dumps(title)}: isValid({value}) ? ({known}) : '-'")
    return {"value": {"expr": f"{{{', '.join(parts)}}}"}}


def _series(field: str, names: Sequence[str]) -> Spec:
    """Colour and dashes of each series; no legend where there is one."""
    colours = [COLOURS[i % len(COLOURS)] for i in range(len(names))]
    dashes = [DASHES[i % len(DASHES)] for i in range(len(names))]
    legend = {} if len(names) > 1 else {"legend": None}
    common = {"field": field, "type": "nominal", "sort": None, **legend}
    return {
        "color": {**common, "scale": {"domain": list(names), "range": colours}},
        "strokeDash": {**common, "scale": {"domain": list(names), "range": dashes}},
    }
