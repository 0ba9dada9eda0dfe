"""Analogies on lattices, on chance, against gensim and a slow reference, and with everything that can be odd about words."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from lexframe.data import AnalogyQuestion, WordVectors
from lexframe.exceptions import InputError, VocabularyError
from lexframe.instruments import evaluate_analogies, solve_analogy
from lexframe.instruments.words.analogy import ANALOGY_METHODS
from lexframe.instruments.words.analogy_evaluation import ALL_METHODS
from lexframe.instruments.words.analogy_relations import RELATION_METHODS, RelationPairs, leave_out_logistic
from lexframe.instruments.words.analogy_result import TOTAL
from tests.reference import analogy as reference
from tests.strategies import COSTLY


def draws(n, n_dims=12, seed=0):
    return np.random.default_rng(seed).normal(size=(n, n_dims)).astype(np.float32)


def named(vectors, prefix="w"):
    return WordVectors(tuple(f"{prefix}{i}" for i in range(len(vectors))), np.ascontiguousarray(vectors, dtype=np.float32))


def product(pairs, relation="r"):
    """All ordered questions of some pairs, as the Google file has them."""
    return [AnalogyQuestion(a, a_, b, (b_,), relation) for (a, a_), (b, b_) in itertools.permutations(pairs, 2)]


def lattice(n_dims=16, seed=0):
    """Words that are sums of a stem and of the marks of gender, royalty and number."""
    rng = np.random.default_rng(seed)
    marks = rng.normal(size=(3, n_dims))
    stems = rng.normal(size=(5, n_dims)) * 2
    words = {
        f"{stem}{gender}{royalty}{number}": stems[stem] + gender * marks[0] + royalty * marks[1] + number * marks[2]
        for stem in range(5)
        for gender, royalty, number in itertools.product((0, 1), repeat=3)
    }
    vectors = WordVectors(tuple(words), np.array(list(words.values()), dtype=np.float32))
    questions = []
    for mark, name in ((1, "gender"), (2, "royalty"), (3, "number")):
        pairs = [(word, f"{word[:mark]}1{word[mark + 1 :]}") for word in words if word[mark] == "0"]
        questions += product(pairs, name)
    return vectors, questions


def test_a_lattice_is_solved_whole():
    vectors, questions = lattice(64)
    found = evaluate_analogies(vectors, questions, methods=["3cosadd", "b-only", "a'-only"])
    assert len(questions) == 3 * 20 * 19
    # Sums of unit vectors are not unit vectors: near-parallel marks would bend the lattice a little, so the stems are strong.
    assert found.score("3cosadd").accuracy.value == 1.0
    assert found.score("3cosadd", "gender").accuracy.value == 1.0
    assert found.score("b-only").accuracy.value < 0.5
    assert found.lead("3cosadd", "b-only").value == pytest.approx(1 - found.score("b-only").accuracy.value)
    assert all(quartile.accuracy == 1 for quartile in found.quartiles if quartile.method == "3cosadd")


def test_one_question_by_hand():
    vectors = WordVectors(
        ("man", "woman", "king", "queen", "cat"), np.array([[1, 0, 1], [-1, 0, 1], [1, 2, 1], [-1, 2, 1], [0, -3, 1]], np.float32)
    )
    for method in ("3cosadd", "3cosmul", "pairdirection"):
        found = solve_analogy(vectors, "man", "woman", "king", method=method)
        assert found.ranked[0][0] == "queen"
        assert {word for word, _ in found.ranked} == {"queen", "cat"}
    assert json.dumps(found.to_dict())
    honest = solve_analogy(vectors, "man", "woman", "king", method="b-only", exclude=False, n=2)
    assert honest.ranked[0] == ("king", pytest.approx(1.0))
    assert len(honest.ranked) == 2


@pytest.mark.parametrize("method", ANALOGY_METHODS)
@pytest.mark.parametrize("exclude", [True, False])
def test_equal_to_the_slow_reference(method, exclude):
    vectors = named(draws(40, 6, 3))
    for a, a_, b in [(0, 1, 2), (5, 5, 7), (9, 3, 9), (4, 8, 4)]:
        expected = reference.ranking(vectors.vectors, a, a_, b, method, exclude)
        found = solve_analogy(vectors, f"w{a}", f"w{a_}", f"w{b}", method=method, n=40, exclude=exclude)
        assert [word for word, _ in found.ranked][:5] == [f"w{row}" for row in expected][:5]
        questions = [AnalogyQuestion(f"w{a}", f"w{a_}", f"w{b}", (f"w{expected[0]}",), "r")]
        score = evaluate_analogies(vectors, questions, methods=[method]).score(method)
        assert (score.accuracy.value if exclude else score.honest_accuracy) == 1.0


def pairs_of(n_pairs):
    return [(2 * i, 2 * i + 1) for i in range(n_pairs)]


@pytest.mark.parametrize("n_dims", [5, 30])
def test_methods_over_relations_equal_the_slow_reference(n_dims):
    units = draws(60, n_dims, 1)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    rows = [*pairs_of(8), (16, 1), (3, 20)]  # shared targets, and a target that is a source elsewhere
    kept = np.array([[not set(one) & set(other) for other in rows] for one in rows])
    pairs = RelationPairs(np.array([source for source, _ in rows]), np.array([target for _, target in rows]), kept)
    named_rows = {row for pair in rows for row in pair}
    randoms = np.random.default_rng(7).permutation([row for row in range(60) if row not in named_rows])[: len(rows)]
    for name, slow in (
        ("3cosavg", lambda asked: reference.cos_avg(units, rows, asked)),
        ("lrcos", lambda asked: reference.lr_cos(units, rows, asked, randoms.tolist())),
    ):
        scores = RELATION_METHODS[name](units, pairs, np.random.default_rng(7))(units)
        for asked, found in zip(rows, scores, strict=True):
            expected = slow(asked)
            scale = np.linalg.norm(found) / np.linalg.norm(expected) if name == "3cosavg" else 1.0  # a constant length is left in
            np.testing.assert_allclose(found, expected * scale, atol=2e-4)


def test_logistic_regressions_equal_scikit_learns():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 5)), rng.random(40) < 0.4
    weights = rng.random((3, 40)) * (rng.random((3, 40)) < 0.8)
    coef, intercept = leave_out_logistic(X, y, weights, inverse_penalty=0.7)
    for fit in range(3):
        model = LogisticRegression(C=0.7, tol=1e-10, max_iter=5000).fit(X, y, sample_weight=weights[fit])
        np.testing.assert_allclose(coef[fit], model.coef_[0], atol=1e-5)
        np.testing.assert_allclose(intercept[fit], model.intercept_[0], atol=1e-5)


def test_random_vectors_are_right_by_chance():
    n, right, asked = 12, 0, 0
    for seed in range(40):
        found = evaluate_analogies(named(draws(n, 30, seed)), product([("w0", "w1"), ("w2", "w3"), ("w4", "w5")]), methods=["3cosadd"])
        right, asked = right + found.right["3cosadd"].sum(), asked + 6
    assert abs(right / asked - 1 / (n - 3)) < 4 * np.sqrt(1 / (n - 3) / asked)


def structured(seed=0, n_pairs=20, n_others=200, n_dims=20, noise=1.1):
    """Targets form a class of their own beside a feature shared with the source; there is no common offset in the rest."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(n_pairs, n_dims))
    source, target = np.zeros(n_dims), np.zeros(n_dims)
    source[0], target[1] = 2.0, 2.0
    sources = shared + source + noise * rng.normal(size=(n_pairs, n_dims))
    targets = shared + target + noise * rng.normal(size=(n_pairs, n_dims))
    everything = np.vstack([np.stack([sources, targets], axis=1).reshape(-1, n_dims), 2 * rng.normal(size=(n_others, n_dims))])
    return named(everything), product([(f"w{2 * i}", f"w{2 * i + 1}") for i in range(n_pairs)])


