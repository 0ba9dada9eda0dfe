"""``lexframe analogy`` and ``lexframe analogies``: arithmetic on word vectors, one question or a file of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from lexframe.cli import options, show
from lexframe.cli.word_vectors import SOURCE_HELP, Layer, Templates, named_vectors

Honest = Annotated[bool, typer.Option("--honest", help="Let a, a' and b be answers too; they are left out otherwise.")]


def analogy(
    a: Annotated[str, typer.Argument(metavar="A", help="A is to …")],
    a_: Annotated[str, typer.Argument(metavar="A'", help="… A' as …")],
    b: Annotated[str, typer.Argument(metavar="B", help="… B is to which word?")],
    model: options.Model = "embedded",
    source: Annotated[str, typer.Option(help=SOURCE_HELP)] = "embedding",
    method: Annotated[str, typer.Option(help="3cosadd, 3cosmul, pairdirection, b-only or a'-only.")] = "3cosadd",
    honest: Honest = False,
    nearest: Annotated[int, typer.Option(min=1, help="Words to show.")] = 8,
    lower: Annotated[bool, typer.Option("--lower", help="Words that differ in case alone are one word.")] = False,
    layer: Layer = -1,
    template: Templates = None,
    dtype: options.Dtype = "float32",
    device: options.Device = None,
    revision: options.Revision = None,
    trust_remote_code: options.TrustRemoteCode = False,
    as_json: options.Json = False,
) -> None:
    """A is to A' as B is to which word? Arithmetic on word vectors, such as: lexframe analogy man king woman."""
    from lexframe.instruments import solve_analogy

    vectors = named_vectors(
        source, (a, a_, b), templates=template, model=model, layer=layer, dtype=dtype, device=device, revision=revision,
        trust_remote_code=trust_remote_code,
    )  # fmt: skip
    found = solve_analogy(vectors, a, a_, b, method=method, n=nearest, exclude=not honest, lower=lower)
    if as_json:
        show.document({**found.to_dict(), "source": vectors.source, "provenance": vectors.provenance.to_dict()})
        return
    show.table(["word", method], [[word, f"{score:.3f}"] for word, score in found.ranked])
    left_out = "every word may be the answer" if honest else f"{a}, {a_} and {b} are left out; --honest lets them in"
    show.note(f"\n{a} : {a_} :: {b} : ?  among {len(vectors):,} words of {vectors.source}; {left_out}.")


def analogies(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Questions: Google's format, .jsonl, or a BATS file or folder.")],
    model: options.Model = "embedded",
    source: Annotated[list[str] | None, typer.Option(help=f"{SOURCE_HELP} Give it again to compare several.")] = None,
    vectors: Annotated[list[Path] | None, typer.Option(help="A file of word vectors; the same as --source FILE.")] = None,
    methods: Annotated[str, typer.Option(help="'all', or some of them with commas between.")] = "all",
    restrict: Annotated[int | None, typer.Option(min=1, help="Candidates: the N most frequent words alone.")] = None,
    single_token: Annotated[
        bool, typer.Option("--single-token", help="Words of several tokens count as unknown; means of shared tokens flatter a model.")
    ] = False,
    case: Annotated[bool, typer.Option("--case", help="Words that differ in case are different words.")] = False,
    skip_odd: Annotated[bool, typer.Option("--skip-odd", help="Leave lines out that cannot be used, and say how many.")] = False,
    layer: Layer = -1,
    template: Templates = None,
    out: Annotated[Path | None, typer.Option(help="Also write a report (.html) or the table (.csv).")] = None,
    dtype: options.Dtype = "float32",
    device: options.Device = None,
    revision: options.Revision = None,
    trust_remote_code: options.TrustRemoteCode = False,
    as_json: options.Json = False,
) -> None:
    """Answer a file of analogies by every method, beside baselines that never look at the analogy, with intervals."""
    from lexframe.data import read_questions
    from lexframe.instruments import evaluate_analogies
    from lexframe.instruments.words.analogy_evaluation import ALL_METHODS

    check_out(out)
    chosen = ALL_METHODS if methods == "all" else tuple(method.strip() for method in methods.split(","))
    questions = read_questions(file, skip_odd=skip_odd)
    words = tuple(dict.fromkeys(word for asked in questions for word in (asked.a, asked.a_, asked.b, *asked.answers)))
    sources = [*(source or ([] if vectors else ["embedding"])), *map(str, vectors or [])]
    results = []
    for name in sources:
        found = named_vectors(
            name, words, templates=template, limit=restrict, single_token=single_token, model=model, layer=layer, dtype=dtype,
            device=device, revision=revision, trust_remote_code=trust_remote_code,
        )  # fmt: skip
        results.append(evaluate_analogies(found, questions, methods=chosen, lower=not case, progress=show.progress(name)))
    if out is not None:
        write(results, out)
    if as_json:
        show.document({"questions": len(questions), "notes": list(questions.notes), "results": [result.to_dict() for result in results]})
        return
    for line in questions.notes:
        show.note(line)
    for result in results:
        _print(result)
    if out is not None:
        show.note(f"written: {out}")


def check_out(out: Path | None) -> None:
    """Refuse a kind of file that cannot be written before the work is done.

    Raises
    ------
    InputError
        If it ends in neither .html nor .csv.
    """
    from lexframe.exceptions import InputError

    if out is not None and out.suffix not in (".html", ".csv"):
        raise InputError(f"--out is {str(out)!r}; expected a report (.html) or a table (.csv).")


def write(results: Sequence[Any], out: Path) -> None:
    """The report, or the table with a row a source, method and relation."""
    if out.suffix == ".html":
        from lexframe.instruments.words.page import analogy_report

        analogy_report(results, out)
        return
    import pandas as pd

    from lexframe.files import write_text

    write_text(out, pd.concat([result.to_frame() for result in results]).to_csv(index=False))


def _print(result: Any) -> None:
    typer.echo(f"\n{result.source}: {result.n_words:,} candidates\n")
    show.table(
        ["relation", "covered", *result.methods],
        [
            [
                relation,
                f"{result.score(result.methods[0], relation).n_covered:,} of {result.score(result.methods[0], relation).n_questions:,}",
            ]
            + [f"{result.score(method, relation).accuracy.value:.3f}" for method in result.methods]
            for relation in dict.fromkeys(score.relation for score in result.scores)
        ],
    )
    totals = [result.score(method) for method in result.methods]
    quartiles = {(quartile.method, quartile.quartile): quartile.accuracy for quartile in result.quartiles}
    typer.echo("")
    show.table(
        ["all relations", *result.methods],
        [
            ["95% interval over pairs", *(f"{score.accuracy.low:.3f}–{score.accuracy.high:.3f}" for score in totals)],
            ["of covered questions", *(f"{score.covered_accuracy:.3f}" for score in totals)],
            ["honest: no word left out", *(f"{score.honest_accuracy:.3f}" for score in totals)],
            *(
                [f"answers, quarter {quarter} by frequency", *(f"{quartiles[method, quarter]:.3f}" for method in result.methods)]
                for quarter in range(1, 5)
            ),
        ],
    )
