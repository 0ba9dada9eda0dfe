"""One parameter of a verb becomes an option for each field of a dataclass."""

import inspect
from dataclasses import dataclass, field, fields
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from lexframe.cli.bundles import FieldsOf, expanded, field_texts, named_as_options
from lexframe.cli.model_options import ModelOptions
from lexframe.training.language_model.run import PretrainingPlan
from lexframe.training.text_vae.plan import TextVAEPlan


@dataclass(frozen=True)
class Cake:
    """What is baked.

    Attributes
    ----------
    n_eggs : int
        Eggs, see :func:`~bakery.egg.crack` and ``fridge``. More of `sugar` needs more.
    sugar, salt : float
        Grams of it; another
        than 0 needs `n_eggs` of 2.
    vegan : bool
        Bake without `butter`.
    sifted : bool
        Sift the flour.

    Raises
    ------
    n_eggs
        Never.
    """

    n_eggs: int
    sugar: float = 1.5
    salt: Annotated[float | None, typer.Option("--salt", min=0, help="Grams of salt.")] = None
    vegan: bool = False
    sifted: bool = True
    layers: list[str] = field(default_factory=lambda: ["top"])


def call(function, *arguments):
    app = typer.Typer(add_completion=False)
    app.command()(expanded(function))
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_verb_gets_the_dataclass_and_its_own_options():
    seen = []

    def bake(name: str, *, cake: Annotated[Cake, FieldsOf(Cake)], hot: bool = False) -> None:
        seen.append((name, cake, hot))

    assert call(bake, "bun", "--n-eggs", 3).exit_code == 0
    given = ("--n-eggs", 2, "--sugar", 9, "--salt", 0.5, "--vegan", "--no-sifted", "--layers", "a", "--layers", "b", "--hot")
    assert call(bake, "pie", *given).exit_code == 0
    assert seen == [("bun", Cake(3), False), ("pie", Cake(2, 9.0, 0.5, True, False, ["a", "b"]), True)]
    assert call(bake, "bun").exit_code == 2  # a field without a default is asked for
    assert call(bake, "bun", "--n-eggs", 3, "--salt", -1).exit_code == 2
    assert call(bake, "bun", "--n-eggs", 3, "--no-vegan").exit_code == 2  # what is off is only switched on


def test_help_is_the_first_sentence_of_the_field():
    assert field_texts(Cake) == {
        "n_eggs": "Eggs, see crack and fridge.",
        "sugar": "Grams of it; another than 0 needs --n-eggs of 2.",
        "salt": "Grams of it; another than 0 needs --n-eggs of 2.",
        "vegan": "Bake without butter.",
        "sifted": "Sift the flour.",
    }

    def bake(cake: Annotated[Cake, FieldsOf(Cake)]) -> None:
        pass

    shown = " ".join(call(bake, "--help").stdout.replace("│", " ").split())
    assert "Eggs, see crack and fridge." in shown
    assert "Grams of salt." in shown  # an annotation that says it itself comes first


def test_fields_that_are_left_out_keep_their_defaults():
    seen = []

    def bake(cake: Annotated[Any, FieldsOf(f"{__name__}:Cake", without=("salt", "vegan"))]) -> None:
        seen.append(cake)

    assert call(bake, "--n-eggs", 1, "--salt", 2).exit_code == 2
    assert call(bake, "--n-eggs", 1).exit_code == 0
    assert seen == [Cake(1)]
    assert [*inspect.signature(expanded(bake)).parameters] == ["n_eggs", "sugar", "sifted", "layers"]


def test_mistakes_in_a_verb_are_found_when_it_is_built():
    def twice(cake: Annotated[Cake, FieldsOf(Cake)], *, sugar: float = 0.0) -> None:
        pass

    with pytest.raises(TypeError, match="has the parameter sugar twice"):
        expanded(twice)
    with pytest.raises(TypeError, match="Cake has no field icing"):
        FieldsOf(Cake, without=("icing",)).parameters()


@pytest.mark.parametrize("kind", [TextVAEPlan, PretrainingPlan, ModelOptions])
def test_every_field_has_a_help_text_of_its_own(kind):
    made = FieldsOf(kind).parameters()
    assert [each.name for each in made] == [each.name for each in fields(kind)]
    helps = {each.name: each.annotation.__metadata__[0].help for each in made}
    assert all(text and text.endswith(".") for text in helps.values()), helps
    assert len(set(helps.values())) == len(helps) or kind is PretrainingPlan
    assert not [text for text in helps.values() if "`" in text or ":func:" in text or len(text) > 180]


@pytest.mark.parametrize(
    ("message", "parameters", "shown"),
    [
        ("n_heads is 0; expected more.", ("n_heads",), "--n-heads is 0; expected more."),
        ("n_heads is 0 in runs/n_heads.json.", ("n_heads",), "--n-heads is 0 in runs/n_heads.json."),
        ("Raise n_heads.", ("n_heads",), "Raise --n-heads."),
        ("There are 'text' and 'n_heads'. Name it.", ("text", "pair"), "There are 'text' and 'n_heads'. Name it (--text, --pair)."),
        ("lr=1 (now 2), n_heads=3", ("lr", "n_heads"), "--lr=1 (now 2), --n-heads=3"),
        ("No such word.\n    a = b\n        ^", ("text",), "No such word (--text).\n    a = b\n        ^"),
        ("n_heads is 0", (), "n_heads is 0"),
        ("n_layers is 0", ("n_layers",), "n_layers is 0"),  # this verb has no such option
    ],
)
def test_parameters_that_are_meant_are_shown_as_options(message, parameters, shown):
    options = {"n_heads": "--n-heads", "text": "--text", "pair": "--pair", "lr": "--lr"}
    assert named_as_options(message, parameters, options) == shown
