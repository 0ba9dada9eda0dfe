"""Sentence encoders as spaces: a transformer, a pooling, and whatever its folder says comes after."""

import json
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
from lexframe.spaces.batching import encode_batches
from lexframe.spaces.language_model.layers import evaluation_mode, find_blocks, longest_input, text_config
from lexframe.spaces.loading import EMBEDDED, load_config, load_tokenizer, load_weights, resolve_model, without_network
from lexframe.spaces.pooling import Pooling, pooling_function
from lexframe.spaces.templates import PLACEHOLDER
from lexframe.spaces.tokenization import Batch, Tokenization, TokenizedText, pad_batch, tokenizer_hash
from lexframe.spaces.weights import float32_copy, weights_hash
from lexframe.typing import Points

_POOLINGS = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "first", "pooling_mode_lasttoken": "last"}


class SentenceEncoderSpace(TrainableEncoderSpace, OpenableSpace):
    """A sentence encoder in the folder format of sentence-transformers, or any encoder with a pooling.

    Parameters
    ----------
    model : str or transformers.PreTrainedModel
        A local folder, a hub id, or a loaded encoder without a head.
    tokenizer : PreTrainedTokenizerFast, optional
        Needed with a loaded model.
    pooling : {"mean", "first", "last"}, optional
        Default: what the folder says, else ``mean``.
    normalize : bool, optional
        Scale points to unit length. Default: what the folder says, else False.
    template : str
        Text around each text, such as ``"query: {text}"``.
    max_length : int, optional
        Default: what the folder or the model says.
    dtype, device, revision
        As for :class:`~lexframe.spaces.language_model.space.LanguageModelSpace`.

    Notes
    -----
    Only transformer, pooling and normalisation are read. A folder with other modules is refused by name.
    """

    kind = "sentence-encoder"

    def __init__(
        self,
        model: Any,
        *,
        tokenizer: Any = None,
        pooling: str | None = None,
        normalize: bool | None = None,
        template: str = PLACEHOLDER,
        max_length: int | None = None,
        dtype: str = "float32",
        device: str | torch.device | None = None,
        revision: str | None = None,
    ):
        recipe: dict[str, Any] = {}
        if isinstance(model, str):
            from transformers import AutoModel

            self.model_name = model
            source = resolve_model(model)
            recipe = read_recipe(source, revision=revision)
            load_config(source, revision=revision)
            tokenizer = tokenizer or load_tokenizer(source, revision=revision)
            model = load_weights(AutoModel, source, dtype=dtype, revision=revision).to(
                device or ("cuda" if torch.cuda.is_available() else "cpu")
            )
        else:
            if tokenizer is None:
                raise InputError("A loaded model needs its tokenizer: pass tokenizer=AutoTokenizer.from_pretrained(...).")
            self.model_name = getattr(model.config, "name_or_path", "") or type(model).__name__
        self.model: Any = model
        self.tokenizer = tokenizer
        self.pooling = pooling or recipe.get("pooling", "mean")
        self._pool: Pooling = pooling_function(self.pooling)
        self.normalize = recipe.get("normalize", False) if normalize is None else normalize
        limit = min(longest_input(model, tokenizer), recipe.get("max_length") or 10**9)
        if max_length is not None and not 1 <= max_length <= limit:
            raise InputError(f"max_length is {max_length}, but {self.model_name} takes 1 to {limit} tokens.")
        self.tokenization = Tokenization(tokenizer, template=template, max_length=max_length or limit)

    @classmethod
    def recognizes(cls, model: str) -> bool:
        """A folder in the format of sentence-transformers: one with ``modules.json``."""
        return model != EMBEDDED and (Path(model) / "modules.json").is_file()

    @classmethod
    def reopening(cls, fingerprint: SpaceFingerprint) -> dict[str, Any]:
        """Pooling, normalisation and all that decides how a text is read."""
        pooling, *scaled = fingerprint.pooling.split(",")
        names = ("template", "max_length", "dtype")
        return {"pooling": pooling, "normalize": bool(scaled)} | {name: getattr(fingerprint, name) for name in names}

    @property
    def n_dims(self) -> int:
        """Width of the encoder."""
        return int(self.model.config.hidden_size)

    @cached_property
    def fingerprint(self) -> SpaceFingerprint:
        """Weights and tokenizer by hash, pooling with normalisation, template, length and precision."""
        return SpaceFingerprint(
            kind=type(self).__name__,
            model=self.model_name,
            weights=weights_hash(self.model),
            tokenizer=tokenizer_hash(self.tokenizer),
            pooling=self.pooling + (", unit length" if self.normalize else ""),
            template=str(self.tokenization.template),
            max_length=self.tokenization.max_length,
            dtype=str(next(self.model.parameters()).dtype).removeprefix("torch."),
        )

    def encode(self, texts: Sequence[str], *, batch_size: int | None = None, progress: Progress = iter) -> Points:
        """Points of `texts`; see :meth:`Space.encode`."""
        if not len(texts):
            return np.zeros((0, self.n_dims), dtype=np.float32)

        def forward(part: list[TokenizedText]) -> np.ndarray:
            return self.points(self.batch(part)).cpu().numpy()

        with evaluation_mode(self.model):
            return encode_batches(
                self.tokenization(texts), forward, device=torch.device(self.device), most_texts=batch_size, progress=progress
            )

    def batch(self, texts: Sequence[TokenizedText]) -> Batch:
        """Ids padded on the right, with their masks, where the model is."""
        return pad_batch(texts, padding_id=self.tokenizer.pad_token_id or 0, device=torch.device(self.device))

    def points(self, batch: Batch) -> Tensor:
        """Pooled last states, scaled to unit length where the encoder does so; shape (n_texts, n_dims), float32."""
        states = self.model(input_ids=batch.ids, attention_mask=batch.mask).last_hidden_state.float()
        pooled = self._pool(states, batch.mask, batch.span)
        return nn.functional.normalize(pooled) if self.normalize else pooled

    def trainable_copy(self) -> "SentenceEncoderNetwork":
        """A copy of the encoder in float32."""
        return SentenceEncoderNetwork(
            SentenceEncoderSpace(
                float32_copy(self.model), tokenizer=self.tokenizer, pooling=self.pooling, normalize=self.normalize,
                template=str(self.tokenization.template), max_length=self.max_length,
            )
        )  # fmt: skip

    def networks(self) -> tuple[nn.Module, ...]:
        """The encoder."""
        return (self.model,)

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


