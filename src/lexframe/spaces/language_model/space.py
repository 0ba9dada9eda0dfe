"""Any layer of any transformers language model as a space."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import nn

from lexframe.exceptions import InputError, ModelError, VocabularyError
from lexframe.provenance import SpaceFingerprint, array_hash
from lexframe.spaces.base import HeadMove, HeadSpace, Progress, Representation, StateMove, TokenStates, resolve_layer
from lexframe.spaces.batching import encode_batches
from lexframe.spaces.language_model.generation import write_on
from lexframe.spaces.language_model.heads import (
    AttentionHeads,
    check_head_moves,
    find_heads,
    head_moves_hash,
    reading_heads,
    replacing_heads,
)
from lexframe.spaces.language_model.layers import evaluation_mode, find_blocks, longest_input, read_states
from lexframe.spaces.language_model.moves import moves_hash, moving_states
from lexframe.spaces.language_model.output_head import CoarseHead, OutputHead, output_head
from lexframe.spaces.language_model.prefix import Prefix
from lexframe.spaces.loading import load_config, load_tokenizer, load_weights, resolve_model
from lexframe.spaces.pooling import Pooling, pooling_function
from lexframe.spaces.tokenization import PLACEHOLDER, Batch, Tokenization, TokenizedText, pad_batch, tokenizer_hash
from lexframe.typing import Points


class LanguageModelSpace(HeadSpace):
    """A layer of a causal or masked language model, with its vocabulary.

    Neither the model nor the tokenizer that is passed in is changed: no padding side, no mode, no hook stays.

    Parameters
    ----------
    model : str or transformers.PreTrainedModel
        ``"embedded"``, a local folder, a hub id such as ``"gpt2"``, or a loaded model.
    tokenizer : PreTrainedTokenizerFast, optional
        Needed with a loaded model; otherwise the one in the model's folder.
    layer : int
        0 is the embedding output, k the output of block k, -1 the last state, after the final norm.
    pooling : {"last", "mean", "first", "span"}
        How the states of a text's tokens become one point. ``span`` is the mean over the tokens of the text without
        its template, or of the character ranges given to `encode`.
    template : str
        Text around each text, with ``{text}`` once; ``last`` pooling reads after it.
    max_length : int, optional
        Most tokens of a text, template included. Default: what the model takes.
    truncation : {"right", "left"}
        The side of a longer text that is cut off; the template always stays.
    dtype : {"float32", "bfloat16", "float16"}
        Precision of the forward pass of a model named by a string; a loaded model keeps its own.
    device : str or torch.device, optional
        Default: the first GPU if there is one, else the CPU; a loaded model stays where it is.
    revision : str, optional
        Of a hub model.
    trust_remote_code : bool
        Run Python code that a model brings along.

    Notes
    -----
    Points are float32 whatever the precision of the model. In float32 they equal the model's own
    `output_hidden_states` to 1e-5, for any batch size.
    """

    def __init__(
        self,
        model: Any = "embedded",
        *,
        tokenizer: Any = None,
        layer: int = -1,
        pooling: str = "last",
        template: str = PLACEHOLDER,
        max_length: int | None = None,
        truncation: str = "right",
        dtype: str = "float32",
        device: str | torch.device | None = None,
        revision: str | None = None,
        trust_remote_code: bool = False,
    ):
        if isinstance(model, str):
            self.model_name = model
            source = resolve_model(model)
            config = load_config(source, revision=revision, trust_remote_code=trust_remote_code)
            tokenizer = tokenizer or load_tokenizer(source, revision=revision, trust_remote_code=trust_remote_code)
            model = load_weights(
                _auto_class(config, source), source, dtype=dtype, revision=revision, trust_remote_code=trust_remote_code
            ).to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        else:
            if tokenizer is None:
                raise InputError("A loaded model needs its tokenizer: pass tokenizer=AutoTokenizer.from_pretrained(...).")
            self.model_name = getattr(model.config, "name_or_path", "") or type(model).__name__
        self.model: nn.Module = model
        self.tokenizer = tokenizer
        self._n_layers = len(find_blocks(model))
        self.layer = resolve_layer(layer, self._n_layers)
        self.pooling = pooling
        pooling_function(pooling)  # refuses an unknown one now rather than at the first text
        limit = longest_input(model, tokenizer)
        if max_length is not None and not 1 <= max_length <= limit:
            raise InputError(f"max_length is {max_length}, but {self.model_name} takes 1 to {limit} tokens.")
        self.tokenization = Tokenization(tokenizer, template=template, max_length=max_length or limit, truncation=truncation)
        self._moves: tuple[StateMove, ...] = ()
        self._head_moves: tuple[HeadMove, ...] = ()

    @property
    def n_layers(self) -> int:
        """Blocks of the model; layers are 0 … n_layers."""
        return self._n_layers

    @cached_property
    def _n_dims(self) -> int:
        return self.encode_layers([""], layers=[self.layer]).shape[-1]

    @property
    def n_dims(self) -> int:
        """Width of the states at this layer."""
        return self._n_dims

    @property
    def n_vocab(self) -> int:
        """Vocabulary items the tokenizer knows; rows that only pad the head are left out."""
        return min(len(self.tokenizer), self._head.weight.shape[0])

    @property
    def fingerprint(self) -> SpaceFingerprint:
        """Weights and tokenizer by hash, layer, pooling, template, length, side of truncation and precision; moves, while there are any."""
        moves = [moves_hash(self._moves)] * bool(self._moves) + [head_moves_hash(self._head_moves)] * bool(self._head_moves)
        return replace(self._fingerprint, moves=" ".join(moves)) if moves else self._fingerprint

    @cached_property
    def _fingerprint(self) -> SpaceFingerprint:
        return SpaceFingerprint(
            kind=type(self).__name__,
            model=self.model_name,
            weights=weights_hash(self.model),
            tokenizer=tokenizer_hash(self.tokenizer),
            layer=-1 if self.layer == self._n_layers else self.layer,
            pooling=self.pooling,
            template=str(self.tokenization.template),
            max_length=self.tokenization.max_length,
            truncation=self.tokenization.truncation,
            dtype=str(next(self.model.parameters()).dtype).removeprefix("torch."),
        )

    def encode(
        self,
        texts: Sequence[str],
        *,
        batch_size: int | None = None,
        progress: Progress = iter,
        spans: Sequence[tuple[int, int]] | None = None,
    ) -> Points:
        """Points of `texts` at this layer; see :meth:`Space.encode`.

        `spans` are character ranges, one a text, for ``span`` pooling.
        """
        return self.encode_layers(texts, layers=[self.layer], batch_size=batch_size, progress=progress, spans=spans)[:, 0]

    def encode_layers(
        self,
        texts: Sequence[str],
        *,
        layers: Sequence[int],
        batch_size: int | None = None,
        progress: Progress = iter,
        spans: Sequence[tuple[int, int]] | None = None,
    ) -> Float[np.ndarray, "n_texts n_layers n_dims"]:
        """Points of several layers, pooled as this space pools, in one pass that stops at the deepest.

        Parameters
        ----------
        texts : sequence of str
            Any number, none included.
        layers : sequence of int
            0 is the embedding output, k the output of block k, -1 the last state, after the final norm.
        batch_size : int, optional
            Texts in one forward pass; texts of like length go together. Default: as many as fit so many tokens.
        progress : callable
            Wraps the iteration over batches.
        spans : sequence of (int, int), optional
            Character ranges, one a text, for ``span`` pooling.

        Returns
        -------
        ndarray of shape (n_texts, n_layers, n_dims), float32
        """
        asked = [Representation(layer, self.pooling) for layer in layers]
        return self._encode(texts, asked, batch_size=batch_size, progress=progress, spans=spans)

    def encode_representations(
        self, texts: Sequence[str], representations: Sequence[Representation], *, batch_size: int | None = None, progress: Progress = iter
    ) -> Float[np.ndarray, "n_texts n_representations n_dims"]:
        """Points of several layers and poolings in one pass that stops at the deepest layer, float32."""
        return self._encode(texts, representations, batch_size=batch_size, progress=progress, spans=None)

    def _encode(
        self,
        texts: Sequence[str],
        representations: Sequence[Representation],
        *,
        batch_size: int | None,
        progress: Progress,
        spans: Sequence[tuple[int, int]] | None,
    ) -> np.ndarray:
        asked = [(resolve_layer(wanted.layer, self._n_layers), pooling_function(wanted.pooling)) for wanted in representations]
        if not len(texts):
            return np.zeros((0, len(asked), self.n_dims), dtype=np.float32)
        tokenized = self.tokenization(texts, spans=spans)
        with evaluation_mode(self.model):
            shared = not (self._moves or self._head_moves)  # the last token of a beginning that is read once is the last of no text
            prefix = (
                Prefix.of(self.model, [text.ids for text in tokenized], [layer for layer, _ in asked], self._device) if shared else None
            )

            def forward(batch: list[TokenizedText]) -> np.ndarray:
                return self._pooled(pad_batch(batch, padding_id=self._padding_id, device=self._device), asked, prefix)

            n_shared = prefix.n_tokens if prefix else 0
            return encode_batches(tokenized, forward, device=self._device, n_shared=n_shared, most_texts=batch_size, progress=progress)

    def _pooled(self, batch: Batch, asked: list[tuple[int, Pooling]], prefix: Prefix | None) -> np.ndarray:
        layers = [layer for layer, _ in asked]
        if prefix is None:
            states = read_states(self.model, batch.ids, batch.mask, layers)
        else:
            states = prefix.read_after(self.model, batch.ids[:, prefix.n_tokens :], batch.mask, layers)
        pooled = [pool(states[layer].float(), batch.mask, batch.span) for layer, pool in asked]
        refuse_widths(layers, [tensor.shape[-1] for tensor in pooled])
        return torch.stack(pooled, dim=1).cpu().numpy()

    def token_states(self, text: str, *, layers: Sequence[int] | None = None) -> TokenStates:
        """States of every token of `text`, within the template."""
        return self.token_states_of([text], layers=layers)[0]

    def token_states_of(self, texts: Sequence[str], *, layers: Sequence[int] | None = None) -> list[TokenStates]:
        """States of every token of some texts, within the template, in one pass: give texts that fit into memory together."""
        chosen = [resolve_layer(layer, self._n_layers) for layer in (range(self._n_layers + 1) if layers is None else layers)]
        tokenized = self.tokenization(texts)
        if not tokenized:
            return []
        batch = pad_batch(tokenized, padding_id=self._padding_id, device=self._device)
        with evaluation_mode(self.model):
            read = read_states(self.model, batch.ids, batch.mask, chosen)
        refuse_widths(chosen, [read[layer].shape[-1] for layer in chosen])
        states = np.stack([read[layer].float().cpu().numpy() for layer in chosen])
        return [
            TokenStates(
                tokens=tuple(self.token_texts(text.ids.tolist())),
                ids=tuple(text.ids.tolist()),
                layers=tuple(chosen),
                states=np.ascontiguousarray(states[:, row, : len(text.ids)]),
            )
            for row, text in enumerate(tokenized)
        ]

    def truncated(self, texts: Sequence[str]) -> np.ndarray:
        """Which texts are longer than `max_length` allows."""
        return np.array([text.truncated for text in self.tokenization(texts)], dtype=bool)

    def token_counts(self, texts: Sequence[str]) -> Int[np.ndarray, " n_texts"]:
        """Tokens of each text as the model reads it, template and special ones included, after cutting."""
        return np.array([len(text.ids) for text in self.tokenization(texts)], dtype=np.int64)

    def unembedding(self) -> Float[np.ndarray, "n_vocab n_dims"]:
        """Rows of the output head for the vocabulary, without padded rows."""
        return self._head.weight[: self.n_vocab].detach().float().cpu().numpy().copy()

    def embedding(self) -> Float[np.ndarray, "n_vocab n_dims"]:
        """Rows of the input embedding for the vocabulary."""
        weight = self.model.get_input_embeddings().weight  # type: ignore[operator]
        return weight[: self.n_vocab].detach().float().cpu().numpy().copy()

    def head_input(self, points: Points) -> Points:
        """Final norm (for inner layers) and transform (for masked LMs), applied to points."""
        return self.lens_input(points, layer=self.layer)

    def logits(self, points: Points) -> Float[np.ndarray, "n_texts n_vocab"]:
        """The model's own logits at these points; at inner layers, those of the logit lens."""
        states = self._as_tensor(points)
        with evaluation_mode(self.model):
            logits = self._head.logits(self._head.head_input(states, inner=self.layer < self._n_layers))
        return logits[:, : self.n_vocab].float().cpu().numpy()

    def lens_input(self, states: Float[np.ndarray, "n n_dims"], *, layer: int) -> Float[np.ndarray, "n n_dims"]:
        """Final norm (for inner layers) and transform (for masked LMs), applied to states of `layer`."""
        inner = resolve_layer(layer, self._n_layers) < self._n_layers
        with evaluation_mode(self.model):
            return self._head.head_input(self._as_tensor(states), inner=inner).float().cpu().numpy()

    def lens_logits(self, lens_inputs: Float[np.ndarray, "n n_dims"], *, precision: str = "float32") -> Float[np.ndarray, "n n_vocab"]:
        """Logits of what :meth:`lens_input` gives; rows that only pad the head are left out."""
        with evaluation_mode(self.model):
            logits = self._head_in(precision).logits(self._as_tensor(lens_inputs))
        return logits[:, : self.n_vocab].float().cpu().numpy()

    def lens_pullback(
        self, lens_inputs: Float[np.ndarray, "n n_dims"], gradient: Float[np.ndarray, "n n_vocab"], *, precision: str = "float32"
    ) -> Float[np.ndarray, "n n_dims"]:
        """Gradient by `lens_inputs` of whatever has `gradient` by their logits."""
        with evaluation_mode(self.model):
            return self._head_in(precision).pullback(self._as_tensor(lens_inputs), self._as_tensor(gradient)).float().cpu().numpy()

    def _head_in(self, precision: str) -> OutputHead | CoarseHead:
        if precision not in ("float32", "bfloat16"):
            raise InputError(f"precision is {precision!r}; expected float32 or bfloat16.")
        return self._coarse_head if precision == "bfloat16" and self._head.weight.dtype == torch.float32 else self._head

    def _as_tensor(self, points: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(points)).to(self._device, self._head.weight.dtype)

    @contextmanager
    def moved(self, moves: Sequence[StateMove]) -> Iterator[None]:
        """Within this context states are moved while the model runs; see :meth:`SteerableSpace.moved`."""
        moves = [replace(move, layer=resolve_layer(move.layer, self._n_layers)) for move in moves]
        for move in moves:
            width = self.encode_layers([""], layers=[move.layer]).shape[-1]
            if move.vector.shape != (width,):
                raise InputError(
                    f"The vector that moves layer {move.layer} has {move.vector.size} dimensions, but states of {self.model_name} have "
                    f"{width} there. Use a direction that was found on this model."
                )
        before = self._moves
        with suppress(ModelError):  # a body without a head moves as well; a head is checked against states that nobody moves
            _ = self._head
        with moving_states(self.model, moves):
            self._moves = (*before, *moves)
            try:
                yield
            finally:
                self._moves = before

    @cached_property
    def _heads(self) -> AttentionHeads:
        return find_heads(self.model)

    @property
    def n_heads(self) -> int:
        """Attention heads of a block."""
        return self._heads.n_heads

    def head_outputs(
        self, texts: Sequence[str], *, batch_size: int | None = None, progress: Progress = iter
    ) -> Float[np.ndarray, "n_texts n_layers n_heads n_head_dims"]:
        """What every head hands to the output projection at the last token; see :meth:`HeadSpace.head_outputs`."""
        if not len(texts):
            return np.zeros((0, self._n_layers, self.n_heads, self._heads.n_head_dims), dtype=np.float32)

        def forward(part: list[TokenizedText]) -> np.ndarray:
            batch = pad_batch(part, padding_id=self._padding_id, device=self._device)
            with reading_heads(self.model, self._heads) as outputs:
                read_states(self.model, batch.ids, batch.mask, [self._n_layers])
            return torch.stack(outputs, dim=1).float().cpu().numpy()

        with evaluation_mode(self.model):
            return encode_batches(self.tokenization(texts), forward, device=self._device, most_texts=batch_size, progress=progress)

    def project_heads(self, outputs: Float[np.ndarray, "n_layers n_heads n_head_dims"]) -> Float[np.ndarray, "n_layers n_heads n_dims"]:
        """What head outputs become in the output projection, without its bias, float32."""
        if outputs.shape != (self._n_layers, self.n_heads, self._heads.n_head_dims):
            raise InputError(
                f"Head outputs have the shape {outputs.shape}; {self.model_name} has {self._n_layers} layers of {self.n_heads} heads with "
                f"{self._heads.n_head_dims} dimensions. Give what head_outputs gives, averaged over texts."
            )
        with evaluation_mode(self.model):
            return self._heads.project(self._as_tensor(outputs)).float().cpu().numpy()

    @contextmanager
    def heads_replaced(self, moves: Sequence[HeadMove]) -> Iterator[None]:
        """Within this context heads hand on what the moves say; see :meth:`HeadSpace.heads_replaced`."""
        check_head_moves(moves, self._heads)
        before = self._head_moves
        with replacing_heads(self.model, self._heads, moves):
            self._head_moves = (*before, *moves)
            try:
                yield
            finally:
                self._head_moves = before

    def generate(
        self,
        prompts: Sequence[str],
        *,
        max_new_tokens: int = 40,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int = 0,
        batch_size: int | None = None,
        progress: Progress = iter,
    ) -> list[str]:
        """What the model writes after each prompt; see :meth:`SteerableSpace.generate`."""
        bare = Tokenization(self.tokenizer, max_length=self.tokenization.max_length, truncation="left")
        return write_on(
            self.model,
            self.tokenizer,
            [text.ids for text in bare(list(prompts))],
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            top_p=top_p,
            seed=seed,
            batch_size=batch_size or 32,
            longest=self.tokenization.max_length,
            progress=progress,
        )

    def word_ids(self, word: str) -> tuple[int, ...]:
        """Ids of `word` as it continues a text: with a blank before it where the tokenizer marks word beginnings."""
        word = word.strip()
        backend = self.tokenizer.backend_tokenizer
        candidates = [backend.encode(form, add_special_tokens=False).ids for form in (f" {word}", word)]
        ids = min(candidates, key=len) if word else []
        if not ids or self.tokenizer.unk_token_id in ids:
            raise VocabularyError(
                f"The vocabulary of {self.model_name} cannot write the label word {word!r}. Choose another word for the label."
            )
        return tuple(ids)

    def token_texts(self, ids: Iterable[int]) -> list[str]:
        """What vocabulary items look like in a text, blanks included."""
        return [self.tokenizer.decode([int(i)], clean_up_tokenization_spaces=False) for i in ids]

    @cached_property
    def _head(self) -> OutputHead:
        return output_head(self.model)

    @cached_property
    def _coarse_head(self) -> CoarseHead:
        return CoarseHead.of(self._head)

    @property
    def _device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def _padding_id(self) -> int:
        for holder in (self.tokenizer, self.model.config):
            value = getattr(holder, "pad_token_id", None)
            if isinstance(value, int) and value >= 0:
                return value
        return 0


