"""Training of a text VAE: one loop that keeps the best checkpoint, stops on a time budget and goes on after a stop.

The order of the texts, the noise and the dropped words of a step depend on the seed and the number of the step alone, so a run that
stopped and goes on sees what it would have seen.
"""

import math
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn

from lexframe.exceptions import DataError, InputError, InterruptedRunError
from lexframe.files import json_text
from lexframe.seeding import seeded
from lexframe.spaces.language_model.layers import evaluation_mode
from lexframe.spaces.precision import fastest_precision
from lexframe.spaces.text_vae.files import (
    SMALL,
    TextVAEModel,
    build_text_vae,
    load_text_vae,
    model_part,
    save_text_vae,
    take_tensors,
    trained_tensors,
)
from lexframe.training.checkpoints import (
    checkpoint_tensors,
    load_optimizer_state,
    model_tensors,
    noticing_signals,
    read_facts,
    save_tensors,
)
from lexframe.training.language_model.tokenizer import train_tokenizer
from lexframe.training.muon import MuonAdamW, matrix_and_other_parameters
from lexframe.training.schedules import learning_rate_scale
from lexframe.training.text_vae.data import FEWEST_TEXTS, TrainingTexts, batch_rows, texts_hash
from lexframe.training.text_vae.log import TextVAEProgress
from lexframe.training.text_vae.losses import TrainingLoss
from lexframe.training.text_vae.plan import TextVAEPlan, taking_over
from lexframe.training.text_vae.prior import fit_prior
from lexframe.training.text_vae.validation import measure

MEASURED = 500
"""Held-out texts, drawn at random, that checkpoints are chosen by."""
COLLAPSED = 0.5
"""Nats that the latent tells of a text below which it is as good as unused."""
MEASURING_SHARE = 0.2
"""Share of a budget of minutes that measuring on held-out texts takes, about: the first measure tells how long one is."""