def test_lrcos_beats_addition_where_targets_are_a_class():
    leads = []
    for seed in range(5):
        found = evaluate_analogies(*structured(seed), methods=["3cosadd", "lrcos"], n_resamples=10)
        leads.append(found.score("lrcos").accuracy.value - found.score("3cosadd").accuracy.value)
    assert np.mean(leads) > 0.03


@COSTLY
@given(st.integers(0, 2**32 - 1), st.floats(0.01, 100))
def test_rotation_and_scaling_change_nothing(seed, factor):
    vectors, questions = structured(seed, 6, 30, 8)
    rotation = np.linalg.qr(np.random.default_rng(seed).normal(size=(8, 8)))[0]
    moved = vectors.with_vectors(factor * vectors.vectors @ rotation, made_by={})
    before, after = (evaluate_analogies(found, questions, n_resamples=5) for found in (vectors, moved))
    for method in ALL_METHODS:
        # A rotation rounds differently, which may turn one near-tie of 30 questions.
        assert (before.right[method] != after.right[method]).sum() <= 1
    scaled = evaluate_analogies(vectors.with_vectors(4 * vectors.vectors, made_by={}), questions, n_resamples=5)
    assert all((scaled.right[method] == before.right[method]).all() for method in ALL_METHODS)


@pytest.fixture
def keyed():
    """The same vectors for gensim and for us, some words of the questions unknown, and words that differ in case alone."""
    models = pytest.importorskip("gensim.models", reason="gensim is part of the test extra")
    vectors, questions = structured(3, 20, 2000, 40, 0.7)
    words = [f"Word{word}" if row % 7 == 0 else word for row, word in enumerate(vectors.words)]
    words[1500], words[1600] = "W3", "W8"  # rarer spellings of question words
    order = np.random.default_rng(5).permutation(len(words))
    theirs = models.KeyedVectors(vector_size=vectors.n_dims)
    theirs.add_vectors([words[i] for i in order], vectors.vectors[order])
    return theirs, WordVectors(tuple(words[i] for i in order), vectors.vectors[order]), questions


