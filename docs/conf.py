"""The settings of Sphinx. Build the site and the manual pages, in a clone:

pip install -e '.[docs]'
python -m sphinx -W -b html docs build/site
python -m sphinx -W -b man docs build/man
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from generated import MANUAL_PAGES, expand

import echoproto

project = "echoproto"
author = "the contributors of echoproto"
copyright = author
version = release = echoproto.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

# The docstrings refer to classes of Twisted and to modules that have no page.
nitpicky = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"

html_theme = "furo"
html_title = "echoproto"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
# No requests to other hosts, and no copies of the pages' sources.
html_copy_source = False
html_theme_options = {
    "light_css_variables": {"font-stack--monospace": "ui-monospace, monospace"},
}

man_pages = [(f"commands/{page}", name, summary, "", 1) for page, name, summary in MANUAL_PAGES]


def setup(app):
    """Fill in the generated parts of the pages when they are read."""
    app.connect("source-read", lambda app, page, source: source.__setitem__(0, expand(source[0])))
