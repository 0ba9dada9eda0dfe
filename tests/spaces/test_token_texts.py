"""Tokenizers of the SentencePiece kind: blanks stay where they are, whatever their decoder does at the beginning of a text."""

import copy

import numpy as np
import pytest
import torch
import transformers as tf
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from lexframe.instruments.directions.side_effects import continuation_log_loss
from lexframe.spaces import LanguageModelSpace
from lexframe.spaces.language_model.sequence_scores import separated_ids
from lexframe.spaces.token_texts import token_texts, token_texts_of, written_after
from lexframe.spaces.tokenization import Tokenization
from tests.tiny_models import tiny_model, tiny_tokenizer

WORDS = ["the", "cat", "sat", "on", "mat", "a", "dog"]
TEXT = "the cat sat on the mat"


def pieces():
    """Words with and without the mark of a blank, letters, bytes."""
    listed = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "\u2581", *(f"\u2581{word}" for word in WORDS), *WORDS]
    return {piece: number for number, piece in enumerate(dict.fromkeys([*listed, *"abcdefghijklmnopqrstuvwxyz.,"]))}


def merges(vocabulary):
    """So that a word is one piece: from left to right."""
    found = []
    for piece in sorted(vocabulary, key=len):
        if len(piece) > 1 and not piece.startswith("<"):
            for cut in range(1, len(piece)):
                if piece[:cut] in vocabulary and piece[cut:] in vocabulary:
                    found.append((piece[:cut], piece[cut:]))
    return found


def sentencepiece(kind, *, post=True):
    """A tokenizer like those of SentencePiece: the blank marked by the normalizer (``legacy``) or by Metaspace."""
    vocabulary = pieces()
    for word in WORDS:  # every beginning of a word is a piece, so that merges lead to it
        for stop in range(1, len(word) + 1):
            vocabulary.setdefault(word[:stop], len(vocabulary))
            vocabulary.setdefault(f"\u2581{word[:stop]}", len(vocabulary))
    tokenizer = Tokenizer(models.BPE(vocabulary, merges(vocabulary), unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    if kind == "legacy":
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
        tokenizer.decoder = decoders.Sequence(
            [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(content=" ", left=1)]
        )
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=kind, split=True)
        tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(prepend_scheme=kind)])
    if post:
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return tf.PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>")


KINDS = ["legacy", "first", "always", "never"]


def fast(name):
    return {"byte level": tiny_tokenizer, "word pieces": wordpiece}[name]() if name not in KINDS else sentencepiece(name)


def wordpiece():
    """A tokenizer like BERT's."""
    listed = ["[UNK]", "[CLS]", "[SEP]", *WORDS, "##s", "##t"]
    tokenizer = Tokenizer(models.WordPiece({piece: number for number, piece in enumerate(listed)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.decoder = decoders.WordPiece(cleanup=False)
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)])
    return tf.PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]")


@pytest.mark.parametrize("name", [*KINDS, "byte level", "word pieces"])
def test_the_tokens_of_a_text_spell_it(name):
    tokenizer = fast(name)
    ids = tokenizer(TEXT).input_ids
    listed = token_texts_of(tokenizer, ids, text=TEXT)
    special = set(tokenizer.all_special_ids)
    assert "".join(text for token, text in zip(ids, listed, strict=True) if token not in special) == TEXT
    assert [text for token, text in zip(ids, listed, strict=True) if token in special] == [
        tokenizer.convert_ids_to_tokens(token) for token in ids if token in special
    ]


@pytest.mark.parametrize("name", [*KINDS, "byte level", "word pieces"])
def test_a_word_that_goes_on_has_its_blank(name):
    tokenizer = fast(name)
    ids = tokenizer(TEXT, add_special_tokens=False).input_ids
    assert "".join(token_texts(tokenizer, ids)).lstrip() == TEXT
    assert sum(text.startswith(" ") for text in token_texts(tokenizer, ids[1:])) == TEXT.count(" ")
    if name in KINDS:
        assert token_texts(tokenizer, tokenizer.convert_tokens_to_ids(["\u2581the", "the", "</s>"])) == [" the", "the", "</s>"]


@pytest.mark.parametrize("name", [*KINDS, "byte level", "word pieces"])
@pytest.mark.parametrize("n_prompt", [1, 2, 4])
def test_an_answer_keeps_its_blank(name, n_prompt):
    tokenizer = fast(name)
    ids = tokenizer(TEXT, add_special_tokens=False).input_ids
    prompt = tokenizer.backend_tokenizer.decode(ids[:n_prompt])
    assert prompt + written_after(tokenizer, ids[:n_prompt], ids[n_prompt:]) == tokenizer.backend_tokenizer.decode(ids) == TEXT


@pytest.mark.parametrize("name", KINDS)
def test_bytes_become_characters_across_the_end_of_a_prompt(name):
    tokenizer = sentencepiece(name)
    ids = tokenizer("a caf\u00e9", add_special_tokens=False).input_ids
    assert tokenizer.convert_ids_to_tokens(ids)[-2:] == ["<0xC3>", "<0xA9>"]
    assert written_after(tokenizer, ids[:1], ids[1:]) == " caf\u00e9"
    assert written_after(tokenizer, ids[:-1], ids[-1:]) == "\u00e9"
    assert written_after(tokenizer, ids, []) == ""


