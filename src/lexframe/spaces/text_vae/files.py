"""A text VAE with its tokenizers: made from named models or from nothing, written to a folder and opened again.

The folder holds ``vae.json``, the configurations of encoder and decoder, the tokenizers, and one ``model.safetensors``. A frozen part
is not copied into it: the folder names the model and the hash of its weights, and a model with other weights is refused.
"""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from lexframe.exceptions import FingerprintMismatch, InputError, ModelError
from lexframe.files import replacing_files, write_json
from lexframe.spaces.language_model.layers import longest_input
from lexframe.spaces.loading import EMBEDDED_VAE, embedded_vae_folder, load_config, load_tokenizer, load_weights
from lexframe.spaces.resolving import resolve_model
from lexframe.spaces.text_vae.network import LatentShape, TextVAENetwork
from lexframe.spaces.text_vae.small_networks import SmallParts, small_networks
from lexframe.spaces.text_vae.texts import VAETexts
from lexframe.spaces.tokenization import tokenizer_hash
from lexframe.spaces.weights import weights_hash

SMALL = "small"
"""Name of an encoder or decoder that starts from random weights."""
TRAINING_ONLY = "to_words."
"""The bag of words serves the objective alone: it is neither stored nor part of a fingerprint."""
_FORMAT = 1
_POOLER = ("pooler.",)
"""BERT and its kin bring a pooling of their own, which is not used here."""


@dataclass(frozen=True, slots=True, eq=False)
class TextVAEModel:
    """Network and tokenizers.

    Attributes
    ----------
    network : TextVAENetwork
    texts : VAETexts
    frozen : dict of str to str
        Which of ``encoder`` and ``decoder`` are not trained, and the name of the model each of them is.
    shared_words : bool
        Whether encoder and decoder have one table of word vectors.
    """

    network: TextVAENetwork
    texts: VAETexts
    frozen: dict[str, str]
    shared_words: bool


def build_text_vae(
    shape: LatentShape,
    *,
    encoder: str = SMALL,
    decoder: str = SMALL,
    train_encoder: bool = True,
    train_decoder: bool = True,
    tokenizer: Any = None,
    small: SmallParts | None = None,
) -> TextVAEModel:
    """A text VAE before its training.

    Parameters
    ----------
    shape : LatentShape
        Of the latent.
    encoder, decoder : str
        ``"small"``, ``"embedded"``, a folder or a hub id. A small encoder shares its word vectors with the decoder where their
        widths agree.
    train_encoder, train_decoder : bool
        False keeps the named model as it is, and only what stands between it and the latent is trained.
    tokenizer : PreTrainedTokenizerFast, optional
        For a small decoder.
    small : SmallParts, optional
        Sizes of what starts from random weights.

    Raises
    ------
    InputError
        If settings exclude each other.
    ModelError
        If a model cannot be opened or used.
    """
    from transformers import AutoModel, AutoModelForCausalLM

    for name, model, trained in (("encoder", encoder, train_encoder), ("decoder", decoder, train_decoder)):
        if model == SMALL and not trained:
            raise InputError(f"A small {name} starts from random weights, so it must be trained. Train it, or name a model as {name}.")
    if decoder == SMALL:
        if tokenizer is None:
            raise InputError("A small decoder needs a tokenizer: pass one, such as train_tokenizer makes.")
        writer: Any = None
    else:
        source = resolve_model(decoder)
        load_config(source)
        tokenizer = load_tokenizer(source)
        writer = load_weights(AutoModelForCausalLM, source, dtype="float32")
    reader: Any = None
    reader_tokenizer: Any = None
    if shape.n_latent and encoder != SMALL:
        source = resolve_model(encoder)
        load_config(source)
        reader_tokenizer = load_tokenizer(source)
        reader = _without_pooler(load_weights(AutoModel, source, dtype="float32", unused=_POOLER))
        if tokenizer_hash(reader_tokenizer) == tokenizer_hash(tokenizer):
            reader_tokenizer = None
    small = small or SmallParts()
    width = small.d_model if writer is None else int(writer.get_input_embeddings().weight.shape[1])
    vocab_size = len(tokenizer) if writer is None else int(writer.get_input_embeddings().weight.shape[0])
    small_reader, small_writer = small_networks(
        vocab_size,
        shape,
        replace(small, d_model=width, decoder_layers=small.decoder_layers if writer is None else 1),
        token_ids={
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id,
        },
    )
    writer = small_writer if writer is None else writer
    shared = shape.n_latent > 0 and encoder == SMALL
    if shared:
        reader = small_reader
        reader.set_input_embeddings(writer.get_input_embeddings())
    frozen = {
        name: model
        for name, model, trained in (("encoder", encoder, train_encoder), ("decoder", decoder, train_decoder))
        if not trained and (name == "decoder" or shape.n_latent)
    }
    return _assembled(shape, reader, writer, tokenizer, reader_tokenizer, frozen, shared)


