"""A result shows its sentence and its table in a notebook, and nothing in either can run there."""

from dataclasses import dataclass

import pandas as pd
import pytest

from lexframe.provenance import Provenance
from lexframe.results import Result


@dataclass(frozen=True, slots=True)
class Found(Result):
    provenance: Provenance
    label: str = "<script>"

    def summary(self):
        return f"{self.label} leads"

    def to_dict(self):
        return {"label": self.label, "provenance": self.provenance.to_dict()}

    def to_frame(self):
        return pd.DataFrame({"label": [self.label], "share": [1 / 3]})


def test_a_notebook_shows_the_sentence_and_the_table():
    page = Found(Provenance())._repr_html_()
    assert page.startswith("<p>&lt;script&gt; leads</p><table")
    assert "0.333" in page
    assert "<script>" not in page


def test_a_result_without_its_parts_cannot_be_made():
    with pytest.raises(TypeError, match="summary"):
        type("Half", (Result,), {"to_dict": Found.to_dict, "to_frame": Found.to_frame})()
