"""The tuned lens against its closed form, and what it must refuse."""

import dataclasses

import numpy as np
import pytest

from lexframe.artifacts import write_artifact
from lexframe.exceptions import DataError, FingerprintMismatch, InputError
from lexframe.instruments.traces import lens_fitting
from lexframe.instruments.traces.lens import LogitLens
from lexframe.instruments.traces.lens_fitting import fit_tuned_lens, mean_divergences
from lexframe.instruments.traces.trace import trace
from lexframe.instruments.traces.tuned_lens import TunedLens
from lexframe.provenance import Provenance, SpaceFingerprint
from lexframe.spaces.base import LensSpace, TokenStates
from lexframe.spaces.toy import ToyLens
from tests.tiny_models import FAMILIES, tiny_space

WORDS = ["the", "cat", "sat", "on", "mat", "a", "dog", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]


class NoNorm(ToyLens):
    """A head without a norm in front of it, on any number of layers."""

    def input(self, states, *, layer):
        return states.astype(np.float32)


class LinearResidualSpace(LensSpace):
    """States are h + Bh block after block, words are random vectors, and there is no norm: the best lens is known."""

    n_dims, n_layers, n_vocab = 6, 3, 40
    fingerprint = SpaceFingerprint(kind="LinearResidualSpace", model="linear", weights="linear")

    def __init__(self):
        rng = np.random.default_rng(1)
        self.blocks = rng.normal(size=(3, 6, 6)) / 6
        self.table = rng.normal(size=(40, 6))
        self.head = rng.normal(size=(40, 6)).astype(np.float32)

    def token_states(self, text, *, layers=None):
        ids = [int(word) % 40 for word in text.split()]
        states = [self.table[ids] * (1 + np.arange(len(ids)))[:, np.newaxis] ** 0.3]
        for block in self.blocks:
            states.append(states[-1] + states[-1] @ block)
        chosen = list(range(4)) if layers is None else list(layers)
        return TokenStates(tuple(text.split()), tuple(ids), tuple(chosen), np.stack([states[k] for k in chosen]).astype(np.float32))

    def token_counts(self, texts):
        return np.array([len(text.split()) for text in texts])

    @property
    def lens(self):
        return NoNorm(self.head)

    def unembedding(self):
        return self.head

    def embedding(self):
        return self.table.astype(np.float32)

    def encode(self, texts, *, batch_size=None, progress=iter):
        return np.stack([self.token_states(text).states[-1, -1] for text in texts])

    def encode_representations(self, texts, representations, *, batch_size=None, progress=iter):
        raise AssertionError("not asked for")

    head_input = logits = word_ids = token_texts = lambda self, *arguments: None


def texts(n, n_words=12, seed=0):
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, n_words)) for _ in range(n)]


def numbers(n, seed=0):
    rng = np.random.default_rng(seed)
    return [" ".join(map(str, rng.integers(0, 40, 12))) for _ in range(n)]


@pytest.mark.parametrize("n_steps", [0, 20])
def test_the_closed_form_of_a_linear_model_is_found(n_steps):
    space = LinearResidualSpace()
    lens = fit_tuned_lens(space, numbers(300), n_steps=n_steps)
    product = np.eye(6)
    for layer in (2, 1, 0):
        product = (np.eye(6) + space.blocks[layer]) @ product
        expected = product - np.eye(6)
        assert np.linalg.norm(lens.matrices[layer] - expected) / np.linalg.norm(expected) < 1e-3
    assert mean_divergences(space, lens, numbers(20, seed=9)).max() < 1e-5


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma2", "bert"])
def test_it_reads_every_layer_better_than_the_logit_lens_on_texts_it_has_not_seen(family):
    space = tiny_space(family)
    lens = fit_tuned_lens(space, texts(150), n_steps=10)
    tuned, plain = (mean_divergences(space, each, texts(30, seed=5)) for each in (lens, LogitLens()))
    assert (tuned[:-1] < plain[:-1]).all()
    assert tuned[-1] == pytest.approx(0, abs=1e-6)
    assert plain[-1] == pytest.approx(0, abs=1e-6)
    for fit in lens.fits:
        assert fit.kl[fit.chosen] == min(fit.kl.values())


def test_steps_go_on_from_a_ridge_that_is_too_strong(monkeypatch):
    monkeypatch.setattr(lens_fitting, "RIDGES", (1.0,))
    lens = fit_tuned_lens(tiny_space("llama"), texts(150), n_steps=15)
    assert sum(fit.kl["trained"] for fit in lens.fits) < 0.95 * sum(fit.kl["ridge"] for fit in lens.fits)
    assert {fit.chosen for fit in lens.fits} == {"trained"}


