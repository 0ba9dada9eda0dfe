"""``lexframe trace``: a prompt's path through the layers."""

from pathlib import Path
from typing import Annotated, Any

import typer

from lexframe.cli import options, printing
from lexframe.cli.lens import LensType, resolved
from lexframe.cli.model_options import Prompted
from lexframe.exceptions import InputError


def trace(
    prompts: Annotated[list[str], typer.Argument(help="One or more prompts; several are compared.")],
    *,
    model: Prompted,
    lens: Annotated[str, typer.Option(help="logit, frame, or the folder of a tuned lens.")] = "logit",
    answer: Annotated[str | None, typer.Option(help="A word whose rank to follow. Default: what the model itself says.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Likeliest tokens to keep in each cell.")] = 5,
    report: options.Report = None,
    lens_dtype: LensType = "float32",
    as_json: options.Json = False,
) -> None:
    """Follow prompts through the layers: what the model would say at each, when it settles, how its states move."""
    from lexframe.instruments.traces.path_comparison import compare_paths, path_map
    from lexframe.instruments.traces.trace import trace as trace_prompts
    from lexframe.spaces.base import LensSpace

    empty = next((number for number, prompt in enumerate(prompts, start=1) if not prompt.strip()), None)
    if empty is not None:
        raise InputError(f"Prompt {empty} of {len(prompts)} is empty. A path needs a token to start from; write a prompt.")
    tuned = _tuned_lens(lens)
    space = model.open(needs=LensSpace)
    chosen = tuned or _lens_of(lens, space)
    found = trace_prompts(
        space,
        prompts,
        lens=chosen,
        answer=answer,
        n_top=limit,
        precision=resolved(lens_dtype, model.device),
        progress=printing.progress("layers"),
    )
    comparison = compare_paths(space, found, lens=chosen) if len(found) > 1 else None
    if report is not None:
        from lexframe.instruments.traces.page import trace_report

        trace_report(found, report, path_map=path_map(space, found), comparison=comparison)
    if as_json:
        compared = {} if comparison is None else {"comparison": comparison.to_dict()}
        printing.document({"traces": [each.to_dict() for each in found]} | compared)
        return
    for each in found:
        _print_trace(each)
    if comparison is not None:
        _print_comparison(comparison)
    if report is not None:
        printing.note(f"\nreport: {report}")


def _print_trace(found: Any) -> None:
    from lexframe.instruments.traces.charts import visible  # a token of bytes must not steer the terminal

    shown = found.statistics
    typer.echo(f"\n{found.prompt}\n")
    rows = [
        [
            str(layer),
            visible(found.top_tokens[row][-1][0]),
            f"{shown.top_probabilities[row, -1, 0]:.3f}",
            f"{shown.entropy[row, -1]:.2f}",
            f"{shown.kl_to_final[row, -1]:.2f}",
            f"{shown.answer_rank[row, -1]}",
            f"{shown.answer_probability[row, -1]:.3f}",
            "" if row == 0 else f"{found.step_length[row - 1, -1]:.2f}",
            "" if row in (0, len(found.layers) - 1) else f"{found.turning_angle_deg[row - 1, -1]:.0f}°",
            f"{found.effective_rank[row]:.1f}",
        ]
        for row, layer in enumerate(found.layers)
    ]
    answer = found.answer or "answer"
    printing.table(["layer", "likeliest", "p", "entropy", "from final", f"rank of {answer}", "its p", "step", "turn", "dims"], rows)
    printing.note(
        f"\nAt the last token, through the {found.lens} lens; entropy and divergence in nats.\n"
        f"It settles at layer {found.settle_depth[-1]}. "
        "step: length of the step into the layer, relative to the state before; turn: angle to the next step;\n"
        "dims: effective dimensions of the prompt's tokens. The last step includes the final norm."
    )
    if found.truncated:
        printing.note("The prompt is longer than the model takes and was cut.")


def _print_comparison(comparison: Any) -> None:
    n = len(comparison.prompts)
    typer.echo("\nWhere they part: Jensen-Shannon divergence at the last token, nats (0 the same, 0.69 nothing in common)\n")
    rows = [
        [
            f"{j + 1} and {i + 1}",
            *(f"{value:.2f}" for value in comparison.divergence[:, i, j]),
            f"{comparison.path_distance[i, j]:.2f}",
        ]
        for i in range(n)
        for j in range(i)
    ]
    printing.table(["prompts", *(f"layer {layer}" for layer in comparison.layers), "paths"], rows)


def _tuned_lens(name: str) -> Any:
    """The tuned lens of a folder, before any model is opened; None for the lenses that need no fitting."""
    from lexframe.instruments.traces.tuned_lens import TunedLens

    if name in ("logit", "frame"):
        return None
    if not Path(name).exists():
        raise InputError(
            f"{name!r} is no lens: expected logit, frame, or the folder of a tuned lens. "
            "Make one with: lexframe lens fit TEXTS --out FOLDER"
        )
    return TunedLens.load(name)


def _lens_of(name: str, space: Any) -> Any:
    from lexframe.instruments.traces.lens import FrameLens, LogitLens

    return LogitLens() if name == "logit" else FrameLens.of(space)
