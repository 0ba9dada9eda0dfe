"""``lexframe steer``: what a model writes with and without a direction, and what the direction costs."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from lexframe.cli import options, printing, table_options
from lexframe.cli.model_options import Prompted
from lexframe.text_forms import counted

Method = Literal["mean_difference", "whitened", "pca", "probe"]


def steer(
    prompts: Annotated[list[str], typer.Argument(help="Beginnings to write on from.")],
    *,
    positive: Annotated[Path | None, typer.Option(help=f"Texts of the positive pole. {table_options.TEXTS}")] = None,
    negative: Annotated[Path | None, typer.Option(help="Texts of the negative pole.")] = None,
    words: Annotated[
        str | None, typer.Option(metavar="WORDS", help="Words of the positive pole, comma-separated, instead of texts.")
    ] = None,
    against: Annotated[str | None, typer.Option(metavar="WORDS", help="Words of the negative pole.")] = None,
    direction: Annotated[Path | None, typer.Option(help="Folder of a direction that was saved, instead of texts or words.")] = None,
    method: Annotated[Method, typer.Option(help="How texts give the direction.")] = "mean_difference",
    paired: Annotated[bool, typer.Option("--paired", help="Text i of both files belongs together.")] = False,
    text: options.Text = "text",
    tables: table_options.Texts,
    pooling: Annotated[
        Literal["last", "mean", "first", "span", "typical"],
        typer.Option(help="How token states become one point; typical: their mean without massive ones."),
    ] = "typical",
    layer: Annotated[
        str, typer.Option(metavar="LAYER", help="auto, or 0 (embedding output), k (output of block k), -1 (last state).")
    ] = "auto",
    strength: Annotated[str, typer.Option(metavar="NUMBER", help="auto, or a number: 1 moves a state by its typical length.")] = "auto",
    model: Prompted,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Length of the texts.")] = 40,
    temperature: Annotated[float, typer.Option(min=0, help="0 takes the likeliest token each time.")] = 0.8,
    seed: Annotated[int, typer.Option(min=0, help="Of draws, random directions and intervals.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Folder for the direction: safetensors and JSON.")] = None,
    gguf: Annotated[
        Path | None, typer.Option(help="File for a control vector of llama.cpp; with auto, of the layer and strength chosen.")
    ] = None,
    report: options.Report = None,
    as_json: options.Json = False,
) -> None:
    """Steer a model along a direction found from texts of two poles, from words, or saved earlier."""
    from lexframe.instruments import steer as write
    from lexframe.spaces.base import SteerableSpace

    # What is wrong with files and numbers shows before the model is opened.
    source = _source((positive, negative), (words, against), direction, (text, tables), paired=paired)
    asked_layer = None if layer == "auto" else int(_number("--layer", layer))
    asked_strength = None if strength == "auto" else _number("--strength", strength)
    space = model.open(needs=SteerableSpace)
    found, metric = source(space, method=method, pooling=pooling, paired=paired)
    choice = None
    if asked_layer is None or asked_strength is None:
        choice = _choose(space, found, metric, asked_layer, asked_strength, seed)
        chosen_layer, chosen_strength = choice.layer, choice.strength
    else:
        chosen_layer, chosen_strength = asked_layer, asked_strength
    settings: dict[str, Any] = {"max_new_tokens": max_new_tokens, "temperature": temperature, "seed": seed}
    texts = write(space, found, prompts, layer=chosen_layer, strength=chosen_strength, **settings)
    if out is not None:
        found.save(out)
    if gguf is not None:
        _export(space, found, gguf, chosen_layer, chosen_strength)
    if report is not None:
        from lexframe.instruments.directions.page import steering_report

        steering_report(texts, found, report, choice=choice)
    if as_json:
        printing.document({**texts.to_dict(), "direction": found.to_dict(), "choice": choice.to_dict() if choice else None})
    else:
        _print(texts, found, choice)
        for path, what in ((out, "direction"), (gguf, "control vector"), (report, "report")):
            if path is not None:
                printing.note(f"{what}: {path}")


def _source(
    files: tuple[Path | None, Path | None],
    words: tuple[str | None, str | None],
    saved: Path | None,
    column: tuple[str, Any],
    *,
    paired: bool,
) -> Callable[..., tuple[Any, Any]]:
    """What gives, on a space, the direction and the metric that layer and strength are chosen by: texts left out, or the words."""
    from lexframe.exceptions import InputError
    from lexframe.instruments import Direction, LabelWordOdds, TargetTexts, find_direction, frame_direction

    given = [all(part is not None for part in pair) for pair in (files, words, (saved,))]
    started = [any(part is not None for part in pair) for pair in (files, words, (saved,))]
    if given.count(True) != 1 or started.count(True) != 1:
        raise InputError(
            "Say where the direction comes from, in one way: --positive FILE --negative FILE, or --words good --against bad, "
            "or --direction FOLDER."
        )
    if saved is not None:
        loaded = Direction.load(saved)
        return lambda space, **settings: (loaded, None)
    if words[0] is not None and words[1] is not None:
        poles = [tuple(word.strip() for word in part.split(",") if word.strip()) for part in (words[0], words[1])]
        return lambda space, **settings: (
            frame_direction(space, *poles, layers=range(1, space.n_layers + 1)),
            LabelWordOdds(*poles),
        )
    found, left_out = _split([path for path in files if path is not None], column, paired=paired)
    names = tuple(path.name.split(".")[0] for path in files if path is not None)
    return lambda space, **settings: (find_direction(space, *found, poles=names, **settings), TargetTexts(*left_out))


def _split(paths: list[Path], column: tuple[str, Any], *, paired: bool) -> tuple[list[list[str]], list[tuple[str, ...]]]:
    """Texts to find the direction on, and every fifth, up to sixteen, to choose layer and strength by; pairs stay together."""
    from lexframe.exceptions import InputError

    name, reader = column
    tables = [reader.read(path, text=name, label=None) for path in paths]
    if paired and len({table.rows for table in tables}) > 1:
        raise InputError(
            f"{paths[0]} and {paths[1]} have texts in different rows, so they do not pair. "
            "Give both as many rows, none blank, or leave --paired out."
        )
    for path, table in zip(paths, tables, strict=True):
        if len(table) < 5:
            raise InputError(
                f"{path} holds {counted(len(table), 'text')}; expected five or more, "
                "of which a fifth is left out to choose layer and strength by."
            )
    left_out = [table.texts[4::5][:16] for table in tables]
    repeats = [{row for row, text in enumerate(table.texts) if text in set(apart)} for table, apart in zip(tables, left_out, strict=True)]
    if paired:
        repeats = [set.union(*repeats)] * len(repeats)
    known = [[text for row, text in enumerate(table.texts) if row not in gone] for table, gone in zip(tables, repeats, strict=True)]
    return known, left_out


def _choose(space: Any, direction: Any, metric: Any, layer: int | None, strength: float | None, seed: int) -> Any:
    from lexframe.instruments import choose_steering
    from lexframe.instruments.directions.steering_choice import STRENGTHS

    # At the last state a direction adds the same to the logits of every token: its words are said, and nothing else changes.
    inner = [each for each in direction.layers if each < space.n_layers] or list(direction.layers)
    return choose_steering(
        space,
        direction,
        metric=metric,
        layers=inner if layer is None else [layer],
        strengths=STRENGTHS if strength is None else [strength],
        seed=seed,
        progress=printing.progress("choosing"),
    )


def _number(option: str, value: str) -> float:
    from lexframe.exceptions import InputError

    try:
        number = float(value)
    except ValueError as error:
        raise InputError(f"{option} is {value!r}; expected auto or a number.") from error
    if not math.isfinite(number) or (option == "--layer" and not number.is_integer()):
        raise InputError(f"{option} is {value!r}; expected auto or a {'whole' if option == '--layer' else 'finite'} number.")
    return number


def _export(space: Any, direction: Any, path: Path, layer: int, strength: float) -> None:
    from lexframe.instruments import export_gguf

    export_gguf(direction.at(layer), path, model_hint=space.model_type, strength=strength)


def _print(texts: Any, direction: Any, choice: Any) -> None:
    for row in texts.to_dict()["texts"]:
        typer.echo(f"{row['prompt']}")
        for name in ("unsteered", "steered"):
            typer.echo(f"  {name:9s}  {_perplexity(row[f'{name}_perplexity']):>6s}  {' '.join(row[name].split())}")
    printing.note(
        f"\nTowards {direction.positive}, away from {direction.negative}: layer {texts.layer}, strength {texts.strength:g}.\n"
        "The numbers are perplexities of the texts under the unsteered model. Different word pairs: "
        f"{texts.unsteered_distinct:.0%} without steering, {texts.steered_distinct:.0%} with."
    )
    verdict = texts.verdict()
    if verdict.worth == "worthless":
        printing.note(str(verdict))
    if choice is not None:
        printing.note(choice.summary())
        if choice.slope is not None:
            printing.note(f"Effect per unit of strength at that layer: {choice.slope}.")


def _perplexity(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"
