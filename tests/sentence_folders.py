"""Folders of small random sentence encoders, written by sentence-transformers itself."""

import json
import random
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers as tf
from torch import nn

from tests.tiny_models import tiny_tokenizer

TEXTS = [
    "the cat sat on the mat",
    "a DOG",
    "caffè and naïve words, 42 of them",
    "one two three four five six seven " * 2,
    "x",
    " two  blanks ",
]
POOLINGS = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
OLD_NAMES = ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
UNSUPPORTED = (
    "sentence_transformers.models.CNN",
    "sentence_transformers.models.LSTM",
    "sentence_transformers.models.BoW",
    "sentence_transformers.models.WordWeights",
    "sentence_transformers.models.WordEmbeddings",
    "sentence_transformers.models.WeightedLayerPooling",
    "sentence_transformers.models.Asym",
    "sentence_transformers.models.CLIPModel",
    "sentence_transformers.models.StaticEmbedding",
    "sentence_transformers.base.modules.router.Router",
    "custom_st.Transformer",
    "their_package.Pooling",
    "torch.nn.modules.activation.Tanh",
    "sentence_transformers_of_theirs.Pooling",
)
ACTIVATIONS = (nn.Tanh, nn.Identity, nn.ReLU, nn.GELU, nn.Sigmoid, nn.SiLU)
_SIZE: dict[str, Any] = {"vocab_size": 320, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
FAMILIES: dict[str, Any] = {
    "bert": lambda: tf.BertModel(tf.BertConfig(**_SIZE, max_position_embeddings=64, pad_token_id=1)),
    "roberta": lambda: tf.RobertaModel(tf.RobertaConfig(**_SIZE, max_position_embeddings=66, pad_token_id=1, type_vocab_size=1)),
    "mpnet": lambda: tf.MPNetModel(tf.MPNetConfig(**_SIZE, max_position_embeddings=66, pad_token_id=1)),
    "distilbert": lambda: tf.DistilBertModel(
        tf.DistilBertConfig(vocab_size=320, dim=16, n_layers=2, n_heads=2, hidden_dim=24, max_position_embeddings=64, pad_token_id=1)
    ),
    "t5": lambda: tf.T5EncoderModel(
        tf.T5Config(vocab_size=320, d_model=16, d_kv=8, num_layers=2, num_heads=2, d_ff=24, pad_token_id=1, decoder_start_token_id=1)
    ),
    "qwen3": lambda: tf.Qwen3Model(
        tf.Qwen3Config(
            **_SIZE, num_key_value_heads=1, head_dim=8, max_position_embeddings=64, pad_token_id=1, bos_token_id=0, eos_token_id=0
        )
    ),
    "fnet": lambda: tf.FNetModel(
        tf.FNetConfig(vocab_size=320, hidden_size=16, num_hidden_layers=2, intermediate_size=24, max_position_embeddings=64, pad_token_id=1)
    ),
    "convbert": lambda: tf.ConvBertModel(tf.ConvBertConfig(**_SIZE, embedding_size=16, max_position_embeddings=64, pad_token_id=1)),
    "mobilebert": lambda: tf.MobileBertModel(
        tf.MobileBertConfig(
            **_SIZE, embedding_size=16, true_hidden_size=16, intra_bottleneck_size=16, max_position_embeddings=64, pad_token_id=1
        )
    ),
    "xlnet": lambda: tf.XLNetModel(tf.XLNetConfig(vocab_size=320, d_model=16, n_layer=2, n_head=2, d_inner=24, pad_token_id=1)),
}


def transformer_folder(family: str, folder: Path, *, seed: int = 0) -> str:
    """Write a random transformer with its tokenizer."""
    torch.manual_seed(seed)
    model = FAMILIES[family]().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    tokenizer_for(family).save_pretrained(folder)
    return str(folder)


def tokenizer_for(family: str) -> Any:
    """The tiny tokenizer, with the segment numbers of XLNet for it."""
    from tokenizers import Tokenizer, processors

    if family != "xlnet":
        return tiny_tokenizer(masked=family not in ("qwen3",))
    backend = Tokenizer.from_str(tiny_tokenizer(masked=False).backend_tokenizer.to_str())
    backend.post_processor = processors.TemplateProcessing(single="$A:0 <s>:2", special_tokens=[("<s>", 0)])
    return tf.PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", eos_token="<s>", pad_token="<pad>", padding_side="left")


def write_encoder(
    folder: Path,
    family: str,
    *,
    pooling: tuple[str, ...],
    includes_prompt: bool = True,
    dense: bool = False,
    default: str | None = None,
    length: int | None = None,
) -> str:
    """Write an encoder of a given make; gives its folder."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer import modules

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parts: list[Any] = [
            modules.Transformer(transformer_folder(family, folder / "transformer"), max_seq_length=length),
            modules.Pooling(16, pooling, include_prompt=includes_prompt),
        ]
        if dense:
            torch.manual_seed(5)
            parts.append(modules.Dense(16 * len(pooling), 10))
        library = SentenceTransformer(
            modules=parts, device="cpu", prompts={"query": "find this: ", "document": ""}, default_prompt_name=default
        )
        library.save(str(folder / "encoder"))
    return str(folder / "encoder")


def write_module(folder: str, kind: str, **settings: Any) -> None:
    """Put a further module at the end of the list of an encoder."""
    path = Path(folder, "modules.json")
    path.write_text(json.dumps([*json.loads(path.read_text()), {"idx": 9, "name": "9", "path": "9_More", "type": kind}]))
    Path(folder, "9_More").mkdir(exist_ok=True)
    Path(folder, "9_More", "config.json").write_text(json.dumps(settings))


def random_encoder(folder: Path, number: int) -> dict[str, Any]:
    """Write an encoder of a random configuration; gives that configuration, with what to call ``encode`` with."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer import modules

    draw = random.Random(number)
    family = draw.choice(sorted(FAMILIES))
    lower = draw.random() < 0.3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        source = transformer_folder(family, folder / "transformer", seed=number)
        length = draw.choice([None, 8, 20])
        parts: list[Any] = [modules.Transformer(source, max_seq_length=length, do_lower_case=lower)]
        poolings = tuple(draw.sample(POOLINGS, draw.choice([1, 1, 1, 2, 3])))
        includes = draw.random() < 0.7
        width = 16
        if draw.random() < 0.2:
            parts.append(modules.Dense(16, 12, module_input_name="token_embeddings"))
            width = 12
        parts.append(modules.Pooling(width, poolings, include_prompt=includes))
        width *= len(poolings)
        torch.manual_seed(number)
        after = []
        for _ in range(draw.choice([0, 0, 1, 2, 3])):
            kind = draw.choice(["Dense", "Normalize", "LayerNorm", "Dropout"])
            after.append(kind)
            if kind == "Dense":
                out = draw.choice([10, width])
                activation = draw.choice(ACTIVATIONS)
                dense = modules.Dense(
                    width, out, bias=draw.random() < 0.5, activation_function=activation(), use_residual=draw.random() < 0.3
                )
                parts.append(dense)
                width = out
            elif kind == "Normalize":
                parts.append(modules.Normalize())
            elif kind == "LayerNorm":
                norm = modules.LayerNorm(width)
                nn.init.normal_(norm.norm.weight)
                nn.init.normal_(norm.norm.bias)
                parts.append(norm)
            else:
                parts.append(modules.Dropout(0.5))
        prompts = {"query": "find this: ", "document": "", "long": "a long instruction of several words here: "}
        default = draw.choice([None, None, "query", "long"])
        truncate = draw.choice([None, None, 5])
        library = SentenceTransformer(modules=parts, device="cpu", prompts=prompts, default_prompt_name=default, truncate_dim=truncate)
        saved = folder / "encoder"
        library.save(str(saved))
    layout = draw.choice(["new", "switches", "older name", "0_Transformer"])
    if layout != "new":
        _make_older(saved, layout, draw)
    given = draw.choice([{}, {}, {"prompt_name": "query"}, {"prompt_name": "long"}, {"prompt": "so: "}, {"prompt": ""}])
    return {
        "folder": str(saved), "transformer": source, "family": family, "poolings": poolings, "includes_prompt": includes, "after": after,
        "default": default,
        "truncate_dim": truncate, "layout": layout, "max_length": length, "lower": lower, "given": given,
    }  # fmt: skip


def _make_older(saved: Path, layout: str, draw: random.Random) -> None:
    """Turn a new folder into what earlier versions wrote."""
    pooling_file = next(path for path in saved.glob("*_Pooling/config.json"))
    settings = json.loads(pooling_file.read_text())
    modes = settings.pop("pooling_mode")
    modes = [modes] if isinstance(modes, str) else modes
    names = {
        mode: f"pooling_mode_{mode}" if mode.endswith("_tokens") or mode == "lasttoken" else f"pooling_mode_{mode}_tokens"
        for mode in POOLINGS
    }
    names["cls"] = "pooling_mode_cls_token"
    settings["word_embedding_dimension"] = settings.pop("embedding_dimension")
    settings |= {names[mode]: mode in modes for mode in POOLINGS}
    pooling_file.write_text(json.dumps(settings))
    modules = json.loads((saved / "modules.json").read_text())
    for module in modules:
        module["type"] = f"sentence_transformers.models.{module['type'].rsplit('.', 1)[-1]}"
    facts_file = saved / "sentence_bert_config.json"
    facts = json.loads(facts_file.read_text())
    facts = {name: facts[name] for name in ("max_seq_length", "do_lower_case") if name in facts}
    facts_file.unlink()
    name = "bert" if layout == "switches" else draw.choice(OLD_NAMES)
    (saved / f"sentence_{name}_config.json").write_text(json.dumps(facts))
    if layout == "0_Transformer":
        inner = saved / "0_Transformer"
        inner.mkdir()
        for path in list(saved.iterdir()):
            if path.is_file() and path.name not in ("modules.json", "config_sentence_transformers.json", "README.md"):
                shutil.move(path, inner / path.name)
        modules[0]["path"] = "0_Transformer"
    (saved / "modules.json").write_text(json.dumps(modules))


def library_points(configuration: dict[str, Any], texts: list[str] = TEXTS, **options: Any) -> np.ndarray:
    """What sentence-transformers itself gives."""
    from sentence_transformers import SentenceTransformer

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        library = SentenceTransformer(configuration["folder"], device="cpu")
        return np.stack([library.encode(text, show_progress_bar=False, **(configuration["given"] | options)) for text in texts])
