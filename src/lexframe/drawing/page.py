"""A page as one HTML file: charts are drawn into it as SVG, so it needs no script and no network.

Its content security policy forbids every script, and all text goes through the template's escaping: nothing in
people's data can run. A page's template stands beside the module that fills it; the frame that they share stands here.
"""

import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lexframe.files import json_text, write_text

_FRAME = Path(__file__).parent / "templates"
_LABELED_MARK = re.compile(r"<path aria-label=\"([^\"]*)\"([^>]*?)(?:></path>|/>)")


def svg(chart: Any) -> str:
    """A chart as SVG, with the description of each mark shown when the pointer rests on it."""
    import vl_convert

    drawing = vl_convert.vegalite_to_svg(chart.to_json())
    return _LABELED_MARK.sub(r"<path\2><title>\1</title></path>", drawing)


def write_page(path: str | Path, template: Path, **content: Any) -> Path:
    """Fill a template and write the page, atomically; all text is escaped.

    Parameters
    ----------
    path : str or Path
        The HTML file.
    template : Path
        The template's file; it extends ``page.html``, the frame.
    **content
        What the template shows.

    Returns
    -------
    pathlib.Path
        The file.
    """
    environment = Environment(
        loader=FileSystemLoader([template.parent, _FRAME]), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    write_text(path, environment.get_template(template.name).render(**content))
    return Path(path)


def as_json(provenance: Any) -> str:
    """Provenance as a page shows it."""
    return json_text(provenance.to_dict(), indent=2)
