"""The separator of documents, by tokenizers whose tokens and chat templates are made up."""

import pytest
import transformers as tf
from tokenizers import Tokenizer, models, pre_tokenizers

from lexframe.spaces.language_model.separator import document_separator
from lexframe.spaces.language_model.sequence_scores import separated_ids

TURNS = "{% for m in messages %}<|im_start|>{{ m['role'] }} {{ m['content'] }}<|im_end|>{% endfor %}"
ONCE = "<s>{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}{% if m['role'] == 'assistant' %}</s>{% endif %}{% endfor %}"
EXCHANGES = "{% for m in messages %}{% if m['role'] == 'user' %}<s>{% endif %}{{ m['content'] }}{% endfor %}"
ENDED = "{% for m in messages %}{{ m['content'] }}<|endoftext|>{% endfor %}"
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<s>", "</s>")


def tokenizer_with(chat=None, *, special=SPECIAL, **roles):
    words = {word: number for number, word in enumerate([*special, "the", "cat", "<|end_of_text|>"])}
    made = Tokenizer(models.WordLevel(words, unk_token="the"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.add_special_tokens(list(special))
    tokenizer = tf.PreTrainedTokenizerFast(tokenizer_object=made, **roles)
    tokenizer.chat_template = chat
    return tokenizer


@pytest.mark.parametrize(
    ("chat", "roles", "expected"),
    [
        (None, {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>"}, "<|im_start|>"),  # nothing says that it marks turns
        (TURNS, {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>"}, "<|endoftext|>"),  # as in SmolLM2-Instruct
        (TURNS, {"eos_token": "<|im_end|>"}, "<|endoftext|>"),  # as in Qwen2.5-Instruct
        (TURNS, {"bos_token": "<s>", "eos_token": "<|im_end|>"}, "<s>"),  # as in Yi-Chat
        (ONCE, {"bos_token": "<s>", "eos_token": "</s>"}, "<s>"),  # as in Mistral-Instruct
        (EXCHANGES, {"bos_token": "<s>", "eos_token": "</s>"}, "<s>"),  # as in Llama-2-chat: at every exchange, not at every turn
        (ENDED, {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"}, "<|endoftext|>"),  # as in Zephyr: it has both offices
        ("{{ raise_exception('no') }}", {"bos_token": "<|im_start|>"}, "<|im_start|>"),
        (TURNS, {}, None),
    ],
)
def test_it_is_the_beginning_of_text_unless_turns_begin_with_that(chat, roles, expected):
    tokenizer = tokenizer_with(chat, **roles)
    found = document_separator(tokenizer)
    assert expected == (None if found is None else tokenizer.convert_ids_to_tokens(found))


def test_a_word_of_that_name_is_no_separator():
    tokenizer = tokenizer_with(TURNS, special=SPECIAL[1:], bos_token="<|im_start|>")  # its <|end_of_text|> is an ordinary word
    assert tokenizer.convert_ids_to_tokens(document_separator(tokenizer)) == "<|im_start|>"


def test_texts_are_scored_after_it():
    tokenizer = tokenizer_with(TURNS, bos_token="<|im_start|>", eos_token="<|im_end|>")
    assert [tokenizer.convert_ids_to_tokens(ids.tolist()) for ids in separated_ids(tokenizer, ["cat", "<|endoftext|> cat"])] == [
        ["<|endoftext|>", "cat"]
    ] * 2
