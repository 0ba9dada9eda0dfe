"""``lexframe vae sentences`` and ``lexframe vae train``: from text to a text VAE."""

import json
import shutil
import sys
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from lexframe.cli import options, show
from lexframe.cli import vae_inputs as inputs
from lexframe.exceptions import InputError

OTHER_NAMES = {
    "max_epochs": "--epochs",
    "max_minutes": "--minutes",
    "n_cycles": "--cycles",
}
"""Options of ``vae train`` that are not called as the attribute of the plan, but mean the same."""


def sentences(
    shards: Annotated[list[Path], typer.Argument(metavar="SHARDS...", help="Files of text: .txt(.xz), .jsonl(.gz, .xz), .parquet.")],
    out: Annotated[Path, typer.Option(help="File to write: .txt, a sentence a line.")],
    text_column: Annotated[str, typer.Option("--text", help="Text field of .jsonl and .parquet files.")] = "text",
    min_words: Annotated[int, typer.Option(help="Shortest sentence.")] = 5,
    max_words: Annotated[int, typer.Option(help="Longest sentence.")] = 12,
    n_common: Annotated[int, typer.Option(help="Every word must be one of so many most frequent ones; 0 allows all.")] = 6000,
    as_json: options.Json = False,
) -> None:
    """Take plain short sentences out of SHARDS, each once."""
    from lexframe.files import write_text
    from lexframe.training.language_model.corpus import read_documents, shard_file
    from lexframe.training.language_model.sentences import SentenceRules, plain_sentences

    if out.suffix != ".txt":
        raise InputError(f"--out is {str(out)!r}; expected a file that ends in .txt.")
    if out.resolve() in {shard.resolve() for shard in shards}:
        raise InputError(f"--out {out} is one of the shards, which it would replace. Name another file.")
    rules = SentenceRules(min_words=min_words, max_words=max_words, n_common=n_common)
    files = [shard_file(shard) for shard in shards]  # one that is missing should show before the others are read
    documents = (document for file in files for document in read_documents(file, text_column=text_column))
    found = plain_sentences(documents, rules, progress=show.progress("documents"))
    write_text(out, "\n".join(found.texts) + "\n")
    if as_json:
        show.document(found.to_dict() | {"sentences": str(out)})
        return
    show.table(
        ["sentences", "number"],
        [[f"of {min_words} to {max_words} words", f"{found.n_found:,}"], ["kept: common words, each once", f"{len(found.texts):,}"]],
    )
    show.note(f"\nwritten: {out}")


