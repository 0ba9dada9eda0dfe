"""Answers that match a grammar."""

import re
import sys

import pytest
import torch

from lexframe.exceptions import InputError, MissingExtraError, ModelError
from lexframe.spaces.language_model.constrained import Constraint, Grammars
from tests.spaces.language_model.test_chat import chatting, in_order, smol  # noqa: F401  a fixture
from tests.tiny_models import tiny_tokenizer

pytest.importorskip("llguidance", reason="until the extra verbal is installed")

NUMBER = r"-?[0-9]{1,4}(\.[0-9]{1,2})?"
WORDS = ("regex", "cat|dog|mat sat")
LIST = ("lark", 'start: "[" /[0-9]{1,2}/ ("," /[0-9]{1,2}/){0,2} "]"')


@pytest.mark.parametrize("temperature", [0.0, 2.0])
@pytest.mark.parametrize("family", ["llama", "gpt2"])  # the head has 20 rows that no token of the tokenizer stands for
def test_whatever_a_model_would_say_it_matches(family, temperature):
    chat = chatting(family).chat_model
    asked = [[("user", word)] for word in ("cat", "dog", "x", "one two", "mat", "sat")]
    grammars = [("regex", NUMBER), WORDS, LIST] * 2
    found = in_order(chat.write(asked, max_new_tokens=30, temperature=temperature, grammars=grammars, seeds=range(6)))
    for (kind, text), answer in zip(grammars, found, strict=True):
        pattern = text if kind == "regex" else r"\[[0-9]{1,2}(,[0-9]{1,2}){0,2}\]"
        assert re.fullmatch(pattern, answer.text), answer
        assert answer.n_new_tokens < 30


def test_a_free_row_beside_a_held_one_says_what_it_says_alone():
    chat = chatting().chat_model
    asked = [[("user", "cat")], [("user", "dog")]]
    assert len({len(chat.prompt_ids(each)) for each in asked}) == 1  # they go together
    found = in_order(chat.write(asked, max_new_tokens=12, grammars=[WORDS, None]))
    assert found[1][1:4] == next(chat.write(asked[1:], max_new_tokens=12))[1:4]
    assert found[0].text in ("cat", "dog", "mat sat")


def test_an_answer_that_is_cut_is_the_beginning_of_one_that_matches():
    answer = next(chatting().chat_model.write([[("user", "x")]], max_new_tokens=2, grammars=[("regex", "[0-9]{5}")]))
    assert re.fullmatch("[0-9]{1,4}", answer.text)


@pytest.mark.parametrize(
    ("grammar", "message"),
    [
        (("regex", "(a"), "unclosed group"),
        (("regex", "a(?=b)"), "look-around"),
        (("lark", "start: foo"), "unknown name"),
        (("lark", ""), "Empty grammar"),
        (("json", "{}"), "of kind 'json'; expected regex or lark"),
    ],
)
def test_a_grammar_that_is_not_valid_is_one_line(grammar, message, capfd):
    with pytest.raises(InputError, match=message) as caught:
        next(chatting().chat_model.write([[("user", "x")]], max_new_tokens=2, grammars=[grammar]))
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_without_the_package_its_install_line_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "llguidance", None)
    with pytest.raises(MissingExtraError, match=r"lexframe\[verbal\]"):
        next(chatting().chat_model.write([[("user", "x")]], max_new_tokens=2, grammars=[WORDS]))
    assert next(chatting().chat_model.write([[("user", "x")]], max_new_tokens=2)).n_new_tokens


def test_a_tokenizer_without_an_end_is_refused():
    with pytest.raises(ModelError, match="ends an answer"):
        Grammars(tiny_tokenizer(), [319])


def test_the_mask_allows_what_goes_on_and_the_end_where_it_matches():
    tokenizer = tiny_tokenizer()
    digits = [tokenizer(digit).input_ids[0] for digit in "0123456789"]
    grammars = Grammars(tokenizer, [0, 1])
    constraint = Constraint([grammars.matcher(("regex", "[0-9]{1,2}")), None], [0, 1])
    ids = torch.tensor([[5], [5]])
    pairs = [token for token in range(300) if re.fullmatch("[0-9]{2}", tokenizer.decode([token]))]
    for newest, allowed in ((None, {*digits, *pairs}), (digits[4], {*digits, 0, 1}), (digits[2], {0, 1}), (1, set(range(320)))):
        if newest is not None:
            ids = torch.cat([ids, torch.tensor([[newest], [7]])], dim=1)
        scores = constraint(ids, torch.zeros(2, 320))
        assert set(torch.isfinite(scores[0]).nonzero().flatten().tolist()) == allowed
        assert torch.isfinite(scores[1]).all()


def test_twenty_answers_of_smollm2_are_numbers(smol):  # noqa: F811
    asked = [[("user", f"What is {number} times 7? Answer with a number.")] for number in range(20)]
    found = list(smol.chat_model.write(asked, max_new_tokens=10, grammars=[("regex", NUMBER)] * 20))
    assert len(found) == 20
    assert all(re.fullmatch(NUMBER, answer.text) for answer in found)