def refuse_widths(layers: Sequence[int], widths: Sequence[int]) -> None:
    """Stop where states of some layers are wider than those of others, as in OPT-350m."""
    if len(set(widths)) > 1:
        raise InputError(
            f"The layers {sorted(set(layers))} of this model differ in width and do not fit in one array. Ask for them one by one."
        )


def weights_hash(model: nn.Module, *, unused: str = "\0") -> str:
    """Sixteen hex digits over all parameters and buffers that a checkpoint would hold, but those whose names begin with `unused`."""
    state = model.state_dict()
    return array_hash((name, _as_array(state[name])) for name in sorted(state) if not name.startswith(unused))


def _as_array(tensor: torch.Tensor) -> np.ndarray:
    tensor = tensor.detach().cpu().contiguous()
    return tensor.view(torch.int16).numpy() if tensor.dtype == torch.bfloat16 else tensor.numpy()


def _auto_class(config: Any, name: str) -> Any:
    from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

    if any("ForMaskedLM" in architecture for architecture in config.architectures or []):
        return AutoModelForMaskedLM
    if type(config) in AutoModelForCausalLM._model_mapping:
        return AutoModelForCausalLM
    if type(config) in AutoModelForMaskedLM._model_mapping:
        return AutoModelForMaskedLM
    raise ModelError(f"{name} is a {type(config).__name__}, neither a causal nor a masked LM. Use SentenceEncoderSpace for other encoders.")
