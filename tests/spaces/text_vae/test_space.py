"""The space of a text VAE: likelihoods against transformers, writing, files, and latents of other models."""

import json

import numpy as np
import pytest
import torch

from lexframe.exceptions import FingerprintMismatch, InputError, ModelError
from lexframe.spaces import TextVAESpace, open_space, reopen_space
from lexframe.spaces.text_vae.files import build_text_vae, load_text_vae, save_text_vae, stored_tensors, take_tensors
from lexframe.spaces.text_vae.network import LatentShape
from lexframe.spaces.text_vae.small_networks import SmallParts
from lexframe.spaces.text_vae.texts import VAETexts
from tests.tiny_models import tiny_model, tiny_tokenizer

TEXTS = ["the cat sat on the mat", "a dog", "", "naïve café ☕ 日本語", "one two three four five six"]


def tiny_vae(seed=0, **options):
    torch.manual_seed(seed)
    shape = LatentShape(**({"n_latent": 4, "memory_tokens": 2, "max_tokens": 30} | options))
    model = build_text_vae(shape, tokenizer=tiny_tokenizer(), small=SmallParts(32, 4, encoder_layers=1, decoder_layers=2))
    with torch.no_grad():
        for name, parameter in model.network.named_parameters():
            if parameter.ndim > 1 and "wte" not in name:
                parameter.mul_(4)  # so that texts differ and the latent matters
    model.network.eval()
    return model


@pytest.fixture(scope="module")
def space():
    return TextVAESpace(tiny_vae())


@pytest.fixture
def folder(tmp_path):
    return save_text_vae(tiny_vae(), tmp_path / "vae", facts={"seconds": 1})


def test_points_are_the_means_of_the_posterior(space):
    posterior = space.posterior(TEXTS)
    assert posterior.means.shape == posterior.log_variances.shape == (5, 4)
    assert np.array_equal(space.encode(TEXTS), posterior.means)
    assert np.ptp(posterior.means, axis=0).max() > 0.1
    assert space.posterior([]).means.shape == (0, 4)


def test_equal_texts_have_one_point_to_the_last_digit(space):
    points = space.encode([*TEXTS, "a dog", *TEXTS, "a dog"])
    assert np.array_equal(points[:5], points[6:11])
    assert np.array_equal(points[1], points[5])
    assert np.array_equal(points[1], points[-1])


def test_likelihoods_are_those_of_the_decoder_word_by_word(space):
    points = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    found = space.token_log_likelihoods(TEXTS, points, batch_size=2)
    texts = space.model.texts
    for text, point, values in zip(TEXTS, points, found, strict=True):
        ids = [texts.begin, *texts([text])[0].ids, texts.end]
        with torch.no_grad():
            logits = space.model.network.decoder(
                torch.tensor([ids[:-1]]), torch.ones(1, len(ids) - 1, dtype=torch.int64), torch.tensor(point)[None]
            )
        expected = logits[0].log_softmax(-1).gather(1, torch.tensor(ids[1:])[:, None])[:, 0]
        np.testing.assert_allclose(values, expected, atol=1e-4)
        assert values.dtype == np.float64
    assert [len(values) for values in found] == space.token_counts(TEXTS).tolist()


def test_likelihoods_at_many_points_are_the_sums(space):
    points = np.random.default_rng(1).normal(size=(5, 3, 4)).astype(np.float32)
    found = space.log_likelihoods(TEXTS, points, batch_size=4)
    assert found.shape == (5, 3)
    for sample in range(3):
        expected = [values.sum() for values in space.token_log_likelihoods(TEXTS, points[:, sample])]
        np.testing.assert_allclose(found[:, sample], expected, atol=1e-4)
    assert space.log_likelihoods([], np.zeros((0, 3, 4), dtype=np.float32)).shape == (0, 3)


def test_the_likeliest_text_of_a_point_does_not_depend_on_the_batch(space):
    points = np.random.default_rng(2).normal(size=(7, 4)).astype(np.float32)
    texts = space.decode(points)
    assert texts == space.decode(points, batch_size=2)
    assert texts == [space.decode(point[None])[0] for point in points]
    assert len(set(texts)) > 1
    assert space.decode(points[:0]) == []


