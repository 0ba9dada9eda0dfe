"""Minimal pairs against a table of known log-probabilities; averages against hand counts."""

import gzip
import json

import numpy as np
import pytest
import transformers as tf
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from lexframe.exceptions import DataError, InputError
from lexframe.intervals import Estimate
from lexframe.training.language_model.grammatical_pairs import minimal_pairs, pair_accuracy, read_minimal_pairs, spread_pairs
from tests.reference.sequence_scores import Bigram, bigram_table, ids_of, slow_log_probability
from tests.tiny_models import tiny_model, tiny_tokenizer


def uniform_model():
    model = tf.LlamaForCausalLM(tiny_model("llama").config).eval()
    nn.init.zeros_(model.lm_head.weight)
    return model


def test_pair_accuracy_counts_ties_half():
    good, bad = np.array([3.0, 1.0, 2.0, 2.0]), np.array([1.0, 3.0, 2.0, 2.0])
    assert pair_accuracy(good, bad) == 0.5
    assert pair_accuracy(good[:1], bad[:1]) == 1
    assert pair_accuracy(good[1:], bad[1:]) == pytest.approx(1 / 3)
    assert pair_accuracy(np.full(3, -np.inf), np.full(3, -np.inf)) == 0.5


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=1))
def test_swapped_pairs_complement_to_one(scores):
    good, bad = np.array(scores, dtype=float).T
    assert pair_accuracy(good, bad) + pair_accuracy(bad, good) == pytest.approx(1)


def make_pairs():
    """Three paradigms of two phenomena, of 4, 2 and 1 pairs."""
    rows = [("p1", "agreement"), ("p2", "agreement"), ("p3", "islands")]
    sizes = (4, 2, 1)
    texts = ["the cat sat", "a dog", "mat on the", "cat dog", "good mat", "one two", "x y z"]
    numbered = iter(texts)
    return [
        {"good": text, "bad": " ".join(reversed(text.split())), "uid": uid, "term": term}
        for (uid, term), size in zip(rows, sizes, strict=True)
        for text in [next(numbered) for _ in range(size)]
    ]


def test_minimal_pairs_against_a_table_of_known_log_probabilities():
    table, pairs = bigram_table(3), make_pairs()

    def score(text):
        return sum(table[one, other] for one, other in zip(ids_of(text), ids_of(text)[1:], strict=False))

    wins = {uid: [score(pair["good"]) > score(pair["bad"]) for pair in pairs if pair["uid"] == uid] for uid in ("p1", "p2", "p3")}
    expected = {uid: float(np.mean(won)) for uid, won in wins.items()}
    result = minimal_pairs(Bigram(table), tiny_tokenizer(), pairs)
    assert 0 < result.accuracy.value < 1
    assert result.by_paradigm == expected
    assert result.by_phenomenon == {"agreement": (expected["p1"] + expected["p2"]) / 2, "islands": expected["p3"]}
    assert result.accuracy.value == pytest.approx(np.mean(list(expected.values())))  # a paradigm counts once, whatever its size
    assert (result.n_pairs, result.n_ties) == (7, 0)
    found = result.accuracy
    assert min(expected.values()) <= found.low <= found.value <= found.high <= max(expected.values())
    swapped = minimal_pairs(Bigram(table), tiny_tokenizer(), [{**pair, "good": pair["bad"], "bad": pair["good"]} for pair in pairs])
    assert result.accuracy.value + swapped.accuracy.value == pytest.approx(1)


def test_a_model_that_ties_everything_has_exactly_half():
    pairs = [{"good": "cat sat", "bad": "cat mat", "uid": f"p{number % 3}", "term": "t"} for number in range(7)]
    assert len(ids_of("cat sat")) == len(ids_of("cat mat"))
    result = minimal_pairs(uniform_model(), tiny_tokenizer(), pairs)
    assert (result.accuracy, result.n_ties) == (Estimate(0.5, 0.5, 0.5), 7)
    same = minimal_pairs(tiny_model("llama"), tiny_tokenizer(), [{**pair, "bad": pair["good"]} for pair in pairs])
    assert (same.accuracy.value, same.n_ties) == (0.5, 7)


def test_sentences_are_scored_once_and_in_full():
    seen = []
    pairs = [{"good": "the cat sat on the mat", "bad": "the mat", "uid": "p", "term": "t"}] * 5
    result = minimal_pairs(tiny_model("llama"), tiny_tokenizer(), pairs, progress=lambda batches: seen.extend(batches) or batches)
    assert sum(map(len, seen)) == 2
    assert result.accuracy.interval is None
    direct = [slow_log_probability(tiny_model("llama"), ids_of(pairs[0][side]), context=64, stride=64) for side in ("good", "bad")]
    assert result.accuracy.value == (direct[0] > direct[1])


def test_no_pairs():
    with pytest.raises(DataError, match="no minimal pairs"):
        minimal_pairs(tiny_model("llama"), tiny_tokenizer(), [])


def write_rows(path, rows):
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.mark.parametrize("name", ["pairs.jsonl", "pairs.jsonl.gz"])
def test_pairs_are_read(tmp_path, name):
    path = write_rows(tmp_path / name, [{**pair, "field": "syntax", "pair": 3} for pair in make_pairs()])
    assert read_minimal_pairs(path) == make_pairs()


def test_the_names_of_blimps_own_files_are_read_too(tmp_path):
    rows = [
        {"sentence_good": "a", "sentence_bad": "b", "UID": "p", "linguistics_term": "t", "field": "syntax"},
        {"good": "c", "bad": "d", "uid": "q", "term": "t"},
    ]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert read_minimal_pairs(tmp_path / "pairs.jsonl") == [{"good": "a", "bad": "b", "uid": "p", "term": "t"}, rows[1]]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [{"good": "a", "bad": "b", "uid": "p", "term": "t"}, {"good": "a", "uid": "p", "term": "t"}],
            r"line 2: the field 'bad' \(in BLiMP's files 'sentence_bad'\) is missing",
        ),
        ([{"good": "a", "bad": None, "uid": "p", "term": "t"}], "line 1: the field 'bad' .* is missing"),
        ([{"good": "a", "bad": 3, "uid": "p", "term": "t"}], "line 1: the field 'bad' .* holds int, not text"),
        ([], "holds no minimal pair"),
        (["text"], "line 1: holds str"),
    ],
)
def test_bad_files_of_pairs(tmp_path, rows, message):
    with pytest.raises(DataError, match=message):
        read_minimal_pairs(write_rows(tmp_path / "pairs.jsonl", rows))


@pytest.mark.shared
def test_the_shared_minimal_pairs_are_read_whole(shared):
    pairs = read_minimal_pairs(shared / "data" / "blimp" / "pairs.jsonl.gz")
    assert len(pairs) == 34_000
    assert len({pair["uid"] for pair in pairs}) == 34


def test_fewer_pairs_keep_the_share_of_every_paradigm():
    pairs = [{"uid": name, "number": str(number)} for name in "abcde" for number in range(20)]
    kept = spread_pairs(pairs, 15)
    assert [pair["uid"] for pair in kept] == [name for name in "abcde" for _ in range(3)]
    assert spread_pairs(pairs, None) == spread_pairs(pairs, 1000) == pairs
    with pytest.raises(InputError, match="max_pairs is 0"):
        spread_pairs(pairs, 0)
