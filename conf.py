"""Settings of the site; what the build adds to Sphinx is in src/flopsite."""

import os
from importlib import metadata
from pathlib import Path

project = "The FLOP Book"
author = "The flopbook authors"
project_copyright = "2026, the flopbook authors"
release = metadata.version("flopbook")

extensions = [
    "flopsite.extension",
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx_copybutton",
    "sphinxcontrib.bibtex",
]
# The tree also holds an environment and node modules: pages are named, and what has none is not walked through.
include_patterns = ["index.md", "lectures/*.md", "notebooks/*.md", "reference/*.md", "reference/api/*.md"]
# A page that shows a record of another machine is in the book only where the record is.
records = sorted(Path("reference/records").glob("*.md"))
include_patterns += [str(page) for page in records if Path("reference/data", f"{page.stem}.json").exists()]
exclude_patterns = [".*", "_build", "benchmarks", "node_modules", "src", "tests", "tools"]
numfig = math_numfig = True  # equations are numbered by lecture: (3.2)
nitpicky = True
# The vocabulary of the neighbours: no inventory of theirs is at hand without a network.
nitpick_ignore_regex = [("py:.*", r"(?!flopbook\.).*")]

# Pages: flopsite executes them and hands myst-nb the finished notebook.
nb_custom_formats = {".md": ["nbformat.reads", {"as_version": 4}]}
nb_execution_mode = "off"
nb_merge_streams = True
nb_render_markdown_format = "myst"
nb_code_prompt_show = "Show the code"
nb_code_prompt_hide = "Hide the code"
myst_enable_extensions = ["amsmath", "attrs_block", "attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
bibtex_bibfiles = ["references.bib"]
bibtex_default_style = "plain"
autodoc_member_order = "bysource"
autodoc_typehints = "none"
add_module_names = False
numpydoc_show_class_members = False
autosummary_generate = False  # numpydoc brings it along; it would import torch in every build

html_theme = "furo"
html_title = "The FLOP Book"
html_secnumber_suffix = " "
html_short_title = html_title
html_baseurl = os.environ.get("FLOPBOOK_URL", "")  # where the site will stand, with a slash at its end
flopbook_repository = os.environ.get("FLOPBOOK_REPOSITORY", "")  # on GitHub, such as owner/name
html_favicon = "src/flopsite/web/favicon.svg"
html_sourcelink_suffix = ""
html_theme_options = {"navigation_with_keys": True, "top_of_page_buttons": []}
templates_path = ["src/flopsite/course/templates", "src/flopsite/search/templates", "src/flopsite/web/templates"]
html_css_files = [
    "teaching/panel.css",
    "teaching/exercises.css",
    "web/flopsite.css",
    "course/course.css",
    ("web/print.css", {"media": "print"}),
]
html_js_files = ["web/flopsite.js", "math/letters.js", ("course/course.js", {"defer": "defer"})]
html_math_renderer = "katex"
copybutton_exclude = ".linenos, .gp, .go"
