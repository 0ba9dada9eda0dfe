"""SetFit through its own package: a sentence encoder drawn together by class, then a logistic head on its points."""

import logging
import math
import random
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from lexframe.adaptation.methods.extras import extra_obstacle, import_extra
from lexframe.adaptation.problem import Method, Probabilities, Problem, Rows
from lexframe.exceptions import InputError
from lexframe.linalg import rows_by_class
from lexframe.spaces.base import Space
from lexframe.spaces.base.training import EncoderNetwork, TrainableEncoderSpace

_MOST_PAIRED = 512  # their pairs outnumber by far what the steps can show
_POOLINGS = {"mean": "mean", "first": "cls", "last": "lasttoken"}


def sentence_encoder_obstacle(space: Space) -> str | None:
    """Why `space` is not one that SetFit can train; None if it is."""
    if isinstance(space, TrainableEncoderSpace):
        return space.training_obstacle
    return f"setfit trains sentence encoders, and {type(space).__name__} is none. Use a model in the format of sentence-transformers."


@dataclass
class SetFitClassifier:
    """A trained encoder with its logistic head; see :class:`~lexframe.adaptation.problem.Classifier`.

    Attributes
    ----------
    network : EncoderNetwork
        The trained copy.
    head : LogisticRegression
        Fitted on its points.
    problem : Problem
    n_parameters : int
        Weights of the encoder that training moved, and those of the head.
    choices : dict
    """

    network: EncoderNetwork
    head: LogisticRegression
    problem: Problem
    n_parameters: int
    choices: dict[str, Any]

    def predict_proba(self, rows: Rows) -> Probabilities:
        """Probability of each label: every text goes through the trained encoder."""
        probabilities = np.zeros((len(rows), self.problem.n_labels))
        if len(rows):
            points = self.network.space.encode(self.problem.texts(rows), batch_size=self.problem.encoded.batch_size)
            probabilities[:, self.head.classes_] = self.head.predict_proba(points)
        return probabilities


class SetFit(Method):
    """Contrastive training on pairs of labeled texts, then logistic regression on the points that come of it.

    Parameters
    ----------
    learning_rate : float
        Full rate of AdamW.
    max_steps : int
        Most steps on pairs. The package's default, one epoch over all pairs with those of like classes repeated until
        there are as many of them, is far more beyond a few labels.
    batch_size : int
        Pairs in one step.

    Notes
    -----
    Nothing is chosen inside the labels: rate and batch size are those of the package, as its authors recommend. Pairs are
    drawn among 512 labeled texts, by class; the head is fitted on all of them. The head is the package's own,
    scikit-learn's, with more iterations.

    References
    ----------
    Tunstall et al. (2022), Efficient Few-Shot Learning Without Prompts, arXiv:2209.11055.
    """

    name = "setfit"
    description = "contrastive training of the encoder, logistic regression on top"
    family = "weights"

    def __init__(self, *, learning_rate: float = 2e-5, max_steps: int = 100, batch_size: int = 16):
        if learning_rate <= 0 or max_steps < 0 or batch_size < 1:
            raise InputError(
                f"learning_rate is {learning_rate}, max_steps {max_steps}, batch_size {batch_size}; they must be above 0, at least 0 and 1."
            )
        self.learning_rate, self.max_steps, self.batch_size = learning_rate, max_steps, batch_size

    def obstacle(self, space: Space) -> str | None:
        """Needs a sentence encoder, and the package."""
        return sentence_encoder_obstacle(space) or extra_obstacle("setfit")

    def fit(self, problem: Problem) -> SetFitClassifier:
        """Train a copy of the encoder on pairs, then the head on all labeled texts."""
        if not isinstance(problem.space, TrainableEncoderSpace):
            raise InputError(sentence_encoder_obstacle(problem.space))
        network = problem.space.trainable_copy()
        rows = paired_rows(problem)
        steps, n_trained = (
            self._train(network, problem.texts(problem.rows[rows]), problem.y[rows], problem.seed) if self.max_steps else (0, 0)
        )
        points = network.space.encode(problem.texts(problem.rows), batch_size=problem.encoded.batch_size)
        head = LogisticRegression(max_iter=2000).fit(points, problem.y)
        choices = {
            "learning_rate": self.learning_rate,
            "steps": steps,
            "max_steps": self.max_steps,
            "batch_size": self.batch_size,
            "paired_texts": len(rows),
            "chosen_by": "fixed: the package's defaults",
        }
        return SetFitClassifier(network, head, problem, n_trained + head.coef_.size + head.intercept_.size, choices)

    def _train(self, network: EncoderNetwork, texts: Sequence[str], y: np.ndarray, seed: int) -> tuple[int, int]:
        """Train `network` in place; gives the number of steps and of weights that they moved."""
        from transformers.trainer_callback import PrinterCallback, ProgressCallback

        setfit = import_extra("setfit", "setfit")
        steps = min(self.max_steps, math.ceil(n_pairs(y) / self.batch_size))
        with tempfile.TemporaryDirectory() as folder, quiet(), global_generators():
            body = sentence_transformer(network, Path(folder) / "encoder")
            arguments = setfit.TrainingArguments(
                output_dir=str(Path(folder) / "run"),
                batch_size=self.batch_size,
                max_steps=steps,
                body_learning_rate=self.learning_rate,
                seed=seed,
                report_to="none",
                logging_strategy="no",
                save_strategy="no",
                show_progress_bar=False,
            )
            trainer = setfit.Trainer(model=setfit.SetFitModel(model_body=body), args=arguments)
            trainer.remove_callback(ProgressCallback)  # whichever of the two the verbosity has put there
            trainer.remove_callback(PrinterCallback)
            trainer.st_trainer.args.dataloader_pin_memory = False  # torch warns of it where there is no GPU
            filled = [network.template.fill(text) for text in texts]
            trainer.train_embeddings(filled, y.tolist(), args=arguments)
            return int(trainer.st_trainer.state.global_step), take_weights(network.body, body[0].auto_model)


