"""Sentence encoders as spaces: a transformer, a pooling, and whatever its folder says comes after."""

import inspect
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor, nn

from lexframe.exceptions import InputError, ModelError
from lexframe.provenance import SpaceFingerprint
from lexframe.spaces.base import OpenableSpace, Progress
from lexframe.spaces.base.training import EncoderNetwork, TrainableEncoderSpace
from lexframe.spaces.batching import Together, encode_batches
from lexframe.spaces.catalogue import NAMED
from lexframe.spaces.gguf.origin import source_of
from lexframe.spaces.hub import hub_file, hub_folder, is_hub_name
from lexframe.spaces.language_model.foreign import of_others
from lexframe.spaces.language_model.heads import moves_hash
from lexframe.spaces.language_model.layers import evaluation_mode, find_blocks, position_limit, text_config
from lexframe.spaces.language_model.neighbors import together
from lexframe.spaces.language_model.packed import packed_reader
from lexframe.spaces.loading import chosen_device, load_config, load_tokenizer, load_weights, without_network
from lexframe.spaces.resolving import resolve_model
from lexframe.spaces.sentence_modules import EncoderSteps
from lexframe.spaces.sentence_recipe import MODULES, EncoderRecipe, read_recipe
from lexframe.spaces.templates import PLACEHOLDER
from lexframe.spaces.tokenization import Batch, Tokenization, TokenizedText, lowering, pad_batch, tokenizer_hash
from lexframe.spaces.weights import KnownHash, float32_copy
from lexframe.typing import Points

_ANY_LENGTH = 1_000_000
"""Where neither positions nor tokenizer nor folder set a limit."""

_POOLER = "pooler."
"""Weights of transformers that no point needs: they may be missing, and play no part in the fingerprint."""

_ENCODERS = {
    "T5Config": "T5EncoderModel",
    "MT5Config": "MT5EncoderModel",
    "UMT5Config": "UMT5EncoderModel",
    "LongT5Config": "LongT5EncoderModel",
    "SwitchTransformersConfig": "SwitchTransformersEncoderModel",
}
"""Encoder–decoders of which the encoder alone makes the points."""


