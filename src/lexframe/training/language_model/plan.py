"""What a pretraining run computes: shape, data order, learning rates and budget, checked once."""

from dataclasses import dataclass

from lexframe.exceptions import InputError

BLOCK = 1024
"""Tokens in one block of the corpus, the unit that is shuffled; sequence lengths divide it."""


@dataclass(frozen=True, slots=True)
class PretrainingPlan:
    """Everything that decides what a run computes.

    The command line takes its options from here: the first sentence of a field is what its option says.

    Attributes
    ----------
    n_layers : int
        Blocks of the decoder.
    d_model : int
        Width of the decoder.
    n_heads : int
        Attention heads.
    d_ff : int
        Inner width of the gated feed-forward layers.
    context : int
        Longest sequence the model is trained on; the last `long_share` of the budget uses it.
    short_context : int
        Length of the sequences before that: shorter ones cost less.
    long_share : float
        Share of the budget at full context.
    batch_tokens : int
        Tokens of an optimizer step, over all processes.
    micro_batch_tokens : int
        Tokens that one process holds at a time; larger batches are accumulated.
    matrix_lr : float
        Peak learning rate of the matrices (Muon). See :class:`~lexframe.training.muon.MuonAdamW`, also for the next three.
    lr : float
        Peak learning rate of the rest (AdamW).
    matrix_weight_decay : float
        Weight decay of the matrices.
    weight_decay : float
        Weight decay of the rest.
    warmup_share : float
        Share of the budget in which the learning rate rises from zero, linearly.
    cooldown_share : float
        Share of the budget in which the learning rate falls to zero, linearly.
    max_tokens : int or None
        Budget in tokens.
    max_minutes : float or None
        Budget in minutes of training, over all resumed parts. The first budget that is spent ends the run.
    precision : {"auto", "float32", "bfloat16"}
        Of matrix products: auto (measures both), float32 or bfloat16.
    compile : bool
        Use torch.compile.
    checkpoint_minutes : float
        Minutes between checkpoints.
    keep : int
        Models kept along the run, in models/ of its folder: the last at the whole budget, each before it at half of the next one's share.
    seed : int
        Seed of the weights and of the order of the data.
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
    keep: int = 0
    seed: int = 0
    initial_model: str | None = None

    def __post_init__(self) -> None:
        if self.max_tokens is None and self.max_minutes is None:
            raise InputError("The run has no end: give max_tokens or max_minutes.", parameter=("max_tokens", "max_minutes"))
        for name in ("n_layers", "d_model", "n_heads", "d_ff", "context", "short_context", "batch_tokens", "max_tokens", "max_minutes"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise InputError(f"{name} is {value}; expected a number above 0.", parameter=name)
        if self.keep < 0:
            raise InputError(f"keep is {self.keep}; expected 0 or the number of models to keep along the run.", parameter="keep")
        for name in ("context", "short_context"):
            if BLOCK % getattr(self, name):
                raise InputError(
                    f"{name} is {getattr(self, name)}, which does not divide {BLOCK}. Use a power of two up to {BLOCK}.", parameter=name
                )
        if self.d_model % self.n_heads:
            raise InputError(f"d_model {self.d_model} is not a multiple of n_heads {self.n_heads}.", parameter=("d_model", "n_heads"))
        if self.batch_tokens % BLOCK:
            raise InputError(f"batch_tokens is {self.batch_tokens}; it must be a multiple of {BLOCK}.", parameter="batch_tokens")
        if self.precision not in ("auto", "float32", "bfloat16"):
            raise InputError(f"precision is {self.precision!r}; expected auto, float32 or bfloat16.", parameter="precision")

    @property
    def kept_shares(self) -> tuple[float, ...]:
        """Shares of the budget at which a model is kept: 1/8, 1/4, 1/2, 1 for four, since a model changes most at first."""
        return tuple(0.5**halvings for halvings in reversed(range(self.keep)))
