"""Training a text VAE or one of its controls once, and keeping what was measured of it."""

import json
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from common import Control, Figure, Goal, Statement, judged
from lexframe.files import write_json
from lexframe.intervals import t_interval
from lexframe.spaces.text_vae.files import TextVAEModel, load_text_vae
from lexframe.spaces.text_vae.space import TextVAESpace
from lexframe.training.text_vae.data import TrainingTexts
from lexframe.training.text_vae.log import TextVAEProgress
from lexframe.training.text_vae.plan import TextVAEPlan, autoencoder, plain_language_model, plain_vae
from lexframe.training.text_vae.run import TextVAETraining

KINDS: dict[str, Callable[[TextVAEPlan], TextVAEPlan]] = {
    "vae": lambda plan: plan,
    "plain": plain_vae,
    "autoencoder": autoencoder,
    "language-model": plain_language_model,
}
CONTROLS = ("plain", "autoencoder")


def trained(folder: Path, plan: TextVAEPlan, texts: TrainingTexts) -> TextVAEModel:
    """The model of a run, trained where it is not there yet."""
    if not (folder / "model" / "training.json").is_file():
        run = TextVAETraining(plan, texts, folder)
        run.run(_shown(folder.name))
    return load_text_vae(str(folder / "model"))


def _shown(name: str) -> Callable[[TextVAEProgress], None]:
    def show(progress: TextVAEProgress) -> None:
        if progress.validation is not None:
            found = progress.validation
            sys.stderr.write(
                f"{name} {progress.fraction:.0%} epoch {progress.epoch:.1f}: bound {found['bound']:.2f}, KL {found['kl']:.2f}, "
                f"{found['active']} active {progress.warning} ({progress.elapsed_seconds:.0f} s)\n"
            )

    return show


def cell(
    bench: Namespace,
    name: str,
    kind: str,
    seed: int,
    plan: TextVAEPlan,
    texts: TrainingTexts,
    measured: Callable[[TextVAEModel, str, int], dict[str, Any]],
) -> dict[str, Any]:
    """What was measured of one kind of model at one seed, computed once."""
    folder = bench.out / f"{name}-{kind}-{seed}"
    kept = folder / "cell.json"
    if not kept.is_file():
        model = trained(folder, replace(KINDS[kind](plan), seed=seed), texts)
        facts = json.loads((folder / "model" / "training.json").read_text())
        run = {"seconds": facts["seconds"], "best": facts["best"], "threads": torch.get_num_threads()}
        write_json(kept, _finite(measured(model, kind, seed)) | run)
    return dict(json.loads(kept.read_text()))


def _finite(value: Any) -> Any:
    """As JSON knows it: what is not finite becomes None."""
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def cells(
    bench: Namespace,
    name: str,
    plan: TextVAEPlan,
    texts: TrainingTexts,
    measured: Callable[[TextVAEModel, str, int], dict[str, Any]],
    kinds: Sequence[str] = tuple(KINDS),
) -> dict[str, list[dict[str, Any]]]:
    """Cells of all kinds at all their seeds."""
    chosen = [kind for kind in kinds if not bench.kinds or kind in bench.kinds.split(",")]
    seeds = {kind: bench.control_seeds if kind in CONTROLS else bench.seeds for kind in chosen}
    return {kind: [cell(bench, name, kind, seed, plan, texts, measured) for seed in seeds[kind]] for kind in chosen}


def space_of(model: TextVAEModel) -> TextVAESpace:
    """The latent of a model in memory."""
    return TextVAESpace(model)


def claim_over_seeds(
    what: str, values: Sequence[float | None], goal: Goal | None = None, control: Control | None = None
) -> Sequence[Statement]:
    """A claim over seeds; a figure without a goal.

    There is none where a value is None, that is, not defined: no two texts differ, or nothing was gained.
    """
    defined = [value for value in values if value is not None]
    if len(defined) < len(values):
        return []
    found = t_interval(defined, unit="seeds")
    return [Figure(what, found)] if goal is None or control is None else judged(what, found, goal, control)


def control_of(name: str, values: Sequence[float | None]) -> Control | None:
    """The mean over seeds of what must not reach the goal; None where it is not defined or was not measured."""
    defined = [value for value in values if value is not None]
    return Control(name, t_interval(defined, unit="seeds")) if defined and len(defined) == len(values) else None
