"""A package from outside adds a space, a method, a result with its chart, and a verb: one file each, and none of ours."""

import sys
from pathlib import Path

import numpy as np
import pytest
import vl_convert

from lexframe import compare, open_space
from lexframe.adaptation import Draws
from lexframe.adaptation.methods import make_methods, method_names
from lexframe.cli.verbs import plug_ins
from lexframe.data import desk
from lexframe.exceptions import InputError
from lexframe.results import Result
from lexframe.spaces import reopen_space

PLUGIN = Path(__file__).parent / "plugin"


@pytest.fixture
def installed(monkeypatch):
    """The package as pip would leave it: importable, with its entry points beside it."""
    monkeypatch.syspath_prepend(str(PLUGIN))
    plug_ins.cache_clear()  # a process looks once
    yield
    plug_ins.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == "letters"]:
        del sys.modules[name]


@pytest.mark.usefixtures("installed")
def test_a_space():
    space = open_space("letters")
    np.testing.assert_array_equal(space.encode(["Abba", ""])[:, :3], [[2, 2, 0], [0, 0, 0]])
    shares = open_space("letters", shares=True)
    np.testing.assert_array_equal(shares.encode(["Abba"])[:, :2], [[0.5, 0.5]])
    again = reopen_space(shares.fingerprint)
    assert again.fingerprint == shares.fingerprint
    assert again.fingerprint.digest != space.fingerprint.digest
    with pytest.raises(InputError, match="template"):
        open_space("letters", template="{text}!")


@pytest.mark.usefixtures("installed")
def test_a_method_in_the_space():
    assert "label-shares" in method_names("quick")
    made = make_methods("label-shares,lda")
    assert [method.name for method in made] == ["lda", "label-shares"]
    result = compare({"letters": open_space("letters")}, desk("train"), desk("test"), methods=made, draws=Draws(("all",), (0,)))
    shares = result.select("letters", "label-shares", "all")[0]
    counts = np.unique(desk("train").labels, return_counts=True)[1]
    assert np.exp(shares.log_probability.max()) == pytest.approx(counts.max() / counts.sum())
    assert len(set(shares.predicted.tolist())) == 1  # the most frequent label, whatever the text
    assert result.accuracy("letters", "lda", "all").value > shares.accuracy


@pytest.mark.usefixtures("installed")
def test_a_result_and_its_chart():
    from letters.counts import count_letters

    found = count_letters(["banana"])
    assert isinstance(found, Result)
    assert found.summary() == "The most frequent letter is a."
    assert "<svg" in vl_convert.vegalite_to_svg(found.chart().to_json())
    assert "most frequent letter" in found._repr_html_()


@pytest.mark.usefixtures("installed")
def test_a_verb(capsys):
    from lexframe.cli.main import main

    with pytest.raises(SystemExit) as end:
        main(["letters", "banana"])
    assert end.value.code in (0, None)
    assert capsys.readouterr().out == "The most frequent letter is a.\n"


def test_without_the_package_nothing_of_it_is_there():
    assert "label-shares" not in method_names()
