"""Every family, every layer: equal to the model's own hidden states and logits."""

import numpy as np
import pytest
import torch

from lexframe.exceptions import ModelError
from tests.tiny_models import FAMILIES, FEW_CAUSAL, FEW_FAMILIES, MASKED, TEXTS, tiny_model, tiny_space, tiny_tokenizer

TOLERANCE = 1e-5  # float32, three blocks


def hugging_face_states(family, text):
    """The slow and obvious way: one text, no padding, everything computed."""
    tokenizer = tiny_tokenizer(masked=family in MASKED)
    ids = tokenizer(text)["input_ids"] or [tokenizer.bos_token_id]
    with torch.no_grad():
        return tiny_model(family)(input_ids=torch.tensor([ids]), output_hidden_states=True)


def close(a, b):
    np.testing.assert_allclose(a, b, atol=TOLERANCE * max(1.0, float(np.abs(b).max())))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("pooling", ["last", "mean", "first"])
def test_points_equal_output_hidden_states_at_every_layer(family, pooling):
    space = tiny_space(family, pooling=pooling)
    layers = list(range(space.n_layers + 1))
    points = space.encode_layers(TEXTS, layers=layers, batch_size=3)
    for row, text in enumerate(TEXTS):
        for layer in layers:
            states = hugging_face_states(family, text).hidden_states[layer][0].numpy()
            close(points[row, layer], {"last": states[-1], "first": states[0], "mean": states.mean(0)}[pooling])


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_equal_the_models(family):
    space = tiny_space(family)
    expected = np.stack([hugging_face_states(family, text).logits[0, -1].numpy() for text in TEXTS])
    close(space.logits(space.encode(TEXTS)), expected[:, : space.n_vocab])


@pytest.mark.parametrize("family", FEW_FAMILIES)
def test_stopping_early_changes_nothing(family):
    together = tiny_space(family).encode_layers(TEXTS, layers=[1, 2, -1])
    alone = tiny_space(family, layer=1).encode(TEXTS)
    close(alone, together[:, 0])


@pytest.mark.parametrize("family", FEW_FAMILIES)
def test_the_batch_does_not_matter(family):
    space = tiny_space(family, layer=2)
    expected = space.encode(TEXTS, batch_size=1)
    for batch_size in (2, 4, 32):
        close(space.encode(TEXTS, batch_size=batch_size), expected)


@pytest.mark.parametrize("family", FEW_CAUSAL)
@pytest.mark.parametrize("side", ["left", "right"])
def test_equal_to_a_padded_batch_of_hugging_face_on_either_side(family, side):
    tokenizer, model = tiny_tokenizer(), tiny_model(family)
    texts = [text for text in TEXTS if text]
    ids = [tokenizer(text)["input_ids"] for text in texts]
    longest = max(map(len, ids))
    pads = [[tokenizer.pad_token_id] * (longest - len(row)) for row in ids]
    padded = torch.tensor([pad + row if side == "left" else row + pad for pad, row in zip(pads, ids, strict=True)])
    mask = torch.tensor(
        [[0] * len(pad) + [1] * len(row) if side == "left" else [1] * len(row) + [0] * len(pad) for pad, row in zip(pads, ids, strict=True)]
    )
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    with torch.no_grad():
        states = model(input_ids=padded, attention_mask=mask, position_ids=positions, output_hidden_states=True).hidden_states
    last = [longest - 1 if side == "left" else len(row) - 1 for row in ids]
    points = tiny_space(family).encode_layers(texts, layers=list(range(len(states))))
    for layer, layer_states in enumerate(states):
        close(points[:, layer], layer_states[torch.arange(len(ids)), last].numpy())


def test_the_head_is_not_computed_and_later_blocks_are_not_run(monkeypatch):
    model = tiny_model("llama")

    def fail(*args, **kwargs):
        raise AssertionError("computed although nobody asked")

    # As an entry of the instance, so that nothing of it is left on the model that all tests share.
    monkeypatch.setitem(model.lm_head.__dict__, "forward", fail)
    tiny_space("llama").encode(TEXTS)
    monkeypatch.setitem(model.model.layers[1].__dict__, "forward", fail)
    monkeypatch.setitem(model.model.norm.__dict__, "forward", fail)
    tiny_space("llama", layer=1).encode(TEXTS)
    with pytest.raises(ModelError, match="computed although nobody asked"):
        tiny_space("llama", layer=2).encode(TEXTS)


def test_the_callers_model_and_tokenizer_stay_as_they_were():
    model, tokenizer = tiny_model("gpt2"), tiny_tokenizer()
    model.train()
    model.transformer.h[0].eval()
    tokenizer.padding_side = "left"
    modes = [module.training for module in model.modules()]
    state = tokenizer.backend_tokenizer.to_str()
    try:
        space = tiny_space("gpt2")
        space.logits(space.encode(TEXTS))
        space.truncated(TEXTS)
        assert [module.training for module in model.modules()] == modes
        assert tokenizer.padding_side == "left"
        assert tokenizer.backend_tokenizer.to_str() == state
        assert not model.transformer.h[0]._forward_pre_hooks
        assert model.transformer.wte.weight.requires_grad
    finally:
        model.eval()
        tokenizer.padding_side = "right"


