"""Pretraining of a small Llama-type decoder: one loop for two CPU cores, one GPU or several.

The order of the data depends on the seed and on the number of tokens seen, never on the number of processes or
the length of the sequences, so a run that stops and resumes sees the same batches and has the same losses.
"""

import json
import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from lexframe.exceptions import InputError, InterruptedRunError, MissingExtraError
from lexframe.files import json_text, replacing_files, write_json
from lexframe.spaces.precision import fastest_precision
from lexframe.training.checkpoints import checkpoint_tensors, load_optimizer_state, noticing_signals, read_facts, save_tensors
from lexframe.training.language_model.blocks import batch_of_blocks
from lexframe.training.language_model.network import build_model, take_weights, training_record
from lexframe.training.language_model.plan import BLOCK, PretrainingPlan
from lexframe.training.muon import MuonAdamW, matrix_and_other_parameters
from lexframe.training.schedules import learning_rate_scale


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """One line of the training log.

    `loss` is in nats per token, `tokens_per_second` over all processes, `seconds_left` an estimate.
    """

    step: int
    tokens: int
    loss: float
    lr_scale: float
    context: int
    tokens_per_second: float
    elapsed_seconds: float
    seconds_left: float


class Pretraining:
    """One run, from its plan to a model in Hugging Face format; a run that stopped goes on from its checkpoint.

    Parameters
    ----------
    plan : PretrainingPlan
        What to compute.
    tokens_file : str or Path
        Made by :func:`~lexframe.training.language_model.tokenizer.encode_corpus`.
    tokenizer : PreTrainedTokenizerFast
        The tokenizer of these tokens; saved with the model.
    out : str or Path
        Folder of the run: ``log.jsonl``, ``checkpoint.safetensors``, ``models/`` where the plan keeps some and, at the end, ``model/``.
    """

    def __init__(self, plan: PretrainingPlan, tokens_file: str | Path, tokenizer: Any, out: str | Path):
        try:
            from accelerate import Accelerator
        except ImportError as error:
            raise MissingExtraError("accelerate", "pretrain") from error

        self.plan, self.tokenizer, self.out = plan, tokenizer, Path(out)
        self.out.mkdir(parents=True, exist_ok=True)
        self.tokens = np.load(tokens_file, mmap_mode="r")
        self.accelerator = Accelerator(cpu=not torch.cuda.is_available())
        precision = fastest_precision() if plan.precision == "auto" else plan.precision
        self.autocast = precision == "bfloat16"
        self.model: Any = build_model(plan, tokenizer).to(self.accelerator.device)
        if plan.initial_model is not None:
            take_weights(self.model, tokenizer, plan.initial_model)
        if self.accelerator.device.type == "cpu":
            # At these lengths batched products, compiled, are faster than torch's flash attention for CPUs: 17% a step
            # of the embedded model in bfloat16.
            self.model.set_attn_implementation("eager")  # type: ignore[operator]
        self.optimizer = MuonAdamW(
            *matrix_and_other_parameters(self.model),
            matrix_lr=plan.matrix_lr,
            lr=plan.lr,
            matrix_weight_decay=plan.matrix_weight_decay,
            weight_decay=plan.weight_decay,
            dtype=torch.bfloat16 if self.autocast else torch.float32,
        )
        self._peak_rates = [group["lr"] for group in self.optimizer.param_groups]
        self.step = self.n_tokens = 0
        self.elapsed = 0.0
        self._stop = False
        self._load_checkpoint()
        self._kept = self._shares_on_disk()
        self.module = self.accelerator.prepare(torch.compile(self.model) if plan.compile else self.model)

    def run(self, report: Callable[[TrainingProgress], None] = lambda progress: None) -> Path:
        """Train to the end of the budget and save the model.

        Parameters
        ----------
        report : callable
            Is given a :class:`TrainingProgress` after every step, in the first process.

        Returns
        -------
        pathlib.Path
            The folder of the model.

        Raises
        ------
        InterruptedRunError
            After SIGINT or SIGTERM; the checkpoint is written first.
        """
        with noticing_signals(self._on_signal):
            return self._run(report)

    def _run(self, report: Callable[[TrainingProgress], None]) -> Path:
        last_checkpoint = time.monotonic()
        while True:
            started = time.monotonic()
            fraction, stop = self._agree(self._fraction(), self._stop)
            self._keep_model(fraction)
            if stop:
                self.save_checkpoint()
                # The launcher ends all processes when one has ended, so none may end before the checkpoint is whole.
                self.accelerator.wait_for_everyone()
                raise InterruptedRunError(f"Stopped at step {self.step} of {self.out}; run the same command again to go on.")
            if fraction >= 1:
                break
            progress = self._train_step(fraction, started)
            if self.accelerator.is_main_process:
                report(progress)
                self._log(progress)
                if time.monotonic() - last_checkpoint > 60 * self.plan.checkpoint_minutes:
                    self.save_checkpoint()
                    last_checkpoint = time.monotonic()
        self.save_checkpoint()
        return self.save_model(self.out / "model")

    def _train_step(self, fraction: float, started: float) -> TrainingProgress:
        plan, accelerator = self.plan, self.accelerator
        scale = learning_rate_scale(fraction, warmup_share=plan.warmup_share, cooldown_share=plan.cooldown_share)
        for group, peak in zip(self.optimizer.param_groups, self._peak_rates, strict=True):
            group["lr"] = peak * scale
        context = plan.context if fraction >= 1 - plan.long_share else plan.short_context
        blocks = batch_of_blocks(
            self.tokens,
            self.n_tokens // BLOCK,
            plan.batch_tokens // BLOCK,
            seed=plan.seed,
            rank=accelerator.process_index,
            world=accelerator.num_processes,
        )
        micro = torch.from_numpy(blocks).split(max(1, plan.micro_batch_tokens // BLOCK))
        loss = torch.zeros((), device=accelerator.device)
        for number, part in enumerate(micro):
            with accelerator.no_sync(self.module) if number < len(micro) - 1 else nullcontext():
                part_loss = self._loss(part.to(accelerator.device), context) * (len(part) / len(blocks))
                part_loss.backward()
                loss += part_loss.detach()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        mean_loss = accelerator.reduce(loss, "mean").item()
        if not math.isfinite(mean_loss):
            raise InputError(
                f"The loss is {mean_loss} at step {self.step}: training diverged. Lower matrix_lr or lr; the checkpoint is kept."
            )
        seconds = time.monotonic() - started
        self.step += 1
        self.n_tokens += plan.batch_tokens
        self.elapsed += seconds
        done = max(self._fraction(), 1e-9)
        return TrainingProgress(
            step=self.step,
            tokens=self.n_tokens,
            loss=mean_loss,
            lr_scale=scale,
            context=context,
            tokens_per_second=plan.batch_tokens / seconds,
            elapsed_seconds=self.elapsed,
            seconds_left=self.elapsed * max(0.0, 1 / done - 1),
        )

    def _loss(self, blocks: Tensor, context: int) -> Tensor:
        inputs = blocks[:, :-1].reshape(-1, context)
        targets = blocks[:, 1:].reshape(-1, context)
        with torch.autocast(inputs.device.type, torch.bfloat16) if self.autocast else nullcontext():
            logits = self.module(input_ids=inputs, use_cache=False).logits
        return nn.functional.cross_entropy(logits.float().flatten(0, 1), targets.flatten())

    def _fraction(self) -> float:
        by_tokens = self.n_tokens / self.plan.max_tokens if self.plan.max_tokens else 0.0
        by_time = self.elapsed / (60 * self.plan.max_minutes) if self.plan.max_minutes else 0.0
        return max(by_tokens, by_time)

    def _agree(self, fraction: float, stop: bool) -> tuple[float, bool]:
        """Clocks and signals differ between processes: all go by the furthest clock and by any signal."""
        mine = torch.tensor([[fraction, float(stop)]], device=self.accelerator.device, dtype=torch.float64)
        fraction, stopped = self.accelerator.gather(mine).amax(0).tolist()
        return fraction, bool(stopped)

    def _on_signal(self) -> None:
        self._stop = True

    def _log(self, progress: TrainingProgress) -> None:
        with (self.out / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json_text(asdict(progress)) + "\n")

    def save_checkpoint(self) -> None:
        """Write weights and optimiser state; the previous checkpoint stays until the new one is whole."""
        if self.accelerator.is_main_process:
            named = list(self.model.named_parameters())
            facts = {"step": self.step, "tokens": self.n_tokens, "elapsed": self.elapsed, "plan": asdict(self.plan)}
            save_tensors(self.out / "checkpoint.safetensors", checkpoint_tensors(named, named, self.optimizer), facts)

    def _load_checkpoint(self) -> None:
        path = self.out / "checkpoint.safetensors"
        if not path.is_file():
            return
        facts = read_facts(path)
        for name in ("n_layers", "d_model", "n_heads", "d_ff", "batch_tokens", "seed"):
            if facts["plan"][name] != getattr(self.plan, name):
                raise InputError(
                    f"{path} was made with {name}={facts['plan'][name]}, but this run asks for {getattr(self.plan, name)}. "
                    "Name another folder, or ask for the same.",
                    parameter=name,
                )
        tensors = load_file(path)
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                if tensors[f"model.{name}"].shape != parameter.shape:
                    raise InputError(f"{path} was made with another tokenizer: {name} has another shape. Name another folder.")
                parameter.copy_(tensors[f"model.{name}"])
        load_optimizer_state(self.optimizer, self.model.named_parameters(), tensors)
        self.step, self.n_tokens, self.elapsed = facts["step"], facts["tokens"], facts["elapsed"]

    def _keep_model(self, fraction: float) -> None:
        """Keep the model if the run has passed a share of its budget, `fraction`, for which none is kept yet."""
        share = max((share for share in self.plan.kept_shares if share <= fraction), default=None)
        if share is not None and share not in self._kept:
            self.save_model(self.out / "models" / f"tokens-{self.n_tokens:09d}", share=share)
            self._kept.add(share)

    def _shares_on_disk(self) -> set[float]:
        """Shares for which this plan has kept a model: one that stopped after its last checkpoint passes them twice."""
        found = (json.loads(path.read_text(encoding="utf-8")) for path in self.out.glob("models/tokens-*/training.json"))
        return {facts["share"] for facts in found if facts["plan"] == asdict(self.plan)}

    def save_model(self, folder: Path, *, share: float = 1.0) -> Path:
        """Write the model after `share` of the budget in Hugging Face format, weights in bfloat16, with the tokenizer and the plan."""
        if self.accelerator.is_main_process:
            replica: Any = build_model(self.plan, self.tokenizer)
            replica.load_state_dict(self.model.state_dict())
            self.tokenizer.model_max_length = self.model.config.max_position_embeddings
            facts: dict[str, Any] = {
                "steps": self.step,
                "tokens": self.n_tokens,
                "seconds": round(self.elapsed, 1),
                "share": share,
                "plan": asdict(self.plan),
            }
            if self.plan.initial_model is not None:
                facts["before"] = training_record(self.plan.initial_model)
            with replacing_files(folder) as temporary:
                replica.to(torch.bfloat16).save_pretrained(temporary)
                self.tokenizer.save_pretrained(temporary)
                write_json(temporary / "training.json", facts)
        self.accelerator.wait_for_everyone()
        return folder
