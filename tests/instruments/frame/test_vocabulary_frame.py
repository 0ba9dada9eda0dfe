"""The frame against singular value decompositions, identities, and a toy vocabulary worked by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from lexframe.exceptions import InputError, VocabularyError
from lexframe.instruments import LabelBases, VocabularyFrame, leverage, semantic_basis
from lexframe.instruments.frame.vocabulary_frame import side_effect
from lexframe.linalg import cosine, gram_matrix, invert_gram
from lexframe.provenance import SpaceFingerprint
from lexframe.spaces import ToySpace, VocabularySpace
from tests.reference import vocabulary_frame as reference
from tests.tiny_models import TEXTS, tiny_model, tiny_space


class ArraySpace(VocabularySpace):
    """A vocabulary of two matrices in any precision; item i is the word ``w<i>``."""

    def __init__(self, unembedding, embedding=None):
        self._unembedding, self._embedding = unembedding, unembedding if embedding is None else embedding

    n_dims = property(lambda self: self._unembedding.shape[1])
    n_vocab = property(lambda self: len(self._unembedding))
    fingerprint = property(lambda self: SpaceFingerprint(kind="ArraySpace", model="arrays", weights=""))

    def encode(self, texts, *, batch_size=32, progress=iter):
        return np.zeros((len(texts), self.n_dims), dtype=np.float32)

    def unembedding(self):
        return self._unembedding

    def embedding(self):
        return self._embedding

    def head_input(self, points):
        return points

    def logits(self, points):
        return points @ self._unembedding.T

    def word_ids(self, word):
        return (int(word[1:]),)

    def token_texts(self, ids):
        return [f"w{i}" for i in ids]


def isotropic(n_vocab, n_dims, seed):
    return np.random.default_rng(seed).normal(size=(n_vocab, n_dims))


def anisotropic(n_vocab, n_dims, seed):
    """Like a trained head: a common shift, and directions of very different strength."""
    rng = np.random.default_rng(seed)
    strengths = np.geomspace(1, 0.02, n_dims)
    rotation = np.linalg.qr(rng.normal(size=(n_dims, n_dims)))[0]
    return (rng.normal(size=(n_vocab, n_dims)) * strengths + 0.5 * strengths) @ rotation


heads = st.builds(isotropic, st.integers(12, 60), st.integers(1, 10), st.integers(0, 2**32 - 1))


@given(heads)
def test_identities_of_the_dual_frame(U):
    n_dims = U.shape[1]
    S, own = semantic_basis(U), leverage(U)
    h = np.random.default_rng(1).normal(size=n_dims)
    np.testing.assert_allclose(U.T @ S, np.eye(n_dims), atol=1e-9)
    np.testing.assert_allclose((U @ h) @ S, h, atol=1e-9)  # r = Σ logit_i s_i
    assert own.sum() == pytest.approx(n_dims, abs=1e-9)
    assert own.min() >= 0
    assert own.max() <= 1 + 1e-9


@pytest.mark.parametrize("make", [isotropic, anisotropic])
@pytest.mark.parametrize(("n_vocab", "n_dims"), [(5, 1), (40, 8), (300, 32)])
def test_equal_to_the_pseudo_inverse_row_by_row(make, n_vocab, n_dims):
    U = make(n_vocab, n_dims, 0)
    S = reference.semantic_basis(U)
    np.testing.assert_allclose(S, np.linalg.pinv(U.T), atol=1e-12)  # the reference itself
    np.testing.assert_allclose(semantic_basis(U), S, atol=1e-10)
    np.testing.assert_allclose(leverage(U), reference.leverage(U), atol=1e-10)


def test_only_the_rows_asked_for():
    U = isotropic(40, 8, 0)
    rows = [7, 3, 7]
    np.testing.assert_allclose(semantic_basis(U, rows), semantic_basis(U)[rows], rtol=1e-14)
    np.testing.assert_allclose(leverage(U, rows), leverage(U)[rows], rtol=1e-14)
    assert semantic_basis(U, []).shape == (0, 8)
    frame = VocabularyFrame(ArraySpace(U))
    np.testing.assert_allclose(frame.bases(rows), frame.bases()[rows], rtol=1e-14)
    np.testing.assert_allclose(frame.leverages(rows), frame.leverages()[rows], rtol=1e-14)


def test_repeated_columns_are_cut_off_like_small_singular_values():
    U = isotropic(40, 5, 0)
    U = np.hstack([U, U[:, :2], U @ np.ones((5, 1))])
    gram = invert_gram(gram_matrix(U))
    assert gram.rank == np.linalg.matrix_rank(U) == 5
    np.testing.assert_allclose(semantic_basis(U), reference.semantic_basis(U), atol=1e-10)
    np.testing.assert_allclose(leverage(U), reference.leverage(U), atol=1e-10)
    assert leverage(U).sum() == pytest.approx(5)


def test_fewer_words_than_dimensions():
    U = isotropic(6, 10, 0)
    np.testing.assert_allclose(semantic_basis(U), reference.semantic_basis(U), atol=1e-9)
    np.testing.assert_allclose(leverage(U), np.ones(6), atol=1e-9)  # every word can have its logit to itself


def with_singular_values(values, n_vocab, seed):
    rng = np.random.default_rng(seed)
    left = np.linalg.qr(rng.normal(size=(n_vocab, len(values))))[0]
    right = np.linalg.qr(rng.normal(size=(len(values), len(values))))[0]
    return (left * values) @ right


def test_a_condition_of_1e8_is_cut_where_the_svd_cuts():
    U = with_singular_values(np.array([1.0, 0.5, 0.1, 1e-2, 1e-3, 1e-8]), 60, 0)
    assert np.linalg.cond(U) == pytest.approx(1e8, rel=1e-3)
    assert invert_gram(gram_matrix(U)).rank == 5
    expected = reference.semantic_basis(U)
    np.testing.assert_allclose(semantic_basis(U), expected, atol=1e-8 * np.abs(expected).max())
    np.testing.assert_allclose(leverage(U), reference.leverage(U), atol=1e-8)


@pytest.mark.parametrize(("smallest", "tolerance"), [(1e-2, 1e-10), (1e-4, 1e-6), (1e-5, 1e-4)])
def test_what_the_gram_matrix_loses_grows_with_the_square_of_the_condition(smallest, tolerance):
    U = with_singular_values(np.geomspace(1, smallest, 6), 60, 1)
    expected = reference.semantic_basis(U)
    assert np.abs(semantic_basis(U) - expected).max() <= tolerance * np.abs(expected).max()


@pytest.mark.parametrize("make", [isotropic, anisotropic])
def test_float32_weights_deviate_by_rounding_times_condition(make):
    U = make(300, 24, 0)
    exact, rounded = semantic_basis(U), semantic_basis(U.astype(np.float32))
    assert rounded.dtype == np.float64
    deviation = np.linalg.norm(rounded - exact) / np.linalg.norm(exact)
    assert deviation <= 2 * np.finfo(np.float32).eps * np.linalg.cond(U)


def test_similarities_equal_the_closed_forms_word_by_word(rng):
    U, h = anisotropic(60, 8, 0), rng.normal(size=(3, 8))
    frame = VocabularyFrame(ArraySpace(U))
    for row, point in enumerate(h):
        np.testing.assert_allclose(frame.similarity(h)[row], reference.invariant_similarity(U, point), atol=1e-12)
        np.testing.assert_allclose(frame.similarity(h, readout="cosine")[row], reference.cosine_similarity(U, point), atol=1e-12)
    np.testing.assert_allclose(frame.similarity(h, [5, 2]), frame.similarity(h)[:, [5, 2]], atol=1e-14)


@pytest.mark.parametrize("seed", range(3))
def test_the_invariant_readout_survives_a_change_of_coordinates_and_the_cosine_does_not(seed):
    U, h = anisotropic(400, 16, seed), np.random.default_rng(seed + 10).normal(size=(4, 16))
    A = np.random.default_rng(seed + 20).normal(size=(16, 16))
    moved_U, moved_h = U @ A.T, h @ np.linalg.inv(A)  # rows are A u and A^{-T} h
    np.testing.assert_allclose(moved_h @ moved_U.T, h @ U.T, atol=1e-9)
    before, after = VocabularyFrame(ArraySpace(U)), VocabularyFrame(ArraySpace(moved_U))
    np.testing.assert_allclose(after.similarity(moved_h), before.similarity(h), atol=1e-9)
    ranks = [
        spearmanr(first, second).statistic
        for first, second in zip(before.similarity(h, readout="cosine"), after.similarity(moved_h, readout="cosine"), strict=True)
    ]
    assert np.mean(ranks) < 0.7


def test_the_invariant_readout_keeps_the_order_of_the_logits_and_the_cosine_does_not():
    U, h = anisotropic(400, 16, 0), np.random.default_rng(1).normal(size=(8, 16))
    frame = VocabularyFrame(ArraySpace(U))

    def agreement(readout):
        return np.mean([spearmanr(a, b).statistic for a, b in zip(frame.similarity(h, readout=readout), h @ U.T, strict=True)])

    assert agreement("invariant") > 0.95
    assert agreement("cosine") < agreement("invariant") - 0.2


def test_a_centred_frame_ignores_a_common_shift_and_a_plain_one_does_not(rng):
    U, h, shift = anisotropic(60, 8, 0), rng.normal(size=(3, 8)), 3 * rng.normal(size=8)

    def outputs(head, *, center):
        frame = VocabularyFrame(ArraySpace(head), center=center)
        return [frame.bases(), frame.leverages(), frame.similarity(h), frame.similarity(h, readout="cosine")]

    for plain, shifted in zip(outputs(U, center=True), outputs(U + shift, center=True), strict=True):
        np.testing.assert_allclose(shifted, plain, atol=1e-9 * max(1.0, np.abs(plain).max()))
    assert all(np.abs(a - b).max() > 0.01 for a, b in zip(outputs(U, center=False), outputs(U + shift, center=False), strict=True))


def test_a_zero_point_is_similar_to_nothing():
    frame = VocabularyFrame(ArraySpace(isotropic(20, 4, 0)))
    for readout in ("invariant", "cosine"):
        assert not frame.similarity(np.zeros((2, 4)), readout=readout).any()
    bases = frame.label_bases({"a": ["w1"], "b": ["w2"]})
    assert not bases.similarity(np.zeros((1, 4), dtype=np.float32)).any()


@given(heads, st.integers(0, 2**32 - 1))
def test_similarities_lie_between_minus_one_and_one(U, seed):
    points = np.random.default_rng(seed).normal(size=(3, U.shape[1])) * 1e4
    for readout in ("invariant", "cosine"):
        similarity = VocabularyFrame(ArraySpace(U)).similarity(points, readout=readout)
        assert np.isfinite(similarity).all()
        assert np.abs(similarity).max() <= 1


def test_a_step_along_the_basis_raises_the_logit_by_exactly_one():
    U = anisotropic(400, 16, 0)
    S, own = semantic_basis(U), leverage(U)
    change = U @ (S / own[:, np.newaxis]).T  # column i: what s_i / lev_i does to every logit
    np.testing.assert_allclose(np.diag(change), 1, atol=1e-9)
    for word in (0, 17, 399):
        others = np.delete(change[:, word], word)
        assert side_effect(U, [word], S[word]) == pytest.approx(np.abs(others).mean())


def test_the_basis_disturbs_other_words_less_than_the_plain_row_where_the_head_is_anisotropic():
    U = anisotropic(400, 16, 0)
    S = semantic_basis(U)
    by_basis = np.array([side_effect(U, [word], S[word]) for word in range(100)])
    by_row = np.array([side_effect(U, [word], U[word]) for word in range(100)])
    assert by_basis[3] == pytest.approx(reference.side_effect(U, 3, S[3]))
    assert by_row[3] == pytest.approx(reference.side_effect(U, 3, U[3]))
    assert by_basis.mean() < 0.7 * by_row.mean()
    assert (by_basis < by_row).mean() > 0.9


def test_side_effects_of_directions_that_move_nothing():
    U = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert side_effect(U, [0], np.array([0.0, 1.0])) == float("inf")
    assert side_effect(U[:1], [0], np.array([1.0, 0.0])) == 0.0


def test_at_its_own_basis_a_word_has_the_largest_logit():
    U = isotropic(512, 64, 0)
    assert ((semantic_basis(U) @ U.T).argmax(1) == np.arange(512)).mean() > 0.98
    own = leverage(U)  # and yet the answer is far from one-hot
    assert own.mean() == pytest.approx(64 / 512)
    assert own.max() < 0.3


TOY = ToySpace({"cat": [1.0, 0.0], "dog": [0.0, 1.0], "pet": [1.0, 1.0]})
r"""M = [[2, 1], [1, 2]], M⁻¹ = [[2, -1], [-1, 2]] / 3; s_cat = (2, -1) / 3, s_dog = (-1, 2) / 3, s_pet = (1, 1) / 3."""


def test_the_card_of_a_toy_word_worked_by_hand():
    card = VocabularyFrame(TOY).card("cat", readout="cosine")
    assert (card.word, card.tokens) == ("cat", ("cat",))
    # cos(s_cat, s_pet) = (1/9) / (√5/3 · √2/3) and cos(s_cat, s_dog) = (-4/9) / (5/9)
    assert [token for token, _ in card.nearest] == ["pet", "dog"]
    np.testing.assert_allclose([value for _, value in card.nearest], [1 / np.sqrt(10), -4 / 5])
    assert card.leverage == pytest.approx(2 / 3)  # u_cat · s_cat
    assert card.basis_norm == pytest.approx(np.sqrt(5) / 3)
    assert card.row_norm == pytest.approx(1)
    assert card.basis_side_effect == pytest.approx(1 / 2)  # logits at s_cat: 2/3, -1/3, 1/3; over 2/3: 1, -1/2, 1/2
    assert card.row_side_effect == pytest.approx(1 / 2)  # logits at u_cat: 1, 0, 1
    document = card.to_dict()
    assert document["nearest"][0] == {"token": "pet", "similarity": pytest.approx(1 / np.sqrt(10))}
    # In the inner product of M: u_cat · s_pet over the leverages, (1/3) / (2/3), and (-1/3) / (2/3) for dog
    assert VocabularyFrame(TOY).card("cat").nearest == (("pet", pytest.approx(1 / 2)), ("dog", pytest.approx(-1 / 2)))
    assert len(VocabularyFrame(TOY).card("cat", n_nearest=1).nearest) == 1


def test_a_word_of_several_tokens_is_their_mean():
    frame = VocabularyFrame(TOY)
    np.testing.assert_allclose(frame.word_basis("cat dog"), [1 / 6, 1 / 6])
    card = frame.card("cat dog")
    assert card.tokens == ("cat", "dog")
    assert card.nearest == (("pet", pytest.approx(1.0)),)
    assert card.leverage == pytest.approx(2 / 3)
    assert card.basis_side_effect == pytest.approx(2)  # (1, 1)/6 raises cat and dog by 1/6, pet by 1/3


def test_label_bases_are_means_over_words_of_means_over_tokens():
    frame = VocabularyFrame(TOY)
    bases = frame.label_bases({"felines": ["cat"], "both": ["cat dog", "pet"]})
    assert bases.labels == ("felines", "both")
    assert bases.token_ids == ((0,), (0, 1, 2))
    np.testing.assert_allclose(bases.vectors, [[2 / 3, -1 / 3], [1 / 4, 1 / 4]])  # ((1/6, 1/6) + (1/3, 1/3)) / 2
    np.testing.assert_allclose(bases.metric, [[2, 1], [1, 2]])
    assert frame.label_bases({"felines": ["cat"]}, readout="cosine").metric is None
    points = np.array([[0.3, -0.2]])
    np.testing.assert_allclose(bases.similarity(points)[:, :1], frame.similarity(points, [0]))
    assert isinstance(bases, LabelBases)


def test_the_input_side_is_the_embedding_itself():
    space = ToySpace({"cat": [1.0, 0.0], "dog": [0.0, 1.0], "pet": [1.0, 1.0]}, unembedding=[[5, 1], [2, 2], [0, 1]])
    frame = VocabularyFrame(space, side="input")
    np.testing.assert_array_equal(frame.bases(), space.embedding())
    np.testing.assert_array_equal(frame.bases([2, 0]), space.embedding()[[2, 0]])
    np.testing.assert_array_equal(frame.word_basis("dog"), [0, 1])
    assert frame.bases().dtype == np.float64
    points = np.array([[1.0, 0.5]])
    np.testing.assert_allclose(frame.similarity(points, readout="cosine"), cosine(points, space.embedding().astype(float)))


def test_words_the_vocabulary_does_not_hold():
    frame = VocabularyFrame(TOY)
    for ask in (lambda: frame.card("fish"), lambda: frame.word_basis(""), lambda: frame.label_bases({"a": ["cat"], "b": ["cat fish"]})):
        with pytest.raises(VocabularyError, match="is not in the vocabulary"):
            ask()


def test_options_that_do_not_exist():
    with pytest.raises(InputError, match=r"'output'.*'input'"):
        VocabularyFrame(TOY, side="middle")
    with pytest.raises(InputError, match="invariant, cosine"):
        VocabularyFrame(TOY).similarity(np.zeros((1, 2)), readout="dot")


def test_the_frame_says_what_made_it():
    provenance = VocabularyFrame(TOY, center=True).provenance
    assert provenance.space == TOY.fingerprint
    assert provenance.parameters == {"side": "output", "center": True, "rcond": 1e-12}


@pytest.mark.parametrize("family", ["gpt2", "llama", "bert"])
def test_on_a_language_model_the_invariant_readout_is_its_logits(family):
    space = tiny_space(family)
    frame = VocabularyFrame(space)
    points = space.encode(TEXTS)
    states = space.head_input(points).astype(np.float64)
    own = space.logits(points).astype(np.float64)
    if family == "bert":  # the frame knows nothing of the bias
        bias = tiny_model("bert").cls.predictions.decoder.bias.detach().numpy()[: space.n_vocab]
        assert np.abs(bias).max() > 0.1
        own = own - bias
    lengths = np.linalg.norm(states @ space.unembedding().T.astype(np.float64), axis=1, keepdims=True)
    rebuilt = frame.similarity(states) * np.sqrt(frame.leverages()) * lengths
    np.testing.assert_allclose(rebuilt, states @ space.unembedding().T.astype(np.float64), atol=1e-9 * np.abs(own).max())
    np.testing.assert_allclose(rebuilt, own, atol=1e-5 * np.abs(own).max())  # the model works in float32
    assert (rebuilt.argmax(1) == own.argmax(1)).all()
    assert min(spearmanr(a, b).statistic for a, b in zip(rebuilt, own, strict=True)) > 0.9999


def test_label_words_on_a_language_model():
    space = tiny_space("llama")
    frame = VocabularyFrame(space)
    bases = frame.label_bases({"good": ["good"], "bad": ["bad", "unseen words"]})
    assert bases.token_ids[0] == space.word_ids("good")
    assert len(bases.token_ids[1]) > 2
    one = np.linalg.pinv(space.unembedding().T.astype(np.float64))
    second = (one[list(space.word_ids("bad"))].mean(0) + one[list(space.word_ids("unseen words"))].mean(0)) / 2
    np.testing.assert_allclose(bases.vectors[1], second, atol=1e-9 * np.abs(second).max())


def test_on_the_input_side_the_invariant_similarity_is_invariant_too(rng):
    rows, change = rng.normal(size=(30, 5)), rng.normal(size=(5, 5))
    before = VocabularyFrame(ToySpace({f"w{i}": row for i, row in enumerate(rows.tolist())}), side="input")
    after = VocabularyFrame(ToySpace({f"w{i}": row for i, row in enumerate((rows @ change.T).tolist())}), side="input")
    points = rng.normal(size=(4, 5))
    np.testing.assert_allclose(before.similarity(points), after.similarity(points @ change.T), atol=1e-4)  # rows are float32


def test_a_label_without_a_word():
    with pytest.raises(InputError, match="'b'"):
        VocabularyFrame(TOY).label_bases({"a": ["cat"], "b": []})
    with pytest.raises(InputError, match="any label"):
        VocabularyFrame(TOY).label_bases({})


@pytest.mark.parametrize("side", ["output", "input"])
@pytest.mark.parametrize("readout", ["invariant", "cosine"])
@pytest.mark.parametrize("rank", [4, 2])
def test_similarities_without_bases_are_cosines_with_them(side, readout, rank, monkeypatch):
    monkeypatch.setattr("lexframe.instruments.frame.vocabulary_frame._BLOCK", 5)
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(13, rank)) @ rng.normal(size=(rank, 4))
    rows[3] = 0  # a word that the head cannot say
    frame, points = VocabularyFrame(ArraySpace(rows), side=side), np.vstack([rng.normal(size=(6, 4)), np.zeros((1, 4))])
    expected = cosine(points, frame.bases(), frame.metric(readout))
    np.testing.assert_allclose(frame.similarity(points, readout=readout), expected, atol=1e-9)
    np.testing.assert_allclose(frame.similarity(points, [7, 3, 12], readout=readout), expected[:, [7, 3, 12]], atol=1e-9)
    np.testing.assert_allclose(frame.leverages(), np.einsum("ij,jk,ik->i", rows, frame.gram.inverse, rows), atol=1e-12)
