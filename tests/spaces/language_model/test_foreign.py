"""What models of others raise is one line; what we do wrong keeps its traceback."""

import copy

import pytest
import torch

from lexframe.exceptions import InputError, ModelError
from lexframe.spaces import Intervention, LanguageModelSpace, SentenceEncoderSpace
from lexframe.spaces.language_model import interventions
from lexframe.spaces.language_model.foreign import no_hook_left, of_others
from lexframe.spaces.language_model.sequence_scores import sequence_log_probabilities
from tests.tiny_models import tiny_model, tiny_space, tiny_tokenizer

RAISED = (ValueError, RuntimeError, AttributeError, KeyError, ZeroDivisionError, AssertionError, NotImplementedError, ImportError)


class _Broken(torch.nn.Module):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def forward(self, *args, **kwargs):
        raise self.error


@pytest.mark.parametrize("kind", RAISED)
def test_whatever_is_raised_is_one_line_with_model_step_and_cause(kind):
    error = kind("positions are wrong\nand a page more")
    with (
        pytest.raises(ModelError, match=rf"^_Broken cannot read this \({kind.__name__}: .*positions are wrong.*\)\. Use ") as caught,
        of_others(_Broken(error), "read this"),
    ):
        _Broken(error)()
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("error", [InputError("of ours"), torch.OutOfMemoryError("full"), KeyboardInterrupt()])
def test_what_has_a_meaning_of_its_own_passes(error):
    with pytest.raises(type(error)) as caught, of_others(_Broken(error), "read this"):
        _Broken(error)()
    assert caught.value is error


def test_faults_of_our_own_are_not_taken_for_those_of_a_model(monkeypatch):
    space = tiny_space("gpt2")
    monkeypatch.setattr(interventions.LastTokens, "rows", lambda self, states: states.no_such_thing)
    move = Intervention(layer=1, vector=torch.ones(32).numpy(), where="last")
    with space.intervened([move]), pytest.raises(AttributeError, match="no_such_thing"):
        space.encode(["a dog"])


@pytest.mark.parametrize("kind", RAISED)
def test_every_pass_of_a_model(kind, monkeypatch):
    def broken(*args, **kwargs):
        raise kind("of theirs")

    space = LanguageModelSpace(tiny_model("gpt2"), tokenizer=tiny_tokenizer())
    assert space.together == "any"
    encoder = SentenceEncoderSpace(space.model.transformer, tokenizer=tiny_tokenizer())
    encoder.encode(["a dog"])
    ids = space.tokenization(["a dog and a cat"])[0].ids
    passes = {
        "read ids of shape": lambda: space.encode(["a dog"]),
        "read ids": lambda: encoder.encode(["a dog"]),
        "write on from prompts": lambda: space.generate(["a dog"], max_new_tokens=2),
        "score windows": lambda: sequence_log_probabilities(space.model, [ids], context=8, stride=8, batch_tokens=64),
    }
    monkeypatch.setattr(type(space.model.transformer.h[0]), "forward", broken)
    for step, tried in passes.items():
        with pytest.raises(ModelError, match=f"cannot {step}.*{kind.__name__}.*of theirs"):
            tried()


def test_what_a_model_does_not_do_in_half_precision_is_said_with_the_remedy():
    """There is no Fourier transform of bfloat16."""
    model = copy.deepcopy(tiny_model("fnet")).bfloat16()
    with pytest.raises(ModelError, match=r"bfloat16: open it with dtype float32"):
        LanguageModelSpace(model, tokenizer=tiny_tokenizer(masked=True)).encode(["a dog"])


def test_a_model_that_is_asked_for_its_states_keeps_no_hook():
    shared = tiny_model("llama")
    model = type(shared)(shared.config).eval()  # nobody has asked this one yet
    ids = torch.tensor([[1, 2, 3]])
    kept = model.model.layers[0].register_forward_hook(lambda *_: None)
    with no_hook_left(model):
        first = model(input_ids=ids, output_hidden_states=True).hidden_states
    hooks = [len(module._forward_hooks) for module in model.modules()]
    assert sum(hooks) == 1  # the one that was there before
    kept.remove()
    again = model(input_ids=ids, output_hidden_states=True).hidden_states  # transformers can still put its own in
    assert len(first) == len(again) == model.config.num_hidden_layers + 1
