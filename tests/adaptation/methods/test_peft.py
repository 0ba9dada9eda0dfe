"""LoRA and (IA)³: on which modules, with which gradients, for every family; and what is said without peft."""

import sys

import numpy as np
import pytest
import torch
from torch import nn

from lexframe.adaptation.methods.label_readouts import label_readout
from lexframe.adaptation.methods.peft import IA3, LoRA, down_projections, key_and_value_modules, linear_modules
from lexframe.exceptions import MissingExtraError, ModelError
from lexframe.spaces.weights import weights_hash
from tests.adaptation.methods.test_weights import accuracy, encoder_space, planted_problem, zero_shot
from tests.planted import planted_space
from tests.tiny_models import FAMILIES, tiny_model, tiny_space

ADAPTERS = {"lora": LoRA, "ia3": IA3}
RATES = {"lora": (3e-3, 1e-2), "ia3": (1e-1, 3e-1)}

# By hand from the source of each family: what carries keys or values, and what leads from the feed-forward part back.
KEYS_AND_VALUES = {
    "gpt2": {"c_attn"},
    "gpt_neox": {"query_key_value"},
    "modernbert": {"Wqkv"},
    "bert": {"key", "value"},
    "roberta": {"key", "value"},
}
DOWN = {
    "gpt2": {"mlp.c_proj"},
    "opt": {"fc2"},
    "gpt_neox": {"mlp.dense_4h_to_h"},
    "phi": {"mlp.fc2"},
    "bert": {"output.dense"},
    "roberta": {"output.dense"},
    "modernbert": {"mlp.Wo"},
    "mixtral": set(),  # its experts are one three-dimensional weight
    "qwen2_moe": {"mlp.shared_expert.down_proj"},
}


@pytest.fixture(scope="module", autouse=True)
def peft():
    return pytest.importorskip("peft", reason="comes with the extra peft")


def small_problem(family, n_per_class=3):
    return planted_problem(encoder_space() if family == "encoder" else tiny_space(family), n_per_class, n_test=20)


def without_block(names):
    """Names after the number of their block."""
    return {name.split(".0.", 1)[1] for name in names if ".0." in name}


@pytest.mark.parametrize("family", FAMILIES)
def test_modules_are_found_in_every_family(family):
    readout = label_readout(small_problem(family)[0])
    linear = linear_modules(readout)
    blocks = {name.rsplit(".0.", 1)[0] for name in linear if ".0." in name}
    assert len(blocks) == 1
    assert not [name for name in linear if "head" in name or "embed" in name or "cls" in name]
    keys = {name.rsplit(".", 1)[-1] for name in key_and_value_modules(linear)}
    assert keys == KEYS_AND_VALUES.get(family, {"k_proj", "v_proj"})
    down = down_projections(linear, 32)
    assert without_block(down) == DOWN.get(family, {"mlp.down_proj"})
    assert len(down) in (0, 3)
    assert len(linear) % 3 == 0


@pytest.mark.parametrize("family", [*FAMILIES, "encoder"])
@pytest.mark.parametrize("method", ADAPTERS)
def test_gradients_flow_into_the_adapter_alone_and_no_step_is_the_model(family, method):
    problem, test, _ = small_problem(family)
    readout = label_readout(problem)
    plain = {name: parameter.detach().clone() for name, parameter in readout.model.named_parameters()}
    ADAPTERS[method]().open_weights(readout)
    if family == "encoder":
        nn.init.ones_(readout.classifier.weight)
    readout(readout.network.batch(readout.network.tokenize(problem.texts(test)))).pow(2).sum().backward()
    mark = {"lora": "lora_", "ia3": "ia3_"}[method]
    for name, parameter in readout.model.named_parameters():
        assert (mark in name) == parameter.requires_grad == (parameter.grad is not None), name
    touched = [name for name, p in readout.model.named_parameters() if mark in name and p.grad.abs().max() > 0]
    assert touched
    kept = {name.replace("base_layer.", ""): p for name, p in readout.model.named_parameters() if mark not in name}
    assert kept.keys() == plain.keys()
    assert all(torch.equal(kept[name], plain[name]) for name in plain)
    if family != "encoder":
        classifier = ADAPTERS[method](max_steps=0).fit(problem)
        np.testing.assert_allclose(classifier.predict_proba(test), zero_shot(problem, test), atol=1e-6)


