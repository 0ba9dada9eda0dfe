"""What the methods that change weights share: labels as scores that can be trained, and the loop that trains them.

A language model is read out as in zero-shot: its own logits for the label words, so that a method that takes no step is
zero-shot exactly. A sentence encoder has no words to read; it gets a linear classifier that starts at zero.
"""

import copy
import importlib
import importlib.util
import math
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

from lexframe.adaptation.problem import Method, Probabilities, Problem, Rows
from lexframe.exceptions import InputError, MissingExtraError
from lexframe.linalg import softmax
from lexframe.spaces.base import Space
from lexframe.spaces.batching import encode_batches
from lexframe.spaces.language_model.layers import evaluation_mode, find_blocks, read_states
from lexframe.spaces.language_model.output_head import output_head
from lexframe.spaces.language_model.space import LanguageModelSpace
from lexframe.spaces.pooling import pooling_function
from lexframe.spaces.precision import fast_products, fastest_precision
from lexframe.spaces.sentence_encoder import SentenceEncoderSpace
from lexframe.spaces.tokenization import Batch, TokenizedText, pad_batch

WeightSpace = LanguageModelSpace | SentenceEncoderSpace
"""Spaces over a transformers model whose weights can be trained."""

LEAST_TO_CHOOSE = 16
"""Labels a class from which rate and steps are chosen on held-out labels: a fifth of fewer picks by luck."""

_MOST_HELD_OUT = 256  # more would cost more to look at than it adds to the choice
_MOST_EPOCHS = 20
_LOOKS = 10  # at the held-out texts, spread over a run
_PATIENCE = 3  # looks without a better log-loss, after which a run ends
_LOOKS_TO_CATCH_UP = 2  # after them a rate that is behind another is given up
_WARM_UP = 0.1
_LARGEST_GRADIENT = 1.0
_CLASSIFIER_RATE = 1e-2  # of a linear classifier that starts at zero: it has to grow, where the model must only bend
_BATCHES_SORTED_TOGETHER = 16


def weights_obstacle(space: Space) -> str | None:
    """Why the weights behind `space` cannot be trained; None if they can."""
    if isinstance(space, WeightSpace):
        return None
    return f"{type(space).__name__} has no weights that can be trained. Use a language model or a sentence encoder."


def extra_obstacle(extra: str | None) -> str | None:
    """How to install an extra whose package, of the same name, is missing; None if it is there or none is needed."""
    if extra is None or importlib.util.find_spec(extra) is not None:
        return None
    return str(MissingExtraError(extra, extra))