class SentenceEncoderSpace(TrainableEncoderSpace, OpenableSpace):
    """A sentence encoder in the folder format of sentence-transformers, or any encoder with a pooling.

    Parameters
    ----------
    model : str or transformers.PreTrainedModel
        A local folder, a hub id, or a loaded encoder without a head.
    tokenizer : PreTrainedTokenizerFast, optional
        Needed with a loaded model.
    pooling : str, optional
        ``mean``, ``first``, ``last``, ``max``, ``mean-sqrt-length``, ``weighted-mean`` or ``span``, or several side by side, such as
        ``first+mean``. Default: what the folder says, else ``mean``, and ``last`` for a causal language model.
    normalize : bool, optional
        Scale points to unit length. Default: what the folder says, else False.
    template : str, optional
        Text around each text, such as ``"query: {text}"``. Default: the prompt.
    prompt : str, optional
        Text before each text; empty is none. Default: that of `prompt_name`.
    prompt_name : str, optional
        One of the prompts that the folder names, such as ``"query"``. Default: the folder's default prompt, if it has one.
    truncate_dim : int, optional
        How many dimensions of a point are kept. Default: what the folder says, else all.
    max_length : int, optional
        Default: what the folder or the model says.
    truncation : {"right", "left"}, optional
        The side of a longer text that is cut off. Default: what the tokenizer says, which is ``right`` as a rule.
    dtype, device, revision
        As for :class:`~lexframe.spaces.language_model.space.LanguageModelSpace`.
    trust_remote_code : bool
        Run Python code that the transformer brings along. Modules of a folder never run code of their own.

    Notes
    -----
    Points equal those of ``SentenceTransformer.encode`` to 1e-5 with the modules Transformer, Pooling, Dense, LayerNorm, Normalize and
    Dropout. A folder with other modules, or with settings that are not understood, is refused by name.
    """

    kind = "sentence-encoder"

    def __init__(
        self,
        model: Any,
        *,
        tokenizer: Any = None,
        pooling: str | None = None,
        normalize: bool | None = None,
        template: str | None = None,
        prompt: str | None = None,
        prompt_name: str | None = None,
        truncate_dim: int | None = None,
        max_length: int | None = None,
        truncation: str | None = None,
        dtype: str = "float32",
        device: str | torch.device | None = None,
        revision: str | None = None,
        trust_remote_code: bool = False,
    ):
        recipe, folder = EncoderRecipe(), ""
        if isinstance(model, str):
            self.model_name = model
            recipe, folder, source = _located(model, revision)
            config = load_config(source, revision=revision, trust_remote_code=trust_remote_code)
            tokenizer = tokenizer or load_tokenizer(source, revision=revision, trust_remote_code=trust_remote_code)
            model = load_weights(
                encoder_class(config, self.model_name), source, dtype=dtype, revision=revision, trust_remote_code=trust_remote_code,
                unused=(_POOLER,),
            ).to(chosen_device(device))  # fmt: skip
        else:
            if tokenizer is None:
                raise InputError("A loaded model needs its tokenizer: pass tokenizer=AutoTokenizer.from_pretrained(...).")
            self.model_name = getattr(model.config, "name_or_path", "") or type(model).__name__
        self.model: Any = model
        self._weights_hash = KnownHash(model, unused=_POOLER)
        self.tokenizer = lowering(tokenizer) if recipe.lower_case else tokenizer
        steps = EncoderSteps.of(recipe, folder)
        if pooling is None and not recipe.modules and _is_causal(model.config):
            pooling = "last"
        steps = steps if pooling is None else steps.with_pooling(pooling)
        whole = steps.width(int(model.config.hidden_size))
        if truncate_dim is not None and not 1 <= truncate_dim <= whole:
            raise InputError(
                f"truncate_dim is {truncate_dim}, but points of {self.model_name} have {whole} dimensions.", parameter="truncate_dim"
            )
        kept = recipe.truncate_dim if truncate_dim is None else truncate_dim
        self.truncate_dim = kept if kept is not None and kept < whole else None
        if normalize is not None:  # asked for, so it holds of the points as they are given out: after what is left off
            steps = steps.scaled(to_unit_length=normalize and self.truncate_dim is None)
        self._scales_last = bool(normalize) and self.truncate_dim is not None
        self._steps = steps.to(next(model.parameters()).device).eval().requires_grad_(False)
        self.n_whole_dims, self.pooling = whole, steps.pooling
        if template is not None and not (prompt is None and prompt_name is None):
            raise InputError("Both a template and a prompt are given. Give one of them.", parameter=["template", "prompt", "prompt_name"])
        around = recipe.prompt(prompt=prompt, prompt_name=prompt_name) + PLACEHOLDER if template is None else template
        positions = position_limit(model) or _ANY_LENGTH
        if max_length is not None and not 1 <= max_length <= positions:
            raise InputError(f"max_length is {max_length}, but {self.model_name} takes 1 to {positions} tokens.", parameter="max_length")
        own = recipe.max_length or min(getattr(tokenizer, "model_max_length", None) or _ANY_LENGTH, _ANY_LENGTH)
        self.tokenization = Tokenization(
            self.tokenizer,
            template=around,
            max_length=min(max_length or own, positions),
            truncation=truncation or getattr(tokenizer, "truncation_side", None) or "right",
            keep_template=not around.endswith(PLACEHOLDER),  # a prompt is cut as the text is
            as_it_is=True,  # as the library reads it
        )
        arguments = inspect.signature(model.forward).parameters
        self._reads_types = "token_type_ids" in arguments and "token_type_ids" in getattr(tokenizer, "model_input_names", ())

    @classmethod
    def recognizes(cls, model: str) -> bool:
        """A folder or a model on the hub in the format of sentence-transformers: one with ``modules.json``."""
        if model in NAMED:
            return NAMED[model].kind == cls.kind
        if is_hub_name(model):
            return hub_file(model, MODULES) is not None
        return (Path(model) / MODULES).is_file()

    @classmethod
    def reopening(cls, fingerprint: SpaceFingerprint) -> dict[str, Any]:
        """Pooling, normalisation and all that decides how a text is read."""
        pooling, *parts = fingerprint.pooling.split(", ")
        kept = next((int(part.split()[0]) for part in parts if re.fullmatch(r"\d+ dimensions", part)), None)
        as_the_folder_says = parts.index("unit length") < parts.index(f"{kept} dimensions") if kept and "unit length" in parts else False
        names = ("template", "max_length", "truncation", "dtype")
        return {
            "pooling": pooling,
            "normalize": None if as_the_folder_says else "unit length" in parts,
            "truncate_dim": kept,
        } | {name: getattr(fingerprint, name) for name in names}

    @property
    def n_dims(self) -> int:
        """Dimensions of a point, without those that are left off."""
        return self.truncate_dim or self.n_whole_dims

    @property
    def normalize(self) -> bool:
        """Whether points are scaled to unit length, before or after dimensions are left off."""
        return self._scales_last or self._steps.ends_at_unit_length

    @property
    def fingerprint(self) -> SpaceFingerprint:
        """Weights and tokenizer by hash, pooling and what follows it, template or prompt, length, side of truncation, precision."""
        parts = [
            self.pooling,
            *(["without the prompt"] if self._n_left_out else []),
            *(["unit length"] if self._steps.ends_at_unit_length else []),
            *([f"{self.truncate_dim} dimensions"] if self.truncate_dim else []),
            *(["unit length"] if self._scales_last else []),
        ]
        return SpaceFingerprint(
            kind=type(self).__name__,
            model=self.model_name,
            weights=self._steps.hash_after(self._weights_hash()),
            tokenizer=self._tokenizer_hash,
            pooling=", ".join(parts),
            template=str(self.tokenization.template),
            max_length=self.tokenization.max_length,
            truncation=self.tokenization.truncation,
            dtype=str(next(self.model.parameters()).dtype).removeprefix("torch."),
            moves=moves_hash(self.model),
            source=source_of(self.model),
        )

    @cached_property
    def _tokenizer_hash(self) -> str:
        return tokenizer_hash(self.tokenizer)

    @property
    def together(self) -> str:
        """Which texts go through the model in one pass: ``any``, ``those of one length``, or ``none``; tried on a few tokens."""
        return together(self.model).value

    @cached_property
    def _n_left_out(self) -> int:
        """Tokens at the beginning of each text that are read but not pooled: those of the prompt, where the folder says so."""
        prompt = self.tokenization.template.before
        if self._steps.includes_prompt or not prompt:
            return 0
        alone = Tokenization(self.tokenizer, max_length=self.max_length, truncation=self.tokenization.truncation)
        ids = alone([prompt])[0].ids
        return len(ids) - (int(ids[-1]) in self.tokenizer.all_special_ids)

    def encode(self, texts: Sequence[str], *, batch_size: int | None = None, progress: Progress = iter) -> Points:
        """Points of `texts`; see :meth:`Space.encode`."""
        if not len(texts):
            return np.zeros((0, self.n_dims), dtype=np.float32)

        def forward(part: list[TokenizedText]) -> np.ndarray:
            states = None if packed is None else packed.last_states(part, types=self._reads_types)
            return self.points(self.batch(part), states).cpu().numpy()

        company, tokenized = together(self.model), self.tokenization(texts)
        with evaluation_mode(self.model):
            packed = packed_reader(self.model, tokenized) if company is Together.PADDED else None
            return encode_batches(
                tokenized, forward, device=torch.device(self.device), most_texts=batch_size, together=company, packed=packed is not None,
                progress=progress,
            )  # fmt: skip

    def batch(self, texts: Sequence[TokenizedText]) -> Batch:
        """Ids padded on the right, with their masks, where the model is."""
        return pad_batch(texts, padding_id=self.tokenizer.pad_token_id or 0, device=torch.device(self.device))

    def points(self, batch: Batch, states: Tensor | None = None) -> Tensor:
        """What follows the transformer, applied to its last states, which are read unless they are given; (n_texts, n_dims), float32."""
        if states is None:
            types = {"token_type_ids": batch.types} if self._reads_types else {}
            with of_others(self.model, f"read ids of shape {tuple(batch.ids.shape)}"):
                states = self.model(input_ids=batch.ids, attention_mask=batch.mask, **types).last_hidden_state
        points = self._steps(states.float(), batch.mask, batch.span, n_prompt=self._n_left_out)[:, : self.n_dims]
        return nn.functional.normalize(points) if self._scales_last else points

    @property
    def training_obstacle(self) -> str | None:
        """Other modules than a plain pooling: they are not trained."""
        if self._steps.is_plain and self.truncate_dim is None:
            return None
        return (
            f"{self.model_name} has more than a transformer, a pooling (mean, first or last) and a scaling to unit length; encoders with "
            "other modules or with dimensions left off cannot be trained here."
        )

    def trainable_copy(self) -> "SentenceEncoderNetwork":
        """A copy of the encoder in float32.

        Raises
        ------
        InputError
            If it has modules that are not trained.
        """
        if self.training_obstacle is not None:
            raise InputError(self.training_obstacle)
        return SentenceEncoderNetwork(
            SentenceEncoderSpace(
                float32_copy(self.model), tokenizer=self.tokenizer, pooling=self.pooling, normalize=self.normalize,
                template=str(self.tokenization.template), max_length=self.max_length, truncation=self.tokenization.truncation,
            )
        )  # fmt: skip

    def networks(self) -> tuple[nn.Module, ...]:
        """The transformer, and what follows it."""
        return (self.model, self._steps)

    @property
    def device(self) -> str:
        """Where the model is."""
        return str(next(self.model.parameters()).device)

    @property
    def max_length(self) -> int:
        """Tokens after which a text is cut, those of the template included."""
        return self.tokenization.max_length

    def truncated(self, texts: Sequence[str]) -> np.ndarray:
        """Which texts are longer than `max_length` allows."""
        return np.array([text.truncated for text in self.tokenization(texts)], dtype=bool)

    def token_counts(self, texts: Sequence[str]) -> Int[np.ndarray, " n_texts"]:
        """Tokens of each text as the model reads it, template and special ones included, after cutting."""
        return np.array([len(text.ids) for text in self.tokenization(texts)], dtype=np.int64)