@pytest.mark.parametrize("lower", [True, False])
def test_equal_to_gensim(keyed, lower, tmp_path):
    theirs, vectors, questions = keyed
    file = tmp_path / "questions.txt"
    file.write_text(": one\n" + "".join(f"{q.a} {q.a_} {q.b} {q.answers[0]}\n" for q in questions[:200]))
    with file.open("a") as more:
        more.write(": two\n" + "".join(f"{q.a} {q.a_} {q.b} {q.answers[0]}\n" for q in questions[200:]))
    asked = [AnalogyQuestion(q.a, q.a_, q.b, q.answers, "one" if i < 200 else "two") for i, q in enumerate(questions)]
    for dummy in (False, True):
        total, sections = theirs.evaluate_word_analogies(
            str(file), restrict_vocab=len(vectors), case_insensitive=lower, dummy4unknown=dummy
        )
        found = evaluate_analogies(vectors, asked, methods=["3cosadd"], lower=lower)
        score = found.score("3cosadd")
        assert 0.05 < score.covered_accuracy < 0.95
        assert 0 < score.n_covered < score.n_questions
        assert (score.accuracy.value if dummy else score.covered_accuracy) == pytest.approx(total)
        for section in sections[:2]:
            own = found.score("3cosadd", section["section"])
            assert round(own.accuracy.value * own.n_questions) == len(section["correct"])


