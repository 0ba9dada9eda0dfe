"""``lexframe analogy``: one question to word vectors."""

from typing import Annotated, Literal

import typer

from lexframe.cli import options, printing
from lexframe.cli.model_options import Weights
from lexframe.cli.word_vectors import SOURCE_HELP, Case, Layer, Templates, named_vectors

Method = Literal["3cosadd", "3cosmul", "pairdirection", "b-only", "a'-only"]


def analogy(
    a: Annotated[str, typer.Argument(metavar="A", help="A is to …")],
    a_: Annotated[str, typer.Argument(metavar="A'", help="… A' as …")],
    b: Annotated[str, typer.Argument(metavar="B", help="… B is to which word?")],
    *,
    model: Weights,
    source: Annotated[str, typer.Option(help=SOURCE_HELP)] = "embedding",
    method: Annotated[Method, typer.Option(help="b-only and a'-only are controls.")] = "3cosadd",
    honest: Annotated[bool, typer.Option("--honest", help="Let a, a' and b be answers too; they are left out otherwise.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Words to show.")] = 8,
    case: Case = False,
    layer: Layer = -1,
    template: Templates = None,
    as_json: options.Json = False,
) -> None:
    """A is to A' as B is to which word? Arithmetic on word vectors, such as: lexframe analogy man king woman."""
    from lexframe.instruments import solve_analogy

    vectors = named_vectors(source, (a, a_, b), model=model, layer=layer, templates=template)
    found = solve_analogy(vectors, a, a_, b, method=method, n=limit, exclude=not honest, lower=not case)
    if as_json:
        printing.document({**found.to_dict(), "source": vectors.source, "provenance": vectors.provenance.to_dict()})
        return
    printing.table(["word", method], [[word, f"{score:.3f}"] for word, score in found.ranked])
    for line in found.notes:
        printing.note(f"\n{line}")
    left_out = "every word may be the answer" if honest else f"{a}, {a_} and {b} are left out; --honest lets them in"
    printing.note(f"\n{a} : {a_} :: {b} : ?  among {len(vectors):,} words of {vectors.source}; {left_out}.")
