"""Sphinx settings of the documentation site."""

from lexframe import __version__

project = "lexframe"
author = "The lexframe authors"
release = version = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.mathjax"]
html_theme = "furo"
html_title = f"lexframe {__version__}"
exclude_patterns = ["_build"]
autodoc_member_order = "bysource"
autodoc_typehints = "none"
myst_enable_extensions = ["dollarmath"]
# jaxtyping shapes are strings that are not types, so signatures stay as they are written.
autodoc_preserve_defaults = True
# Axes such as n_dims are named alike in several contracts, and scikit-learn's own docstrings refer to its own pages.
suppress_warnings = ["ref.python", "ref.term", "ref.ref"]