def test_draws_repeat_with_their_seed_and_leave_the_global_generator_alone(space):
    points = np.zeros((6, 4), dtype=np.float32)
    state = torch.random.get_rng_state()
    first = space.decode(points, temperature=1.0, seed=3)
    assert torch.equal(state, torch.random.get_rng_state())
    assert first == space.decode(points, temperature=1.0, seed=3)
    assert first != space.decode(points, temperature=1.0, seed=4)
    assert len(set(first)) > 1


def test_half_a_character_is_refused(space):
    with pytest.raises(InputError, match="Text number 1 is no valid Unicode at character 5"):
        space.encode(["whole", "half \udcff"])


def test_texts_that_are_cut_are_named(space):
    long = "the cat " * 40
    assert space.truncated(["a dog", long]).tolist() == [False, True]
    assert space.token_counts([long]).tolist() == [31]


def test_a_text_that_spells_a_special_token_is_text():
    texts = VAETexts(tiny_tokenizer(), max_tokens=30)
    read = texts(["a <s> dog<pad>"])[0]
    assert texts.end not in read.ids
    assert texts.texts([read.ids]) == ["a <s> dog<pad>"]


@pytest.mark.parametrize(
    ("points", "says"),
    [
        (np.zeros((1, 5), dtype=np.float32), "another latent"),
        (np.full((1, 4), np.nan, dtype=np.float32), "not finite"),
    ],
)
def test_points_of_another_latent_are_refused(space, points, says):
    with pytest.raises(InputError, match=says):
        space.decode(points)
    with pytest.raises(InputError, match=says):
        space.token_log_likelihoods(["a dog"], points)


def test_draws_out_of_range_are_refused(space):
    for options in ({"temperature": -1.0}, {"top_p": 0.0}, {"top_p": 1.5}):
        with pytest.raises(InputError, match="expected at least 0"):
            space.decode(np.zeros((1, 4), dtype=np.float32), **options)


def test_a_folder_gives_the_same_points_and_texts_back(folder):
    original, opened = TextVAESpace(tiny_vae()), TextVAESpace(str(folder))
    np.testing.assert_allclose(opened.encode(TEXTS), original.encode(TEXTS), atol=0.3)  # weights are kept in bfloat16
    again = save_text_vae(opened.model, folder.parent / "again")
    assert TextVAESpace(str(again)).fingerprint.digest == opened.fingerprint.digest
    assert np.array_equal(TextVAESpace(str(again)).encode(TEXTS), opened.encode(TEXTS))
    assert opened.decode(opened.encode(TEXTS)) == TextVAESpace(str(again)).decode(opened.encode(TEXTS))


def test_the_registry_knows_text_vaes(folder):
    space = open_space(str(folder))
    assert isinstance(space, TextVAESpace)
    assert isinstance(reopen_space(space.fingerprint), TextVAESpace)
    other = TextVAESpace(tiny_vae(seed=5))
    with pytest.raises(FingerprintMismatch):
        reopen_space(other.fingerprint, model=str(folder))


def test_texts_are_as_long_as_asked_where_the_parts_have_room(folder, tmp_path):
    def room(name, tokens):
        return load_text_vae(str(name), max_tokens=tokens).network.shape.max_tokens

    assert [room(folder, tokens) for tokens in (12, 30, 99)] == [12, 30, 30]  # its position table ends there
    model = build_text_vae(
        LatentShape(n_latent=2, memory_tokens=1, max_tokens=8),
        encoder="embedded",
        decoder="embedded",
        train_encoder=False,
        train_decoder=False,
    )
    longer = save_text_vae(model, tmp_path / "longer")
    assert [room(longer, tokens) for tokens in (50, 9999)] == [50, 511]
    text = "one two three four five six seven eight nine ten"
    points = [TextVAESpace(load_text_vae(str(longer), max_tokens=tokens)).encode([text]) for tokens in (30, 60)]
    np.testing.assert_allclose(points[0], points[1], atol=1e-5)