def read_recipe(source: str, *, revision: str | None = None) -> dict[str, Any]:
    """What a sentence-transformers folder says: pooling, normalize, max_length. Empty for a plain transformer.

    Raises
    ------
    ModelError
        If the folder lists a module that is not known here, or pools in more than one way.
    """
    modules = _read_json(source, "modules.json", revision)
    if modules is None:
        return {}
    recipe: dict[str, Any] = {"normalize": False}
    for module in modules:
        kind = module["type"].rsplit(".", 1)[-1]
        if kind == "Transformer":
            facts = _read_json(source, "sentence_bert_config.json", revision) or {}
            recipe["max_length"] = facts.get("max_seq_length")
        elif kind == "Pooling":
            facts = _read_json(source, f"{module['path']}/config.json", revision) or {}
            modes = [mode for mode, value in facts.items() if mode.startswith("pooling_mode_") and value]
            if isinstance(facts.get("pooling_mode"), str):
                modes = [facts["pooling_mode"]]
            known = [_POOLINGS.get(mode, {"mean": "mean", "cls": "first", "lasttoken": "last"}.get(mode)) for mode in modes]
            if len(known) != 1 or known[0] is None:
                raise ModelError(f"{source} pools by {', '.join(modes) or 'nothing'}; only one of mean, cls and last token is supported.")
            recipe["pooling"] = known[0]
        elif kind == "Normalize":
            recipe["normalize"] = True
        else:
            raise ModelError(
                f"{source} has a module {kind!r} after its transformer, which is not supported. Only Pooling and Normalize are."
            )
    return recipe


def _read_json(source: str, name: str, revision: str | None) -> Any:
    path = Path(source) / name
    if not Path(source).is_dir():
        from transformers.utils import cached_file

        found = cached_file(
            source,
            name,
            revision=revision,
            local_files_only=without_network(source),
            _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False,
        )
        if found is None:
            return None
        path = Path(found)
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
