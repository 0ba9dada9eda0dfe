"""What a run of a text VAE computes: its plan, and the same plan for the models that it is compared with."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from lexframe.exceptions import InputError
from lexframe.spaces.text_vae.files import SMALL
from lexframe.spaces.text_vae.network import LatentShape
from lexframe.spaces.text_vae.small_networks import SmallParts

MAX_TOKENS = 40
"""Tokens of the longest text where nothing else is said."""
_POSITIVE = (
    "max_epochs",
    "max_minutes",
    "lr",
    "batch_size",
    "vocab_size",
    "n_validations",
    "n_importance_samples",
    "n_training_samples",
    "d_model",
    "n_heads",
    "encoder_layers",
    "decoder_layers",
)
_SHARES = ("warm_share", "rise_share", "word_dropout", "word_dropout_end", "dropout", "writing_share", "importance_share")
_WEIGHTS = ("kl_weight", "free_nats", "least_nats", "bag_of_words", "bag_of_words_end", "n_cycles", "weight_decay", "matrix_lr", "seed")


@dataclass(frozen=True, slots=True)
class TextVAEPlan:
    """Everything that decides what a run computes.

    The command line takes its options from here: the first sentence of a field is what its option says.

    Attributes
    ----------
    encoder : str
        What reads the texts: ``small`` starts from random weights; otherwise ``embedded``, a folder or a hub id.
    decoder : str
        What writes them, named likewise; with ``small`` a tokenizer is learned from the texts.
    train_encoder : bool
        Train the encoder; without that a named one stays as it is.
    train_decoder : bool
        Train the decoder; without that a named one stays as it is.
    n_latent : int
        Dimensions of the latent; 0 trains the plain language model of the same decoder.
    memory_tokens : int
        Memory tokens by which the latent enters every block; 0: none. This and the next five are a
        :class:`~lexframe.spaces.text_vae.network.LatentShape`.
    scale_shift : bool
        Let the latent scale and shift the norms too.
    n_queries : int
        Heads of the attention that pools the encoder's states.
    encoder_layer : int
        State of the encoder that is pooled; -1 is the last.
    max_tokens : int or None
        Longest text; longer ones are left out. None (the default) is 40, or what `initial_model` has.
    vocab_size : int
        Tokens at most of the tokenizer that is learned for a small decoder.
    d_model : int
        Width of small parts. This and the next four are of parts that are made anew; see
        :func:`~lexframe.spaces.text_vae.small_networks.small_networks`.
    n_heads : int
        Attention heads of small parts.
    encoder_layers : int
        Blocks of a small encoder.
    decoder_layers : int
        Blocks of a small decoder.
    dropout : float
        Dropout of the small encoder and decoder.
    kl_weight : float
        Weight of the KL term after it has risen: 1 is the evidence lower bound, 0 an autoencoder; another than 1 needs an
        `importance_share` of 0. The importance-weighted bound has no such weight.
    warm_share : float
        Share of the budget at KL weight 0, before the cycles. See
        :func:`~lexframe.training.text_vae.objective.cyclical_weight`, also for the next two.
    n_cycles : int
        How often the KL weight rises from 0; 0: it is full at once.
    rise_share : float
        Share of a cycle in which the KL weight rises.
    free_nats : float
        Nats of KL, over all dimensions together, that cost nothing; each dimension has an equal share.
    word_dropout : float
        Share of the decoder's input tokens that are hidden from it at the start.
    word_dropout_end : float
        The same after a linear fall, at the end of the budget; none are hidden in `importance_share`. Texts are read whole when the
        model is used, so what helps the latent at first would cost likelihood at the end.
    bag_of_words : float
        Weight of the bag-of-words term at the start.
    bag_of_words_end : float
        The same at the end of the budget; 0 in `importance_share`.
    writing_share : float
        First share of the budget, in which the decoder learns to write without the latent. Meanwhile the encoder learns to tell the
        latent the words of a text (the bag-of-words term): afterwards neither has to wait for the other.
    importance_share : float
        Last share of the budget, which trains the importance-weighted bound. It stands in place of the evidence lower bound and its
        remedies: it is what the model is judged by, and forgives a posterior that is not quite right.
    n_training_samples : int
        Draws of z a text in `importance_share`.
    least_nats : float
        Nats that the latent tells of a text in `importance_share`, at least; those missing are added to the objective. The
        importance-weighted bound (:func:`~lexframe.training.text_vae.objective.information_bound` measures those nats) also forgives a
        posterior that says little, and a long share, or few texts, would let the latent fall out of use. Checkpoints are chosen with
        the same addition.
    lr : float or None
        Peak learning rate of AdamW; None (the default) is 0.004, or 0.001 where a named decoder or another text VAE is trained on.
    weight_decay : float
        Weight decay of matrices.
    matrix_lr : float or None
        Peak learning rate of Muon, for the matrices that are not tables of words; 0 gives them to AdamW as well; None (the default)
        is 0.01, or 0.005 likewise. See :class:`~lexframe.training.muon.MuonAdamW`.
    batch_size : int
        Texts of a step.
    max_epochs : float or None
        Budget in passes over the texts. The first budget that is spent ends the run.
    max_minutes : float or None
        Budget in minutes of training, over all resumed parts, with measuring. Fitting the prior and writing the model come on top.
    n_validations : int
        How often the run is measured on texts held out from training. It is less often where that would take more than about a fifth
        of `max_minutes`.
    n_importance_samples : int
        Draws of the importance-weighted likelihood by which checkpoints are chosen.
    precision : {"auto", "float32", "bfloat16"}
        Of matrix products: auto (measures both), float32 or bfloat16.
    seed : int
        Seed of the weights, the split, the order, the noise.
    initial_model : str or None
        Start from this text VAE: ``embedded-vae`` or its folder. Its tokenizer, shape and parts are taken over; a plan that asks for
        others is refused, but `max_tokens` may be given anew, as far as the parts have room.

    Raises
    ------
    InputError
        If a number is out of range, settings exclude each other, or the run has no end.
    """

    encoder: str = SMALL
    decoder: str = SMALL
    train_encoder: bool = True
    train_decoder: bool = True
    n_latent: int = 32
    memory_tokens: int = 4
    scale_shift: bool = True
    n_queries: int = 4
    encoder_layer: int = -1
    max_tokens: int | None = None
    vocab_size: int = 3000
    d_model: int = 128
    n_heads: int = 4
    encoder_layers: int = 2
    decoder_layers: int = 3
    dropout: float = 0.2
    kl_weight: float = 1.0
    warm_share: float = 0.05
    n_cycles: int = 1
    rise_share: float = 0.25
    free_nats: float = 8.0
    word_dropout: float = 0.3
    word_dropout_end: float = 0.0
    bag_of_words: float = 1.0
    bag_of_words_end: float = 0.0
    writing_share: float = 0.0
    importance_share: float = 0.3
    n_training_samples: int = 5
    least_nats: float = 5.0
    lr: float | None = None
    weight_decay: float = 0.01
    matrix_lr: float | None = None
    batch_size: int = 64
    max_epochs: float | None = None
    max_minutes: float | None = None
    n_validations: int = 20
    n_importance_samples: int = 10
    precision: str = "auto"
    seed: int = 0
    initial_model: str | None = None

    def __post_init__(self) -> None:
        if self.max_epochs is None and self.max_minutes is None:
            raise InputError("The run has no end: give max_epochs or max_minutes.", parameter=("max_epochs", "max_minutes"))
        for name in _POSITIVE:
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InputError(f"{name} is {value}; expected a number above 0.", parameter=name)
        for name in _SHARES:
            if not 0 <= getattr(self, name) < 1 and not (name == "rise_share" and self.rise_share == 1):
                raise InputError(f"{name} is {getattr(self, name)}; expected a share from 0 to below 1.", parameter=name)
        for name in _WEIGHTS:
            if getattr(self, name) is not None and not getattr(self, name) >= 0:
                raise InputError(f"{name} is {getattr(self, name)}; expected 0 or more.", parameter=name)
        if self.writing_share + self.importance_share > 1:
            raise InputError(
                f"writing_share {self.writing_share} and importance_share {self.importance_share} are more than the whole budget.",
                parameter=("writing_share", "importance_share"),
            )
        if self.n_latent and self.kl_weight != 1 and self.importance_share:
            raise InputError(
                f"kl_weight is {self.kl_weight}, but the last {self.importance_share:.0%} of the budget would train the "
                "importance-weighted bound, which has no such weight. Set importance_share to 0.",
                parameter=("kl_weight", "importance_share"),
            )
        if self.precision not in ("auto", "float32", "bfloat16"):
            raise InputError(f"precision is {self.precision!r}; expected auto, float32 or bfloat16.", parameter="precision")
        self.latent_shape()

    def peak_rates(self) -> tuple[float, float]:
        """Rates of AdamW and of Muon at their peaks."""
        trained_on = self.initial_model is not None or (self.decoder != SMALL and self.train_decoder)
        lr, matrix_lr = (0.001, 0.005) if trained_on else (0.004, 0.01)
        return lr if self.lr is None else self.lr, matrix_lr if self.matrix_lr is None else self.matrix_lr

    def resolved(self) -> "TextVAEPlan":
        """The plan with every number that was left to its default, as a run writes it down."""
        lr, matrix_lr = self.peak_rates()
        return _changed(self, lr=lr, matrix_lr=matrix_lr, max_tokens=self.latent_shape().max_tokens)

    def latent_shape(self) -> LatentShape:
        """The part of the plan that describes the latent."""
        given = {field.name: getattr(self, field.name) for field in fields(LatentShape)}
        return LatentShape(**(given | {"max_tokens": MAX_TOKENS if self.max_tokens is None else self.max_tokens}))

    def small_parts(self) -> SmallParts:
        """The part of the plan that describes what is made anew."""
        return SmallParts(**{field.name: getattr(self, field.name) for field in fields(SmallParts)})


def taking_over(plan: TextVAEPlan, shape: LatentShape, frozen: Mapping[str, str]) -> TextVAEPlan:
    """The plan with the latent of the model that it starts from, and with its frozen parts.

    Parameters
    ----------
    plan : TextVAEPlan
    shape : LatentShape
        Of the initial model.
    frozen : mapping of str to str
        Its frozen parts; see :class:`~lexframe.spaces.text_vae.files.TextVAEModel`.

    Raises
    ------
    InputError
        If the plan asks for another shape or other parts than the model has.
    """
    parts = {name: frozen.get(name, SMALL) for name in ("encoder", "decoder")}
    trained = {f"train_{name}": name not in frozen for name in parts}
    taken: dict[str, Any] = asdict(shape) | parts | trained
    defaults = {field.name: field.default for field in fields(TextVAEPlan)}
    asked = {name: getattr(plan, name) for name in taken if name != "max_tokens"}
    differing = [name for name, value in asked.items() if value not in (defaults[name], taken[name])]
    wrong = [f"{name}={asked[name]!r} (it has {taken[name]!r})" for name in differing]
    if wrong:
        raise InputError(
            f"{plan.initial_model} is taken over with its shape and its parts, but the plan asks for {', '.join(wrong)}. Leave that out.",
            parameter=differing,
        )
    return _changed(plan, **taken)


def plain_vae(plan: TextVAEPlan) -> TextVAEPlan:
    """The same plan without any remedy against collapse."""
    remedies = ("free_nats", "least_nats", "word_dropout", "word_dropout_end", "bag_of_words", "bag_of_words_end")
    shares = ("warm_share", "writing_share", "importance_share")
    return _changed(plan, n_cycles=0, **dict.fromkeys((*remedies, *shares), 0.0))


def autoencoder(plan: TextVAEPlan) -> TextVAEPlan:
    """The same plan with KL weight 0."""
    return _changed(plan, kl_weight=0.0, importance_share=0.0)


def plain_language_model(plan: TextVAEPlan) -> TextVAEPlan:
    """The decoder of the plan alone, without a latent."""
    return _changed(plan, n_latent=0, bag_of_words=0.0, bag_of_words_end=0.0)


def _changed(plan: TextVAEPlan, **changes: Any) -> TextVAEPlan:
    return TextVAEPlan(**(asdict(plan) | changes))