def _assembled(
    shape: LatentShape, encoder: Any, decoder: Any, tokenizer: Any, encoder_tokenizer: Any, frozen: dict[str, str], shared: bool
) -> TextVAEModel:
    network = TextVAENetwork(encoder, decoder, shape)
    for name in frozen:
        model_part(network, name).requires_grad_(False)
    room = longest_input(encoder, encoder_tokenizer or tokenizer) if encoder is not None else 0
    if encoder is not None and encoder_tokenizer is None and shape.max_tokens + 1 > room:
        raise InputError(f"max_tokens is {shape.max_tokens}, but the encoder takes {room - 1}.")
    texts = VAETexts(tokenizer, encoder_tokenizer=encoder_tokenizer, max_tokens=shape.max_tokens, encoder_room=room)
    return TextVAEModel(network=network, texts=texts, frozen=frozen, shared_words=shared)


def model_part(network: TextVAENetwork, name: str) -> nn.Module:
    """The transformers model that is ``encoder`` or ``decoder`` of a network."""
    part: nn.Module = network.decoder.model if name == "decoder" else network.encoder
    return part


def trained_tensors(model: TextVAEModel) -> dict[str, torch.Tensor]:
    """The parameters that training changes, by name; shared ones once, those of frozen parts not."""
    prefixes = tuple("decoder.model." if name == "decoder" else "encoder." for name in model.frozen)
    return {name: tensor for name, tensor in model.network.named_parameters() if not prefixes or not name.startswith(prefixes)}


def stored_tensors(model: TextVAEModel) -> dict[str, torch.Tensor]:
    """The trained parameters that the model is used with."""
    return {name: tensor for name, tensor in trained_tensors(model).items() if not name.startswith(TRAINING_ONLY)}


def save_text_vae(
    model: TextVAEModel, folder: str | Path, *, facts: dict[str, Any] | None = None, dtype: torch.dtype = torch.bfloat16
) -> Path:
    """Write a folder that :func:`load_text_vae` opens; each file whole or not at all.

    Parameters
    ----------
    model : TextVAEModel
    folder : str or Path
    facts : dict, optional
        Goes into ``training.json``.
    dtype : torch.dtype
        Of the weights.
    """
    from safetensors.torch import save_file

    network = model.network
    with replacing_files(folder) as temporary:
        tensors = {name: tensor.detach().to("cpu", dtype).contiguous() for name, tensor in stored_tensors(model).items()}
        save_file(tensors, temporary / "model.safetensors", metadata={"format": "pt"})
        document: dict[str, Any] = {"format": _FORMAT, "shape": asdict(network.shape), "shared_words": model.shared_words, "frozen": {}}
        for name, part in (("encoder", getattr(network, "encoder", None)), ("decoder", network.decoder.model)):
            if name in model.frozen:
                document["frozen"][name] = {"model": model.frozen[name], "weights": weights_hash(model_part(network, name))}
            elif part is not None:
                # Where a model was read from is a path of this machine, and serves nobody else.
                document[name] = {key: value for key, value in part.config.to_dict().items() if key != "_name_or_path"}
        write_json(temporary / "vae.json", _plain(document))
        model.texts.tokenizer.save_pretrained(temporary)
        if facts is not None:
            write_json(temporary / "training.json", facts)
    if model.texts.encoder_tokenizer is not None and "encoder" not in model.frozen:
        with replacing_files(Path(folder) / "encoder") as temporary:
            model.texts.encoder_tokenizer.save_pretrained(temporary)
    return Path(folder)


def load_text_vae(name: str, *, max_tokens: int | None = None) -> TextVAEModel:
    """Open a folder that :func:`save_text_vae` wrote; in evaluation mode, float32.

    Parameters
    ----------
    name : str
        The folder, or ``"embedded-vae"``.
    max_tokens : int, optional
        Tokens of a text at most, as far as encoder and decoder have room; no weight depends on it. Default: as it was trained.

    Raises
    ------
    ModelError
        If the folder is none, or its files are damaged or do not belong together.
    FingerprintMismatch
        If a frozen part is not the model it was trained with.
    """
    # Networks are drawn at random before the file's weights take their place; the caller's random state is not ours.
    with torch.random.fork_rng(devices=()):
        return _opened(name, _Stored.read(name, text_vae_folder(name)), max_tokens)


