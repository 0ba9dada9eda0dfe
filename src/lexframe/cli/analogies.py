"""``lexframe analogies``: a file of questions to word vectors, by every method, beside baselines."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from lexframe.cli import options, printing
from lexframe.cli.model_options import Weights
from lexframe.cli.word_vectors import SOURCE_HELP, Case, Layer, Templates, named_vectors
from lexframe.text_forms import counted


def analogies(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Questions: Google's format, .jsonl, or a BATS file or folder.")],
    *,
    model: Weights,
    source: Annotated[list[str] | None, typer.Option(help=f"{SOURCE_HELP} Give it again to compare several.")] = None,
    methods: Annotated[str, typer.Option(help="'all', or some of them with commas between.")] = "all",
    limit: Annotated[int | None, typer.Option(min=1, help="Candidates: so many of the most frequent words alone.")] = None,
    single_token: Annotated[
        bool, typer.Option("--single-token", help="Words of several tokens count as unknown; means of shared tokens flatter a model.")
    ] = False,
    case: Case = False,
    skip_odd: Annotated[bool, typer.Option("--skip-odd", help="Leave lines out that cannot be used, and say how many.")] = False,
    layer: Layer = -1,
    template: Templates = None,
    report: options.Report = None,
    csv: options.Csv = None,
    as_json: options.Json = False,
) -> None:
    """Answer a file of analogies by every method, beside baselines that never look at the analogy, with intervals."""
    from lexframe.data import read_questions
    from lexframe.files import write_text
    from lexframe.instruments import evaluate_analogies
    from lexframe.instruments.words.analogy_evaluation import ALL_METHODS
    from lexframe.instruments.words.page import analogy_report

    chosen = ALL_METHODS if methods == "all" else options.comma_separated(methods)
    questions = read_questions(file, skip_odd=skip_odd)
    words = tuple(dict.fromkeys(word for asked in questions for word in (asked.a, asked.a_, asked.b, *asked.answers)))
    results = []
    for name in source or ["embedding"]:
        found = named_vectors(name, words, model=model, layer=layer, templates=template, limit=limit, single_token=single_token)
        results.append(evaluate_analogies(found, questions, methods=chosen, lower=not case, progress=printing.progress(name)))
    if report is not None:
        analogy_report(results, report)
    if csv is not None:
        write_text(csv, table_of(results).to_csv(index=False))
    if as_json:
        printing.document(
            {"questions": len(questions), "notes": list(questions.notes), "results": [result.to_dict() for result in results]}
        )
        return
    for line in questions.notes:
        printing.note(line)
    for result in results:
        _print(result)
    for path, what in ((report, "report"), (csv, "table")):
        if path is not None:
            printing.note(f"{what}: {path}")


def table_of(results: Sequence[Any]) -> Any:
    """One table of all results, with a row a source, method and relation."""
    import pandas as pd

    return pd.concat([result.to_frame() for result in results])


def _print(result: Any) -> None:
    typer.echo(f"\n{result.source}: {counted(result.n_words, 'candidate')}\n")
    printing.table(
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
    printing.table(
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
