"""Training throughput against the Trainer of transformers on the same network, the same texts and the same precision."""

import tempfile
import time
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from common import Control, Goal, Statement, judged, times
from lexframe.spaces.text_vae.files import TextVAEModel
from lexframe.spaces.text_vae.network import token_log_probabilities
from lexframe.spaces.text_vae.texts import VAEText
from lexframe.training.text_vae.data import TrainingTexts, split_texts
from lexframe.training.text_vae.objective import bag_of_words_loss, gaussian_kl
from lexframe.training.text_vae.run import TextVAETraining
from text_vae_sets import PLANS, read_texts

ROUNDS, STEPS = 7, 25


class PlainObjective(nn.Module):
    """The network with reconstruction, KL and bag of words as its loss, as a plain loop would have it."""

    def __init__(self, model: TextVAEModel):
        super().__init__()
        self.network = model.network

    def forward(self, encoder_ids: Any, encoder_mask: Any, inputs: Any, targets: Any, mask: Any) -> dict[str, Any]:
        mean, log_variance = self.network.posterior(encoder_ids, encoder_mask)
        z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        log_p = token_log_probabilities(self.network.decoder(inputs, mask, z), targets, mask).sum(1)
        words = bag_of_words_loss(self.network.bag_of_words(z), targets, mask)
        return {"loss": (words - log_p + gaussian_kl(mean, log_variance).sum(1)).mean()}


def speed_claims(bench: Namespace) -> list[Statement]:
    texts = split_texts(read_texts("captions", "train"), seed=0)
    ways = {"ours": _ours, "trainer": _trainer, "trainer again": _trainer}
    rounds = []
    for number in range(ROUNDS):
        order = list(ways)[:: 1 if number % 2 else -1]
        rounds.append({name: ways[name](texts, seed=number) for name in order})
    seconds = {name: np.array([one[name] for one in rounds[1:]]) for name in ways}  # the first pays for what is loaded on first use
    title, ratio = "texts a second in training, over the transformers Trainer", times(seconds["trainer"], seconds["ours"])
    return [*judged(title, ratio, Goal(at_least=1), Control("Trainer against itself", times(seconds["trainer again"], seconds["trainer"])))]


def _run(texts: TrainingTexts, folder: str, seed: int) -> TextVAETraining:
    return TextVAETraining(replace(PLANS["captions"], max_epochs=1.0, n_validations=1, seed=seed), texts, folder)


def _ours(texts: TrainingTexts, *, seed: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        run = _run(texts, folder, seed)
        run.network.train()
        run._train_step(0.5)
        start = time.perf_counter()
        for _ in range(STEPS):
            run._train_step(0.5)
        return (time.perf_counter() - start) / STEPS


def _trainer(texts: TrainingTexts, *, seed: int) -> float:
    from transformers import Trainer, TrainerCallback, TrainingArguments

    class Clock(TrainerCallback):
        """Seconds of the steps after the first."""

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step == 1:
                self.start = time.perf_counter()
            if state.global_step == STEPS + 1:
                self.seconds = (time.perf_counter() - self.start) / STEPS

    with tempfile.TemporaryDirectory() as folder:
        run = _run(texts, folder, seed)
        clock = Clock()

        def collate(rows: list[VAEText]) -> dict[str, Any]:
            batch = run.model.texts.batch(rows)
            return {name: getattr(batch, name) for name in batch.__slots__}

        arguments = TrainingArguments(
            output_dir=str(Path(folder) / "trainer"),
            per_device_train_batch_size=run.plan.batch_size,
            max_steps=STEPS + 1,
            learning_rate=run.plan.peak_rates()[0],
            bf16=run._autocast,
            use_cpu=not torch.cuda.is_available(),
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            remove_unused_columns=False,
            seed=seed,
            logging_steps=10_000,
        )
        Trainer(PlainObjective(run.model), arguments, train_dataset=run.training, data_collator=collate, callbacks=[clock]).train()
        return clock.seconds
