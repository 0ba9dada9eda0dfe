"""A score of a toy whose numbers are known: every measure is the measure called alone, and each warning comes when it should."""

import dataclasses
import json
import math

import numpy as np
import pytest
import vl_convert

from lexframe.exceptions import DataError, InputError
from lexframe.generative.reconstructions import reconstruct_texts
from lexframe.generative.samples import sample_texts
from lexframe.generative.score.active_units import count_active_units
from lexframe.generative.score.factor_probe import probe_factors
from lexframe.generative.score.kl_divergence import kl_per_dimension
from lexframe.generative.score.likelihood_bounds import importance_weighted
from lexframe.generative.score.mutual_information import mutual_information
from lexframe.generative.score.position_gain import position_gain
from lexframe.generative.score.rate_distortion import rate_distortion
from lexframe.generative.score.vae_measures import vae_measures
from lexframe.generative.score.vae_score import ScoreSettings, score_text_vae
from lexframe.generative.texts.nearest_texts import memorization_check
from lexframe.generative.texts.sample_diversity import compare_diversity
from lexframe.generative.texts.text_perplexity import language_model_perplexity
from lexframe.intervals import Estimate, mean_estimate
from lexframe.spaces import Decoding
from tests.generative.toy import ToyLatentSpace
from tests.tiny_models import tiny_model, tiny_tokenizer

SIZES = {"n_texts": 250, "n_bound_texts": 60, "n_decoded_texts": 100, "n_samples": 40}
BETTER = 0.3  # nats by which the plain language model of these tests is worse than the truth