def test_a_tokenizer_that_pads_and_truncates_changes_nothing():
    tokenizer = tiny_tokenizer()
    expected = tiny_space("llama").encode(TEXTS)
    tokenizer(TEXTS, padding="max_length", truncation=True, max_length=4)  # leaves its mark on the backend
    try:
        assert tokenizer.backend_tokenizer.truncation is not None
        close(tiny_space("llama").encode(TEXTS), expected)
    finally:
        tokenizer.backend_tokenizer.no_truncation()
        tokenizer.backend_tokenizer.no_padding()


def test_padded_rows_of_the_vocabulary_are_left_out():
    space = tiny_space("llama")
    assert space.n_vocab == len(tiny_tokenizer()) == 300
    assert space.unembedding().shape == space.embedding().shape == (300, 32)
    assert space.logits(space.encode(["a"])).shape == (1, 300)


def test_tied_and_untied_heads():
    assert np.array_equal(tiny_space("llama_tied").unembedding(), tiny_space("llama_tied").embedding())
    assert not np.array_equal(tiny_space("llama").unembedding(), tiny_space("llama").embedding())


def test_the_lens_at_inner_layers_applies_the_final_norm():
    space, model = tiny_space("llama", layer=2), tiny_model("llama")
    points = space.encode(TEXTS)
    with torch.no_grad():
        expected = model.lm_head(model.model.norm(torch.from_numpy(points))).numpy()
    close(space.logits(points), expected[:, :300])


@pytest.mark.parametrize("family", ["gpt2", "bert", "llama"])
def test_token_states_are_what_encode_pools(family):
    space = tiny_space(family)
    states = space.token_states("the cat sat")
    assert states.states.shape == (space.n_layers + 1, len(states.ids), space.n_dims)
    assert "".join(states.tokens).replace("<s>", "") == "the cat sat"
    close(states.states[-1, -1], space.encode(["the cat sat"])[0])


@pytest.mark.parametrize(("truncation", "kept"), [("right", "one two three four"), ("left", "nine ten eleven twelve")])
def test_long_texts_are_cut_at_the_stated_side_and_counted(truncation, kept):
    numbers = "one two three four five six seven eight nine ten eleven twelve"
    tokenizer = tiny_tokenizer()
    length = len(tokenizer(f"Q: {kept} A:" if truncation == "right" else f"Q:{' ' + kept} A:")["input_ids"])
    space = tiny_space("llama", template="Q: {text} A:", truncation=truncation, max_length=length)
    (tokenized,) = space.tokenization([numbers])
    text = tokenizer.decode(tokenized.ids)
    assert tokenized.truncated
    assert len(tokenized.ids) == length
    assert text.startswith("Q:")
    assert text.endswith(" A:")
    assert (" one" in text) == (truncation == "right")
    assert space.truncated([numbers, "one"]).tolist() == [True, False]


def test_braces_in_texts_mean_nothing():
    space = tiny_space("llama", template="<{text}>")
    plain = tiny_space("llama").encode(["<{text} {0} %s>"])
    close(space.encode(["{text} {0} %s"]), plain)


def test_span_pooling_is_the_mean_over_the_tokens_of_the_span():
    space = tiny_space("llama", pooling="span", template="Say {text} now")
    states = tiny_space("llama", template="Say {text} now").token_states("the cat sat")
    ends = np.cumsum([len(token) for token in states.tokens])
    starts = ends - [len(token) for token in states.tokens]
    cat = np.flatnonzero((starts < len("Say the cat")) & (ends > len("Say the ")))
    assert 0 < len(cat) < len(states.tokens)
    point = space.encode(["the cat sat"], spans=[(4, 7)])[0]
    close(point, states.states[-1, cat].mean(0))
    with pytest.raises(ValueError, match="span"):
        space.encode(["the cat sat"], spans=[(4, 70)])


def test_an_attribute_on_the_logits_that_changes_nothing_is_no_reason_to_refuse():
    model = tiny_model("llama")
    model.config.lm_head_multiplier = 0.25
    try:
        close(
            tiny_space("llama").logits(tiny_space("llama").encode(["a"]))[0], hugging_face_states("llama", "a").logits[0, -1, :300].numpy()
        )
    finally:
        del model.config.lm_head_multiplier


def test_a_head_whose_maths_is_not_understood_is_refused_with_what_the_configuration_says(monkeypatch):
    model = tiny_model("llama")
    forward = model.lm_head.forward
    monkeypatch.setitem(model.lm_head.__dict__, "forward", lambda states: forward(states).abs())
    monkeypatch.setattr(model.config, "lm_head_multiplier", 0.25, raising=False)
    with pytest.raises(ModelError, match=r"not understood.*lm_head_multiplier=0\.25"):
        tiny_space("llama").logits(tiny_space("llama").encode(["a"]))


def test_layers_that_do_not_exist():
    with pytest.raises(ValueError, match="3 blocks"):
        tiny_space("llama", layer=4)
    with pytest.raises(ValueError, match="3 blocks"):
        tiny_space("llama", layer=-5)
    assert tiny_space("llama", layer=-4).layer == 0


def test_the_fingerprint_tells_what_matters_apart():
    reference = tiny_space("llama").fingerprint
    assert reference == tiny_space("llama", layer=3).fingerprint
    others = [
        tiny_space("llama", layer=1),
        tiny_space("llama", pooling="mean"),
        tiny_space("llama", template="{text}!"),
        tiny_space("llama", max_length=5),
        tiny_space("llama", truncation="left"),
        tiny_space("mistral"),
    ]
    digests = {space.fingerprint.digest for space in others}
    assert len(digests) == len(others)
    assert reference.digest not in digests
