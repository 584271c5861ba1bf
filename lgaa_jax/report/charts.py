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
    scale = {"type": "log"} if panel.logarithmic else {"zero": False}
    ticks = 2 if panel.logarithmic else 5  # of a logarithm, only powers
    rule = {"type": "rule", "color": _RULE, "aria": False}
    fold = {"fold": list(panel.curves), "as": ["curve", "value"]}
    tip = _tip({"step": "step", "task": "task"} | {curve: curve for curve in panel.curves})
    near = {"type": "point", "encodings": ["x"], "nearest": True, "on": "pointerover"}
    shown = {"condition": {"param": "near", "empty": False, "value": 1}, "value": 0}
    return {
        "description": f"{panel.title} along the training steps",
        "data": {"values": [{**p, "task": tasks[p["task"]]} for p in panel.points]},
        "width": "container",
        "height": HEIGHT,
        "layer": [
            {
                "transform": [fold, {"filter": "isValid(datum.value)"}],
                "mark": {"type": "line", "aria": False, "clip": True},
                "encoding": {
                    "x": x,
                    "y": {
                        "field": "value",
                        "type": "quantitative",
                        "title": None,
                        "scale": scale,
                        "axis": {"tickCount": ticks},
                    },
                    **_series("curve", panel.curves),
                },
            },
            {
                "data": {"values": [{"step": end} for end in ends]},
                "mark": {**rule, "strokeDash": [3, 3]},
                "encoding": {"x": x},
            },
            {
                "params": [{"name": "near", "select": {**near, "clear": "pointerout"}}],
                "mark": {**rule, "strokeWidth": 1.5},
                "encoding": {"x": x, "opacity": shown, "tooltip": tip},
            },
        ],
    }


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
    names = list(dict.fromkeys(row["series"] for row in rows))
    angle = {"labelAngle": -30} if max(map(len, stops)) * len(stops) > WIDEST else {"labelAngle": 0}
    x = {"field": "after", "type": "ordinal", "title": "after", "sort": list(stops), "axis": angle}
    scale = {"zero": False, "nice": True}
    y = {"field": "value", "type": "quantitative", "title": unit, "scale": scale}
    colours = _series("series", names)
    tip = {"after": "after", series: "series", unit: "value"}
    layer: list[Spec] = []
    if any("low" in row for row in rows):
        tip |= {"each seed": "seeds"}
        band = {"type": "area", "opacity": 0.18, "aria": False}
        low = {"y": {**y, "field": "low"}, "y2": {"field": "high"}, "color": colours["color"]}
        layer.append({"mark": band, "encoding": {"x": x, **low}})
    layer.append({"mark": {"type": "line", "aria": False}, "encoding": {"x": x, "y": y, **colours}})
    near = {"type": "point", "nearest": True, "on": "pointerover", "clear": "pointerout"}
    size = {"condition": {"param": "near", "empty": False, "value": 130}, "value": 45}
    layer.append(
        {
            "params": [{"name": "near", "select": near}],
            "mark": {"type": "point", "filled": True, "opacity": 1, "aria": False},
            "encoding": {
                "x": x,
                "y": y,
                "color": colours["color"],
                "size": size,
                "tooltip": _tip(tip),
            },
        }
    )
    return {
        "description": description,
        "data": {"values": list(rows)},
        "width": "container",
        "height": HEIGHT,
        "layer": layer,
    }


def _tip(fields: Mapping[str, str]) -> Spec:
    """What is shown where one points: field by title; numbers shortened.

    An expression rather than fields: with `nearest`, Vega-Lite 6 finds no words in those.
    """
    parts = []
    for title, field in fields.items():
        value = f"(datum.datum || datum)[{json.dumps(field)}]"
        short = f"isNumber({value}) ? format({value}, '.4~g') : {value}"
        parts.append(f"{json.dumps(title)}: {value if field == 'step' else short}")
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
