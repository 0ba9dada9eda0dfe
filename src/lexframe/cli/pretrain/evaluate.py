"""``lexframe pretrain eval``: how good a language model is."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from lexframe.cli import options, printing
from lexframe.cli.pretrain.inputs import show_facts


def evaluate(
    *,
    model: Annotated[str, typer.Option("--model", "-m", help="'embedded', a folder, or a hub id such as gpt2.")] = "embedded",
    corpus: Annotated[Path | None, typer.Option(help="Held-out text, for bits per byte.")] = None,
    blimp: Annotated[Path | None, typer.Option(help="Minimal pairs (.jsonl, .jsonl.gz) with good, bad, uid and term.")] = None,
    samples: Annotated[bool, typer.Option("--samples", help="Also print continuations of four prompts.")] = False,
    context: Annotated[int, typer.Option(help="Longest window, in tokens.")] = 512,
    stride: Annotated[int | None, typer.Option(help="Tokens from window to window. [default: half of the context]")] = None,
    max_bytes: Annotated[int | None, typer.Option(help="Score this much of the text.")] = None,
    max_pairs: Annotated[int | None, typer.Option(help="Score so many of the pairs, evenly spread.")] = None,
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16", "float16"],
        typer.Option(help="What the model runs in; auto is bfloat16 where it is faster here."),
    ] = "float32",
    text: options.Text = "text",
    seed: Annotated[int, typer.Option(min=0, help="Of intervals and samples.")] = 0,
    as_json: options.Json = False,
) -> None:
    """Measure a model: bits per byte of held-out text, grammatical minimal pairs, samples."""
    from lexframe.spaces.language_model.opening import open_causal_model
    from lexframe.spaces.precision import fastest_precision
    from lexframe.training.language_model.corpus import read_documents
    from lexframe.training.language_model.evaluation import PROMPTS, EvaluationData, Windows, evaluate_language_model
    from lexframe.training.language_model.grammatical_pairs import read_minimal_pairs, spread_pairs

    # Files are read before weights are loaded: what is wrong with them should show at once.
    documents = list(read_documents(corpus, text_column=text)) if corpus else None
    pairs = spread_pairs(read_minimal_pairs(blimp), max_pairs) if blimp else None
    printing.quiet_libraries()
    weights, tokenizer = open_causal_model(model, dtype=fastest_precision() if dtype == "auto" else dtype)
    result = evaluate_language_model(
        weights,
        tokenizer,
        EvaluationData(documents, pairs, PROMPTS if samples else None),
        name=model,
        windows=Windows(context, stride),
        max_bytes=max_bytes,
        seed=seed,
        progress=printing.progress("batches"),
    )
    document = result.to_dict()
    show_facts(document, _evaluation_rows(document), as_json=as_json)


def _evaluation_rows(document: dict[str, Any]) -> list[tuple[str, str]]:
    how = document["provenance"]["parameters"]
    rows = [("model", document["model"]), ("parameters", f"{document['n_parameters']:,} in {how['dtype']}")]
    rows += [("separator", f"{how['separator']}, in front of every text")] if how["separator"] else []
    if document["bits_per_byte"] is not None:
        rows += [
            ("bits per byte", f"{document['bits_per_byte']:.4f}{_interval(document['bits_per_byte_interval'], '.4f')}"),
            ("  scored", f"{document['n_bytes']:,} bytes, {document['n_tokens']:,} tokens, {document['n_documents']:,} documents"),
            ("  windows", f"{document['context']} tokens, stride {document['stride']}"),
        ]
    if document["blimp"] is not None:
        rows.append(("minimal pairs", f"{document['blimp']:.1%}{_interval(document['blimp_interval'], '.1%')}, chance 50%"))
        rows.append(("  scored", f"{document['n_pairs']:,} pairs, {document['n_ties']:,} ties"))
        rows += [(f"  {name}", f"{accuracy:.1%}") for name, accuracy in document["blimp_by_phenomenon"].items()]
    rows += [("sample", " ".join((sample["prompt"] + sample["continuation"]).split())) for sample in document["samples"] or ()]
    return rows


def _interval(interval: Sequence[float] | None, form: str) -> str:
    return f"  (95%: {interval[0]:{form}} to {interval[1]:{form}})" if interval else ""
