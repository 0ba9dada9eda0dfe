"""What a folder in the format of sentence-transformers says of its encoder; what is not understood is refused by name."""

import json
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from lexframe.exceptions import InputError, ModelError
from lexframe.spaces.templates import PLACEHOLDER

MODULES = "modules.json"
_LIBRARY = "sentence_transformers."
_TRANSFORMER_FILES = tuple(
    f"sentence_{kind}_config.json" for kind in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
_POOLINGS = {
    "cls": "first",
    "max": "max",
    "mean": "mean",
    "mean_sqrt_len_tokens": "mean-sqrt-length",
    "weightedmean": "weighted-mean",
    "lasttoken": "last",
}
"""Our names by those of the library. Where a folder lists them as switches, they are concatenated in this order."""
_SWITCHES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
_HARMLESS_SETTINGS = {
    "max_seq_length", "do_lower_case", "unpad_inputs", "module_output_name", "modality_config", "transformer_task", "query_length",
    "document_length",
}  # fmt: skip
_HARMLESS_ARGUMENTS = {"torch_dtype", "dtype", "attn_implementation", "trust_remote_code", "use_safetensors", "local_files_only"}
_PLAIN_TEXT = {"method": "forward", "method_output_name": "last_hidden_state"}


@dataclass(frozen=True, slots=True)
class ModuleRecipe:
    """A module behind the transformer.

    Attributes
    ----------
    kind : {"Pooling", "Dense", "LayerNorm", "Normalize", "Dropout"}
    path : str
        Its folder within the model's.
    settings : dict
        What its ``config.json`` says.
    """

    kind: str
    path: str
    settings: dict[str, Any]


@dataclass(frozen=True, slots=True)
class EncoderRecipe:
    """What a folder says of its encoder.

    Attributes
    ----------
    transformer : str
        Folder of the transformer within the model's.
    max_length : int or None
        Tokens after which a text is cut; None is what transformer and tokenizer say.
    lower_case : bool
        Whether texts are lowered before the tokenizer reads them.
    modules : tuple of ModuleRecipe
        What comes after the transformer, in order.
    prompts : dict of str to str
        What may stand before a text, by name.
    default_prompt_name : str or None
        The prompt that is used where none is asked for.
    truncate_dim : int or None
        How many dimensions of a point are kept.
    """

    transformer: str = ""
    max_length: int | None = None
    lower_case: bool = False
    modules: tuple[ModuleRecipe, ...] = ()
    prompts: dict[str, str] = field(default_factory=dict)
    default_prompt_name: str | None = None
    truncate_dim: int | None = None

    def prompt(self, *, prompt: str | None = None, prompt_name: str | None = None) -> str:
        """What stands before each text: `prompt`, else the prompt of that name, else the default one, else nothing.

        Parameters
        ----------
        prompt : str, optional
            As it stands; empty is none.
        prompt_name : str, optional
            One of `prompts`; "query" and "document" are empty where the folder does not say otherwise.

        Raises
        ------
        InputError
            If there is no prompt of that name, or both are given.
        """
        if prompt is not None and prompt_name is not None:
            raise InputError("Both prompt and prompt_name are given. Name one of them.", parameter=["prompt", "prompt_name"])
        if prompt is None:
            known = {"query": "", "document": "", **self.prompts}
            name = self.default_prompt_name if prompt_name is None else prompt_name
            if name is not None and name not in known:
                raise InputError(
                    f"prompt_name is {name!r}, but the model knows the prompts {', '.join(map(repr, known))}.", parameter="prompt_name"
                )
            prompt = known[name] if name is not None else ""
        if PLACEHOLDER in prompt:
            raise InputError(
                f"The prompt {prompt!r} holds {PLACEHOLDER}. It stands before the text as it is; give a template to put text around.",
                parameter=["prompt", "prompt_name"],
            )
        return prompt


def read_recipe(folder: str) -> EncoderRecipe:
    """What a folder says of its encoder. A plain transformer, without ``modules.json``, says nothing.

    Parameters
    ----------
    folder : str

    Raises
    ------
    ModelError
        If a module, a setting or an activation is not understood.
    """
    listed = _read(folder, MODULES)
    if listed is None:
        return EncoderRecipe()
    if not isinstance(listed, list) or not all(isinstance(module, dict) and isinstance(module.get("type"), str) for module in listed):
        raise ModelError(f"{folder}: {MODULES} is no list of modules with their types. Download or save the model again.")
    saved = _read(folder, "config_sentence_transformers.json") or {}
    kind = saved.get("model_type", "SentenceTransformer")
    if kind != "SentenceTransformer":
        raise ModelError(f"{folder} is a {kind}, which does not give one point a text. Use a model of the type SentenceTransformer.")
    kinds = [_kind(module["type"], folder) for module in listed]
    if "Transformer" not in kinds or kinds.index("Transformer") or kinds.count("Transformer") > 1:
        raise ModelError(f"{folder} has the modules {', '.join(kinds)}; expected one Transformer, and at the beginning.")
    path = _path(listed[0], folder)
    facts: dict[str, Any] = next((found for name in _TRANSFORMER_FILES if (found := _read(folder, path, name))), {})
    _check_transformer(facts, folder)
    modules = tuple(
        ModuleRecipe(kind, _path(module, folder), _read(folder, _path(module, folder), "config.json") or {})
        for kind, module in zip(kinds[1:], listed[1:], strict=True)
    )
    if [module.kind for module in modules].count("Pooling") != 1:
        raise ModelError(f"{folder} has the modules {', '.join(kinds)}; expected exactly one Pooling, which makes one point of a text.")
    return EncoderRecipe(
        transformer=path,
        max_length=facts.get("max_seq_length"),
        lower_case=bool(facts.get("do_lower_case")),
        modules=modules,
        prompts={str(name): text or "" for name, text in (saved.get("prompts") or {}).items()},
        default_prompt_name=saved.get("default_prompt_name"),
        truncate_dim=saved.get("truncate_dim"),
    )


def pooling_of(module: ModuleRecipe, folder: str) -> str:
    """The pooling that a Pooling module asks for, such as ``mean``, or several that are concatenated, such as ``first+mean``.

    Parameters
    ----------
    module : ModuleRecipe
    folder : str
        Of the model, for messages.

    Raises
    ------
    ModelError
        If it is not known.
    """
    modes = module.settings.get("pooling_mode")
    if modes is None:
        unknown = [name for name, value in module.settings.items() if name.startswith("pooling_mode_") and value and name not in _SWITCHES]
        on = {_SWITCHES[name] for name, value in module.settings.items() if name in _SWITCHES and value}
        modes = [*unknown, *(name for name in _POOLINGS if name in on)] or ["mean"]
    modes = [modes] if isinstance(modes, str) else list(modes)
    unknown = [str(mode) for mode in modes if mode not in _POOLINGS]
    if unknown or not modes:
        raise ModelError(f"{folder} pools by {', '.join(unknown) or 'nothing'}; known are {', '.join(_POOLINGS)} and several of them.")
    return "+".join(_POOLINGS[mode] for mode in modes)


def _kind(reference: str, folder: str) -> str:
    kind = reference.rsplit(".", 1)[-1]
    if not reference.startswith(_LIBRARY):
        raise ModelError(
            f"{folder} brings a module of its own, {reference!r}, whose code is not run here. Use a model that is made of the modules of "
            "sentence-transformers."
        )
    if kind not in ("Transformer", "Pooling", "Dense", "LayerNorm", "Normalize", "Dropout"):
        raise ModelError(
            f"{folder} has a module {kind!r}, which is not supported: only Transformer, Pooling, Dense, LayerNorm, Normalize and Dropout "
            "are. Use another encoder, or import points that were made with its own library."
        )
    return kind


def _check_transformer(facts: dict[str, Any], folder: str) -> None:
    """Stop at settings of the transformer that would change points in a way that is not known here."""
    for name, value in facts.items():
        if name in _HARMLESS_SETTINGS or not value:
            continue
        if name in ("model_args", "model_kwargs", "tokenizer_args", "processor_kwargs", "config_args", "config_kwargs"):
            value = {key: each for key, each in value.items() if key not in _HARMLESS_ARGUMENTS}
            if not value:
                continue
        raise ModelError(f"{folder} has {name}={value!r} in the settings of its transformer, which is not understood here.")
    if (task := facts.get("transformer_task", "feature-extraction")) != "feature-extraction":
        raise ModelError(f"{folder} uses its transformer for {task!r}; only 'feature-extraction', the last states, is supported.")
    modalities = facts.get("modality_config") or {"text": _PLAIN_TEXT}
    if "message" in modalities:
        raise ModelError(f"{folder} puts texts into messages of a chat before it reads them, which is not supported.")
    if modalities.get("text") != _PLAIN_TEXT or facts.get("module_output_name", "token_embeddings") != "token_embeddings":
        raise ModelError(f"{folder} takes something else from its transformer than the last states of a text: {modalities}.")


def _path(module: dict[str, Any], folder: str) -> str:
    path = str(module.get("path") or "")
    if PurePosixPath(path).is_absolute() or ".." in Path(path).parts or "\\" in path:
        raise ModelError(f"{folder}: {MODULES} names the folder {path!r}, which is not within the model's. Do not use this model.")
    return path


def _read(folder: str, *parts: str) -> Any:
    path = Path(folder, *parts)
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, UnicodeDecodeError) as error:
        raise ModelError(f"{path} is no JSON document ({error}). Download or save the model again.") from error