def test_what_is_kept_is_the_mean_of_the_last_third_of_the_steps(monkeypatch):
    """Of six steps the maps after the fifth and the sixth; earlier ones are far from the end, since the rate falls to zero."""
    train, before, ends, kept = lens_fitting._train, [], [], []

    class Recorded(lens_fitting._Maps):
        def moves(self, layer, x):
            ends.append(self.matrices)  # which the steps change in place
            if layer == 0 and self.matrices is ends[0]:
                before.append(self.matrices.copy())  # as the step finds them
            return super().moves(layer, x)

    def recorded(*given, **settings):
        with monkeypatch.context() as patch:
            patch.setattr(lens_fitting, "_Maps", Recorded)
            kept.append(train(*given, **settings))
        return kept[-1]

    monkeypatch.setattr(lens_fitting, "_train", recorded)
    monkeypatch.setattr(lens_fitting, "RIDGES", (1.0,))  # a start that the steps leave
    fit_tuned_lens(tiny_space("llama"), texts(60), n_steps=6)
    assert len(before) == 6
    assert np.abs(before[5] - before[0]).max() > 1e-3
    np.testing.assert_allclose(kept[0].matrices, (before[5] + ends[0]) / 2, atol=1e-12)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_pullback_is_the_gradient(family, precision, rng):
    space = tiny_space(family)
    x, direction = (rng.normal(size=(3, 32)).astype(np.float32) for _ in range(2))
    gradient = rng.normal(size=(3, space.n_vocab)).astype(np.float32)
    step = 1e-2
    ahead, behind = (space.lens.logits(x + sign * step * direction).astype(np.float64) for sign in (1, -1))
    expected = ((ahead - behind) / (2 * step) * gradient).sum(axis=1)
    found = (space.lens.pullback(x, gradient, precision=precision) * direction).sum(axis=1)
    scale = np.abs(gradient).mean() * np.linalg.norm(ahead - behind, axis=1).max() / (2 * step)
    np.testing.assert_allclose(found, expected, atol=(1e-3 if precision == "float32" else 3e-2) * scale)


def test_saved_and_opened_again_it_is_the_same(tmp_path):
    space = tiny_space("gpt2")
    lens = fit_tuned_lens(space, texts(60), n_steps=0)
    lens.save(tmp_path / "lens")
    opened = TunedLens.load(tmp_path / "lens")
    np.testing.assert_array_equal(opened.matrices, lens.matrices)
    assert opened.fits == lens.fits
    (first,), (second,) = (trace(space, ["one two three"], lens=each) for each in (lens, opened))
    np.testing.assert_array_equal(first.statistics.kl_to_final, second.statistics.kl_to_final)
    assert first.lens == "tuned"


def test_the_same_seed_gives_the_same_lens():
    space = tiny_space("llama")
    first, second = (fit_tuned_lens(space, texts(60), n_steps=3, seed=4) for _ in range(2))
    np.testing.assert_array_equal(first.matrices, second.matrices)


def test_another_model_is_refused():
    lens = fit_tuned_lens(tiny_space("gpt2"), texts(60), n_steps=0)
    with pytest.raises(FingerprintMismatch, match="tuned lens"):
        trace(tiny_space("llama"), ["one"], lens=lens)
    assert trace(tiny_space("gpt2", layer=1, pooling="mean"), ["one"], lens=lens)  # another point of the same model


def test_what_holds_no_lens_is_named(tmp_path):
    (tmp_path / "lens.safetensors").write_bytes(b"a lens of an earlier version")
    with pytest.raises(DataError, match=r"is a file; expected a folder .* made again"):
        TunedLens.load(tmp_path / "lens.safetensors")
    with pytest.raises(DataError, match="holds no tuned-lens"):
        TunedLens.load(tmp_path / "missing")
    lens = fit_tuned_lens(tiny_space("gpt2"), texts(60), n_steps=0).to_artifact()
    for change in ({"provenance": Provenance()}, {"parameters": {}}, {"arrays": {"matrices": lens.arrays["matrices"]}}):
        write_artifact(dataclasses.replace(lens, **change), tmp_path / "lens")
        with pytest.raises(DataError, match="damaged tuned-lens"):
            TunedLens.load(tmp_path / "lens")


@pytest.mark.parametrize(
    ("given", "says"), [([], "texts is empty"), (["a"], "too few tokens"), (["", "  "], "too few tokens"), (["one two"], "too few tokens")]
)
def test_too_few_tokens_are_refused(given, says):
    with pytest.raises(InputError, match=says):
        fit_tuned_lens(tiny_space("gpt2"), given)


def test_fits_are_plain_data():
    lens = fit_tuned_lens(tiny_space("gpt2"), texts(60), n_steps=0)
    assert [dataclasses.asdict(fit)["layer"] for fit in lens.fits] == [0, 1, 2]


def test_choices_are_the_least_divergence_of_each_layer_on_tokens_kept_apart():
    space = LinearResidualSpace()
    texts = [" ".join(map(str, range(start, start + 25))) for start in range(8)]
    final, *others = (lens_fitting._states(space, texts[:1])[layer] for layer in (-1, 0, 1))
    found = lens_fitting._divergences_of(space, final, others)
    model = np.exp(final @ space.head.T)
    model /= model.sum(axis=1, keepdims=True)
    for each, x in zip(found, others, strict=True):
        lens = np.exp(x @ space.head.T)
        lens /= lens.sum(axis=1, keepdims=True)
        assert each == pytest.approx(float((model * np.log(model / lens)).sum(axis=1).mean()), rel=1e-4)


@pytest.mark.parametrize(("most_logits", "expected"), [(1 << 24, 75), (40 * 30, 30), (1, 20)])
def test_fewer_tokens_are_kept_apart_beside_a_large_vocabulary_but_never_too_few(most_logits, expected, monkeypatch):
    monkeypatch.setattr(lens_fitting, "_HELD_OUT_LOGITS", most_logits)
    monkeypatch.setattr(lens_fitting, "_LEAST_HELD_OUT", 20)
    texts = [" ".join(map(str, range(25)))] * 3
    assert {len(states) for states in lens_fitting._states(LinearResidualSpace(), texts)} == {expected}


def test_divergences_in_bfloat16_are_near_those_in_float32():
    space = tiny_space("llama")
    coarse, exact = (mean_divergences(space, LogitLens(), ["the cat sat on the mat"], precision=p) for p in ("bfloat16", "float32"))
    assert 0 < np.abs(coarse - exact).max() < 0.1
