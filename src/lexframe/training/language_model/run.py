"""Pretraining of a small Llama-type decoder: one loop for two CPU cores, one GPU or several.

The order of the data depends on the seed and on the number of tokens seen, never on the number of processes or
the length of the sequences, so a run that stops and resumes sees the same batches and has the same losses.
"""

import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from lexframe.exceptions import InputError, InterruptedRunError, MissingExtraError
from lexframe.files import replacing_files, write_json
from lexframe.spaces.precision import fastest_precision
from lexframe.training.checkpoints import checkpoint_tensors, load_optimizer_state, noticing_signals, read_facts, save_tensors
from lexframe.training.muon import MuonAdamW, matrix_and_other_parameters

BLOCK = 1024
"""Tokens in one block of the corpus, the unit that is shuffled; sequence lengths divide it."""


@dataclass(frozen=True, slots=True)
class PretrainingPlan:
    """Everything that decides what a run computes.

    Attributes
    ----------
    n_layers, d_model, n_heads, d_ff : int
        Shape of the decoder: blocks, width, attention heads, inner width of the gated feed-forward layers.
    context : int
        Longest sequence the model is trained on; the last `long_share` of the budget uses it.
    short_context : int
        Length of the sequences before that: shorter ones cost less.
    long_share : float
        Share of the budget at full context.
    batch_tokens : int
        Tokens per optimiser step, over all processes.
    micro_batch_tokens : int
        Tokens that one process holds at a time; larger batches are accumulated.
    matrix_lr, lr, matrix_weight_decay, weight_decay : float
        See :class:`~lexframe.training.muon.MuonAdamW`.
    warmup_share, cooldown_share : float
        Shares of the budget in which the learning rate rises from and falls to zero, linearly.
    max_tokens : int or None
        Budget in tokens.
    max_minutes : float or None
        Budget in minutes of training, over all resumed parts. The first budget that is spent ends the run.
    precision : {"auto", "float32", "bfloat16"}
        Of matrix products; ``auto`` measures both.
    compile : bool
        Use `torch.compile`.
    checkpoint_minutes : float
        Time between checkpoints.
    seed : int
        Of the weights and of the order of the data.
    initial_model : str or None
        A model of the same shape and tokenizer whose weights the run starts from, to train it further.
    """

    n_layers: int = 6
    d_model: int = 256
    n_heads: int = 4
    d_ff: int = 672
    context: int = 512
    short_context: int = 256
    long_share: float = 0.25
    batch_tokens: int = 8192
    micro_batch_tokens: int = 4096
    matrix_lr: float = 0.02
    lr: float = 0.004
    matrix_weight_decay: float = 0.03
    weight_decay: float = 0.0
    warmup_share: float = 0.02
    cooldown_share: float = 0.5
    max_tokens: int | None = None
    max_minutes: float | None = None
    precision: str = "auto"
    compile: bool = True
    checkpoint_minutes: float = 10.0
    seed: int = 0
    initial_model: str | None = None

    def __post_init__(self) -> None:
        if self.max_tokens is None and self.max_minutes is None:
            raise InputError("The run has no end: give max_tokens or max_minutes.")
        for name in ("n_layers", "d_model", "n_heads", "d_ff", "context", "short_context", "batch_tokens", "max_tokens", "max_minutes"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise InputError(f"{name} is {value}; expected a number above 0.")
        for name in ("context", "short_context"):
            if BLOCK % getattr(self, name):
                raise InputError(f"{name} is {getattr(self, name)}, which does not divide {BLOCK}. Use a power of two up to {BLOCK}.")
        if self.d_model % self.n_heads:
            raise InputError(f"d_model {self.d_model} is not a multiple of n_heads {self.n_heads}.")
        if self.batch_tokens % BLOCK:
            raise InputError(f"batch_tokens is {self.batch_tokens}; it must be a multiple of {BLOCK}.")
        if self.precision not in ("auto", "float32", "bfloat16"):
            raise InputError(f"precision is {self.precision!r}; expected auto, float32 or bfloat16.")


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


def learning_rate_scale(fraction: float, *, warmup_share: float, cooldown_share: float) -> float:
    """Warm-up, constant, cool-down: the learning rate as a share of its peak, at a fraction of the budget."""
    rising = fraction / warmup_share if warmup_share else 1.0
    falling = (1 - fraction) / cooldown_share if cooldown_share else 1.0
    return max(0.0, min(1.0, rising, falling))


def build_model(plan: PretrainingPlan, tokenizer: Any) -> nn.Module:
    """A Llama decoder with tied embeddings; the projections back into the residual stream start at zero."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=plan.d_model,
        intermediate_size=plan.d_ff,
        num_hidden_layers=plan.n_layers,
        num_attention_heads=plan.n_heads,
        num_key_value_heads=plan.n_heads,
        max_position_embeddings=max(plan.context, 512),
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):  # the caller's random state is not ours
        torch.manual_seed(plan.seed)
        model = LlamaForCausalLM(config)
    for layer in model.model.layers:
        nn.init.zeros_(layer.self_attn.o_proj.weight)
        nn.init.zeros_(layer.mlp.down_proj.weight)
    return model


def take_weights(model: nn.Module, tokenizer: Any, name: str) -> None:
    """Copy the weights of the model called `name` into `model`.

    Raises
    ------
    InputError
        If the two differ in shape or in their tokenizers.
    ModelError
        If there is no such model.
    """
    from transformers import AutoModelForCausalLM

    from lexframe.spaces.loading import load_config, load_tokenizer, load_weights, resolve_model
    from lexframe.spaces.tokenization import tokenizer_hash

    source = resolve_model(name)
    load_config(source)
    if tokenizer_hash(load_tokenizer(source)) != tokenizer_hash(tokenizer):
        raise InputError(f"{name} has another tokenizer than this run. Name its own folder as --tokenizer.")
    try:
        model.load_state_dict(load_weights(AutoModelForCausalLM, source, dtype="float32").state_dict())
    except RuntimeError as error:
        raise InputError(f"{name} has another shape than the plan. Give the same layers, width, heads and inner width.") from error


def training_record(name: str) -> dict[str, Any] | None:
    """What `training.json` in a model's folder says of how it was trained; None where there is none."""
    from lexframe.spaces.loading import resolve_model

    path = Path(resolve_model(name)) / "training.json"
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def batch_of_blocks(tokens: np.ndarray, first_block: int, n_blocks: int, *, seed: int, rank: int = 0, world: int = 1) -> np.ndarray:
    """Blocks ``first_block … first_block + n_blocks`` of the shuffled corpus, those of one process.

    Parameters
    ----------
    tokens : ndarray of shape (n_tokens,)
        The corpus.
    first_block : int
        Number of blocks seen before, over all epochs.
    n_blocks : int
        Blocks in the whole batch.
    seed : int
        Of the order; every epoch has its own.
    rank, world : int
        This process and their number.

    Returns
    -------
    ndarray of shape (n_blocks / world, BLOCK + 1), int64
        Each row overlaps the next of the corpus by one token, so that every token is a target once.
    """
    n_corpus = (len(tokens) - 1) // BLOCK
    if n_corpus < 1:
        raise InputError(f"The corpus has {len(tokens)} tokens, fewer than one block of {BLOCK + 1}. Give more text.")
    rows = []
    for position in range(first_block + rank, first_block + n_blocks, world):
        epoch, index = divmod(position, n_corpus)
        start = int(_block_order(n_corpus, seed, epoch)[index]) * BLOCK
        rows.append(np.asarray(tokens[start : start + BLOCK + 1], dtype=np.int64))
    return np.stack(rows)


def _block_order(n_blocks: int, seed: int, epoch: int, _cache: dict[tuple[int, int, int], np.ndarray] = {}) -> np.ndarray:  # noqa: B006
    key = (n_blocks, seed, epoch)
    if key not in _cache:
        _cache.clear()
        _cache[key] = np.random.default_rng([seed, epoch]).permutation(n_blocks)
    return _cache[key]


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
        Folder of the run: ``log.jsonl``, ``checkpoint.safetensors`` and, at the end, ``model/``.
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
        return self.save_model()

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
            log.write(json.dumps(asdict(progress)) + "\n")

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
                    "Name another folder, or ask for the same."
                )
        tensors = load_file(path)
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                if tensors[f"model.{name}"].shape != parameter.shape:
                    raise InputError(f"{path} was made with another tokenizer: {name} has another shape. Name another folder.")
                parameter.copy_(tensors[f"model.{name}"])
        load_optimizer_state(self.optimizer, self.model.named_parameters(), tensors)
        self.step, self.n_tokens, self.elapsed = facts["step"], facts["tokens"], facts["elapsed"]

    def save_model(self) -> Path:
        """Write ``model/`` in Hugging Face format, weights in bfloat16, with the tokenizer and the plan."""
        folder = self.out / "model"
        if self.accelerator.is_main_process:
            replica: Any = build_model(self.plan, self.tokenizer)
            replica.load_state_dict(self.model.state_dict())
            self.tokenizer.model_max_length = self.model.config.max_position_embeddings
            facts: dict[str, Any] = {
                "steps": self.step,
                "tokens": self.n_tokens,
                "seconds": round(self.elapsed, 1),
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


def pretrain(
    plan: PretrainingPlan,
    tokens_file: str | Path,
    tokenizer_folder: str | Path,
    out: str | Path,
    *,
    n_processes: int | None = None,
) -> Path:
    """Run a plan in processes of its own, one a GPU or one a CPU core, and wait for the model.

    Two single-threaded processes are about twice as fast as one process with two threads, hence a process a core.

    Parameters
    ----------
    plan : PretrainingPlan
        What to compute.
    tokens_file, tokenizer_folder : str or Path
        The corpus as token ids, and its tokenizer.
    out : str or Path
        Folder of the run. If it holds a checkpoint of the same plan, the run goes on from there.
    n_processes : int, optional
        Default: the number of GPUs, or else of CPU cores this process may use.

    Returns
    -------
    pathlib.Path
        The folder of the model.

    Raises
    ------
    InterruptedRunError
        If the run was stopped by a signal.
    InputError
        If a worker failed; its message stands on standard error.
    """
    out = Path(out)
    job = {"plan": asdict(plan), "tokens_file": str(tokens_file), "tokenizer": str(tokenizer_folder), "out": str(out)}
    write_json(out / "job.json", job)
    environment = dict(os.environ, OMP_NUM_THREADS="1" if not torch.cuda.is_available() else "4")
    # Freed pages go back to the system and are zeroed anew at every step otherwise.
    environment.setdefault("GLIBC_TUNABLES", "glibc.malloc.mmap_threshold=8589934592:glibc.malloc.trim_threshold=17179869184")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={_number_of_processes(plan, n_processes)}"]
    # In a session of its own a Ctrl-C reaches the workers once, through us, and not from the terminal as well:
    # the launcher takes a second signal for the wish to kill them before they have saved.
    worker = subprocess.Popen(
        [*command, "-m", "lexframe.training.language_model.run", str(out / "job.json")], env=environment, start_new_session=True
    )
    with _forwarding_signals(worker) as received:
        code = worker.wait()
    if code and received:
        kept = "keeps the checkpoint" if (out / "checkpoint.safetensors").is_file() else "holds no checkpoint yet"
        raise InterruptedRunError(f"Stopped; {out} {kept}. Run the same command again to go on.")
    if code:
        raise InputError(f"Training ended with exit code {code}; see the lines above. {out} keeps the last checkpoint, if there was one.")
    return out / "model"


def _number_of_processes(plan: PretrainingPlan, n_processes: int | None) -> int:
    """As many as asked for, or else a GPU or a core each, but so that all have equally many blocks of a batch."""
    if n_processes is None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        n_processes = torch.cuda.device_count() or cores or 1
    if n_processes < 1:
        raise InputError(f"The number of processes is {n_processes}; expected 1 or more.")
    n_blocks = plan.batch_tokens // BLOCK
    return max(n for n in range(1, n_processes + 1) if n_blocks % n == 0)


@contextmanager
def _forwarding_signals(worker: subprocess.Popen) -> Iterator[list[int]]:
    """Ask `worker` to stop, once, when this process is asked to; gives the list of signals that came."""
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():  # only the main thread is given signals
        yield received
        return

    def forward(number: int, frame: Any) -> None:
        if not received:
            worker.terminate()
        received.append(number)

    previous = {number: signal.signal(number, forward) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _worker(job_file: str) -> None:
    from transformers import AutoTokenizer

    job = json.loads(Path(job_file).read_text())
    tokenizer = AutoTokenizer.from_pretrained(job["tokenizer"])
    if torch.cuda.is_available():
        torch.set_float32_matmul_precision("high")
    else:
        torch.set_num_threads(1)
    run = Pretraining(PretrainingPlan(**job["plan"]), job["tokens_file"], tokenizer, job["out"])
    last = [0.0]

    def show(progress: TrainingProgress) -> None:
        now = time.monotonic()
        if now - last[0] > 2 or progress.seconds_left == 0:
            last[0] = now
            minutes, seconds = divmod(int(progress.seconds_left), 60)
            sys.stderr.write(
                f"\rstep {progress.step:,}  loss {progress.loss:.3f}  {progress.tokens / 1e6:.2f}M tokens  "
                f"{progress.tokens_per_second:,.0f} tokens/s  {minutes}:{seconds:02d} left "
            )
            sys.stderr.flush()

    try:
        run.run(show)
    except InterruptedRunError as error:
        sys.stderr.write(f"\n{error}\n")
        sys.exit(130)
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
    sys.stderr.write("\n")


if __name__ == "__main__":
    _worker(sys.argv[1])
