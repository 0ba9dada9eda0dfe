"""``lexframe retrofit``: word vectors drawn towards the neighbors that a lexical graph gives them."""

from pathlib import Path
from typing import Annotated

import typer

from lexframe.cli import options, printing
from lexframe.cli.model_options import Weights
from lexframe.cli.word_vectors import SOURCE_HELP, Layer, Templates, named_vectors
from lexframe.text_forms import counted


def retrofit(
    edges: Annotated[Path, typer.Argument(metavar="EDGES", help="Links: .tsv, .csv or .jsonl with word, word[, relation or weight].")],
    *,
    out: Annotated[
        Path, typer.Option("--out", callback=options.writable("--out"), help="Word vectors to write, as text (.vec, .txt, also .gz).")
    ],
    model: Weights,
    source: Annotated[str, typer.Option(help=SOURCE_HELP)] = "embedding",
    alpha: Annotated[float, typer.Option(help="How strongly a word is held where it was; above 0.")] = 1.0,
    weight: Annotated[
        list[str] | None, typer.Option(help="RELATION=FACTOR for links of a relation, such as synonym=2; may be repeated.")
    ] = None,
    layer: Layer = -1,
    template: Templates = None,
    blanks: Annotated[str, typer.Option(help="What stands in the file for a blank within a word; gensim needs one, such as _.")] = " ",
    as_json: options.Json = False,
) -> None:
    """Retrofit word vectors to a lexical graph, and carry the change to words outside it by a map fitted on those inside."""
    from lexframe.data import read_edges, write_word_vectors
    from lexframe.data.word_vector_files import require_writable
    from lexframe.instruments import Retrofitting

    factors = relation_factors(weight or [])
    links = read_edges(edges)
    words = tuple(dict.fromkeys(word for edge in links for word in (edge.word, edge.other)))
    before = named_vectors(source, words, model=model, layer=layer, templates=template)
    require_writable(before.words, blanks=blanks)  # before all the work
    fitted = Retrofitting(alpha=alpha, relation_weights=factors).fit(before, links)
    write_word_vectors(fitted.transform(before), out, blanks=blanks)
    explained = fitted.explained_[fitted.penalty_]
    if as_json:
        facts = {"words": len(before), "graph_words": len(fitted.retrofitted_), "explained": explained}
        printing.document({**facts, "penalty": fitted.penalty_ if explained > 0 else None, "out": str(out)})
        return
    n_blank = sum(" " in word for word in before.words)
    if n_blank and blanks == " ":
        printing.note(f"{counted(n_blank, 'word')} with blanks within: gensim cannot read such lines; --blanks _ writes another sign.")
    others = "the other words were moved by it" if explained > 0 else "so the other words stay where they were"
    printing.note(f"{len(fitted.retrofitted_):,} of {len(before):,} words are linked and were retrofitted: {out}")
    printing.note(f"The map explains {explained:.0%} of the change on held-out linked words; {others}.")


def relation_factors(entries: list[str]) -> dict[str, float]:
    """``relation=factor`` entries.

    Raises
    ------
    InputError
        If an entry is written otherwise.
    """
    from lexframe.exceptions import InputError

    factors = {}
    for entry in entries:
        relation, sign, factor = entry.rpartition("=")
        try:
            factors[relation] = float(factor)
        except ValueError:
            sign = ""
        if not sign or not relation:
            raise InputError(f"--weight is {entry!r}; write RELATION=FACTOR, such as synonym=2.")
    return factors