@pytest.mark.filterwarnings("ignore:Call to deprecated:DeprecationWarning")  # gensim calls its own
def test_rankings_equal_gensims(keyed, monkeypatch):
    monkeypatch.setattr("lexframe.instruments.words.analogy.EPSILON", 1e-6)  # gensim's value; the paper has 0.001
    theirs, vectors, questions = keyed
    asked = [q for q in questions if {q.a, q.a_, q.b} <= set(vectors.words)][:40]
    for question in asked:
        given = {"positive": [question.b, question.a_], "negative": [question.a], "topn": 3}
        for method, ranked in (("3cosadd", theirs.most_similar(**given)), ("3cosmul", theirs.most_similar_cosmul(**given))):
            found = solve_analogy(vectors, question.a, question.a_, question.b, method=method, n=3, lower=False)
            assert [word for word, _ in found.ranked] == [word for word, _ in ranked]


def test_several_answers_and_unknown_words():
    vectors, _ = lattice(64)
    questions = [
        AnalogyQuestion("0000", "0100", "1000", ("nothing", "1100"), "r"),
        AnalogyQuestion("0000", "0100", "1000", ("nothing",), "r"),
        AnalogyQuestion("0000", "0100", "unknown", ("1100",), "r"),
        AnalogyQuestion("0000", "0100", "2000", ("2100",), "s"),
    ]
    found = evaluate_analogies(vectors, questions, methods=["3cosadd"])
    assert found.right["3cosadd"].tolist() == [True, False, False, True]
    total, r = found.score("3cosadd"), found.score("3cosadd", "r")
    assert (total.n_questions, total.n_covered, total.accuracy.value, total.covered_accuracy) == (4, 2, 0.5, 1.0)
    assert (r.n_questions, r.n_covered) == (3, 1)
    nothing = evaluate_analogies(vectors, questions[1:3])
    assert all(score.n_covered == 0 and score.accuracy.value == 0 and np.isnan(score.covered_accuracy) for score in nothing.scores)
    assert json.loads(json.dumps(nothing.to_dict(), allow_nan=False))["scores"][0]["covered_accuracy"] is None
    with pytest.raises(InputError, match="'lrcos' on 'x' was not measured"):
        found.score("lrcos", "x")


def test_case_is_an_option():
    spelt = WordVectors(
        ("Man", "woman", "king", "Queen", "man"), np.array([[1, 0, 1], [-1, 0, 1], [1, 2, 1], [-1, 2, 1], [0, -3, 1]], np.float32)
    )
    question = AnalogyQuestion("man", "Woman", "KING", ("queen",), "r")
    assert evaluate_analogies(spelt, [question], methods=["3cosadd"]).score("3cosadd").accuracy.value == 1
    assert evaluate_analogies(spelt, [question], methods=["3cosadd"], lower=False).score("3cosadd").n_covered == 0
    # Both spellings of man are left out together.
    assert [word for word, _ in solve_analogy(spelt, "man", "woman", "king").ranked] == ["Queen"]
    assert [word for word, _ in solve_analogy(spelt, "Man", "woman", "king", lower=False).ranked] == ["Queen", "man"]


def test_all_spellings_of_the_question_are_left_out():
    points = np.array([[1, 0, 1], [-1, 0, 1], [1, 2, 1], [-1, 2.4, 1], [-1, 2, 1]], np.float32)
    spelt = WordVectors(("man", "woman", "king", "queen", "KING"), points)
    question = AnalogyQuestion("man", "woman", "king", ("queen",), "r")
    assert evaluate_analogies(spelt, [question], methods=["3cosadd"]).score("3cosadd").accuracy.value == 1
    assert evaluate_analogies(spelt, [question], methods=["3cosadd"], lower=False).score("3cosadd").accuracy.value == 0


@pytest.mark.parametrize("block", [1, 4096])
def test_ties_fall_to_the_more_frequent_word(block, monkeypatch):
    monkeypatch.setattr("lexframe.instruments.words.analogy_answers.WORD_BLOCK", block)
    vectors = WordVectors(("a", "b", "c", "twin", "other twin"), np.array([[1, 0], [0, 1], [1, 1], [2, 1], [4, 2]], np.float32))
    for method in ANALOGY_METHODS:
        assert [word for word, _ in solve_analogy(vectors, "a", "b", "c", method=method).ranked] == ["twin", "other twin"]
    right = evaluate_analogies(vectors, [AnalogyQuestion("a", "b", "c", ("twin",), "r")], methods=[*ANALOGY_METHODS]).right
    assert all(right[method].all() for method in ANALOGY_METHODS)


