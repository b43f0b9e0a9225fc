"""How the documentation is built: Sphinx with MyST. `nox -s docs` calls it with warnings as errors."""

from __future__ import annotations

project = "scaler-batch"
author = "The scaler-batch authors"
copyright = author

extensions = ["myst_parser", "sphinx_copybutton"]
exclude_patterns = ["_build"]

myst_enable_extensions = ["attrs_block", "colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3

# Prompts are not to be copied with the commands behind them.
copybutton_prompt_text = r"\$ |>>> |\.\.\. "
copybutton_prompt_is_regexp = True

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["tables.css"]
html_title = "scaler-batch"
html_theme_options = {"navigation_with_keys": True}
