"""Methods by name: groups, aliases, and those of other packages."""

import importlib.metadata

import numpy as np
import pytest

from lexframe.adaptation import Draws, Method, adapt, compare, make_methods, method_names
from lexframe.adaptation.methods import registry
from lexframe.exceptions import InputError
from tests.planted import planted_space, planted_table


class Majority(Method):
    """The most frequent label; what a package outside might add."""

    name = "majority"
    description = "the most frequent label"
    family = "points"

    def fit(self, problem):
        shares = np.bincount(problem.y, minlength=problem.n_labels) / len(problem.y)

        class Constant:
            n_parameters, choices = 0, {}

            def predict_proba(self, rows):
                return np.tile(shares, (len(rows), 1))

        return Constant()


class Misnamed(Majority):
    name = "minority"


@pytest.fixture
def plugged(monkeypatch):
    """A function that installs a class of this module as a method of another package."""

    def plug(name, target):
        entry = importlib.metadata.EntryPoint(name, f"{__name__}:{target}", "lexframe.methods")
        found = {"lexframe.methods": [entry]}
        monkeypatch.setattr(importlib.metadata, "entry_points", lambda *, group: found.get(group, []))

    return plug


def test_every_name_makes_the_method_of_that_name():
    for group in ("all", "ablations"):
        names = method_names(group)
        methods = make_methods(group)
        assert tuple(method.name for method in methods) == names
        assert all(method.description and method.family in ("vocabulary", "texts", "points", "prompts", "weights") for method in methods)
    assert all(method.variant for method in make_methods("ablations"))
    assert [method.name for method in make_methods("all") if method.control] == [
        "tfidf",
        "lexical-nb",
        "lda",
        "logistic",
        "lda-all",
        "logistic-all",
    ]


def test_groups_and_order():
    assert method_names("default") == (
        "zero-shot",
        "nearest-basis",
        "tfidf",
        "lexical-nb",
        "lda",
        "logistic",
        "semantic-calibration",
        "posterior",
    )
    assert [method.name for method in make_methods()] == list(method_names("default"))
    assert [method.name for method in make_methods("posterior, lda,posterior")] == ["lda", "posterior"]
    assert [method.name for method in make_methods(["posterior", Majority(), "lda"])] == ["lda", "posterior", "majority"]
    quick = {method.name: method for method in make_methods("quick")}
    assert {"icl-random", "lora", "setfit"}.isdisjoint(quick)
    assert set(method_names("default")) < set(quick) < set(method_names("all"))


def test_the_papers_abbreviation_is_another_name():
    assert make_methods("vds")[0].name == "semantic-calibration"
    assert len(make_methods("vds,semantic-calibration")) == 1
    for name in method_names("ablations"):
        if name.startswith("semantic-calibration-"):
            assert make_methods(name.replace("semantic-calibration", "vds"))[0].name == name


@pytest.mark.parametrize(
    ("asked", "message"), [("lda,magic", "'magic'"), ("vdsx", "'vdsx'"), ("", "no method ''"), ([], "No method was given")]
)
def test_unknown_methods_are_named(asked, message):
    with pytest.raises(InputError, match=message):
        make_methods(asked)
    with pytest.raises(InputError, match="default, quick, all"):
        make_methods("nothing")


def test_a_method_of_another_package_stands_beside_ours(plugged):
    plugged("majority", "Majority")
    assert method_names()[-1] == method_names("quick")[-1] == "majority"
    assert "majority" not in method_names("default")
    train, test = planted_table(8, 0), planted_table(4, 1)
    result = compare({"toy": planted_space()}, train, test, methods="lda,majority", draws=Draws(("all",), (0,)))
    assert result.methods == ("lda", "majority")
    assert result.accuracy("toy", "majority", "all").value == pytest.approx(1 / 3)
    assert result.descriptions["majority"] == "the most frequent label"
    adapted, adapter = adapt(planted_space(), train, test, methods="majority")
    assert (adapted.chosen, adapter) == ("majority", None)


@pytest.mark.parametrize(
    ("name", "target", "message"), [("odd", "planted_table", "no subclass"), ("majority", "Misnamed", "calls itself 'minority'")]
)
def test_what_another_package_lists_wrongly_is_named(plugged, name, target, message):
    plugged(name, target)
    with pytest.raises(InputError, match=message):
        make_methods(name)


def test_a_name_of_ours_stays_ours(plugged):
    plugged("lda", "Majority")
    assert type(make_methods("lda")[0]).__name__ == "LDA"
    assert method_names() == tuple(registry.METHODS)


def test_cells_of_an_earlier_revision_are_not_its_own(monkeypatch):
    (method,) = make_methods("posterior")
    before = method.key()
    monkeypatch.setattr(type(method), "revision", method.revision + 1)
    assert method.key() != before
