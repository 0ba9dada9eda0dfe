"""``lexframe vae score``: what a text VAE is worth, as a table, a report or one JSON document."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from lexframe.cli import options, printing, table_options
from lexframe.cli.vae import inputs
from lexframe.text_forms import counted

N_AXES = 3
AMOUNTS = (-2.0, -1.0, 0.0, 1.0, 2.0)


def score(
    model: inputs.Model,
    texts_file: Annotated[Path, typer.Argument(help=f"Texts held out from training. {table_options.TEXTS}")],
    text: options.Text = "text",
    *,
    files: table_options.Texts,
    training: Annotated[Path | None, typer.Option(help="File of all training texts: samples are looked for in it.")] = None,
    run: Annotated[list[Path] | None, typer.Option(help="Run folder whose log the report draws; several are drawn side by side.")] = None,
    plain: Annotated[Path | None, typer.Option(help="Run folder of a plain language model (--n-latent 0) to compare with.")] = None,
    n_importance_samples: Annotated[str, typer.Option(help="Draws of each likelihood bound, such as 100,1000.")] = "1,10,100",
    n_samples: Annotated[int, typer.Option(min=2, help="Texts to write from the prior.")] = 200,
    temperature: Annotated[float, typer.Option(min=0, help="At which they are written; 0 takes the likeliest word.")] = 0.0,
    language_model: Annotated[str, typer.Option(help="Whose perplexity samples are compared by; 'none' leaves it out.")] = "embedded",
    limit: Annotated[int, typer.Option(min=2, help="Texts at most to score.")] = 5000,
    n_bound_texts: Annotated[int, typer.Option(min=2, help="Texts at most for the likelihood bounds, the costly part.")] = 200,
    n_decoded_texts: Annotated[int, typer.Option(min=2, help="Texts at most for reconstructions and curves.")] = 500,
    seed: Annotated[int, typer.Option(min=0, help="Of everything that is drawn.")] = 0,
    device: options.Device = None,
    batch_size: options.BatchSize = None,
    report: options.Report = None,
    as_json: options.Json = False,
) -> None:
    """Score a text VAE: likelihood, use of the latent, reconstructions, samples, and what to beware of."""
    from lexframe.generative.score.vae_score import ScoreSettings, score_text_vae
    from lexframe.training.text_vae.log import read_training_log

    counts = importance_samples(n_importance_samples)
    texts = files.read(texts_file, text=text, label=None).texts
    learned = None if training is None else files.read(training, text=text, label=None).texts
    space = inputs.open_text_vae(model, device=device)
    logs = {name: read_training_log(folder) for name, folder in run_names(run or []).items()}
    settings = ScoreSettings(
        n_importance_samples=counts,
        n_samples=n_samples,
        temperature=temperature,
        language_model=None if language_model == "none" else language_model,
        n_texts=limit,
        n_bound_texts=n_bound_texts,
        n_decoded_texts=n_decoded_texts,
        batch_size=batch_size,
    )
    found = score_text_vae(
        space,
        texts,
        settings=settings,
        training_texts=learned,
        plain_language_model=None if plain is None else _PlainRun(plain, space, device),
        seed=seed,
        progress=printing.progress("scoring"),
    )
    if report is not None:
        _write_report(space, found, report, logs)
    if as_json:
        printing.document(found.to_dict())
        return
    _print(found)
    if report is not None:
        printing.note(f"\nreport: {report}")


def importance_samples(text: str) -> tuple[int, ...]:
    """Numbers from a list such as ``100,1000``.

    Raises
    ------
    InputError
        If one is no number of 1 or more.
    """
    from lexframe.exceptions import InputError

    try:
        counts = tuple(int(part) for part in text.split(","))
    except ValueError:
        counts = ()
    if not counts or min(counts) < 1:
        raise InputError(f"--n-importance-samples is {text!r}; expected numbers of 1 or more with commas between them, such as 100,1000.")
    return counts


def run_names(folders: Sequence[Path]) -> dict[str, Path]:
    """Folders by their last part, or by their whole path where two end alike."""
    names = [folder.resolve().name for folder in folders]
    return {name if names.count(name) == 1 else str(folder): folder for name, folder in zip(names, folders, strict=True)}


class _PlainRun:
    """Nats of texts under the plain language model of a run; refuses texts that it cuts elsewhere than the text VAE does."""

    def __init__(self, folder: Path, space: Any, device: str | None):
        import torch

        from lexframe.exceptions import InputError
        from lexframe.spaces.text_vae.files import load_text_vae

        self.folder, self.space = folder, space
        self.model = load_text_vae(inputs.model_folder(str(folder)))
        if self.model.network.shape.n_latent:
            raise InputError(
                f"--plain {folder} has a latent of {self.model.network.shape.n_latent} dimensions. Name a run that was trained "
                "with --n-latent 0."
            )
        self.model.network.to(device or ("cuda" if torch.cuda.is_available() else "cpu"))

    def __call__(self, texts: list[str]) -> Any:
        from lexframe.exceptions import InputError
        from lexframe.training.text_vae.plain_likelihood import plain_nats

        cut = [text.truncated for text in self.model.texts(texts)]
        differing = sum(one != bool(other) for one, other in zip(cut, self.space.truncated(texts), strict=True))
        if differing:
            raise InputError(
                f"{differing} of {len(texts)} texts are cut by one of the two models only, so their nats do not compare. Train "
                f"{self.folder} with the --max-tokens and the tokenizer of the text VAE, or leave long texts out."
            )
        return plain_nats(self.model, texts, progress=printing.progress("plain language model"))


def _write_report(space: Any, found: Any, path: Path, logs: dict[str, Any]) -> None:
    import numpy as np

    from lexframe.generative.interpolation import interpolate
    from lexframe.generative.page import text_vae_report
    from lexframe.generative.traversal import traverse

    first = found.reconstructions.texts[0]
    other = next(text for text in found.reconstructions.texts if text != first)  # a score has two different texts
    axes = np.argsort(-found.units.mean_kl, kind="stable")[:N_AXES].tolist()
    text_vae_report(
        found,
        path,
        interpolation=interpolate(space, first, other),
        traversal=traverse(space, first, axes=axes, amounts=AMOUNTS, is_absolute=True),
        runs=logs or None,
    )


def _print(found: Any) -> None:
    from lexframe.generative.page import value_and_interval
    from lexframe.generative.score.vae_measures import vae_measures

    parts: dict[str, list[list[str]]] = {}
    for measure in vae_measures(found):
        name = f"{printing.one_line(measure.measure)}{f' ({measure.unit})' if measure.unit else ''}"
        parts.setdefault(measure.part, []).append([name, *value_and_interval(measure), measure.good])
    for part, rows in parts.items():
        printing.table([part, "value", "95% interval", "good is"], rows)
        typer.echo("")
    printing.note(f"Over {counted(len(found.rows), 'text')}; --json has the number of texts or samples behind every row.")
    if found.warnings:
        printing.note("\n" + "\n".join(f"warning: {warning}" for warning in found.warnings))
