"""The JavaScript that draws the charts: Vega, as vl-convert ships it. Alone knows vl-convert."""

import contextlib
import importlib.metadata

from lgaa_jax.files import user_cache, write_bytes

_PACKAGE = "vl-convert-python"


def script() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, which sets `window.vegaEmbed`.

    To bundle them takes seconds: what was bundled once is kept in the user's cache.
    """
    version = importlib.metadata.version(_PACKAGE)
    kept = user_cache("report") / f"vega-{version}.js"
    if kept.is_file():
        return kept.read_text(encoding="utf-8")
    import vl_convert  # here, because it takes memory, and only the first report has use for it

    # In a page, the end of the element would end it, also within a string.
    text = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;").replace(
        "</script", "<\\/script"
    )
    with contextlib.suppress(OSError):  # a cache that cannot be written costs seconds, no report
        write_bytes(kept, text.encode())
    return text
