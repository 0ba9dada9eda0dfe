"""Tiny random models of every supported family, built from configurations: no download."""

import functools
import json
from pathlib import Path
from typing import Any

import torch
import transformers as tf
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

TEXTS = [
    "the cat sat on the mat",
    "a dog",
    "",
    "  ",
    "caffè and naïve words, 42 of them",
    "one two three four five six seven eight nine ten eleven twelve",
    "x",
]

_SIZE = {"vocab_size": 320, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48}
_GQA = {**_SIZE, "num_key_value_heads": 2, "max_position_embeddings": 64}
_IDS = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 0}

CAUSAL: dict[str, Any] = {
    "gpt2": lambda: tf.GPT2LMHeadModel(tf.GPT2Config(vocab_size=320, n_embd=32, n_layer=3, n_head=4, n_positions=64, **_IDS)),
    "opt": lambda: tf.OPTForCausalLM(
        tf.OPTConfig(
            vocab_size=320,
            hidden_size=32,
            word_embed_proj_dim=32,
            num_hidden_layers=3,
            num_attention_heads=4,
            ffn_dim=48,
            max_position_embeddings=64,
            **_IDS,
        )
    ),
    "gpt_neox": lambda: tf.GPTNeoXForCausalLM(tf.GPTNeoXConfig(**_SIZE, max_position_embeddings=64, **_IDS)),
    "llama": lambda: tf.LlamaForCausalLM(tf.LlamaConfig(**_GQA, **_IDS)),
    "llama_tied": lambda: tf.LlamaForCausalLM(tf.LlamaConfig(**_GQA, tie_word_embeddings=True, **_IDS)),
    "mistral": lambda: tf.MistralForCausalLM(tf.MistralConfig(**_GQA, sliding_window=8, **_IDS)),
    "qwen2": lambda: tf.Qwen2ForCausalLM(tf.Qwen2Config(**_GQA, **_IDS)),
    "qwen3": lambda: tf.Qwen3ForCausalLM(tf.Qwen3Config(**_GQA, head_dim=8, **_IDS)),
    "gemma2": lambda: tf.Gemma2ForCausalLM(
        tf.Gemma2Config(**_GQA, head_dim=8, sliding_window=8, final_logit_softcapping=0.5, attn_logit_softcapping=5.0, **_IDS)
    ),
    "gemma3": lambda: tf.Gemma3ForCausalLM(tf.Gemma3TextConfig(**_GQA, head_dim=8, sliding_window=8, **_IDS)),
    "phi": lambda: tf.PhiForCausalLM(tf.PhiConfig(**_SIZE, max_position_embeddings=64, **_IDS)),
    "cohere": lambda: tf.CohereForCausalLM(tf.CohereConfig(**_GQA, logit_scale=0.3, **_IDS)),
    "granite": lambda: tf.GraniteForCausalLM(tf.GraniteConfig(**_GQA, logits_scaling=4.0, **_IDS)),
    "mixtral": lambda: tf.MixtralForCausalLM(tf.MixtralConfig(**_GQA, num_local_experts=4, num_experts_per_tok=2, **_IDS)),
    "qwen2_moe": lambda: tf.Qwen2MoeForCausalLM(
        tf.Qwen2MoeConfig(
            **_GQA, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=16, shared_expert_intermediate_size=16, **_IDS
        )
    ),
}
_MASKED_IDS = {"pad_token_id": 1}
MASKED: dict[str, Any] = {
    "bert": lambda: tf.BertForMaskedLM(tf.BertConfig(**_SIZE, max_position_embeddings=64, **_MASKED_IDS)),
    "roberta": lambda: tf.RobertaForMaskedLM(tf.RobertaConfig(**_SIZE, max_position_embeddings=64, **_MASKED_IDS)),
    "modernbert": lambda: tf.ModernBertForMaskedLM(
        tf.ModernBertConfig(
            **_SIZE,
            max_position_embeddings=64,
            global_attn_every_n_layers=2,
            local_attention=8,
            cls_token_id=0,
            sep_token_id=0,
            bos_token_id=0,
            eos_token_id=0,
            **_MASKED_IDS,
        )
    ),
}
_SHORT = {"vocab_size": 320, "d_model": 32, "decoder_layers": 3, "decoder_attention_heads": 4, "decoder_ffn_dim": 48}
OTHERS: dict[str, Any] = {
    "mpt": lambda: tf.MptForCausalLM(tf.MptConfig(vocab_size=320, d_model=32, n_layers=3, n_heads=4, max_seq_len=64)),
    "mamba": lambda: tf.MambaForCausalLM(tf.MambaConfig(vocab_size=320, hidden_size=32, num_hidden_layers=3, state_size=4, **_IDS)),
    "rwkv": lambda: tf.RwkvForCausalLM(
        tf.RwkvConfig(vocab_size=320, hidden_size=32, attention_hidden_size=32, num_hidden_layers=3, intermediate_size=48, **_IDS)
    ),
    "lfm2": lambda: tf.Lfm2ForCausalLM(
        tf.Lfm2Config(**_GQA, layer_types=["conv", "full_attention", "conv"], block_auto_adjust_ff_dim=False)
    ),
    "ctrl": lambda: tf.CTRLLMHeadModel(tf.CTRLConfig(vocab_size=320, n_positions=64, n_embd=32, dff=48, n_layer=3, n_head=4)),
    "mbart": lambda: tf.MBartForCausalLM(tf.MBartConfig(**_SHORT, max_position_embeddings=64, **_IDS)),
    "pegasus": lambda: tf.PegasusForCausalLM(tf.PegasusConfig(**_SHORT, max_position_embeddings=64, **_IDS)),
    "falcon_h1": lambda: tf.FalconH1ForCausalLM(
        tf.FalconH1Config(
            **_GQA, mamba_d_ssm=64, mamba_n_heads=4, mamba_d_head=16, mamba_d_state=8, mamba_chunk_size=8, lm_head_multiplier=0.25, **_IDS
        )
    ),
}
OTHERS_MASKED: dict[str, Any] = {
    "distilbert": lambda: tf.DistilBertForMaskedLM(
        tf.DistilBertConfig(vocab_size=320, dim=32, n_layers=3, n_heads=4, hidden_dim=48, max_position_embeddings=64, pad_token_id=1)
    ),
    "electra": lambda: tf.ElectraForMaskedLM(tf.ElectraConfig(**_SIZE, embedding_size=16, max_position_embeddings=64, pad_token_id=1)),
    "albert": lambda: tf.AlbertForMaskedLM(tf.AlbertConfig(**_SIZE, embedding_size=16, max_position_embeddings=64, pad_token_id=1)),
    "esm": lambda: tf.EsmForMaskedLM(
        tf.EsmConfig(
            **_SIZE, max_position_embeddings=70, position_embedding_type="rotary", token_dropout=False, mask_token_id=2, pad_token_id=1
        )
    ),
    "fnet": lambda: tf.FNetForMaskedLM(
        tf.FNetConfig(vocab_size=320, hidden_size=32, num_hidden_layers=3, intermediate_size=48, max_position_embeddings=64, pad_token_id=1)
    ),
    "convbert": lambda: tf.ConvBertForMaskedLM(tf.ConvBertConfig(**_SIZE, embedding_size=32, max_position_embeddings=64, pad_token_id=1)),
}
"""Families that differ from those above in where their parts are and what neighbors do to them; their numbers are held against
transformers in the tests of those modules."""
FAMILIES = sorted([*CAUSAL, *MASKED])
FEW_CAUSAL = ("gemma2", "gpt2", "llama", "mixtral")
"""Four that differ most, for what does not depend on a family's own code: soft caps and sliding windows on scaled embeddings;
learned positions and tied, transposed weights; the common build with grouped heads; experts."""
FEW_FAMILIES = ("bert", *FEW_CAUSAL)