class SentenceEncoderNetwork(EncoderNetwork):
    """A copy of a sentence encoder that is trained.

    Parameters
    ----------
    space : SentenceEncoderSpace
        Over the copy.
    """

    space: SentenceEncoderSpace

    def __init__(self, space: SentenceEncoderSpace):
        super().__init__(space.model)
        self.space = space
        self.template, self.max_length = space.tokenization.template, space.max_length
        self.pooling, self.normalize = space.pooling, space.normalize

    @property
    def blocks(self) -> nn.ModuleList:
        """All of them."""
        return find_blocks(self.body)

    @property
    def width(self) -> int:
        """The model's hidden size."""
        return int(text_config(self.body).hidden_size)

    def tokenize(self, texts: Sequence[str]) -> list[TokenizedText]:
        """Texts within the template of the space."""
        return self.space.tokenization(texts)

    def batch(self, texts: Sequence[TokenizedText]) -> Batch:
        """Ids padded on the right, with their masks."""
        return self.space.batch(texts)

    def forward(self, batch: Batch) -> Tensor:
        """Points as the space makes them, with gradients."""
        return self.space.points(batch)

    def save(self, folder: Path) -> None:
        """Write transformer and tokenizer as transformers does."""
        self.body.save_pretrained(folder)
        self.space.tokenizer.save_pretrained(folder)