def import_extra(module: str, extra: str) -> Any:
    """A module of an optional package, loaded on first use.

    Raises
    ------
    MissingExtraError
        If its package is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(module.split(".", maxsplit=1)[0], extra) from error


def trainable_copy(space: WeightSpace) -> WeightSpace:
    """The same space over a copy of its model, in float32; the model of `space` stays as it is."""
    model: Any = copy.deepcopy(space.model).float()
    model.zero_grad(set_to_none=True)
    if next(model.parameters()).device.type == "cpu":
        model.set_attn_implementation("eager")  # of texts of classification length a step takes a fifth less than with sdpa
    common: dict[str, Any] = {
        "tokenizer": space.tokenizer,
        "pooling": space.pooling,
        "template": str(space.tokenization.template),
        "max_length": space.tokenization.max_length,
    }
    if isinstance(space, SentenceEncoderSpace):
        return SentenceEncoderSpace(model, normalize=space.normalize, **common)
    return LanguageModelSpace(model, layer=space.layer, truncation=space.tokenization.truncation, **common)


class LabelReadout(nn.Module):
    """Scores of labels that gradients flow through, from a model to which every text is shown anew.

    Parameters
    ----------
    space : LanguageModelSpace or SentenceEncoderSpace
        Made for this readout: its model is trained.
    """

    def __init__(self, space: WeightSpace):
        super().__init__()
        self.space = space
        self.model: Any = space.model
        self._pool = pooling_function(space.pooling)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.model.parameters()).device

    def batch(self, texts: Sequence[TokenizedText]) -> Batch:
        """Ids padded on the right, with the mask that keeps padding out of every state."""
        holders = (self.space.tokenizer, self.model.config)
        known = (getattr(holder, "pad_token_id", None) for holder in holders)
        padding_id = next((value for value in known if isinstance(value, int) and value >= 0), 0)
        return pad_batch(texts, padding_id=padding_id, device=self.device)

    @abstractmethod
    def forward(self, batch: Batch) -> Tensor:
        """Scores of shape (n_texts, n_labels); their softmax is the answer."""


class WordReadout(LabelReadout):
    """The zero-shot readout: a label's score is the mean logit of the tokens of its words.

    Layer and pooling are those of the space: the last token's last state unless it says otherwise.

    Parameters
    ----------
    space : LanguageModelSpace
    words : sequence of sequence of str
        One or more words a label.
    """

    def __init__(self, space: LanguageModelSpace, words: Sequence[Sequence[str]]):
        super().__init__(space)
        self._layer, self._inner = space.layer, space.layer < space.n_layers
        self._head = output_head(space.model)
        ids = [[i for word in listed for i in space.word_ids(word)] for listed in words]
        self._ids = torch.tensor([i for listed in ids for i in listed], device=self.device)
        share = np.zeros((len(self._ids), len(ids)), dtype=np.float32)
        start = 0
        for label, listed in enumerate(ids):
            share[start : start + len(listed), label] = 1 / len(listed)
            start += len(listed)
        self._share = torch.from_numpy(share).to(self.device)

    def forward(self, batch: Batch) -> Tensor:
        """Mean logits; what the whole vocabulary has in common drops out of a softmax over labels and is left out."""
        states = read_states(self.model, batch.ids, batch.mask, [self._layer])[self._layer]
        points = self._pool(states.float(), batch.mask, batch.span)
        bias = self._head.bias
        # Only the rows of the label words are multiplied: they are read anew, as training may move them.
        head = replace(self._head, weight=self._head.weight[self._ids], bias=None if bias is None else bias[self._ids])
        return head.logits(head.head_input(points, inner=self._inner)) @ self._share


class ClassifierReadout(LabelReadout):
    """A linear classifier on the pooled point, zero before training: every label is equally likely.

    Parameters
    ----------
    space : SentenceEncoderSpace
    n_labels : int
    """

    def __init__(self, space: SentenceEncoderSpace, n_labels: int):
        super().__init__(space)
        self._normalize = space.normalize
        self.classifier = nn.utils.skip_init(nn.Linear, space.n_dims, n_labels, device=self.device)
        nn.init.zeros_(self.classifier.weight)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, batch: Batch) -> Tensor:
        """Products with the classifier's rows."""
        states = self.model(input_ids=batch.ids, attention_mask=batch.mask).last_hidden_state.float()
        points = self._pool(states, batch.mask, batch.span)
        return self.classifier(nn.functional.normalize(points) if self._normalize else points)


def label_readout(problem: Problem) -> LabelReadout:
    """Scores of the problem's labels from a copy of its model.

    Raises
    ------
    InputError
        If the space has no weights that can be trained.
    """
    space = problem.space
    if not isinstance(space, WeightSpace):
        raise InputError(weights_obstacle(space))
    own = trainable_copy(space)
    if isinstance(own, SentenceEncoderSpace):
        return ClassifierReadout(own, problem.n_labels)
    return WordReadout(own, problem.words())


def read_blocks(readout: LabelReadout) -> nn.ModuleList:
    """The transformer blocks that a readout passes through: those below its layer."""
    blocks = find_blocks(readout.model)
    depth = readout.space.layer if isinstance(readout.space, LanguageModelSpace) else len(blocks)
    return blocks[:depth]


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Torch draws by `seed` alone inside; afterwards its generators are where they were."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def scores_of(readout: LabelReadout, texts: Sequence[TokenizedText], batch_size: int | None) -> np.ndarray:
    """Scores of texts without gradients, in their order: shape (n_texts, n_labels), float64."""

    def forward(part: list[TokenizedText]) -> np.ndarray:
        return readout(readout.batch(part)).double().cpu().numpy()

    with evaluation_mode(readout):
        return encode_batches(texts, forward, device=readout.device, most_texts=batch_size)


