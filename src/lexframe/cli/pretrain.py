"""``lexframe pretrain``: from shards of text to a small language model, and how good it is."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from lexframe.cli import options, show

app = typer.Typer(no_args_is_help=True, help="Pretrain a small language model from scratch: corpus, tokenizer, train, eval.")

Corpus = Annotated[
    Path, typer.Argument(metavar="CORPUS", help="A shard (.txt, .jsonl, .parquet; .xz, .gz) or the folder that 'pretrain corpus' made.")
]
TextColumn = Annotated[str, typer.Option(help="Text field of .jsonl and .parquet files.")]


@app.command("corpus")
def corpus_command(
    shards: Annotated[list[Path], typer.Argument(metavar="SHARDS...", help="Files of text: .txt(.xz), .jsonl(.gz, .xz), .parquet.")],
    out: Annotated[Path, typer.Option(help="Folder for corpus.parquet and report.json.")],
    text_column: TextColumn = "text",
    min_words: Annotated[int, typer.Option(help="Drop documents with fewer words.")] = 20,
    max_symbol_share: Annotated[float, typer.Option(help="Drop documents with more symbols among their characters.")] = 0.2,
    near_duplicate_similarity: Annotated[
        float, typer.Option(help="Drop documents this similar to an earlier one; above 1: keep them.")
    ] = 0.8,
    as_json: options.Json = False,
) -> None:
    """Clean SHARDS into one corpus: drop short, symbol-heavy and duplicate documents, and say how many."""
    from lexframe.training.language_model.corpus import CorpusRules, clean_corpus

    rules = CorpusRules(min_words=min_words, max_symbol_share=max_symbol_share, near_duplicate_similarity=near_duplicate_similarity)
    report = clean_corpus(shards, out, rules=rules, text_column=text_column, progress=show.progress("documents"))
    rows = [
        ("documents read", f"{report.n_read:,}"),
        *((f"dropped: {reason}", f"{n:,}") for reason, n in report.dropped.items()),
        ("documents kept", f"{report.n_kept:,}"),
        ("words kept", f"{report.words_kept:,}"),
        ("bytes kept", f"{report.bytes_kept:,}"),
        ("written", str(out / "corpus.parquet")),
    ]
    _show(report.to_dict() | {"corpus": str(out / "corpus.parquet")}, rows, as_json=as_json)


@app.command("tokenizer")
def tokenizer_command(
    corpus: Corpus,
    out: Annotated[Path, typer.Option(help="Folder for the tokenizer.")],
    vocab_size: Annotated[int, typer.Option(help="Tokens, the 256 bytes and the separator included.")] = 8192,
    text_column: TextColumn = "text",
    as_json: options.Json = False,
) -> None:
    """Learn a byte-level BPE tokenizer from CORPUS."""
    from lexframe.training.language_model.corpus import read_documents
    from lexframe.training.language_model.tokenizer import save_tokenizer, train_tokenizer

    documents = show.progress("documents")(read_documents(corpus, text_column=text_column))
    tokenizer = train_tokenizer(iter(documents), vocab_size=vocab_size)
    save_tokenizer(tokenizer, out)
    _show(
        {"tokenizer": str(out), "vocab_size": len(tokenizer)}, [("tokens", f"{len(tokenizer):,}"), ("written", str(out))], as_json=as_json
    )


@app.command("train")
def train_command(
    corpus: Corpus,
    tokenizer: Annotated[Path, typer.Option(help="Folder that 'pretrain tokenizer' made.")],
    out: Annotated[Path, typer.Option(help="Folder of the run; a run that was stopped there goes on.")],
    text_column: TextColumn = "text",
    n_layers: Annotated[int, typer.Option(help="Blocks of the decoder.")] = 6,
    d_model: Annotated[int, typer.Option(help="Width.")] = 256,
    n_heads: Annotated[int, typer.Option(help="Attention heads.")] = 4,
    d_ff: Annotated[int, typer.Option(help="Inner width of the feed-forward layers.")] = 672,
    context: Annotated[int, typer.Option(help="Longest sequence, used towards the end.")] = 512,
    short_context: Annotated[int, typer.Option(help="Sequence length before that.")] = 256,
    batch_tokens: Annotated[int, typer.Option(help="Tokens per optimiser step, over all processes.")] = 8192,
    matrix_lr: Annotated[float, typer.Option(help="Peak learning rate of the matrices (Muon).")] = 0.02,
    lr: Annotated[float, typer.Option(help="Peak learning rate of the rest (AdamW).")] = 0.004,
    cooldown_share: Annotated[float, typer.Option(help="Share of the budget in which the rates fall to zero.")] = 0.5,
    minutes: Annotated[float | None, typer.Option(help="Budget of training time.")] = None,
    tokens: Annotated[int | None, typer.Option(help="Budget of tokens.")] = None,
    precision: Annotated[str, typer.Option(help="auto, float32 or bfloat16.")] = "auto",
    compile_model: Annotated[bool, typer.Option("--compile/--no-compile", help="Use torch.compile.")] = True,
    seed: Annotated[int, typer.Option(min=0, help="Of the weights and of the order of the data.")] = 0,
    initial_model: Annotated[str | None, typer.Option(help="Train this model further instead of starting from random weights.")] = None,
    processes: Annotated[int | None, typer.Option(help="Default: one a GPU, or one a CPU core.")] = None,
    as_json: options.Json = False,
) -> None:
    """Train a model on CORPUS until the minutes or tokens are spent; give at least one of them."""
    from lexframe.spaces.loading import load_tokenizer
    from lexframe.training.language_model.launch import pretrain
    from lexframe.training.language_model.plan import PretrainingPlan
    from lexframe.training.language_model.tokenizer import encoded_corpus

    plan = PretrainingPlan(
        n_layers=n_layers,
        d_model=d_model,
        n_heads=n_heads,
        d_ff=d_ff,
        context=context,
        short_context=short_context,
        batch_tokens=batch_tokens,
        matrix_lr=matrix_lr,
        lr=lr,
        cooldown_share=cooldown_share,
        max_minutes=minutes,
        max_tokens=tokens,
        precision=precision,
        compile=compile_model,
        seed=seed,
        initial_model=initial_model,
    )
    opened = load_tokenizer(str(tokenizer))
    tokens_file = encoded_corpus(corpus, opened, out / "tokens.npy", text_column=text_column, progress=show.progress("documents"))
    model = pretrain(plan, tokens_file, tokenizer, out, n_processes=processes)
    facts = json.loads((model / "training.json").read_text(encoding="utf-8"))
    rows = [
        ("steps", f"{facts['steps']:,}"),
        ("tokens", f"{facts['tokens']:,}"),
        ("seconds", f"{facts['seconds']:,}"),
        ("written", str(model)),
    ]
    _show(facts | {"model": str(model)}, rows, as_json=as_json)


@app.command("eval")
def eval_command(
    model: Annotated[str, typer.Option(help="'embedded', a folder, or a hub id such as gpt2.")],
    corpus: Annotated[Path | None, typer.Option(help="Held-out text, for bits per byte.")] = None,
    blimp: Annotated[Path | None, typer.Option(help="Minimal pairs (.jsonl, .jsonl.gz) with good, bad, uid and term.")] = None,
    samples: Annotated[bool, typer.Option("--samples", help="Also print continuations of four prompts.")] = False,
    context: Annotated[int, typer.Option(help="Longest window, in tokens.")] = 512,
    stride: Annotated[int | None, typer.Option(help="Tokens from window to window. [default: half of the context]")] = None,
    max_bytes: Annotated[int | None, typer.Option(help="Score this much of the text.")] = None,
    text_column: TextColumn = "text",
    seed: Annotated[int, typer.Option(min=0, help="Of intervals and samples.")] = 0,
    as_json: options.Json = False,
) -> None:
    """Measure a model: bits per byte of held-out text, grammatical minimal pairs, samples."""
    from lexframe.spaces.loading import load_config, load_tokenizer, load_weights, resolve_model
    from lexframe.training.language_model.corpus import read_documents
    from lexframe.training.language_model.evaluation import PROMPTS, EvaluationData, Windows, evaluate_language_model, read_minimal_pairs

    # Files are read before weights are loaded: what is wrong with them should show at once.
    documents = list(read_documents(corpus, text_column=text_column)) if corpus else None
    pairs = read_minimal_pairs(blimp) if blimp else None
    from transformers import AutoModelForCausalLM

    show.quiet_libraries()
    folder = resolve_model(model)
    load_config(folder)
    result = evaluate_language_model(
        load_weights(AutoModelForCausalLM, folder, dtype="float32"),
        load_tokenizer(folder),
        EvaluationData(documents, pairs, PROMPTS if samples else None),
        name=model,
        windows=Windows(context, stride),
        max_bytes=max_bytes,
        seed=seed,
        progress=show.progress("batches"),
    )
    document = result.to_dict()
    _show(document, _evaluation_rows(document), as_json=as_json)


def _evaluation_rows(document: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [("model", document["model"]), ("parameters", f"{document['n_parameters']:,}")]
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


def _interval(interval: tuple[float, float] | None, form: str) -> str:
    return f"  (95%: {interval[0]:{form}} to {interval[1]:{form}})" if interval else ""


def _show(document: dict[str, Any], rows: list[tuple[str, str]], *, as_json: bool) -> None:
    if as_json:
        show.document(document)
        return
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        typer.echo(f"{name:<{width}}  {value}")
