"""Tuning on tasks: what first order says comes true, controls stay behind, and the model is left alone."""

import json

import numpy as np
import pytest

from lexframe.exceptions import DataError, InputError
from lexframe.files import json_text
from lexframe.spaces.weights import weights_hash
from lexframe.task_space import Contrast, Task, Transfer, TransferSettings, Work, measure_transfer
from lexframe.task_space import transfer as module
from tests.task_space.small_tasks import CATS, PLURALS, PLURALS_AGAIN
from tests.tiny_models import tiny_space

TASKS = [CATS, PLURALS, PLURALS_AGAIN]
TEXTS = ["the cat sat on the mat", "a dog and one two three words"]
EXACT = 200_000
"""More numbers than the tiny models have: nothing is folded."""


@pytest.fixture(scope="module")
def found():
    settings = TransferSettings(arms=("differential", "random", "full"), gain=1e-3, n_steps=1, share=0.05, n_dims=EXACT)
    return measure_transfer(tiny_space("llama"), TASKS, settings=settings, neutral=TEXTS)


def test_small_steps_do_what_first_order_says(found):
    # Margins are sums of float32 log-probabilities: their rounding is about 1e-5 nats, and the largest changes are 1e-3 and more.
    observed, predicted = found.gain_margin, found.predicted
    large = np.abs(predicted) > 2e-4
    assert large.sum() >= 8
    np.testing.assert_allclose(observed[large], predicted[large], rtol=0.05, atol=2e-5)


def test_the_task_itself_gains_what_was_promised_and_a_random_mask_gains_less(found):
    gains = found.own(found.gain_margin)
    assert (gains[0] > 0).all()
    assert gains[0].mean() == pytest.approx(1e-3, rel=0.6)  # half of the pairs promised it, the others are tested
    assert (gains[1] < gains[0] / 2).all()
    assert (found.length > 0).all()


def test_changes_and_others_are_those_of_the_arrays(found):
    np.testing.assert_allclose(found.gain_margin, found.margin_after - found.margin_before)
    near = found.others(found.gain_margin, same_group=True)
    assert np.isnan(near[:, 0]).all()  # nobody else is of its group
    np.testing.assert_allclose(near[:, 1], found.gain_margin[:, 1, 2])
    far = found.others(found.gain_margin, same_group=False)
    np.testing.assert_allclose(far[:, 0], found.gain_margin[:, 0, 1:].mean(axis=1))


def test_head_room_counts_the_same_at_the_ceiling():
    before = np.array([0.5, 0.9])
    space = np.array([[[0.6, 0.96]]])
    result = _with(before, space, n=np.array([100, 100]))
    half = np.log([(60.5 / 40.5) / (50.5 / 50.5), (96.5 / 4.5) / (90.5 / 10.5)])
    np.testing.assert_allclose(result.gain_logit[0, 0], half)


def _with(before, after, *, n):
    from lexframe.intervals import Estimate

    zeros = np.zeros_like(after)
    return Transfer(
        sources=("a",),
        targets=("a", "b"),
        groups=(None, None),
        arms=("differential",),
        n_tested=n,
        margin_before=np.zeros(2),
        accuracy_before=before,
        margin_after=zeros,
        accuracy_after=after,
        predicted=zeros,
        bits_before=Estimate(1.0, 0.9, 1.1),
        bits_change=np.zeros((1, 1)),
        length=np.zeros(1),
    )


def test_a_price_is_paid_in_bits_and_plain_numbers_come_back(found, tmp_path):
    assert found.bits_change.shape == (3, 3)
    assert np.isfinite(found.bits_change).all()
    document = json.loads(json_text(found.to_dict()))
    assert document["verdict"]["worth"] in ("holds", "unsure", "worthless")
    assert len(found.to_frame()) == 3 * 3 * 3
    found.save(tmp_path / "kept")
    again = Transfer.load(tmp_path / "kept")
    assert again.to_dict() == found.to_dict()
    assert "plurals" in repr(found) or "tuned on" in found.summary()


def test_the_space_is_left_as_it_was_and_kept_pieces_are_not_done_again(tmp_path, monkeypatch):
    space = tiny_space("gpt2")
    hash_before = weights_hash(space.model)
    settings = TransferSettings(arms=("one-sided",), n_steps=1, n_dims=2_000)
    how = {"settings": settings, "sources": ["order"], "neutral": TEXTS, "work": Work(folder=tmp_path)}
    first = measure_transfer(space, TASKS, **how)
    assert weights_hash(space.model) == hash_before
    assert not any(parameter.requires_grad and parameter.grad is not None for parameter in space.model.parameters())
    monkeypatch.setattr(module, "mean_gradient", lambda *args, **options: pytest.fail("done again"))
    assert measure_transfer(space, TASKS, **how).to_dict() == first.to_dict()


def test_what_cannot_be_is_one_line(without_type_checks):
    space = tiny_space("llama")
    with pytest.raises(InputError, match="'nobody' is no task that can be used; there are order"):
        measure_transfer(space, TASKS, sources=["nobody"])
    few = Task("few", (Contrast("a", "b"),) * 3)
    with pytest.raises(DataError, match="No task has 8 pairs"):
        measure_transfer(space, [few])
    for wrong, what in (({"arms": ("magic",)}, "arms"), ({"share": 0.0}, "share"), ({"gain": -1.0}, "gain"), ({"n_steps": 0}, "n_steps")):
        with pytest.raises(InputError, match=what):
            TransferSettings(**wrong)