def test_trained_numbers_are_those_of_the_papers():
    problem, _, _ = small_problem("llama")
    shapes = [(32, 32), (32, 16), (32, 16), (32, 32), (32, 48), (32, 48), (48, 32)]  # q k v o gate up down, in and out
    assert LoRA(rank=4, max_steps=1).fit(problem).n_parameters == 3 * sum(4 * (n_in + n_out) for n_in, n_out in shapes)
    assert IA3(max_steps=1).fit(problem).n_parameters == 3 * (16 + 16 + 48)  # keys, values, what enters the last map


def test_only_blocks_that_are_read_get_an_adapter():
    problem, _, _ = planted_problem(tiny_space("llama", layer=1), 3)
    readout = label_readout(problem)
    assert {name.split(".")[2] for name in linear_modules(readout)} == {"0"}
    assert IA3(max_steps=1).fit(problem).n_parameters == 16 + 16 + 48
    problem, _, _ = planted_problem(tiny_space("llama", layer=0), 3)
    with pytest.raises(ModelError, match=r"no nn\.Linear and no Conv1D .* 0 transformer blocks"):
        LoRA().fit(problem)


def test_a_model_without_known_parts_is_named_with_what_was_looked_for(monkeypatch):
    problem, _, _ = small_problem("llama")
    renamed = {f"layers.0.mixer.part{i}": nn.Linear(32, 40) for i in range(2)}
    monkeypatch.setattr("lexframe.adaptation.methods.peft.linear_modules", lambda readout: renamed)
    with pytest.raises(ModelError, match=r"LlamaForCausalLM.*looked for.*k_.*only have layers\.0\.mixer\.part0.*lora"):
        IA3().fit(problem)


def test_a_feed_forward_part_as_wide_as_the_states_has_its_last_map_taken():
    linear = {f"layers.{block}.mlp.{name}": nn.Linear(8, 8) for block in (0, 1) for name in ("up", "down")}
    linear["layers.0.attn.q"] = nn.Linear(8, 8)
    assert down_projections(linear, 8) == ["layers.0.mlp.down", "layers.1.mlp.down"]


@pytest.mark.parametrize("method", ADAPTERS)
@pytest.mark.parametrize("kind", ["llama", "encoder"])
def test_planted_classes_are_learnt_and_the_model_is_untouched(method, kind):
    problem, test, truth = small_problem(kind, 20)
    before = weights_hash(problem.space.model)
    classifier = ADAPTERS[method](learning_rates=RATES[method], max_steps=60).fit(problem)
    assert accuracy(classifier, test, truth) > 0.7
    np.testing.assert_allclose(classifier.predict_proba(test).sum(axis=1), 1, atol=1e-12)
    assert weights_hash(problem.space.model) == before
    assert "lora" not in str(problem.space.model).lower()
    assert all(parameter.requires_grad for parameter in problem.space.model.parameters())


@pytest.mark.parametrize("method", ADAPTERS)
def test_shuffled_labels_give_chance(method):
    space = tiny_space("llama")
    values = []
    for seed in range(5):
        problem, test, truth = planted_problem(space, 10, seed=seed, shuffled=True)
        values.append(accuracy(ADAPTERS[method](learning_rates=RATES[method][-1:], max_steps=20).fit(problem), test, truth))
    assert abs(np.mean(values) - 0.5) < max(4 * np.std(values) / np.sqrt(len(values)), 0.1)
    assert np.mean(values) < 0.8


@pytest.mark.parametrize("method", ADAPTERS)
def test_the_same_seed_gives_the_same_numbers(method):
    problem, test, _ = small_problem("llama")
    first, again = (ADAPTERS[method](learning_rates=RATES[method], max_steps=5).fit(problem) for _ in range(2))
    assert np.array_equal(first.predict_proba(test), again.predict_proba(test))
    assert np.abs(first.predict_proba(test) - zero_shot(problem, test)).max() > 1e-3


@pytest.mark.parametrize("method", ADAPTERS)
def test_without_peft_the_extra_is_named(method, monkeypatch):
    problem, _, _ = small_problem("llama")
    assert ADAPTERS[method]().obstacle(problem.space) is None
    monkeypatch.setitem(sys.modules, "peft", None)
    assert "pip install 'lexframe[peft]'" in str(ADAPTERS[method]().obstacle(problem.space))
    with pytest.raises(MissingExtraError, match=r"lexframe\[peft\]"):
        ADAPTERS[method]().fit(problem)


@pytest.mark.parametrize("method", ADAPTERS)
def test_a_space_without_weights_is_refused(method):
    assert "no weights that can be trained" in str(ADAPTERS[method]().obstacle(planted_space()))


def test_nothing_stays_on_the_module_that_was_copied():
    assert not [name for name, _ in tiny_model("llama").named_parameters() if "lora" in name or "ia3" in name]
