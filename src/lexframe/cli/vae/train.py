"""``lexframe vae train``: from texts to a text VAE."""

import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from lexframe.cli import options, printing, table_options
from lexframe.cli.bundles import FieldsOf
from lexframe.cli.vae import inputs
from lexframe.exceptions import InputError
from lexframe.text_forms import counted


def train(
    texts: Annotated[Path, typer.Argument(metavar="TEXTS", help=table_options.TEXTS)],
    *,
    out: Annotated[Path, typer.Option(help="Folder of the run; a run that was stopped there goes on. The model is in its model/.")],
    text: options.Text = "text",
    files: table_options.Texts,
    plan: Annotated[Any, FieldsOf("lexframe.training.text_vae.plan:TextVAEPlan")],
    as_json: options.Json = False,
) -> None:
    """Train a text VAE on TEXTS until --max-epochs or --max-minutes are spent; give at least one of them."""
    if plan.initial_model is not None:
        plan = replace(plan, initial_model=inputs.model_folder(plan.initial_model))
    # blank rows are read too, so that they are counted with what else is left out
    model = _trained(plan, files.read(texts, text=text, label=None, keep_blank=True).texts, out)
    facts = json.loads((model / "training.json").read_text(encoding="utf-8"))
    if as_json:
        printing.document(facts | {"model": str(model)})
        return
    printing.table(["best checkpoint", "nats a text"], _measures(facts))
    typer.echo("")
    printing.table(["texts", "number"], _counts(facts["texts"]))
    ended = f"\n{counted(facts['steps'], 'step')} in {facts['seconds']:,.0f} s. The model: {model}"
    if facts["plan"]["n_latent"]:
        ended += "\nMeasured with the prior fitted, which lowers the KL and, mostly, the bound of the lines above."
        if facts["warning"]:
            ended += (
                f"\nwarning: the latent has collapsed: it tells {facts['best']['information']:.2f} nats of a text. Train longer: a latent "
                "needs thousands of steps; see also --free-nats, --least-nats and --word-dropout."
            )
    printing.note(ended)


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
            printing.note(line)
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
            printing.note(
                f"The latent has collapsed: at full KL weight it tells {progress.validation['information']:.2f} nats of a text, so texts "
                "are written without it. If that stays so, stop, and start in another folder with more --free-nats, --n-cycles, "
                "--word-dropout or --bag-of-words."
            )
        self._warned = bool(progress.warning)


def _trained(plan: Any, given: Sequence[str], out: Path) -> Path:
    from lexframe.training.text_vae.data import split_texts
    from lexframe.training.text_vae.run import TextVAETraining

    printing.quiet_libraries()
    texts = split_texts(given, seed=plan.seed)
    lines = None
    try:
        training = TextVAETraining(plan, texts, out)
        lines = TrainingLines(training.plan.n_latent)
        resumed = training.state.step
        printing.note(_first_line(training.texts, training.plan.max_tokens))
        if resumed:
            printing.note(f"Going on from step {resumed:,} of {out}.")
        model = training.run(lines)
    except OSError as error:
        raise InputError(f"{out} cannot be written: {error.strerror or error}. Free space, or name another folder.") from error
    finally:
        if lines is not None:
            lines.end()
    if resumed and not lines.n_reports:
        printing.note("Its budget was spent already. Raise --max-epochs or --max-minutes to train on.")
    return model


def _first_line(texts: Any, max_tokens: int | None) -> str:
    left_out = [f"{n:,} {why}" for n, why in ((texts.n_empty, "blank"), (texts.n_long, f"longer than --max-tokens {max_tokens}")) if n]
    counts = f"{counted(len(texts.training), 'text')} to train on, {len(texts.validation):,} held out"
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