def written(space, prompt, n):
    """Greedy ids and text of what a model writes, step by step."""
    ids = Tokenization(space.tokenizer, open_end=True)([prompt])[0].ids.tolist()
    n_prompt = len(ids)
    with torch.no_grad():
        for _ in range(n):
            ids.append(int(space.model(torch.tensor([ids])).logits[0, -1].argmax()))
    return ids, n_prompt


@pytest.mark.parametrize("kind", KINDS)
def test_the_perplexity_of_what_is_written_is_that_of_its_tokens(kind):
    tokenizer = sentencepiece(kind)
    torch.manual_seed(3)
    model = tf.LlamaForCausalLM(
        tf.LlamaConfig(vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
                       max_position_embeddings=64, bos_token_id=1, eos_token_id=2)
    ).eval()  # fmt: skip
    wanted = tokenizer.convert_tokens_to_ids([f"\u2581{word}" for word in ("sat", "on", "the", "mat", "a")])
    with torch.no_grad():  # writes words that begin with a blank, whatever it reads
        model.lm_head.weight.zero_()
        model.lm_head.weight[wanted] = torch.randn(len(wanted), 16)
    space = LanguageModelSpace(model, tokenizer=tokenizer)
    (text,) = space.generate(["the cat"], max_new_tokens=4)
    assert text.startswith(" ")
    ids, n_prompt = written(space, "the cat", 4)
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0].log_softmax(-1)
    expected = -logits[range(n_prompt - 1, len(ids) - 1), ids[n_prompt:]].mean().item()
    assert continuation_log_loss(space, ["the cat"], [text])[0] == pytest.approx(expected, abs=1e-5)
    assert "".join(space.token_states("the cat" + text, layers=[0]).tokens[1:]) == "the cat" + text


def test_a_token_that_is_typed_and_added_stands_once():
    tokenizer = sentencepiece("first")
    read = Tokenization(tokenizer)
    plain = read(["the cat"])[0].ids.tolist()
    assert plain[0] == 1
    typed, twice = (text.ids.tolist() for text in read(["<s>the cat", "<s><s>the cat"]))
    assert typed.count(1) == 1
    assert twice.count(1) == 2
    assert Tokenization(tokenizer, as_it_is=True)(["<s>the cat"])[0].ids.tolist().count(1) == 2
    assert read(["<s>the cat"])[0].span.sum() == len(typed)
    assert [ids.tolist().count(1) for ids in separated_ids(tokenizer, ["the cat", "<s>the cat"])] == [1, 1]


def test_what_a_tokenizer_puts_at_the_end_is_not_written_on_from():
    tokenizer = sentencepiece("first")
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    assert Tokenization(tokenizer)(["the cat"])[0].ids[-1] == 2
    assert Tokenization(tokenizer)(["the cat</s>"])[0].ids.tolist().count(2) == 1
    assert Tokenization(tokenizer, open_end=True)(["the cat"])[0].ids[-1] != 2
    assert Tokenization(tokenizer, open_end=True)([""])[0].ids.tolist() == [1]


SETTINGS = {
    "min_p": 0.9, "typical_p": 0.1, "top_k": 1, "top_h": 0.1, "epsilon_cutoff": 0.2, "eta_cutoff": 0.2, "repetition_penalty": 5.0,
    "no_repeat_ngram_size": 1, "bad_words_ids": [[7]], "suppress_tokens": list(range(5, 40)), "begin_suppress_tokens": [9],
    "sequence_bias": [[[11], 50.0]], "min_length": 20, "forced_eos_token_id": 3, "num_beams": 3,
    "exponential_decay_length_penalty": [1, 3.0],
    "guidance_scale": 3.0, "temperature": 0.01, "top_p": 0.05, "do_sample": True, "num_return_sequences": 2, "length_penalty": 3.0,
    "max_length": 3, "max_time": 0.0,
    "prompt_lookup_num_tokens": 3, "renormalize_logits": True,
}  # fmt: skip


@pytest.mark.parametrize("asked", [{}, {"temperature": 1.0, "seed": 3}, {"temperature": 0.7, "top_p": 0.8, "seed": 5}])
def test_settings_that_a_model_brings_never_win(asked):
    model, tokenizer = tiny_model("llama"), tiny_tokenizer()
    space = LanguageModelSpace(model, tokenizer=tokenizer)
    expected = space.generate(["the cat", "a dog on"], max_new_tokens=8, **asked)
    own = model.generation_config
    for name, value in SETTINGS.items():
        model.generation_config = brought = copy.deepcopy(own)
        setattr(brought, name, value)
        try:
            assert space.generate(["the cat", "a dog on"], max_new_tokens=8, **asked) == expected, name
            assert model.generation_config is brought
        finally:
            model.generation_config = own


def test_greedy_is_the_likeliest_token_each_time():
    space = LanguageModelSpace(tiny_model("llama"), tokenizer=tiny_tokenizer())
    ids, n_prompt = written(space, "the cat", 6)
    expected = written_after(space.tokenizer, ids[:n_prompt], ids[n_prompt:])
    assert space.generate(["the cat"], max_new_tokens=6) == [expected]
    assert np.array_equal(ids[:n_prompt], space.tokenizer("the cat").input_ids)