def test_blocks_change_nothing(monkeypatch):
    vectors, questions = structured(2, 8, 300)
    whole = evaluate_analogies(vectors, questions, n_resamples=5)
    monkeypatch.setattr("lexframe.instruments.words.analogy_answers.WORD_BLOCK", 7)
    monkeypatch.setattr("lexframe.instruments.words.analogy_answers.QUESTION_BLOCK", 3)
    parts = evaluate_analogies(vectors, questions, n_resamples=5)
    for method in ALL_METHODS:
        assert (whole.right[method] != parts.right[method]).sum() <= 1  # products of other shapes round differently
    assert whole.score("3cosadd").honest_accuracy == pytest.approx(parts.score("3cosadd").honest_accuracy, abs=0.02)


def test_honest_answers_are_often_a_word_of_the_question():
    vectors, questions = structured(0)
    score = evaluate_analogies(vectors, questions, methods=["3cosadd"]).score("3cosadd")
    assert score.honest_accuracy < score.accuracy.value / 2


def test_same_answer_twice():
    vectors, questions = structured(1)
    one, two = (evaluate_analogies(vectors, questions, seed=4) for _ in range(2))
    assert one.scores == two.scores
    assert len(one.to_frame()) == 2 * len(ALL_METHODS)
    assert one.relations == ("r",)
    assert one.score("lrcos", TOTAL) == one.score("lrcos")
    assert "3cosadd" in one._repr_html_()


def test_quartiles_follow_the_frequency_of_the_answer():
    n_pairs = 16
    vectors, questions = structured(0, n_pairs, 50)
    found = evaluate_analogies(vectors, questions, methods=["3cosadd"], n_resamples=5)
    assert [quartile.n_questions for quartile in found.quartiles] == [4 * (n_pairs - 1)] * 4
    rank = [int(question.answers[0][1:]) for question in questions]
    first = np.array(rank) <= np.quantile(sorted(set(rank)), 0.25)
    assert found.quartiles[0].accuracy == pytest.approx(found.right["3cosadd"][first].mean())


def test_the_chart_is_a_valid_specification():
    import vl_convert

    found = evaluate_analogies(*structured(1, 5, 20), n_resamples=5)
    drawing = vl_convert.vegalite_to_svg(found.chart().to_json())
    assert "all relations" in drawing
    assert "b-only" in drawing


def test_what_is_refused():
    vectors, questions = structured(1, 4, 10)
    with pytest.raises(InputError, match="There is no question"):
        evaluate_analogies(vectors, [])
    with pytest.raises(InputError, match="no analogy method 'magic'; there are 3cosadd"):
        evaluate_analogies(vectors, questions, methods=["magic"])
    with pytest.raises(InputError, match="no analogy method named"):
        evaluate_analogies(vectors, questions, methods=[])
    with pytest.raises(InputError, match="learn from many pairs"):
        solve_analogy(vectors, "w0", "w1", "w2", method="lrcos")
    with pytest.raises(VocabularyError, match="No vector for 'x', 'y'"):
        solve_analogy(vectors, "x", "w1", "y")


def test_a_relation_whose_pairs_all_share_a_word_has_nothing_to_learn_from():
    vectors = named(draws(14, 8, 1))
    vectors.vectors[1] = vectors.vectors[0] + 0.01  # the nearest word is the answer, but no method may say so without an example
    found = evaluate_analogies(vectors, [AnalogyQuestion("w0", "w7", "w0", ("w1",), "r")], methods=["lrcos", "3cosavg", "b-only"])
    assert found.score("b-only").accuracy.value == 1
    assert found.score("lrcos").accuracy.value == found.score("3cosavg").accuracy.value == found.score("3cosavg").honest_accuracy == 0