class CountingSpace(ToyLatentSpace):
    """The toy, and how many texts its encoder and its decoder were given."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.encoded, self.decoded = [], []

    def posterior(self, texts, **options):
        self.encoded.append(len(texts))
        return super().posterior(texts, **options)

    def decode(self, points, **options):
        self.decoded.append(len(points))
        return super().decode(points, **options)


@pytest.fixture(scope="module")
def space():
    return ToyLatentSpace([2.0, 0.0])


@pytest.fixture(scope="module")
def texts(space):
    return space.sample_texts(300, n_words=8)


@pytest.fixture(scope="module")
def language_model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lm")
    tiny_model("llama").save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def plain(space, texts):
    return BETTER - space.exact_log_likelihood(texts)


@pytest.fixture(scope="module")
def training(space):
    return space.sample_texts(50, n_words=8, seed=3)


@pytest.fixture(scope="module")
def score(space, texts, plain, training, language_model):
    return score_text_vae(
        space,
        texts,
        settings=ScoreSettings(n_importance_samples=(1, 50), temperature=1.0, language_model=language_model, **SIZES),
        training_texts=training,
        factors={"first": [text.split()[0] for text in texts], "share of a": [text.split().count("a") / 8 for text in texts]},
        plain_language_model=plain,
        seed=4,
    )


def same(found, alone):
    """Whether two results hold the same numbers."""
    return json.dumps(found.to_dict(), sort_keys=True) == json.dumps(alone.to_dict(), sort_keys=True)


def test_every_measure_is_the_measure_called_alone(score, space, texts, training, language_model):
    chosen = [texts[row] for row in score.rows]
    assert len(chosen) == len(set(score.rows.tolist())) == 250
    posterior = space.posterior(chosen)
    assert score.kl == mean_estimate(kl_per_dimension(posterior).sum(axis=1), seed=4)
    assert same(score.units, count_active_units(posterior))
    assert same(score.information, mutual_information(posterior, seed=4))
    assert same(score.likelihood, importance_weighted(space, chosen[:60], n_samples=(1, 50), seed=4))
    assert same(score.reconstructions, reconstruct_texts(space, chosen[:100], decoding=Decoding(seed=4)))
    assert same(score.gain, position_gain(space, chosen[:100], seed=4))
    assert score.rate_distortion.points == rate_distortion(space, chosen[:100], seed=4)
    samples = sample_texts(space, 40, decoding=Decoding(temperature=1.0, seed=4))
    assert same(score.samples, samples)
    assert same(score.diversity, compare_diversity(samples.texts, chosen[:40]))
    assert same(score.sample_perplexity, language_model_perplexity(samples.texts, language_model, seed=4))
    assert same(score.real_perplexity, language_model_perplexity(chosen[:40], language_model, seed=4))
    assert same(score.memorization, memorization_check(samples.texts, training, chosen[:40]))
    factors = {"first": [text.split()[0] for text in chosen], "share of a": [text.split().count("a") / 8 for text in chosen]}
    assert same(score.factors, probe_factors(posterior.means, factors, seed=4))


def test_numbers_that_are_known(score, space, texts):
    chosen = [texts[row] for row in score.rows]
    exact = -space.exact_log_likelihood(chosen[:60])
    assert score.likelihood.bounds[-1].nats_per_text.value == pytest.approx(exact.mean(), abs=0.02)
    assert score.plain.nats_per_text.value == pytest.approx(exact.mean() + BETTER)
    assert score.plain.difference.value == pytest.approx(-BETTER, abs=0.02)
    assert score.plain.difference.high < 0
    assert score.plain.n_samples == 50
    n_tokens = sum(len(text.split()) + 1 for text in chosen[:60])
    assert score.plain.perplexity_per_token.value == pytest.approx(math.exp((exact.sum() + 60 * BETTER) / n_tokens))
    everything = -space.exact_log_likelihood(chosen[:100])
    assert score.rate_distortion.plain_language_model.value == pytest.approx(everything.mean() + BETTER)
    assert score.own_point.weight == 1
    assert score.own_point.total.value == pytest.approx(score.own_point.rate.value + score.own_point.distortion.value)
    assert (score.units.n_active, score.units.n_unused) == ((1, 1), 1)


def test_no_text_is_read_twice(texts, training, plain):
    space = CountingSpace([2.0, 0.0])
    settings = ScoreSettings(language_model=None, **SIZES)
    score_text_vae(space, texts, settings=settings, training_texts=training, plain_language_model=plain)
    assert space.encoded == [250, 40]  # the texts, and the samples that are read back
    assert sorted(space.decoded) == [40, 100]


def test_a_plain_language_model_is_asked_for_what_is_compared(space, texts, plain):
    nats, asked = dict(zip(texts, plain, strict=True)), []

    def model(some):
        asked.extend(some)
        return np.array([nats[text] for text in some])

    settings = ScoreSettings((1,), language_model=None, **SIZES)
    found = score_text_vae(space, texts, plain_language_model=model, settings=settings)
    assert len(asked) == 100
    other = score_text_vae(space, texts, plain_language_model=plain.tolist(), settings=settings)
    assert found.plain == other.plain
    assert found.rate_distortion == other.rate_distortion


def test_what_is_not_asked_for_is_left_out(space, texts):
    found = score_text_vae(space, texts[:30], settings=ScoreSettings((2,), 10, language_model=None))
    absent = ("plain", "sample_perplexity", "real_perplexity", "memorization", "factors")
    assert [getattr(found, name) for name in absent] == [None] * 5
    assert [found.to_dict()[name] for name in absent] == [None] * 5
    assert not {"factors"} & {measure.part for measure in vae_measures(found)}
    assert len(found.rows) == 30


def test_table_document_and_chart(score):
    document = json.loads(json.dumps(score.to_dict(), allow_nan=False))
    assert document["likelihood"]["bounds"][1]["n_samples"] == 50
    assert document["provenance"]["parameters"]["n_bound_texts"] == 60
    assert document["warnings"] == list(score.warnings)
    frame = score.to_frame()
    assert frame.columns.tolist() == ["part", "measure", "value", "low", "high", "unit", "n_texts", "good"]
    assert frame["measure"].is_unique
    assert (frame["good"] != "").all()
    rows = frame.set_index("measure")
    for name, expected, n_texts in (
        ("KL", score.kl, 250),
        ("bound of 50 samples", score.likelihood.bounds[1].nats_per_text, 60),
        ("bound less plain language model", score.plain.difference, 60),
        ("reconstruction", score.own_point.distortion, 100),
        ("word accuracy", score.reconstructions.word_accuracy, 100),
        ("first", score.factors.scores[0].score, 250),
    ):
        assert rows.loc[name, ["value", "low", "high", "n_texts"]].tolist() == [expected.value, expected.low, expected.high, n_texts]
    assert rows.loc["self-BLEU, real texts", "value"] == score.diversity.real.self_bleu
    assert rows.loc["perplexity per word, samples", "value"] == score.sample_perplexity.per_word.value
    assert "<table" in score._repr_html_()
    assert vl_convert.vegalite_to_png(score.chart().to_json()).startswith(b"\x89PNG")


def changed(score, part, **values):
    return dataclasses.replace(score, **{part: dataclasses.replace(getattr(score, part), **values)})


def one_warning(score, before):
    new = [warning for warning in score.warnings if warning not in before.warnings]
    assert len(new) == 1
    return new[0]


@pytest.fixture(scope="module")
def calm(score):
    """The score without what it warns of: samples of the toy are short, and some have no word."""
    quiet = dataclasses.replace(score, memorization=None)
    quiet = changed(quiet, "diversity", samples=quiet.diversity.real)
    quiet = changed(quiet, "samples", texts=("a",) * 40)
    assert quiet.warnings == ()
    return quiet


def test_a_collapsed_latent(texts):
    found = score_text_vae(ToyLatentSpace([0.01]), texts, settings=ScoreSettings((1,), 10, language_model=None))
    assert found.warnings[0].startswith("The latent has collapsed: KL is 0.00 nats a text and 0 of 1 dimensions")
    assert found.gain.verdict == "none"


def test_each_warning_comes_with_its_cause(calm):
    information = calm.information
    near, far = (dataclasses.replace(information.nats, value=information.ceiling - gap) for gap in (0.9, 1.1))
    assert "at its ceiling ln 250 = 5.52" in one_warning(changed(calm, "information", nats=near), calm)
    assert changed(calm, "information", nats=far).warnings == ()
    assert "in 20% of texts one of 50 samples" in one_warning(changed(calm, "likelihood", dominated_share=0.2), calm)
    assert "3 of 60 texts" in one_warning(changed(calm, "likelihood", n_cut=3), calm)
    assert "1 of 2 dimensions are idle" in one_warning(changed(calm, "units", n_unused=0, n_idle=1), calm)
    front = Estimate(2.6, 2.2, 3.0)
    assert "first quarter of a text holds 65%" in one_warning(changed(calm, "gain", first_quarter=front), calm)
    assert "last quarter of a text holds 65%" in one_warning(changed(calm, "gain", last_quarter=front), calm)
    assert "their length and little else" in one_warning(changed(calm, "gain", end_share=Estimate(0.7, 0.6, 0.8)), calm)
    assert "The decoder does not listen" in one_warning(changed(calm, "gain", first_quarter=None, last_quarter=None), calm)
    worse = changed(calm, "plain", difference=Estimate(1.5, 1.0, 2.0))
    assert "better by 1.50 nats a text [1.00, 2.00]" in one_warning(worse, calm)
    assert changed(calm, "plain", difference=Estimate(1.5, -0.1, 2.0)).warnings == ()
    few = dataclasses.replace(calm.diversity.real, distinct_texts=0.4 * calm.diversity.real.distinct_texts)
    assert "Samples repeat each other" in one_warning(changed(calm, "diversity", samples=few), calm)
    blank = dataclasses.replace(calm.samples, texts=("",) * 40)
    assert "100% of the samples are blank" in one_warning(dataclasses.replace(calm, samples=blank), calm)


def test_copies_are_held_against_those_among_real_texts(calm):
    training = [f"text number {row} of many" for row in range(100)]
    real = [f"another sentence with {row} words" for row in range(50)]

    def warned(samples, held_out=real):
        return dataclasses.replace(calm, memorization=memorization_check(samples, training, held_out)).warnings

    (found,) = warned(training[:20] + real[:30])
    assert found == "Samples are copied from training: 40% of them stand there word for word, against 0% of real texts."
    assert warned(real) == ()
    near = [f"text number {row} of few" for row in range(50)]
    assert "nearly copied from training: with probability 1.00" in warned(near)[0]
    both = warned(training[:50], training[50:])
    assert "100% of the scored texts stand among the training texts" in both[0]
    assert len(both) == 1  # texts as common as these are copied by nobody


def test_a_score_depends_on_its_seed_alone(space, texts):
    settings = ScoreSettings((3,), 10, language_model=None, n_texts=50)
    first, again, other = (score_text_vae(space, texts, seed=seed, settings=settings) for seed in (1, 1, 2))
    assert same(first, again)
    assert first.rows.tolist() != other.rows.tolist()


def test_bad_input(space, texts, without_type_checks):
    with pytest.raises(DataError, match="1 text to score"):
        score_text_vae(space, "a b")
    with pytest.raises(DataError, match="1 text to score"):
        score_text_vae(space, ["a"])
    for name in ("n_texts", "n_bound_texts", "n_decoded_texts"):
        with pytest.raises(InputError, match=f"{name} is 1"):
            ScoreSettings(**{name: 1})
    with pytest.raises(InputError, match="expected 1 among them"):
        ScoreSettings(weights=(0.0, 2.0))
    with pytest.raises(InputError, match=r"shape \(2,\)"):
        score_text_vae(space, texts, plain_language_model=[1.0, 2.0])
    with pytest.raises(InputError, match="finite: False"):
        score_text_vae(space, texts, plain_language_model=[math.nan] * len(texts))
    with pytest.raises(InputError, match="'tense' has 2 values for 300 texts"):
        score_text_vae(space, texts, factors={"tense": [0, 1]}, settings=ScoreSettings((1,), 5, language_model=None))