class TextVAETraining:
    """One run, from a plan and texts to a folder that :class:`~lexframe.spaces.text_vae.space.TextVAESpace` opens.

    Parameters
    ----------
    plan : TextVAEPlan
        What to compute.
    texts : TrainingTexts
        From :func:`split_texts`.
    out : str or Path
        Folder of the run: ``log.jsonl``, ``checkpoint.safetensors``, ``best.safetensors`` and, at the end, ``model/``. A run that was
        stopped there goes on.
    tokenizer : PreTrainedTokenizerFast, optional
        For a small decoder; learned from the training texts where it is not given.

    Raises
    ------
    InputError
        If the folder holds a run of another plan or other texts; the message names what differs.
    """

    def __init__(self, plan: TextVAEPlan, texts: TrainingTexts, out: str | Path, *, tokenizer: Any = None):
        initial = None
        if plan.initial_model is not None:
            with seeded(plan.seed):  # what is not stored, the bag of words, is drawn
                initial = load_text_vae(plan.initial_model, max_tokens=plan.max_tokens)
        plan = (plan if initial is None else taking_over(plan, initial.network.shape, initial.frozen)).resolved()
        self.plan, self.out = plan, Path(out)
        self.out.mkdir(parents=True, exist_ok=True)
        self._key = texts_hash(texts)
        self.state = _RunState()
        self._check_resumable()
        if initial is None and plan.decoder == SMALL and tokenizer is None:
            tokenizer = train_tokenizer(texts.training, vocab_size=plan.vocab_size, at_most=True)
        with seeded(plan.seed):
            self.model: TextVAEModel = initial or build_text_vae(
                plan.latent_shape(),
                encoder=plan.encoder,
                decoder=plan.decoder,
                train_encoder=plan.train_encoder,
                train_decoder=plan.train_decoder,
                tokenizer=tokenizer,
                small=plan.small_parts(),
            )
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.network = self.model.network.to(self.device)
        self.loss = TrainingLoss(plan, self.network)
        self.texts = self._short_enough(texts)
        self.training, self.validation = self.model.texts(self.texts.training), self.model.texts(self.texts.validation)
        # A file may be sorted by what its texts are.
        measured = np.random.default_rng(plan.seed).permutation(len(self.validation))[:MEASURED]
        self._measured_texts = [self.validation[row] for row in measured]
        self._lengths = np.array([len(text) for text in self.training])
        precision = fastest_precision(self.device.type) if plan.precision == "auto" else plan.precision
        self._autocast = precision == "bfloat16"
        self.optimizer = self._optimizer()
        self._peak_rates = [group["lr"] for group in self.optimizer.param_groups]
        self._stop = False
        self._load_checkpoint()

    def run(self, report: Callable[[TextVAEProgress], None] = lambda progress: None) -> Path:
        """Train to the end of the budget and write the best checkpoint as a model.

        Parameters
        ----------
        report : callable
            Is given a :class:`TextVAEProgress` about every second and after every validation.

        Returns
        -------
        pathlib.Path
            The folder of the model.

        Raises
        ------
        InterruptedRunError
            After SIGINT or SIGTERM; the checkpoint is written first.
        InputError
            If the loss is not finite; the last good checkpoint stays.
        """
        with noticing_signals(self._on_signal), torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            self.network.train()
            for name in self.model.frozen:  # a frozen part reads as it always does, without dropout
                model_part(self.network, name).eval()
            return self._run(report)

    def _run(self, report: Callable[[TextVAEProgress], None]) -> Path:
        state, recent, last_report = self.state, [], 0.0
        while (fraction := self._fraction()) < 1:
            if self._stop:
                self.save_checkpoint()
                raise InterruptedRunError(f"Stopped at step {state.step} of {self.out}; run the same command again to go on.")
            started = time.monotonic()
            recent.append(self._train_step(fraction))
            state.elapsed += time.monotonic() - started
            validation, reached = None, min(1.0, self._fraction())
            if self._validation_due(reached):
                started = time.monotonic()
                validation = self._validate(reached)
                state.measuring = time.monotonic() - started
                state.elapsed += state.measuring
                state.measured_at = self._fraction()
                self.save_checkpoint()
            if validation is not None or time.monotonic() - last_report > 1:
                last_report = time.monotonic()
                progress = self._progress(recent, validation, reached)
                recent = []
                report(progress)
                self._log(progress)
        if state.best is None:
            self._validate(1.0)
            self.save_checkpoint()
        return self.save_model()

    def _validation_due(self, fraction: float) -> bool:
        """Whether this is the time to measure: as often as planned, but not so often that a budget of minutes goes into it."""
        plan, state = self.plan, self.state
        n_validations = plan.n_validations
        if plan.max_minutes is not None and state.measuring:
            n_validations = min(n_validations, max(1, int(MEASURING_SHARE * 60 * plan.max_minutes / state.measuring)))
        return math.floor(fraction * n_validations) > math.floor(state.measured_at * n_validations)

    def _train_step(self, fraction: float) -> tuple[float, float]:
        plan, step = self.plan, self.state.step
        scale = learning_rate_scale(fraction, warmup_share=0.02, cooldown_share=0.4)
        for group, peak in zip(self.optimizer.param_groups, self._peak_rates, strict=True):
            group["lr"] = peak * scale
        batch = self.model.texts.batch([self.training[row] for row in self._rows(step)]).to(self.device)
        torch.manual_seed(plan.seed * 1_000_003 + step)  # dropout and noise of a step do not depend on the steps before it
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._autocast):
            loss, reconstruction, kl = self.loss(batch, fraction)
        if not math.isfinite(loss.item()):
            kept = "the last checkpoint is kept" if (self.out / "checkpoint.safetensors").is_file() else "there is no checkpoint yet"
            raise InputError(
                f"The loss is {loss.item()} at step {step} of {self.out} (reconstruction {reconstruction:.4g}, KL {kl:.4g} nats): training "
                f"diverged, and {kept}. Lower lr, or raise free_nats.",
                parameter=("lr", "free_nats"),
            )
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.state.step += 1
        return reconstruction, kl

    def _validate(self, fraction: float) -> dict[str, Any]:
        found = self._measured()
        best = self.state.best
        eligible = not self.plan.n_latent or self.loss.is_final(fraction)
        found["best"] = eligible and (best is None or self._cost(found) < self._cost(best))
        if found["best"]:
            self.state.best = found | {"step": self.state.step}
            save_tensors(self.out / "best.safetensors", trained_tensors(self.model), self.state.best)
        return found

    def _cost(self, found: dict[str, Any]) -> float:
        """What checkpoints are chosen by, in nats a text."""
        plan = self.plan
        if not plan.n_latent:
            return float(found["bound"])
        if not plan.kl_weight:  # an autoencoder does not train the bound, which is best before it has learned to bring texts back
            return float(found["reconstruction"])
        # A trained decoder is likeliest before it has learned to listen: what the latent fails to tell counts here as it does in training.
        return float(found["bound"]) + max(0.0, plan.least_nats - found["information"])

    def _measured(self) -> dict[str, Any]:
        with evaluation_mode(self.network), torch.autocast(self.device.type, torch.bfloat16, enabled=self._autocast):
            return measure(self.model, self._measured_texts, self.plan.n_importance_samples, seed=self.plan.seed, device=self.device)

    def _progress(self, recent: list[tuple[float, float]], validation: dict[str, Any] | None, fraction: float) -> TextVAEProgress:
        reconstruction, kl = np.mean(recent, axis=0).tolist()
        weight = self.loss.kl_weight(fraction) if self.plan.n_latent else 0.0
        judged = validation is not None and self.plan.n_latent and self.loss.is_final(fraction)
        collapsed = judged and validation is not None and validation["information"] < COLLAPSED
        return TextVAEProgress(
            step=self.state.step,
            epoch=self.state.step / self._steps_per_epoch,
            fraction=fraction,
            kl_weight=weight,
            reconstruction=reconstruction,
            kl=kl,
            validation=validation,
            warning="collapsed" if collapsed else "",
            elapsed_seconds=self.state.elapsed,
        )

    @property
    def _steps_per_epoch(self) -> int:
        return -(-len(self.training) // self.plan.batch_size)

    def _rows(self, step: int) -> np.ndarray:
        epoch, number = divmod(step, self._steps_per_epoch)
        if self.state.order[0] != epoch:
            self.state.order = (epoch, batch_rows(self._lengths, self.plan.batch_size, seed=self.plan.seed, epoch=epoch))
        return self.state.order[1][number]

    def _fraction(self) -> float:
        by_epochs = self.state.step / (self.plan.max_epochs * self._steps_per_epoch) if self.plan.max_epochs else 0.0
        by_time = self.state.elapsed / (60 * self.plan.max_minutes) if self.plan.max_minutes else 0.0
        return max(by_epochs, by_time)

    def _short_enough(self, texts: TrainingTexts) -> TrainingTexts:
        sides = texts.training, texts.validation
        training, validation = (
            [text for text, read in zip(side, self.model.texts(side), strict=True) if not read.truncated] for side in sides
        )
        n_distinct, n_all = len({*training, *validation}), len(texts.training) + len(texts.validation)
        if n_distinct < FEWEST_TEXTS or not training or not validation:
            raise DataError(
                f"Of {n_all:,} texts {n_all - len(training) - len(validation):,} are longer than {self.plan.max_tokens} tokens, which "
                f"leaves {n_distinct} distinct ones; a latent needs {FEWEST_TEXTS} at least, some of them held out. Raise max_tokens, or "
                "give shorter texts, such as sentences."
            )
        n_kept = len(training) + len(validation)
        return TrainingTexts(training, validation, texts.n_empty, n_all - n_kept, n_kept - n_distinct)

    def _optimizer(self) -> torch.optim.Optimizer:
        plan = self.plan
        lr, matrix_lr = plan.peak_rates()
        matrices, others = matrix_and_other_parameters(self.network)
        if matrix_lr:
            return MuonAdamW(
                matrices,
                others,
                matrix_lr=matrix_lr,
                lr=lr,
                matrix_weight_decay=plan.weight_decay,
                dtype=torch.bfloat16 if self._autocast else torch.float32,
            )
        groups = [{"params": matrices, "weight_decay": plan.weight_decay}, {"params": others, "weight_decay": 0.0}]
        return torch.optim.AdamW([group for group in groups if group["params"]], lr=lr, betas=(0.9, 0.98), fused=True)

    def _on_signal(self) -> None:
        self._stop = True

    def _log(self, progress: TextVAEProgress) -> None:
        with (self.out / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json_text(asdict(progress)) + "\n")

    def save_checkpoint(self) -> None:
        """Write weights and optimiser state; the previous checkpoint stays until the new one is whole."""
        tensors = checkpoint_tensors(trained_tensors(self.model).items(), self.network.named_parameters(), self.optimizer)
        facts = {
            "plan": asdict(self.plan),
            "texts": self._key,
            "step": self.state.step,
            "elapsed": self.state.elapsed,
            "best": self.state.best,
        }
        save_tensors(self.out / "checkpoint.safetensors", tensors, facts)

    def _check_resumable(self) -> None:
        path = self.out / "checkpoint.safetensors"
        if not path.is_file():
            return
        facts = read_facts(path)
        asked = asdict(self.plan)
        budgets = ("max_epochs", "max_minutes")
        differing = [name for name, value in asked.items() if facts["plan"].get(name) != value and name not in budgets]
        wrong = [f"{name}={facts['plan'].get(name)!r} (now {asked[name]!r})" for name in differing]
        if facts["texts"] != self._key and facts["plan"].get("seed") == self.plan.seed:  # another seed holds other texts out
            wrong.append("other texts")
        if wrong:
            raise InputError(
                f"{path} was made with {', '.join(wrong)}. Name another folder, or ask for the same; only the budget may change.",
                parameter=differing,
            )
        self.state.step, self.state.elapsed = facts["step"], facts["elapsed"]
        self.state.best = facts["best"]

    def _load_checkpoint(self) -> None:
        path = self.out / "checkpoint.safetensors"
        if not path.is_file():
            return
        tensors = load_file(path)
        take_tensors(trained_tensors(self.model), model_tensors(tensors), str(path))
        load_optimizer_state(self.optimizer, self.network.named_parameters(), tensors)
        # Of the budget as it is now: a larger one has validations yet to come where the old one had none.
        self.state.measured_at = self._fraction()

    def save_model(self) -> Path:
        """Write the best checkpoint as ``model/``, its prior fitted, weights in bfloat16, with the tokenizer and the plan."""
        last = {name: tensor.detach().clone() for name, tensor in trained_tensors(self.model).items()}
        take_tensors(trained_tensors(self.model), load_file(self.out / "best.safetensors"), str(self.out))
        best = self.state.best or {}
        if self.plan.n_latent:
            fit_prior(self.model, self.training, device=self.device)
            best = best | self._measured() | {"bound_before_prior": best["bound"], "kl_before_prior": best["kl"]}
        facts = {
            "plan": asdict(self.plan),
            "steps": self.state.step,
            "seconds": round(self.state.elapsed, 1),
            "best": best,
            "warning": "collapsed" if self.plan.n_latent and best["information"] < COLLAPSED else "",
            "texts": {
                "training": len(self.training),
                "validation": len(self.validation),
                "blank": self.texts.n_empty,
                "too_long": self.texts.n_long,
                "repeated": self.texts.n_repeated,
            },
        }
        folder = save_text_vae(self.model, self.out / "model", facts=facts)
        take_tensors(trained_tensors(self.model), last, str(self.out))
        return folder


class _RunState:
    """How far a run is."""

    def __init__(self) -> None:
        self.step = 0
        self.elapsed = 0.0
        self.measuring = 0.0
        """Seconds of the last measure on held-out texts."""
        self.measured_at = 0.0
        """Fraction of the budget at which it ended."""
        self.best: dict[str, Any] | None = None
        self.order: tuple[int, list[np.ndarray]] = (-1, [])
