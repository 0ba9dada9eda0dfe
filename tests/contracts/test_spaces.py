"""One contract, every space. A new space is tested the day it is listed here."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import transformers as tf

from lexframe.exceptions import InputError
from lexframe.provenance import SpaceFingerprint
from lexframe.spaces import (
    DecodableSpace,
    Intervention,
    LanguageModelSpace,
    LatentVariableSpace,
    LensSpace,
    LexicalSpace,
    SentenceEncoderSpace,
    Space,
    SteerableSpace,
    TextVAESpace,
    TokenSpace,
    ToySpace,
    VocabularySpace,
)
from lexframe.spaces.text_vae.files import build_text_vae
from lexframe.spaces.text_vae.network import LatentShape
from lexframe.spaces.text_vae.small_networks import SmallParts
from tests.tiny_models import tiny_model, tiny_space, tiny_tokenizer

TOLERANCE = 1e-5  # float32
TEXTS = [
    "the cat sat on the mat",
    "a dog",
    "",
    " \t\n ",
    "naïve café ☕ 日本語 👩‍👩‍👧 e\u0301 \u200b\u202e",
    "\x01\x07\x1b[31m\x7f\x85\ufeff",
    "one two three four five six seven eight nine ten eleven twelve",
    "line one\r\nline two\u2028line three",
    "<s> {text} [CLS] <pad>",
    "x",
]


def sentence_encoder(**options):
    torch.manual_seed(0)
    config = tf.BertConfig(
        vocab_size=320,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=64,
        pad_token_id=1,
    )
    return SentenceEncoderSpace(tf.BertModel(config).eval(), tokenizer=tiny_tokenizer(masked=True), **options)


def text_vae(**options):
    torch.manual_seed(0)
    model = build_text_vae(
        LatentShape(n_latent=4, max_tokens=40, **options),
        tokenizer=tiny_tokenizer(),
        small=SmallParts(32, encoder_layers=1, decoder_layers=1),
    )
    with torch.no_grad():
        model.network.to_posterior[0].weight.mul_(20)
    model.network.eval()
    return TextVAESpace(model)


SPACES = {
    "toy": lambda: ToySpace({"cat": [1.0, 0.0, 0.5], "dog": [0.0, 1.0, 0.5], "x": [0.2, 0.1, -1.0], "sat": [0.0, 0.3, 0.0]}),
    "causal language model": lambda: tiny_space("llama"),
    "inner layer": lambda: tiny_space("gpt2", layer=1, pooling="mean"),
    "template": lambda: tiny_space("gpt2", template="Say: {text}!", pooling="span"),
    "masked language model": lambda: tiny_space("bert"),
    "sentence encoder": sentence_encoder,
    "text VAE": text_vae,
    "tfidf": lambda: LexicalSpace().fitted_on([*TEXTS, "the dog sat on a cat", "four cats"]),
    "sentence encoder of unit length": lambda: sentence_encoder(normalize=True, pooling="first"),
}


@pytest.fixture(scope="module", params=SPACES)
def space(request):
    return SPACES[request.param]()


def needs(space, power):
    if not isinstance(space, power):
        pytest.skip(f"{type(space).__name__} does not offer {power.__name__}, and need not")
    return space


def close(found, expected):
    np.testing.assert_allclose(found, expected, atol=TOLERANCE * max(1.0, float(np.abs(expected).max(initial=0))))


def test_a_point_a_text_in_float32(space):
    points = space.encode(TEXTS)
    assert isinstance(space, Space)
    assert points.shape == (len(TEXTS), space.n_dims)
    assert points.dtype == np.float32
    assert np.isfinite(points).all()
    assert len(np.unique(points.round(4), axis=0)) >= 3  # texts make a difference


def test_no_texts_make_no_points(space):
    points = space.encode([])
    assert points.shape == (0, space.n_dims)
    assert points.dtype == np.float32
    assert space.truncated([]).shape == (0,)


def test_order_is_kept(space):
    order = np.random.default_rng(0).permutation(len(TEXTS))
    close(space.encode([TEXTS[row] for row in order]), space.encode(TEXTS)[order])


@pytest.fixture(scope="module")
def alone(space):
    """Points of the texts, each encoded by itself."""
    return np.concatenate([space.encode([text]) for text in TEXTS])


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_batch_size_and_neighbours_never_change_a_row(space, alone, batch_size):
    close(space.encode(TEXTS, batch_size=batch_size), alone)
    close(space.encode(["the cat " * 12, *TEXTS, "a"], batch_size=batch_size)[1:-1], alone)


def test_the_same_call_gives_the_same_bits(space):
    assert np.array_equal(space.encode(TEXTS), space.encode(TEXTS))
    again = space.encode([TEXTS[0]] * 5, batch_size=2)
    close(again, np.repeat(again[:1], 5, axis=0))


def test_any_sequence_of_texts_will_do(space):
    expected = space.encode(TEXTS)
    assert np.array_equal(space.encode(tuple(TEXTS)), expected)


def test_progress_sees_the_work_and_changes_nothing(space):
    seen = []

    def progress(batches):
        for batch in batches:
            seen.append(batch)
            yield batch

    assert np.array_equal(space.encode(TEXTS, progress=progress), space.encode(TEXTS))
    assert seen


def test_points_belong_to_the_caller(space):
    first = space.encode(TEXTS)
    kept = first.copy()
    first[:] = 7
    assert np.array_equal(space.encode(TEXTS), kept)


def test_global_generators_play_no_part(space):
    state = torch.random.get_rng_state()
    expected = space.encode(TEXTS)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(99)
    assert np.array_equal(space.encode(TEXTS), expected)


def test_texts_too_long_are_cut_and_counted(space):
    long = "one two three " * 400
    flags = space.truncated(["a dog", long])
    assert flags.dtype == bool
    assert not flags[0]
    assert np.isfinite(space.encode([long])).all()


def test_the_fingerprint_is_stable_and_can_be_written_down(space):
    fingerprint = space.fingerprint
    assert isinstance(fingerprint, SpaceFingerprint)
    space.encode(TEXTS[:2])
    assert space.fingerprint == fingerprint
    assert fingerprint.kind == type(space).__name__
    assert SpaceFingerprint.from_dict(json.loads(json.dumps(fingerprint.to_dict()))) == fingerprint
    assert replace(fingerprint, model="elsewhere").digest == fingerprint.digest


@pytest.mark.parametrize("name", SPACES)
def test_the_same_space_made_twice_has_one_fingerprint_and_one_set_of_points(name):
    first, second = SPACES[name](), SPACES[name]()
    assert first.fingerprint.digest == second.fingerprint.digest
    assert np.array_equal(first.encode(TEXTS), second.encode(TEXTS))


def test_every_space_here_differs_from_every_other():
    digests = [make().fingerprint.digest for make in SPACES.values()]
    assert len(set(digests)) == len(digests)


def test_vocabulary_matrices_fit_the_points(space):
    space = needs(space, VocabularySpace)
    points = space.encode(TEXTS)
    states = space.head_input(points)
    assert states.shape == points.shape
    assert states.dtype == np.float32
    assert space.unembedding().shape == space.embedding().shape == (space.n_vocab, space.n_dims)
    assert space.logits(points).shape == (len(TEXTS), space.n_vocab)
    assert np.isfinite(space.logits(points)).all()


def test_logits_are_the_head_at_the_head_input(space):
    space = needs(space, VocabularySpace)
    points = space.encode(TEXTS)
    logits = space.logits(points)
    if isinstance(space, LanguageModelSpace) and space.model is tiny_model("bert"):
        logits = logits - space.model.cls.predictions.decoder.bias.detach().numpy()[: space.n_vocab]
    close(space.head_input(points) @ space.unembedding().T, logits)


def test_vocabulary_arrays_belong_to_the_caller(space):
    space = needs(space, VocabularySpace)
    expected = space.logits(space.encode(TEXTS))
    digest = space.fingerprint.digest
    for array in (space.unembedding(), space.embedding()):
        kept = array.copy()
        try:
            array[:] = 0
        except ValueError:  # read-only arrays are safe as well
            continue
        changed = not np.array_equal(space.logits(space.encode(TEXTS)), expected)
        array[:] = kept  # the tiny models are shared by the suite
        assert not changed
    assert space.fingerprint.digest == digest


def test_words_have_ids_and_ids_have_texts(space):
    space = needs(space, VocabularySpace)
    ids = space.word_ids("cat")
    assert ids
    assert all(0 <= i < space.n_vocab for i in ids)
    assert "".join(space.token_texts(ids)).strip() == "cat"
    assert len(space.token_texts(range(space.n_vocab))) == space.n_vocab
    assert space.token_texts([]) == []


def test_states_of_tokens(space):
    space = needs(space, TokenSpace)
    states = space.token_states("the cat sat")
    assert states.states.shape == (space.n_layers + 1, len(states.tokens), space.n_dims)
    assert states.layers == tuple(range(space.n_layers + 1))
    assert len(states.ids) == len(states.tokens) > 0
    last = space.token_states("the cat sat", layers=[-1])
    assert last.layers == (space.n_layers,)
    close(last.states[0], states.states[-1])
    with pytest.raises(ValueError, match="does not exist"):
        space.token_states("the cat sat", layers=[99])


def test_the_lens_on_the_last_layer_is_the_head(space):
    needs(space, LensSpace)
    states = space.token_states("the cat sat", layers=[-1]).states[0]
    logits = space.lens.logits(space.lens.input(states, layer=-1))
    assert logits.shape == (len(states), space.n_vocab)
    assert logits.dtype == np.float32
    if isinstance(space, LanguageModelSpace):
        ids = torch.tensor([space.token_states("the cat sat", layers=[0]).ids])
        with torch.no_grad():
            expected = space.model(input_ids=ids).logits[0, :, : space.n_vocab].numpy()
        np.testing.assert_allclose(logits, expected, atol=TOLERANCE * max(1, np.abs(expected).max()))


def test_a_moved_space_is_another_and_leaves_no_trace(space):
    needs(space, SteerableSpace)
    texts = TEXTS[:5]
    before, fingerprint = space.encode(texts), space.fingerprint
    vector = np.linspace(-1, 2, space.n_dims, dtype=np.float32) ** 2  # a layer norm does not see what all coordinates share
    move = Intervention(layer=0, vector=vector, strength=0.5)
    with space.intervened([move]):
        inside = space.encode(texts)
        assert space.fingerprint.digest != fingerprint.digest
        with space.intervened([replace(move, strength=1.0)]):
            assert space.fingerprint.digest != fingerprint.digest
            assert not np.allclose(space.encode(texts), inside)
        np.testing.assert_array_equal(space.encode(texts), inside)
    assert not np.allclose(inside, before)
    with pytest.raises(RuntimeError, match="within"), space.intervened([move]):
        raise RuntimeError("within")
    np.testing.assert_array_equal(space.encode(texts), before)
    assert space.fingerprint == fingerprint
    with space.intervened([replace(move, strength=0.0)]):
        np.testing.assert_array_equal(space.encode(texts), before)


def test_a_move_fits_the_space_or_is_refused(space):
    needs(space, SteerableSpace)
    with pytest.raises(InputError, match="dimensions"), space.intervened([Intervention(layer=0, vector=np.ones(3, dtype=np.float32))]):
        pass
    with pytest.raises(InputError, match="does not exist"), space.intervened([Intervention(layer=99, vector=np.ones(space.n_dims))]):
        pass


def test_states_read_together_are_those_read_alone(space):
    needs(space, TokenSpace)
    texts = [text for text in TEXTS if text.strip()]
    together = space.token_states_of(texts, layers=[0, -1])
    for text, found in zip(texts, together, strict=True):
        alone = space.token_states(text, layers=[0, -1])
        assert (found.ids, found.tokens, found.layers) == (alone.ids, alone.tokens, alone.layers)
        close(found.states, alone.states)
    assert space.token_states_of([]) == []


def test_points_are_written_as_texts_and_batches_change_none(space):
    space = needs(space, DecodableSpace)
    points = space.encode(TEXTS)
    texts = space.decode(points)
    assert len(texts) == len(TEXTS)
    assert all(isinstance(text, str) for text in texts)
    assert texts == space.decode(points, batch_size=3)
    assert space.decode(points[:0]) == []
    with pytest.raises(InputError):
        space.decode(np.zeros((1, space.n_dims + 1), dtype=np.float32))
    with pytest.raises(InputError):
        space.decode(np.full((1, space.n_dims), np.nan, dtype=np.float32))


def test_a_latent_variable_space_says_how_likely_texts_are(space):
    space = needs(space, LatentVariableSpace)
    posterior = space.posterior(TEXTS)
    close(posterior.means, space.encode(TEXTS))
    assert np.isfinite(posterior.log_variances).all()
    points = posterior.sample(2, seed=0)
    sums = [values.sum() for values in space.token_log_likelihoods(TEXTS, points[:, 1])]
    np.testing.assert_allclose(space.log_likelihoods(TEXTS, points)[:, 1], sums, atol=1e-4)
    assert [len(values) for values in space.token_log_likelihoods(TEXTS, points[:, 0])] == space.token_counts(TEXTS).tolist()
    assert max(sums) < 0