def train(
    texts: Annotated[Path, typer.Argument(metavar="TEXTS", help="File of texts: .jsonl(.gz), .csv, .tsv, .parquet or .txt.")],
    out: Annotated[Path, typer.Option(help="Folder of the run; a run that was stopped there goes on. The model is in its model/.")],
    text: options.Text = "text",
    encoder: Annotated[str, typer.Option(help="'small' (from random weights), 'embedded', a folder, or a hub id.")] = "small",
    decoder: Annotated[str, typer.Option(help="The same; with 'small' a tokenizer is learned from the texts.")] = "small",
    freeze_encoder: Annotated[bool, typer.Option("--freeze-encoder", help="Keep a named encoder as it is.")] = False,
    freeze_decoder: Annotated[bool, typer.Option("--freeze-decoder", help="Keep a named decoder as it is.")] = False,
    n_latent: Annotated[int, typer.Option(help="Dimensions of the latent; 0 trains the plain language model, to compare with.")] = 32,
    memory_tokens: Annotated[int, typer.Option(help="Memory tokens by which the latent enters every block; 0: none.")] = 4,
    scale_shift: Annotated[bool, typer.Option("--scale-shift/--no-scale-shift", help="Let it scale and shift the norms too.")] = True,
    n_queries: Annotated[int, typer.Option(help="Heads of the attention that pools the encoder's states.")] = 4,
    encoder_layer: Annotated[int, typer.Option(help="State of the encoder that is pooled; -1 is the last.")] = -1,
    max_tokens: Annotated[
        int | None,
        typer.Option(help="Longest text; longer ones are left out. [default: 40, or that of --initial-model]", show_default=False),
    ] = None,
    vocab_size: Annotated[int, typer.Option(help="Tokens of the learned tokenizer, at most.")] = 3000,
    d_model: Annotated[int, typer.Option(help="Width of small parts.")] = 128,
    n_heads: Annotated[int, typer.Option(help="Their attention heads.")] = 4,
    encoder_layers: Annotated[int, typer.Option(help="Blocks of a small encoder.")] = 2,
    decoder_layers: Annotated[int, typer.Option(help="Blocks of a small decoder.")] = 3,
    dropout: Annotated[float, typer.Option(help="Of small parts.")] = 0.2,
    kl_weight: Annotated[
        float, typer.Option(help="1: evidence lower bound, 0: autoencoder; another than 1 needs --importance-share 0.")
    ] = 1.0,
    warm_share: Annotated[float, typer.Option(help="Share of the budget at KL weight 0, before the cycles.")] = 0.05,
    cycles: Annotated[int, typer.Option(help="How often the KL weight rises from 0; 0: it is full at once.")] = 1,
    rise_share: Annotated[float, typer.Option(help="Share of a cycle in which it rises.")] = 0.25,
    free_nats: Annotated[float, typer.Option(help="Nats of KL that cost nothing, over all dimensions.")] = 8.0,
    word_dropout: Annotated[float, typer.Option(help="Share of words hidden from the decoder at the start.")] = 0.3,
    word_dropout_end: Annotated[float, typer.Option(help="And at the end of the budget; none in --importance-share.")] = 0.0,
    bag_of_words: Annotated[float, typer.Option(help="Weight of the bag-of-words term at the start.")] = 1.0,
    bag_of_words_end: Annotated[float, typer.Option(help="And at the end of the budget; 0 in --importance-share.")] = 0.0,
    writing_share: Annotated[
        float, typer.Option(help="First share of the budget in which the decoder learns to write without the latent.")
    ] = 0.0,
    importance_share: Annotated[float, typer.Option(help="Last share of the budget that trains the importance-weighted bound.")] = 0.3,
    n_training_samples: Annotated[int, typer.Option(help="Draws a text of that bound.")] = 5,
    least_nats: Annotated[float, typer.Option(help="Nats of a text that the latent keeps in that share, at least.")] = 5.0,
    lr: Annotated[
        float | None,
        typer.Option(help="Peak learning rate of AdamW. [default: 0.004, or 0.001 from a trained model]", show_default=False),
    ] = None,
    weight_decay: Annotated[float, typer.Option(help="Of matrices.")] = 0.01,
    matrix_lr: Annotated[
        float | None,
        typer.Option(
            help="Peak rate of the matrices (Muon); 0: AdamW for all. [default: 0.01, or 0.005 from a trained model]",
            show_default=False,
        ),
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Texts of a step.")] = 64,
    epochs: Annotated[float | None, typer.Option(help="Budget in passes over the texts.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Budget in minutes of training, over all resumed parts.")] = None,
    n_validations: Annotated[int, typer.Option(help="How often the run is measured on texts that were held out.")] = 20,
    n_importance_samples: Annotated[int, typer.Option(help="Draws of the bound by which the best checkpoint is chosen.")] = 10,
    precision: Annotated[str, typer.Option(help="auto, float32 or bfloat16.")] = "auto",
    seed: Annotated[int, typer.Option(min=0, help="Of weights, split, order and noise.")] = 0,
    initial_model: Annotated[
        str | None,
        typer.Option(
            help="Start from this text VAE, 'embedded-vae' or the folder of a run; its tokenizer, shape and parts are taken over."
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Train a text VAE on TEXTS until the epochs or minutes are spent; give at least one of them."""
    from lexframe.training.text_vae.plan import TextVAEPlan

    same = (field.name for field in fields(TextVAEPlan) if field.name not in ("train_encoder", "train_decoder"))
    typed = {name: f"--{name.replace('_', '-')}" for name in same} | OTHER_NAMES
    with options.named_as_typed(typed):
        plan = TextVAEPlan(
            encoder=encoder,
            decoder=decoder,
            train_encoder=not freeze_encoder,
            train_decoder=not freeze_decoder,
            n_latent=n_latent,
            memory_tokens=memory_tokens,
            scale_shift=scale_shift,
            n_queries=n_queries,
            encoder_layer=encoder_layer,
            max_tokens=max_tokens,
            vocab_size=vocab_size,
            d_model=d_model,
            n_heads=n_heads,
            encoder_layers=encoder_layers,
            decoder_layers=decoder_layers,
            dropout=dropout,
            kl_weight=kl_weight,
            warm_share=warm_share,
            n_cycles=cycles,
            rise_share=rise_share,
            free_nats=free_nats,
            word_dropout=word_dropout,
            word_dropout_end=word_dropout_end,
            bag_of_words=bag_of_words,
            bag_of_words_end=bag_of_words_end,
            writing_share=writing_share,
            importance_share=importance_share,
            n_training_samples=n_training_samples,
            least_nats=least_nats,
            lr=lr,
            weight_decay=weight_decay,
            matrix_lr=matrix_lr,
            batch_size=batch_size,
            max_epochs=epochs,
            max_minutes=minutes,
            n_validations=n_validations,
            n_importance_samples=n_importance_samples,
            precision=precision,
            seed=seed,
            initial_model=None if initial_model is None else inputs.model_folder(initial_model),
        )
        model = _trained(plan, texts, text, out)
    facts = json.loads((model / "training.json").read_text(encoding="utf-8"))
    if as_json:
        show.document(facts | {"model": str(model)})
        return
    show.table(["best checkpoint", "nats a text"], _measures(facts))
    typer.echo("")
    show.table(["texts", "number"], _counts(facts["texts"]))
    ended = f"\n{facts['steps']:,} steps in {facts['seconds']:,.0f} s. The model: {model}"
    if facts["plan"]["n_latent"]:
        ended += "\nMeasured with the prior fitted, which lowers the KL and, mostly, the bound of the lines above."
        if facts["warning"]:
            ended += (
                f"\nwarning: the latent has collapsed: it tells {facts['best']['information']:.2f} nats of a text. Train longer: a latent "
                "needs thousands of steps; see also --free-nats, --least-nats and --word-dropout."
            )
    show.note(ended)


class TrainingLines:
    """What a run says while it trains: on a terminal one line that is rewritten, elsewhere a line a validation.

    Parameters
    ----------
    n_latent : int
        Dimensions of the latent.
    """

    def __init__(self, n_latent: int):
        self.n_latent = n_latent
        self.n_reports = 0
        self._rewrites = sys.stderr.isatty()
        self._held_out = ""
        self._warned = False

    def __call__(self, progress: Any) -> None:
        """Show one :class:`~lexframe.training.text_vae.log.TextVAEProgress`."""
        self.n_reports += 1
        if progress.validation is not None:
            self._held_out = self._measured(progress.validation)
        share, weight = f"{progress.fraction:4.0%}", f"  KL weight {progress.kl_weight:.2f}"
        line = f"{share}  step {progress.step:,}{weight}  rec {progress.reconstruction:.2f}  KL {progress.kl:.2f}{self._held_out}"
        if self._rewrites:
            room = shutil.get_terminal_size().columns - 1
            if len(line) > room and self._held_out:  # what was measured on held-out texts is what to watch
                line = f"{share}{weight}{self._held_out}"
            sys.stderr.write(f"\r{line[:room]}\033[K")
            sys.stderr.flush()
        elif progress.validation is not None:
            show.note(line)
        if progress.validation is not None:
            self._warn(progress)

    def end(self) -> None:
        """Leave the line that was rewritten."""
        if self._rewrites and self.n_reports:
            sys.stderr.write("\n")

    def _measured(self, found: dict[str, Any]) -> str:
        return (
            f" | held out: rec {found['reconstruction']:.2f}  KL {found['kl']:.2f}  active {found['active']}/{self.n_latent}  "
            f"bound {found['bound']:.2f}{' (best)' if found['best'] else ''}"
        )

    def _warn(self, progress: Any) -> None:
        if progress.warning and not self._warned:
            self.end()
            show.note(
                f"The latent has collapsed: at full KL weight it tells {progress.validation['information']:.2f} nats of a text, so texts "
                "are written without it. If that stays so, stop, and start in another folder with more --free-nats, --cycles, "
                "--word-dropout or --bag-of-words."
            )
        self._warned = bool(progress.warning)


def _trained(plan: Any, file: Path, column: str, out: Path) -> Path:
    from lexframe.data import read_table
    from lexframe.training.text_vae.data import split_texts
    from lexframe.training.text_vae.run import TextVAETraining

    show.quiet_libraries()
    # Blank rows are read too, so that they are counted with what else is left out.
    texts = split_texts(read_table(file, text=column, label=None, keep_blank=True).texts, seed=plan.seed)
    lines = None
    try:
        training = TextVAETraining(plan, texts, out)
        lines = TrainingLines(training.plan.n_latent)
        resumed = training.state.step
        show.note(_first_line(training.texts, training.plan.max_tokens))
        if resumed:
            show.note(f"Going on from step {resumed:,} of {out}.")
        model = training.run(lines)
    except OSError as error:
        raise InputError(f"{out} cannot be written: {error.strerror or error}. Free space, or name another folder.") from error
    finally:
        if lines is not None:
            lines.end()
    if resumed and not lines.n_reports:
        show.note("Its budget was spent already. Raise --epochs or --minutes to train on.")
    return model


def _first_line(texts: Any, max_tokens: int | None) -> str:
    left_out = [f"{n:,} {why}" for n, why in ((texts.n_empty, "blank"), (texts.n_long, f"longer than --max-tokens {max_tokens}")) if n]
    counts = f"{len(texts.training):,} texts to train on, {len(texts.validation):,} held out"
    return f"{counts}{', left out: ' + ', '.join(left_out) if left_out else ''}. Figures are nats a text; rec: reconstruction."


def _measures(facts: dict[str, Any]) -> list[list[str]]:
    best, n_latent = facts["best"], facts["plan"]["n_latent"]
    rows = [[f"bound (step {best['step']:,})", f"{best['bound']:.2f}"]]
    if n_latent:
        rows += [
            ["reconstruction", f"{best['reconstruction']:.2f}"],
            ["KL", f"{best['kl']:.2f}"],
            ["active units", f"{best['active']} of {n_latent}"],
        ]
    return rows


def _counts(texts: dict[str, int]) -> list[list[str]]:
    names = {
        "training": "trained on",
        "validation": "held out",
        "blank": "left out: blank",
        "too_long": "left out: too long",
        "repeated": "repetitions, kept on one side of the split",
    }
    return [[label, f"{texts[name]:,}"] for name, label in names.items()]
