import random

import pytest

from lexframe.exceptions import InputError
from lexframe.verbal.language import Formula, Rules, formula_grammar, rules_grammar

COLUMNS = ["x", "net price", 'a "b"\\c', "sin", "größe", "not`possible"]
NAMED = COLUMNS[:-1]
LABELS = ["spam", 'no "spam"', "b\\c", "then a", "größe"]

PARSERS = {
    "formula": (formula_grammar(COLUMNS), lambda text: Formula.parse(text, COLUMNS)),
    "rules about numbers": (rules_grammar(COLUMNS, LABELS, False), lambda text: Rules.parse(text, COLUMNS, LABELS)),
    "rules about words": (rules_grammar([], LABELS, True), lambda text: Rules.parse(text, [], LABELS)),
}


class Bytes:
    """A tokenizer whose tokens are the bytes, and an end."""

    eos_token_id, bos_token_id = 256, None
    tokens = [*(bytes([byte]) for byte in range(256)), b"<end>"]  # noqa: RUF012  read only
    special_token_ids = (256,)

    def __call__(self, text):
        return list(text)


@pytest.fixture(scope="module")
def llguidance():
    return pytest.importorskip("llguidance", reason="sentences are drawn with llguidance, which is not installed")


def sentence(llguidance, grammar, seed, p_end):
    """A sentence of a grammar: a random walk over the bytes that it allows."""
    draw = random.Random(seed)
    tokenizer = llguidance.LLTokenizer(llguidance.TokenizerWrapper(Bytes()))
    matcher = llguidance.LLMatcher(tokenizer, llguidance.LLMatcher.grammar_from_lark(grammar))
    found = bytearray()
    while not matcher.is_stopped():
        allowed = [token for token, bias in enumerate(matcher.compute_logit_bias()) if bias]
        may_end = 256 in allowed
        allowed = [token for token in allowed if token < 256]
        if not allowed or (may_end and draw.random() < p_end):
            break
        plain = [token for token in allowed if token < 128]
        token = draw.choice(plain if plain and draw.random() < 0.9 else allowed)
        assert matcher.consume_token(token), matcher.get_error()
        found.append(token)
    assert matcher.is_accepting(), matcher.get_error()
    return found.decode()


@pytest.mark.parametrize("kind", PARSERS)
def test_a_grammar_is_valid(llguidance, kind):
    grammar = llguidance.LLMatcher.grammar_from_lark(PARSERS[kind][0])
    assert llguidance.LLMatcher.validate_grammar(grammar) == ""


@pytest.mark.parametrize("kind", PARSERS)
def test_every_sentence_is_a_program(llguidance, kind):
    grammar, parse = PARSERS[kind]
    sentences = {sentence(llguidance, grammar, seed, (0.5, 0.1, 0.0)[seed % 3]) for seed in range(60)}
    assert len(sentences) > 20
    for text in sentences:
        program = parse(text)
        assert parse(program.source) == program


def test_a_sentence_is_what_it_should_be(llguidance):
    def belongs(grammar, text):
        tokenizer = llguidance.LLTokenizer(llguidance.TokenizerWrapper(Bytes()))
        matcher = llguidance.LLMatcher(tokenizer, llguidance.LLMatcher.grammar_from_lark(grammar))
        encoded = list(text.encode())
        return matcher.try_consume_tokens(encoded) == len(encoded) and matcher.is_accepting()

    formula, numbers, words = (grammar for grammar, _ in PARSERS.values())
    assert belongs(formula, "3 * x + 4")
    assert belongs(formula, "-0.125 * `net price`**2 - exp(2 * x - 1) * `sin`")
    assert belongs(formula, " + ".join(["x"] * 6))
    assert not belongs(formula, " + ".join(["x"] * 7))
    assert not belongs(formula, "12345 * x")
    assert not belongs(formula, "0.1234")
    assert not belongs(formula, "z")
    assert belongs(numbers, 'if x > 3 and `net price` <= -0.5 then "spam"\nelse "größe"')
    assert belongs(words, 'if not has("good film") or count("bad") >= 2 then "no "spam""\nelse "spam"')
    assert not belongs(words, 'if x > 3 then "spam"\nelse "spam"')
    assert not belongs(numbers, 'if x > 3 then "spam"\n')
    assert not belongs(numbers, 'if x > 3 then "spam"\n' * 5 + 'else "spam"')


def test_the_longest_sentences_are_within_the_limits():
    factor = "sqrt(1000.125 * `net price` - 1000.125)"
    text = "-" + " - ".join([f"1000.125 * {factor} * {factor}"] * 6)
    assert Formula.parse(text, COLUMNS).source == text
    test = f'not has("{"w" * 20} {"w" * 20}")'
    rules = f'if {test} and {test} then "{LABELS[1]}"\n' * 4 + 'else "spam"'
    assert Rules.parse(rules, [], LABELS).source == rules


def test_columns_without_a_name_that_can_be_written():
    assert "not`possible" not in formula_grammar(COLUMNS)
    for grammar in (lambda: formula_grammar(["a`b"]), lambda: formula_grammar([]), lambda: rules_grammar(["a\nb"], ["c"], False)):
        with pytest.raises(InputError, match="no name that a program can write"):
            grammar()
    with pytest.raises(InputError, match="expected different texts"):
        rules_grammar([], [], True)
