"""The tokenizer of a GGUF file gives the tokens of the one that it was made from."""

import pytest

from lexframe.exceptions import ModelError
from lexframe.spaces.gguf.header import read_header
from lexframe.spaces.gguf.tokenizer import read_tokenizer
from tests.gguf_files import RULES, STRINGS, pieces_as_keys, sentence_pieces, tokenizer, write


def ids(words, text):
    return words(text).input_ids


@pytest.mark.parametrize("rule", sorted(RULES))
def test_tokens_are_those_of_the_tokenizer_it_was_made_from(tmp_path, rule):
    expected, found = tokenizer(rule), read_tokenizer(read_header(write(tmp_path / "a.gguf", rule=rule)))
    if rule == "llama-bpe":  # such files begin their texts although no key says so
        found.add_bos_token = False
    for text in STRINGS:
        assert ids(found, text) == ids(expected, text)
        assert found.backend_tokenizer.encode(text).offsets == expected.backend_tokenizer.encode(text).offsets
        assert found.backend_tokenizer.decode(ids(found, text)) == expected.backend_tokenizer.decode(ids(expected, text))
    for name in ("bos_token", "eos_token", "pad_token", "unk_token"):
        assert getattr(found, name) == getattr(expected, name)
    assert {"<s>", "<pad>", "<|end|>"} <= set(found.all_special_tokens)


def test_the_rules_differ_on_these_texts():
    """Else the test above would not see a rule that is taken for another."""
    read = {rule: [tuple(ids(tokenizer(rule), text)) for text in STRINGS] for rule in RULES if rule != "stablelm2"}
    assert len({tuple(each) for each in read.values()}) == len(read)


def test_rows_that_only_pad_are_no_items_of_the_vocabulary(tmp_path):
    found = read_tokenizer(read_header(write(tmp_path / "a.gguf")))
    assert found.get_vocab() == tokenizer("smollm").get_vocab()


@pytest.mark.parametrize(
    ("rule", "change", "before", "after"),
    [
        ("smollm", {}, [], []),
        ("smollm", {"tokenizer.ggml.add_bos_token": True}, [0], []),
        ("smollm", {"tokenizer.ggml.add_bos_token": True, "tokenizer.ggml.add_eos_token": True}, [0], [2]),
        ("smollm", {"tokenizer.ggml.add_bos_token": True, "tokenizer.ggml.bos_token_id": None}, [], []),
        ("smollm", {"tokenizer.ggml.add_bos_token": None}, [], []),
        ("llama-bpe", {"tokenizer.ggml.add_bos_token": None}, [0], []),
        ("llama-bpe", {}, [], []),
    ],
)
def test_texts_begin_and_end_as_the_file_says(tmp_path, rule, change, before, after):
    found = read_tokenizer(read_header(write(tmp_path / "a.gguf", rule=rule, change=change)))
    found.save_pretrained(tmp_path / "saved")
    import transformers

    for words in (found, transformers.AutoTokenizer.from_pretrained(tmp_path / "saved")):
        assert ids(words, "the cat") == [*before, *ids(tokenizer(rule), "the cat"), *after]
        assert words.backend_tokenizer.encode("the cat").ids == ids(words, "the cat")


def test_the_chat_template_is_that_of_the_file(tmp_path):
    template = "{% for m in messages %}<s>{{ m.role }}: {{ m.content }}<|end|>{% endfor %}"
    found = read_tokenizer(read_header(write(tmp_path / "a.gguf", change={"tokenizer.chat_template": template})))
    assert found.chat_template == template


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tokenizer.ggml.model": "rwkv"}, "has a tokenizer that transformers does not read"),
        ({"tokenizer.ggml.model": None}, "holds no tokenizer"),
        ({"tokenizer.ggml.pre": "of-tomorrow"}, "cuts texts by the rule 'of-tomorrow', which is not known"),
        ({"tokenizer.ggml.pre": None}, "does not say by which rule"),
        ({"tokenizer.ggml.merges": ["no such", "pair s"]}, "has a tokenizer that transformers does not read"),
    ],
)
def test_a_tokenizer_that_cannot_be_read_is_one_line(tmp_path, change, message):
    header = read_header(write(tmp_path / "a.gguf", change=change))
    with pytest.raises(ModelError, match=message) as raised:
        read_tokenizer(header)
    assert "\n" not in str(raised.value)


def test_old_files_of_gpt2_need_no_rule(tmp_path):
    header = read_header(write(tmp_path / "a.gguf", "gpt2", rule="gpt-2", change={"tokenizer.ggml.pre": None}))
    found = read_tokenizer(header)
    for text in STRINGS:
        assert ids(found, text) == ids(tokenizer("gpt-2"), text)


@pytest.mark.parametrize("blank", [True, None, False])
def test_pieces_have_the_blanks_and_bytes_of_the_tokenizer_they_were_made_from(tmp_path, blank):
    expected = sentence_pieces(blank=blank is not False)
    found = read_tokenizer(read_header(write(tmp_path / "a.gguf", change=pieces_as_keys(expected, blank=blank))))
    for text in STRINGS:
        assert ids(found, text) == [1, *ids(expected, text)]  # such texts begin with their token, unless the file says otherwise
        for words in (found, expected):
            assert words.backend_tokenizer.decode(ids(words, text)) == expected.backend_tokenizer.decode(ids(expected, text))
    assert found.get_vocab() == expected.get_vocab()