@functools.cache
def tiny_tokenizer(*, masked: bool = False) -> Any:
    """A byte-level BPE of 300 tokens (the models have 320 rows: 20 only pad), with [CLS] … [SEP] for masked models."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<s>", "<pad>"], initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False
    )
    tokenizer.train_from_iterator([" ".join(TEXTS)] * 3 + [" cat dog mat sat good bad"] * 4, trainer)
    if masked:
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A <s>", special_tokens=[("<s>", 0)])
    return tf.PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="<s>", pad_token="<pad>")


@functools.cache
def tiny_model(family: str) -> Any:
    """The family's model with random weights large enough that layers and heads matter; in evaluation mode."""
    torch.manual_seed(sum(map(ord, family)))
    model = {**CAUSAL, **MASKED, **OTHERS, **OTHERS_MASKED}[family]().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 1:  # norms and biases, which start at one and zero, would otherwise hide mistakes
                parameter.add_(0.3 * torch.randn_like(parameter))
            elif "embed" not in name and "wte" not in name:
                parameter.mul_(2 if family in OTHERS or family in OTHERS_MASKED else 4)
    return model


def tiny_space(family: str, **options: Any) -> Any:
    """A language model space over the tiny model of that family."""
    from lexframe.spaces import LanguageModelSpace

    return LanguageModelSpace(tiny_model(family), tokenizer=tiny_tokenizer(masked=family in MASKED or family in OTHERS_MASKED), **options)


def save_tiny_encoder(folder: Path) -> str:
    """Write a random sentence encoder that pools the first token, in the format of sentence-transformers; gives its name."""
    torch.manual_seed(7)
    config = tf.BertConfig(**_SIZE, max_position_embeddings=64, pad_token_id=1)
    tf.BertModel(config).eval().save_pretrained(folder)
    tiny_tokenizer(masked=True).save_pretrained(folder)
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    kinds = {"": "sentence_transformers.models.Transformer", "1_Pooling": "sentence_transformers.models.Pooling"}
    (folder / "modules.json").write_text(json.dumps([{"path": path, "type": kind} for path, kind in kinds.items()]))
    return str(folder)
