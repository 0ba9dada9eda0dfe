"""A prediction along the layers, with the parameters and without."""

import json

import numpy as np
import pytest
from scipy.special import softmax

from lexframe.exceptions import InputError
from lexframe.spaces import LanguageModelSpace
from lexframe.spaces.templates import Template
from lexframe.verbal import Parameters, Rows, Task, trace_predictions
from lexframe.verbal.prediction_trace import PredictionTrace
from lexframe.verbal.prompts import learner_messages

TASK = Task(("text",), labels=("cat", "mat"), text_columns=("text",), kind="sentences")
ROWS = Rows.of(["the cat sat", "on the mat the dog sat", "a dog"])
TEXT = Parameters("Say cat where a cat is.")


@pytest.fixture(scope="module")
def space():
    return LanguageModelSpace("embedded", template="the {text} sat")


def slowly(space, parameters, row):
    """Probabilities of the labels at every layer, from the model's own hidden states, one prompt at a time."""
    import torch

    prompt = learner_messages(TASK, parameters, ROWS.shown(row))[-1].content
    ids = space.tokenizer(f"{space.template.before}{prompt}{space.template.after}Output:", return_tensors="pt").input_ids
    with torch.no_grad():
        states = space.model(input_ids=ids, output_hidden_states=True).hidden_states
        norm = space.model.model.norm
        read = [norm(state[0, -1]) if layer < len(states) - 1 else state[0, -1] for layer, state in enumerate(states)]
        logits = torch.stack([space.model.lm_head(state) for state in read]).numpy()
    first = [space.word_ids(label)[0] for label in TASK.labels]
    return softmax(logits[:, first].astype(float), axis=1)


def test_probabilities_are_those_of_the_models_own_states(space):
    found = trace_predictions(space, TASK, TEXT, ROWS)
    assert found.layers == tuple(range(space.n_layers + 1))
    for row in range(3):
        np.testing.assert_allclose(found.with_parameters[row], slowly(space, TEXT, row), atol=1e-5)
        np.testing.assert_allclose(found.without[row], slowly(space, Parameters(""), row), atol=1e-5)
    assert found.moved.min() >= -1e-9


def test_empty_parameters_move_nothing(space):
    found = trace_predictions(space, TASK, Parameters(""), ROWS)
    np.testing.assert_allclose(found.moved, 0, atol=1e-6)
    np.testing.assert_allclose(found.divergence, 0, atol=1e-9)
    assert not found.changed.any()


def made(with_parameters, without):
    table = np.array(with_parameters, dtype=np.float64), np.array(without, dtype=np.float64)
    n, n_layers, _ = table[0].shape
    from lexframe.provenance import Provenance

    return PredictionTrace(("a", "b"), tuple(range(n_layers)), *table, np.zeros((n, n_layers)), Provenance())


def test_it_settles_where_the_last_label_is_never_left_again():
    found = made([[[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7], [0.4, 0.6]]], [[[0.5, 0.5]] * 5])
    assert found.settles_at.tolist() == [3]
    assert not found.changed[0] or found.without[0, -1].argmax() == 0


def test_divergence_in_closed_form():
    found = made([[[1.0, 0.0]], [[0.5, 0.5]]], [[[0.0, 1.0]], [[0.5, 0.5]]])
    np.testing.assert_allclose(found.divergence, [[np.log(2)], [0.0]])
    assert found.changed.tolist() == [True, False]
    assert "change the label of 1 of them" in found.summary()
    assert json.dumps(found.to_dict(), allow_nan=False)
    assert len(found.to_frame()) == 2
    assert found.chart().to_dict()["vconcat"]


def test_what_cannot_be_traced_is_refused(space):
    with pytest.raises(InputError, match="no labels that a layer could settle on"):
        trace_predictions(space, Task(("x",)), TEXT, Rows.of([[1.0]]))
    with pytest.raises(InputError, match="begin with the same token"):
        trace_predictions(space, Task(("text",), labels=("cat", "cat sat"), text_columns=("text",)), TEXT, ROWS)
    with pytest.raises(InputError, match=r"row 2 has \d+ tokens, and the model takes"):
        trace_predictions(space, TASK, TEXT, Rows.of(["a", "a cat " * 600]))


def test_what_shows_no_layers_is_refused(without_type_checks):
    with pytest.raises(InputError, match="cannot be read at every layer"):
        trace_predictions(object(), TASK, TEXT, ROWS)


def test_the_template_stays_around_the_prompt(space):
    assert str(space.template) == "the {text} sat"
    trace_predictions(space, TASK, TEXT, ROWS)
    assert space.template == Template("the ", " sat")