def test_frozen_parts_are_named_and_not_copied(tmp_path):
    model = build_text_vae(
        LatentShape(n_latent=3, memory_tokens=1), encoder="embedded", decoder="embedded", train_encoder=False, train_decoder=False
    )
    trained = [name for name, parameter in model.network.named_parameters() if parameter.requires_grad]
    assert not any(name.startswith(("encoder.", "decoder.model.")) for name in trained)
    folder = save_text_vae(model, tmp_path / "vae")
    assert (folder / "model.safetensors").stat().st_size < 3_000_000
    opened = TextVAESpace(str(folder))
    np.testing.assert_allclose(opened.encode(TEXTS), TextVAESpace(model).encode(TEXTS), atol=0.05)
    document = json.loads((folder / "vae.json").read_text())
    document["frozen"]["encoder"]["weights"] = "0" * 16
    (folder / "vae.json").write_text(json.dumps(document))
    with pytest.raises(FingerprintMismatch, match="frozen encoder"):
        load_text_vae(str(folder))


def test_an_encoder_with_a_tokenizer_of_its_own(tmp_path):
    encoder = tmp_path / "bert"
    tiny_model("bert").bert.save_pretrained(encoder)
    tiny_tokenizer(masked=True).save_pretrained(encoder)
    model = build_text_vae(LatentShape(n_latent=3, max_tokens=30), encoder=str(encoder), decoder="embedded")
    assert model.texts.encoder_tokenizer is not None
    read = model.texts(["a dog"])[0]
    assert read.encoder_ids[0] == read.encoder_ids[-1] == 0  # <s> … <s> of the masked model
    folder = save_text_vae(model, tmp_path / "vae")
    np.testing.assert_allclose(TextVAESpace(str(folder)).encode(TEXTS), TextVAESpace(model).encode(TEXTS), atol=0.1)


def test_bad_folders_say_what_is_wrong(folder, tmp_path):
    with pytest.raises(ModelError, match=r"no vae\.json"):
        TextVAESpace(str(tmp_path))
    with pytest.raises(ModelError, match=r"no vae\.json"):
        TextVAESpace(str(tmp_path / "nowhere"))
    weights = (folder / "model.safetensors").read_bytes()
    for content in (weights[: len(weights) // 2], b"", b"nonsense"):
        (folder / "model.safetensors").write_bytes(content)
        with pytest.raises(ModelError, match="cannot be opened as a text VAE"):
            TextVAESpace(str(folder))
    (folder / "model.safetensors").write_bytes(weights)
    document = json.loads((folder / "vae.json").read_text())
    for change, says in (
        ({"format": 99}, "format 99"),
        ({"shape": document["shape"] | {"n_latent": 9}}, "do not fit"),
        ({"shape": {"wrong": 1}}, "cannot be opened"),
        ({"frozen": None}, "cannot be opened"),
        ({"frozen": {"decoder": {"model": "embedded"}}}, "cannot be opened"),
        ({"decoder": {"n_embd": 32}}, "cannot be opened"),
        ({"decoder": None}, "does not describe its decoder"),
        ({"shared_words": None}, "cannot be opened"),
    ):
        damaged = {name: value for name, value in (document | change).items() if value is not None}
        (folder / "vae.json").write_text(json.dumps(damaged))
        with pytest.raises(ModelError, match=says):
            TextVAESpace(str(folder))
    (folder / "vae.json").write_text("{")
    with pytest.raises(ModelError, match="cannot be opened"):
        TextVAESpace(str(folder))


def test_a_plain_language_model_is_no_space():
    with pytest.raises(InputError, match="no latent"):
        TextVAESpace(tiny_vae(n_latent=0))


def test_settings_that_exclude_each_other_are_refused():
    shape = LatentShape(n_latent=4, max_tokens=30)
    with pytest.raises(InputError, match="must be trained"):
        build_text_vae(shape, train_decoder=False, tokenizer=tiny_tokenizer())
    with pytest.raises(InputError, match="needs a tokenizer"):
        build_text_vae(shape)
    with pytest.raises(InputError, match="takes 511"):
        build_text_vae(LatentShape(n_latent=4, max_tokens=600), decoder="embedded")
    model = tiny_vae()
    with pytest.raises(ModelError, match="do not fit"):
        take_tensors(stored_tensors(model), {}, "x")
