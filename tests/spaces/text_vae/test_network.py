"""The network of a text VAE on every supported family: what the latent does to a decoder, and what padding must not do."""

import copy
from itertools import product

import pytest
import torch
import transformers as tf

from lexframe.exceptions import InputError, ModelError
from lexframe.spaces.decoding import Decoding
from lexframe.spaces.text_vae.decoding import write_from
from lexframe.spaces.text_vae.network import (
    AttentionPooling,
    ConditionedDecoder,
    LatentShape,
    TextVAENetwork,
    token_log_probabilities,
)
from lexframe.spaces.text_vae.small_networks import SmallParts, small_networks
from tests.tiny_models import CAUSAL, FAMILIES, FEW_CAUSAL, tiny_model

IDS = torch.tensor([[0, 5, 17, 33, 60, 8], [0, 9, 41, 7, 7, 30]])
WAYS = {
    "memory": LatentShape(n_latent=5, memory_tokens=3, scale_shift=False, max_tokens=20),
    "scale-shift": LatentShape(n_latent=5, memory_tokens=0, scale_shift=True, max_tokens=20),
    "both": LatentShape(n_latent=5, memory_tokens=2, scale_shift=True, max_tokens=20),
}
CASES = [*((family, "both") for family in sorted(CAUSAL)), *product(FEW_CAUSAL, ("memory", "scale-shift"))]


def conditioned(family, way="both"):
    torch.manual_seed(1)
    decoder = ConditionedDecoder(copy.deepcopy(tiny_model(family)), WAYS[way]).eval()
    return decoder.requires_grad_(False)


def points(n=2, *, seed=0):
    return torch.randn(n, 5, generator=torch.Generator().manual_seed(seed))