def encoder_class(config: Any, name: str) -> Any:
    """The class of transformers that opens the encoder of a model.

    Parameters
    ----------
    config : transformers.PretrainedConfig
    name : str
        Of the model, for messages.

    Raises
    ------
    ModelError
        If it is an encoder–decoder whose encoder is not known to stand alone.
    """
    import transformers

    known = _ENCODERS.get(type(config).__name__)
    if known is not None:
        return getattr(transformers, known)
    if getattr(config, "is_encoder_decoder", False):
        raise ModelError(f"{name} is a {type(config).__name__}, an encoder with a decoder; of those, only T5 and its kin are supported.")
    return transformers.AutoModel


def _located(model: str, revision: str | None) -> tuple[EncoderRecipe, str, str]:
    """What a model says of itself, its folder, and where its transformer is."""
    folder = resolve_model(model) if model in NAMED else model
    if is_hub_name(model):
        if hub_file(model, MODULES, revision=revision) is None:
            return EncoderRecipe(), "", hub_folder(model, revision=revision) if without_network(model) else model
        folder = hub_folder(model, revision=revision)
    elif not (Path(folder) / MODULES).is_file():
        return EncoderRecipe(), "", resolve_model(folder, revision=revision)
    recipe = read_recipe(folder)
    return recipe, folder, resolve_model(str(Path(folder, recipe.transformer)))


def _is_causal(config: Any) -> bool:
    names = getattr(config, "architectures", None) or [""]
    return str(names[0]).endswith("ForCausalLM") and getattr(config, "is_causal", True) is not False
