"""The documentation site: `sphinx-build -W docs build/site`, with `pip install -e '.[docs]'`.

Pages are those of docs/, the README and CONTRIBUTING.md; docs/site/ has what begins them, the API
and, made here, every config key.
"""

import pathlib
import runpy

HERE = pathlib.Path(__file__).parent
make_page = runpy.run_path(str(HERE / "site/config_keys.py"))["page"]
keys = make_page(HERE.parent / "configs/default.py")
(HERE / "site/config.md").write_text(keys, encoding="utf-8")

project = "lgaa_jax"
copyright = "the lgaa_jax authors"
root_doc = "site/index"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "sphinxcontrib.mermaid"]
html_theme = "furo"
html_title = "lgaa_jax"
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_fence_as_directive = ["math", "mermaid"]
myst_heading_anchors = 3
autodoc_class_signature = "separated"  # nobody calls Model(...)
autodoc_typehints = "signature"
default_role = "code"
autodoc_member_order = "bysource"
# Links of the README and of CONTRIBUTING.md to files that are no pages.
suppress_warnings = ["myst.xref_missing"]