def paired_rows(problem: Problem) -> np.ndarray:
    """Positions of the labeled texts that pairs are drawn among: all, or 512 drawn by class, with one of each at least."""
    return rows_by_class(problem.y, max(_MOST_PAIRED, problem.n_labels), seed=problem.seed, least=1)


def n_pairs(y: np.ndarray) -> int:
    """Pairs in one epoch: twice the more numerous of like and unlike pairs; a text makes a like pair with itself, too."""
    counts = np.bincount(y).astype(np.int64)
    like = int((counts * (counts + 1) // 2).sum())
    return 2 * max(like, len(y) * (len(y) + 1) // 2 - like)


def sentence_transformer(network: EncoderNetwork, folder: Path) -> Any:
    """An encoder as a SentenceTransformer, by way of `folder`; its template is not part of it."""
    sentence_transformers = import_extra("sentence_transformers", "setfit")
    modules = import_extra("sentence_transformers.sentence_transformer.modules", "setfit")
    network.save(folder)
    parts = [
        modules.Transformer(str(folder), max_seq_length=network.max_length),
        modules.Pooling(network.space.n_dims, _POOLINGS[network.pooling]),
    ]
    return sentence_transformers.SentenceTransformer(modules=[*parts, *([modules.Normalize()] if network.normalize else [])])


def take_weights(model: nn.Module, trained: nn.Module) -> int:
    """Copy into `model` what became of its weights in `trained`, which may have more; gives the number of weights that differ."""
    state = trained.state_dict()
    n_moved = 0
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            after = state[name].to(parameter.device)
            n_moved += parameter.numel() if not torch.equal(parameter, after) else 0
            parameter.copy_(after)
    return n_moved


@contextmanager
def global_generators() -> Iterator[None]:
    """Leave the generators of Python, numpy and torch as they are, which the package seeds for the whole process."""
    of_python, of_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002  it is the global one that is kept
    devices = list(range(torch.cuda.device_count()))
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        random.setstate(of_python)
        np.random.set_state(of_numpy)  # noqa: NPY002


@contextmanager
def quiet() -> Iterator[None]:
    """No log lines and no progress bars of setfit and transformers; both are as they were afterwards."""
    from transformers.utils import logging as of_transformers

    logger, bars = logging.getLogger("setfit"), of_transformers.is_progress_bar_enabled()
    levels = logger.level, of_transformers.get_verbosity()
    logger.setLevel(logging.WARNING)
    of_transformers.set_verbosity_error()
    of_transformers.disable_progress_bar()
    try:
        yield
    finally:
        logger.setLevel(levels[0])
        of_transformers.set_verbosity(levels[1])
        if bars:
            of_transformers.enable_progress_bar()
