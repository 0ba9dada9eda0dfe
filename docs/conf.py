"""Sphinx settings of the documentation site."""

import inspect
import re
import sys
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref

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
napoleon_use_ivar = True  # an attribute that is also a property is described once
myst_enable_extensions = ["dollarmath"]
# jaxtyping shapes are strings that are not types, so signatures stay as they are written.
autodoc_preserve_defaults = True
# Axes such as n_dims are named alike in several contracts, and scikit-learn's own docstrings refer to its own pages.
suppress_warnings = ["ref.python", "ref.term", "ref.ref"]

DEFINED = re.compile(r"^\s*\.\. \[(\d+)\]", re.M)
NUMBERED = re.compile(r"\[(\d+)\](?=_\W|_$)|(?<=\.\. )\[(\d+)\]")
LABEL = re.compile(r"^\[?[\w.]+-(\d+)\]?$")


def with_labels_of_its_own(app: Any, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """Numbered references of a docstring become citations that no other docstring of the page has.

    A number that the docstring does not define is that of its module's docstring.
    """
    own = set(DEFINED.findall("\n".join(lines)))
    module = name if what == "module" else getattr(inspect.unwrap(value), "__module__", None) or name
    of_module = set(DEFINED.findall(getattr(sys.modules.get(module), "__doc__", None) or ""))

    def labelled(match: re.Match[str]) -> str:
        number = match[1] or match[2]
        if number not in own and number not in of_module:
            return match[0]
        return f"[{name if number in own else module}-{number}]"

    lines[:] = [NUMBERED.sub(labelled, line) for line in lines]


def with_plain_numbers(app: Any, document: nodes.document) -> None:
    """A reader sees the numbers as they stand in the docstring."""
    shown = [citation[0] for citation in document.findall(nodes.citation)]
    shown += [found.children[0] for found in document.findall(pending_xref) if found["refdomain"] == "citation"]
    for node in shown:
        found = LABEL.match(node.astext())
        if found:
            node.children = []
            node += nodes.Text(f"[{found[1]}]" if isinstance(node, nodes.inline) else found[1])


def setup(app: Any) -> None:
    """Before napoleon reads the sections, and once a page is read."""
    app.connect("autodoc-process-docstring", with_labels_of_its_own, priority=100)
    app.connect("doctree-read", with_plain_numbers)