def small_network(shape=WAYS["both"]):
    torch.manual_seed(0)
    encoder, decoder = small_networks(
        300, shape, SmallParts(32, encoder_layers=1, decoder_layers=2), token_ids={"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 1}
    )
    return TextVAENetwork(encoder, decoder, shape).eval()


@pytest.mark.parametrize("family", sorted(CAUSAL))
def test_without_a_latent_the_decoder_is_the_model(family):
    decoder = ConditionedDecoder(copy.deepcopy(tiny_model(family)), LatentShape(n_latent=0, max_tokens=20)).eval()
    with torch.no_grad():
        expected = tiny_model(family)(input_ids=IDS).logits
        torch.testing.assert_close(decoder(IDS, torch.ones_like(IDS), None), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("family", "way"), CASES)
def test_the_latent_reaches_every_token_and_leaves_nothing_behind(family, way):
    decoder, mask = conditioned(family, way), torch.ones_like(IDS)
    before = decoder.model(input_ids=IDS).logits
    first, second = (decoder(IDS, mask, points(seed=seed)) for seed in (0, 1))
    assert ((first - second).abs().amax(-1) > 1e-4).all()  # both texts, every token
    assert torch.equal(decoder(IDS, mask, points(seed=0)), first)
    assert torch.equal(decoder.model(input_ids=IDS).logits, before)


@pytest.mark.parametrize(("family", "way"), CASES)
def test_padding_neighbours_and_later_tokens_change_nothing(family, way):
    decoder, z = conditioned(family, way), points()
    whole = decoder(IDS, torch.ones_like(IDS), z)
    padded = torch.cat([IDS, torch.full((2, 4), 3)], dim=1)
    mask = torch.cat([torch.ones_like(IDS), torch.zeros(2, 4, dtype=torch.int64)], dim=1)
    torch.testing.assert_close(decoder(padded, mask, z)[:, :6], whole, atol=2e-5, rtol=1e-5)
    torch.testing.assert_close(decoder(IDS[1:], mask[1:, :6], z[1:]), whole[1:], atol=2e-5, rtol=1e-5)
    torch.testing.assert_close(decoder(IDS[:, :3], mask[:, :3], z), whole[:, :3], atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize(("family", "way"), CASES)
def test_writing_token_by_token_is_reading_the_whole_text(family, way):
    decoder, z = conditioned(family, way), points(3, seed=4)
    written = write_from(decoder, z, begin=0, end=-1, max_tokens=9)
    assert [len(row) for row in written] == [9, 9, 9]
    inputs = torch.tensor([[0, *row] for row in written])
    likeliest = decoder(inputs, torch.ones_like(inputs), z).argmax(-1)[:, :-1]
    assert torch.equal(likeliest, torch.tensor(written))


def test_writing_ends_where_the_decoder_ends_and_never_writes_padding_rows():
    decoder, z = conditioned("gpt2"), points(3)
    ids = write_from(decoder, z, begin=0, end=-1, max_tokens=9, n_known=300)
    stop = ids[0][4]
    ended = write_from(decoder, z, begin=0, end=stop, max_tokens=9, n_known=300)
    assert ended[0] == ids[0][: ids[0].index(stop)]
    drawn = write_from(decoder, z.repeat(40, 1), begin=0, end=-1, max_tokens=5, decoding=Decoding(50.0), n_known=10)
    assert {token for row in drawn for token in row} == set(range(10))
    narrow = write_from(decoder, z, begin=0, end=-1, max_tokens=9, decoding=Decoding(1.0, 1e-9))
    assert narrow == write_from(decoder, z, begin=0, end=-1, max_tokens=9)
    assert write_from(decoder, z[:0], begin=0, end=-1, max_tokens=9) == []


def test_dropped_words_are_one_vector_whatever_they_were():
    decoder, z = conditioned("llama"), points()
    other = IDS.clone()
    other[:, 2] = 77
    dropped = torch.zeros_like(IDS, dtype=torch.bool)
    dropped[:, 2] = True
    mask = torch.ones_like(IDS)
    assert torch.equal(decoder(IDS, mask, z, dropped=dropped), decoder(other, mask, z, dropped=dropped))
    assert not torch.allclose(decoder(IDS, mask, z), decoder(other, mask, z))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_encodes_and_padding_changes_no_posterior(family):
    torch.manual_seed(2)
    model = tiny_model(family)
    encoder = copy.deepcopy(model.base_model if hasattr(model, "base_model") else model)
    network = TextVAENetwork(encoder, copy.deepcopy(tiny_model("gpt2")), WAYS["both"]).eval()
    with torch.no_grad():
        mean, log_variance = network.posterior(IDS, torch.ones_like(IDS))
        padded, mask = torch.cat([IDS, IDS[:, :3]], 1), torch.cat([torch.ones_like(IDS), torch.zeros_like(IDS[:, :3])], 1)
        again = network.posterior(padded, mask)
    assert mean.shape == log_variance.shape == (2, 5)
    torch.testing.assert_close(again, (mean, log_variance), atol=2e-5, rtol=1e-5)
    assert not torch.allclose(mean[0], mean[1], atol=1e-3)


def test_inner_layers_of_an_encoder_can_be_pooled():
    outputs = []
    for layer in (1, 3, -1):
        torch.manual_seed(2)
        shape = LatentShape(n_latent=5, encoder_layer=layer, max_tokens=20)
        network = TextVAENetwork(copy.deepcopy(tiny_model("bert").bert), copy.deepcopy(tiny_model("gpt2")), shape).eval()
        outputs.append(network.posterior(IDS, torch.ones_like(IDS))[0])
    assert not torch.allclose(outputs[0], outputs[1])
    assert torch.equal(outputs[1], outputs[2])
    with pytest.raises(InputError, match="layer 4 does not exist: the model has 3 blocks"):
        TextVAENetwork(tiny_model("bert").bert, tiny_model("gpt2"), LatentShape(n_latent=5, encoder_layer=4, max_tokens=20))


def test_pooling_with_even_scores_is_the_mean():
    pooling = AttentionPooling(8, 2)
    torch.nn.init.zeros_(pooling.scores.weight)
    states, mask = torch.randn(1, 4, 8), torch.tensor([[1, 1, 1, 0]])
    expected = pooling.norm(states)[:, :3].mean(1)
    torch.testing.assert_close(pooling(states, mask), torch.cat([expected, expected], 1))


def test_token_log_probabilities_are_the_log_softmax_and_nothing_of_padding():
    logits, targets = torch.randn(2, 3, 7), torch.tensor([[1, 2, 6], [0, 5, 5]])
    mask = torch.tensor([[1, 1, 1], [1, 0, 0]])
    found = token_log_probabilities(logits, targets, mask)
    expected = logits.log_softmax(-1).gather(2, targets.unsqueeze(-1)).squeeze(-1) * mask
    torch.testing.assert_close(found, expected)
    assert torch.equal(found[1, 1:], torch.zeros(2))


def test_small_parts_share_their_word_vectors():
    network = small_network()
    assert network.encoder.get_input_embeddings().weight is network.decoder.model.get_input_embeddings().weight
    assert network.bag_of_words(points()).shape == (2, 300)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"memory_tokens": 0, "scale_shift": False}, "no way into the decoder"),
        ({"n_latent": -1}, "n_latent is -1"),
        ({"max_tokens": 0}, "max_tokens is 0"),
        ({"n_queries": 0}, "n_queries is 0"),
    ],
)
def test_a_latent_that_cannot_be_is_refused(changes, says):
    with pytest.raises(InputError, match=says):
        LatentShape(**changes)


def test_decoders_that_cannot_serve_are_refused():
    with pytest.raises(ModelError, match="does not write texts"):
        ConditionedDecoder(tf.BertModel(tf.BertConfig(hidden_size=8, num_attention_heads=2, num_hidden_layers=1)), WAYS["both"])
    with pytest.raises(InputError, match="max_tokens is 64, but GPT2LMHeadModel takes 63"):
        TextVAENetwork(tiny_model("bert").bert, tiny_model("gpt2"), LatentShape(n_latent=5, max_tokens=64))
    with pytest.raises(InputError, match="not a multiple"):
        small_networks(300, WAYS["both"], SmallParts(30), token_ids={"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 1})