def batches_of_like_length(lengths: np.ndarray, batch_size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Rows in batches, epoch after epoch without end.

    Texts are shuffled, then sorted by length among some hundred neighbors of the shuffle, so that little of a batch is
    padding; the order of the batches is shuffled again.
    """
    while True:
        order = rng.permutation(len(lengths))
        chunk = batch_size * _BATCHES_SORTED_TOGETHER
        for start in range(0, len(order), chunk):
            part = order[start : start + chunk]
            part = part[np.argsort(lengths[part], kind="stable")]
            batches = [part[first : first + batch_size] for first in range(0, len(part), batch_size)]
            for number in rng.permutation(len(batches)):
                yield batches[number]


def rate_share(step: int, horizon: int) -> float:
    """Share of the full rate before step `step` (from 0): up in a line over a tenth of `horizon`, then down to zero."""
    warm_up = int(_WARM_UP * horizon)
    return max(0.0, min((step + 1) / (warm_up + 1), (horizon - step) / (horizon - warm_up)))


@dataclass(frozen=True, slots=True)
class Course:
    """How one run goes.

    Attributes
    ----------
    rate : float
        Full learning rate.
    horizon : int
        Steps over which the rate rises and falls.
    steps : int
        Steps after which the run ends, at most `horizon`.
    batch_size : int
    weight_decay : float
    seed : int
        Of dropout and of the order of texts.
    """

    rate: float
    horizon: int
    steps: int
    batch_size: int
    weight_decay: float
    seed: int


def optimize(readout: LabelReadout, texts: Sequence[TokenizedText], y: Rows, course: Course) -> Iterator[int]:
    """Train with AdamW on the cross-entropy over labels; gives the number of steps taken after each of them.

    It ends early, without a step, where the loss is no longer finite.
    """
    targets = torch.from_numpy(np.asarray(y, dtype=np.int64)).to(readout.device)
    of_model = [parameter for parameter in readout.model.parameters() if parameter.requires_grad]
    groups: list[dict[str, Any]] = [{"params": of_model, "lr": course.rate}]
    if isinstance(readout, ClassifierReadout):
        groups.append({"params": list(readout.classifier.parameters()), "lr": _CLASSIFIER_RATE})
    optimizer = torch.optim.AdamW(groups, weight_decay=course.weight_decay)
    full_rates = [group["lr"] for group in groups]
    lengths = np.array([len(text.ids) for text in texts])
    batches = batches_of_like_length(lengths, course.batch_size, np.random.default_rng(course.seed))
    trained = [parameter for group in groups for parameter in group["params"]]
    for step in range(1, course.steps + 1):
        rows = next(batches)
        readout.train()
        with fast_products(readout.device):
            scores = readout(readout.batch([texts[row] for row in rows]))
        loss = nn.functional.cross_entropy(scores.float(), targets[torch.from_numpy(rows)])
        if not bool(torch.isfinite(loss)):
            return
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(trained, _LARGEST_GRADIENT)
        for group, full in zip(optimizer.param_groups, full_rates, strict=True):
            group["lr"] = full * rate_share(step - 1, course.horizon)
        optimizer.step()
        yield step


def log_loss(readout: LabelReadout, texts: Sequence[TokenizedText], y: Rows, batch_size: int) -> float:
    """Mean negative log-probability of the true label, in nats; infinite where scores are not finite."""
    with fast_products(readout.device):
        scores = scores_of(readout, texts, batch_size)
    if not np.isfinite(scores).all():
        return math.inf
    return float(-np.log(np.maximum(softmax(scores)[np.arange(len(y)), y], 1e-300)).mean())


def hold_out(y: Rows, n_labels: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions to train on and a stratified fifth to choose on: one a class at least, 256 at most where classes allow."""
    n_held_out = max(n_labels, min(math.ceil(len(y) / 5), _MOST_HELD_OUT))
    train, held_out = train_test_split(np.arange(len(y)), test_size=n_held_out, stratify=y, random_state=seed)
    return train, held_out


@dataclass
class TrainedReadout:
    """A trained copy of a model; see :class:`~lexframe.adaptation.problem.Classifier`.

    Attributes
    ----------
    readout : LabelReadout
    problem : Problem
    n_parameters : int
        Numbers that training could change and that the answer depends on.
    choices : dict
    """

    readout: LabelReadout
    problem: Problem
    n_parameters: int
    choices: dict[str, Any]

    def predict_proba(self, rows: Rows) -> Probabilities:
        """Probability of each label: every text goes through the trained model."""
        if not len(rows):
            return np.zeros((0, self.problem.n_labels))
        texts = self.readout.space.tokenization(self.problem.texts(rows))
        return softmax(scores_of(self.readout, texts, self.problem.encoded.batch_size))


class WeightMethod(Method):
    """Trains weights on label scores; a method says which, and within which learning rates.

    Rate and number of steps are chosen inside the training labels: every rate is tried on four fifths of them, the
    log-loss of the held-out fifth says after how many steps to stop (none at all included), and the best pair trains on
    all labels. The middle rate goes first, and one that is behind another after a fifth of its run is given up. With fewer
    than 16 labels in some class nothing is held out; the middle rate and 20 epochs are taken.

    Parameters
    ----------
    learning_rates : sequence of float
        Full rates of AdamW to try.
    max_steps : int
        Most steps of one run; there is one run a rate and one on all labels. 20 epochs are the other limit. With many
        labels it decides how much of them is seen at all: `max_steps` times `batch_size` texts.
    batch_size : int
        Texts in one step, of like length.

    Notes
    -----
    The rate rises over the first tenth of a run and falls to zero at its limit, in straight lines. Gradients are clipped
    at norm 1. Weights are kept and moved in float32 whatever the precision of the model, on its device; matrix products of
    training are in bfloat16 where the machine is faster at it (`choices` says so), those of the answer in float32.
    """

    family = "weights"
    extra: ClassVar[str | None] = None
    weight_decay: ClassVar[float] = 0.0

    def __init__(self, *, learning_rates: Sequence[float], max_steps: int, batch_size: int):
        if not learning_rates or min(learning_rates) <= 0:
            raise InputError(f"learning_rates is {list(learning_rates)}; give one or more positive numbers.")
        if max_steps < 0 or batch_size < 1:
            raise InputError(f"max_steps is {max_steps} and batch_size {batch_size}; they must be at least 0 and 1.")
        self.learning_rates = tuple(sorted(learning_rates))
        self.max_steps, self.batch_size = max_steps, batch_size

    def obstacle(self, space: Space) -> str | None:
        """Needs a model whose weights can be trained, and the package that trains them."""
        return weights_obstacle(space) or extra_obstacle(self.extra)

    @abstractmethod
    def open_weights(self, readout: LabelReadout) -> None:
        """Leave `requires_grad` on what is to be trained in the readout's model, adding modules if need be."""

    def fit(self, problem: Problem) -> TrainedReadout:
        """Choose rate and steps inside the labels, then train a copy of the model on all of them."""
        readout = self._opened(problem)
        texts = readout.space.tokenization(problem.texts(problem.rows))
        rate, steps, choices = self._choose(problem, texts)
        done = 0
        if steps:
            course = self._course(problem, rate, horizon=choices["horizon"], steps=steps)
            with seeded(problem.seed, readout.device):
                done = max(optimize(readout, texts, problem.y, course), default=0)
        if done < steps or (steps and not np.isfinite(scores_of(readout, texts[: self.batch_size], self.batch_size)).all()):
            raise InputError(f"{self.name} diverged after {done} steps at learning rate {rate:g}. Give smaller learning_rates.")
        n_parameters = count_reached(readout.eval(), texts[: self.batch_size])
        readout.requires_grad_(False)
        return TrainedReadout(readout, problem, n_parameters, choices)

    def _opened(self, problem: Problem) -> LabelReadout:
        """A fresh copy, ready to train; what an adapter draws at random depends on the seed alone."""
        readout = label_readout(problem)
        with seeded(problem.seed, readout.device):
            self.open_weights(readout)
        return readout

    def _course(self, problem: Problem, rate: float, *, horizon: int, steps: int) -> Course:
        return Course(rate, horizon, steps, self.batch_size, self.weight_decay, problem.seed)

    def _horizon(self, n_texts: int) -> int:
        return min(self.max_steps, _MOST_EPOCHS * math.ceil(n_texts / self.batch_size))

    def _choose(self, problem: Problem, texts: list[TokenizedText]) -> tuple[float, int, dict[str, Any]]:
        device = next(problem.space.model.parameters()).device  # type: ignore[attr-defined]
        settings = {"max_steps": self.max_steps, "batch_size": self.batch_size, "products": fastest_precision(device.type)}
        if problem.shots < LEAST_TO_CHOOSE:
            rate = self.learning_rates[len(self.learning_rates) // 2]
            horizon = self._horizon(len(texts))
            how = f"fixed: fewer than {LEAST_TO_CHOOSE} labels in some class"
            return rate, horizon, {"learning_rate": rate, "steps": horizon, "horizon": horizon, "chosen_by": how, **settings}
        train, held_out = hold_out(problem.y, problem.n_labels, problem.seed)
        horizon = self._horizon(len(train))
        tried: dict[float, dict[int, float]] = {}
        for rate in middle_first(self.learning_rates):
            tried[rate] = self._try(problem, texts, rate, horizon, train, held_out, rivals=list(tried.values()))
        rate = min(tried, key=lambda rate: min(tried[rate].values()))
        steps = min(tried[rate], key=tried[rate].__getitem__)
        return (
            rate,
            steps,
            {
                "learning_rate": rate,
                "steps": steps,
                "horizon": horizon,
                "chosen_by": f"log-loss of {len(held_out)} of {len(texts)} labeled texts, held out",
                "held_out_log_loss": {f"{tested:g}": min(losses.values()) for tested, losses in tried.items()},
                "held_out_log_loss_before": tried[rate][0],
                **settings,
            },
        )

    def _try(
        self,
        problem: Problem,
        texts: list[TokenizedText],
        rate: float,
        horizon: int,
        train: np.ndarray,
        held_out: np.ndarray,
        *,
        rivals: list[dict[int, float]],
    ) -> dict[int, float]:
        """Held-out log-loss by number of steps, 0 included, until it has not improved for a while or a rival stays ahead."""
        readout = self._opened(problem)
        unseen = [texts[row] for row in held_out]
        losses = {0: log_loss(readout, unseen, problem.y[held_out], self.batch_size)}
        course = self._course(problem, rate, horizon=horizon, steps=horizon)
        every = max(1, horizon // _LOOKS)
        with seeded(problem.seed, readout.device):
            for step in optimize(readout, [texts[row] for row in train], problem.y[train], course):
                if step % every:
                    continue
                losses[step] = log_loss(readout, unseen, problem.y[held_out], self.batch_size)
                if step - min(losses, key=losses.__getitem__) >= _PATIENCE * every:
                    break
                if step >= _LOOKS_TO_CATCH_UP * every and min(losses.values()) > min(
                    (best_until(rival, step) for rival in rivals), default=math.inf
                ):
                    break
        return losses


def middle_first(rates: Sequence[float]) -> list[float]:
    """Rates by their distance from the middle one, so that the likeliest sets the mark for the others."""
    middle = len(rates) // 2
    return [rates[i] for i in sorted(range(len(rates)), key=lambda i: abs(i - middle))]


def best_until(losses: dict[int, float], step: int) -> float:
    """The lowest loss of a run in its first `step` steps."""
    return min(loss for taken, loss in losses.items() if taken <= step)


def count_reached(readout: LabelReadout, texts: Sequence[TokenizedText]) -> int:
    """Numbers open to training that the scores of `texts` depend on; those of unread layers and poolers do not count."""
    if not texts:
        return 0
    readout.zero_grad(set_to_none=True)
    readout(readout.batch(texts)).sum().backward()
    n_reached = sum(parameter.numel() for parameter in readout.parameters() if parameter.grad is not None)
    readout.zero_grad(set_to_none=True)
    return n_reached