@dataclass(frozen=True, slots=True, eq=False)
class _Stored:
    """What a folder says of a text VAE."""

    folder: Path
    shape: LatentShape
    shared_words: bool
    frozen: dict[str, tuple[str, str]]
    """Name and weights hash of the model that each frozen part is."""
    configs: dict[str, Any]
    tensors: dict[str, torch.Tensor]

    @classmethod
    def read(cls, name: str, folder: Path) -> "_Stored":
        from safetensors.torch import load_file
        from transformers import AutoConfig

        try:
            document = json.loads((folder / "vae.json").read_text(encoding="utf-8"))
            if document["format"] != _FORMAT:
                raise ModelError(
                    f"{name} is in format {document['format']} of text VAEs; this version reads {_FORMAT}. Use the version that wrote it."
                )
            shape = LatentShape(**document["shape"])
            frozen = {part: (str(kept["model"]), str(kept["weights"])) for part, kept in document["frozen"].items()}
            own = {part: dict(document[part]) for part in ("encoder", "decoder") if part in document and part not in frozen}
            if missing := {"encoder", "decoder"}.difference(frozen, own, () if shape.n_latent else ("encoder",)):
                raise ModelError(f"{name} cannot be opened as a text VAE: vae.json does not describe its {missing.pop()}. Copy it again.")
            return cls(
                folder=folder,
                shape=shape,
                shared_words=bool(document["shared_words"]),
                frozen=frozen,
                configs={part: AutoConfig.for_model(config.pop("model_type"), **config) for part, config in own.items()},
                tensors=load_file(folder / "model.safetensors"),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
            raise error if isinstance(error, InputError) else _damaged(name, f"{type(error).__name__}: {error}") from error


def _opened(name: str, stored: _Stored, max_tokens: int | None) -> TextVAEModel:
    from transformers import AutoModel, AutoModelForCausalLM

    parts: dict[str, Any] = {"encoder": None}
    tokenizers: dict[str, Any] = {}
    for part, auto_class in (("encoder", AutoModel), ("decoder", AutoModelForCausalLM)):
        if part in stored.frozen:
            model_name, weights = stored.frozen[part]
            source = resolve_model(model_name)
            parts[part] = _without_pooler(load_weights(auto_class, source, dtype="float32", unused=_POOLER))
            found = weights_hash(parts[part])
            if found != weights:
                raise FingerprintMismatch(
                    weights, found, f"The frozen {part} of {name}", advice=f"Name the model {model_name} that it was trained with."
                )
            tokenizers[part] = load_tokenizer(source)
        elif part in stored.configs:
            parts[part] = _without_pooler(auto_class.from_config(stored.configs[part]))
    tokenizer = load_tokenizer(str(stored.folder))
    encoder_tokenizer = tokenizers.get("encoder")
    if encoder_tokenizer is None and (stored.folder / "encoder").is_dir():
        encoder_tokenizer = load_tokenizer(str(stored.folder / "encoder"))
    if encoder_tokenizer is not None and tokenizer_hash(encoder_tokenizer) == tokenizer_hash(tokenizer):
        encoder_tokenizer = None
    if stored.shared_words:
        parts["encoder"].set_input_embeddings(parts["decoder"].get_input_embeddings())
    shape = stored.shape
    if max_tokens is not None:
        rooms = [longest_input(parts["decoder"], None)]
        if parts["encoder"] is not None and encoder_tokenizer is None:  # one with a tokenizer of its own cuts by itself
            rooms.append(longest_input(parts["encoder"], tokenizer))
        shape = replace(shape, max_tokens=min(max_tokens, min(rooms) - 1))
    names = {part: model_name for part, (model_name, _) in stored.frozen.items()}
    model = _assembled(shape, parts["encoder"], parts["decoder"], tokenizer, encoder_tokenizer, names, stored.shared_words)
    take_tensors(stored_tensors(model), stored.tensors, name)
    model.network.eval()
    return model


def take_tensors(wanted: dict[str, torch.Tensor], tensors: dict[str, torch.Tensor], name: str) -> None:
    """Copy tensors from a file into parameters of the network.

    Parameters
    ----------
    wanted : dict of str to Tensor
        From :func:`stored_tensors` or :func:`trained_tensors`.
    tensors : dict of str to Tensor
        From the file.
    name : str
        Of the file, for messages.

    Raises
    ------
    ModelError
        If one is missing, left over, or of another shape.
    """
    wrong = sorted(set(wanted) ^ set(tensors)) or [key for key in wanted if wanted[key].shape != tensors[key].shape]
    if wrong:
        raise _damaged(name, f"its weights do not fit: {wrong[0]}")
    with torch.no_grad():
        for key, parameter in wanted.items():
            parameter.copy_(tensors[key])


def text_vae_folder(name: str) -> Path:
    """Folder of a text VAE.

    Raises
    ------
    ModelError
        If there is none of that name.
    """
    folder = embedded_vae_folder() if name == EMBEDDED_VAE else Path(name)
    if not (folder / "vae.json").is_file():
        raise ModelError(
            f"{name} is no folder of a text VAE: it has no vae.json. Name the folder that 'lexframe vae train' made, or '{EMBEDDED_VAE}'."
        )
    return folder


def _without_pooler(model: Any) -> Any:
    if getattr(model, "pooler", None) is not None:
        model.pooler = None
    return model


def _damaged(name: str, reason: str) -> ModelError:
    return ModelError(f"{name} cannot be opened as a text VAE ({reason.splitlines()[0][:160]}). Copy it again, or train it again.")


def _plain(document: Any) -> Any:
    """Configurations hold dtypes, which JSON does not know."""
    return json.loads(json.dumps(document, default=lambda value: str(value).removeprefix("torch.")))
