"""The pretraining loop: what it learns, and that stopping changes nothing."""

import errno
import json
import math
import os
import signal

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from lexframe.exceptions import InputError, InterruptedRunError
from lexframe.training import checkpoints
from lexframe.training.checkpoints import read_facts
from lexframe.training.language_model.plan import BLOCK
from lexframe.training.language_model.run import Pretraining


def test_one_batch_can_be_learned_by_heart(make_plan, tokenizer, tmp_path):
    np.save(tmp_path / "tokens.npy", np.random.default_rng(0).integers(300, size=BLOCK + 1).astype(np.uint16))
    plan = make_plan(
        d_model=64, d_ff=128, batch_tokens=BLOCK, max_tokens=150 * BLOCK, context=32, matrix_weight_decay=0.0, lr=0.02, cooldown_share=0.3
    )
    losses = []
    Pretraining(plan, tmp_path / "tokens.npy", tokenizer, tmp_path / "run").run(lambda progress: losses.append(progress.loss))
    assert losses[0] == pytest.approx(math.log(300), abs=0.3)
    assert losses[-1] < 0.01


class Stop:
    """Collects losses and asks for a stop, as a terminal would, after `steps` of them."""

    def __init__(self, steps=None):
        self.losses, self.steps = [], steps

    def __call__(self, progress):
        self.losses.append(progress.loss)
        if progress.step == self.steps:
            os.kill(os.getpid(), signal.SIGINT)


def test_a_run_that_stopped_goes_on_as_if_it_had_not(make_plan, tokenizer, tokens_file, tmp_path):
    plan = make_plan(long_share=0.5)
    whole, first, second = Stop(), Stop(3), Stop()
    Pretraining(plan, tokens_file, tokenizer, tmp_path / "whole").run(whole)
    with pytest.raises(InterruptedRunError, match="Stopped at step 3"):
        Pretraining(plan, tokens_file, tokenizer, tmp_path / "parts").run(first)
    assert read_facts(tmp_path / "parts" / "checkpoint.safetensors")["step"] == 3
    model = Pretraining(plan, tokens_file, tokenizer, tmp_path / "parts").run(second)
    assert len(whole.losses) == 6
    assert first.losses + second.losses == whole.losses
    ends = [load_file(folder / "model.safetensors") for folder in (tmp_path / "whole" / "model", model)]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
    log = [json.loads(line) for line in (tmp_path / "parts" / "log.jsonl").read_text().splitlines()]
    assert [row["loss"] for row in log] == whole.losses
    assert [row["context"] for row in log] == [32, 32, 32, 64, 64, 64]


def test_the_size_of_micro_batches_does_not_change_the_loss(make_plan, tokenizer, tokens_file, tmp_path):
    losses = []
    for size in (1024, 2048):
        seen = Stop()
        Pretraining(make_plan(micro_batch_tokens=size), tokens_file, tokenizer, tmp_path / str(size)).run(seen)
        losses.append(seen.losses)
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)


def test_the_finished_model_opens_in_transformers(make_plan, tokenizer, tokens_file, tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    run = Pretraining(make_plan(max_tokens=2048), tokens_file, tokenizer, tmp_path / "run")
    folder = run.run()
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    assert AutoTokenizer.from_pretrained(folder)("the old river")["input_ids"] == tokenizer("the old river")["input_ids"]
    ids = torch.tensor([tokenizer("the old river reads slowly")["input_ids"]])
    with torch.no_grad():
        assert torch.allclose(model(ids).logits, run.model(ids).logits, atol=0.02)  # weights are kept in bfloat16
    facts = json.loads((folder / "training.json").read_text())
    assert (facts["steps"], facts["tokens"], facts["plan"]["d_model"]) == (1, 2048, 32)
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"log.jsonl", "checkpoint.safetensors", "model"}


def test_a_checkpoint_of_another_run_is_refused(make_plan, tokenizer, tokens_file, tmp_path):
    from lexframe.training.language_model.tokenizer import train_tokenizer

    Pretraining(make_plan(max_tokens=2048), tokens_file, tokenizer, tmp_path).run()
    with pytest.raises(InputError, match="made with n_layers=2, but this run asks for 3"):
        Pretraining(make_plan(n_layers=3), tokens_file, tokenizer, tmp_path)
    other = train_tokenizer(["the other text of another corpus, with other words"] * 5, vocab_size=270)
    with pytest.raises(InputError, match="another tokenizer"):
        Pretraining(make_plan(), tokens_file, other, tmp_path)
    (tmp_path / "checkpoint.safetensors").write_bytes(b"cut off")
    with pytest.raises(InputError, match="not a whole checkpoint"):
        Pretraining(make_plan(), tokens_file, tokenizer, tmp_path)


def test_a_full_disk_keeps_the_earlier_checkpoint(make_plan, tokenizer, tokens_file, tmp_path, monkeypatch):
    from safetensors import SafetensorError

    run = Pretraining(make_plan(max_tokens=2048), tokens_file, tokenizer, tmp_path)
    run.save_checkpoint()
    before = (tmp_path / "checkpoint.safetensors").read_bytes()

    def full(*args, **kwargs):
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    with monkeypatch.context() as patched:
        patched.setattr(checkpoints, "save_file", full)
        with pytest.raises(InputError, match=r"checkpoint\.safetensors cannot be written: .*No space left"):
            run.save_checkpoint()

    def full_replace(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", full_replace)
    for save in (run.save_checkpoint, lambda: run.save_model(tmp_path / "model")):
        with pytest.raises(InputError, match="No space left"):
            save()
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before
    assert list((tmp_path / "model").iterdir()) == []
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_diverging_run_stops(make_plan, tokenizer, tokens_file, tmp_path):
    run = Pretraining(make_plan(), tokens_file, tokenizer, tmp_path)
    with torch.no_grad():
        run.model.model.norm.weight.fill_(math.nan)
    with pytest.raises(InputError, match="training diverged"):
        run.run()


def test_a_run_can_start_from_another_models_weights(tmp_path, make_plan, tokens_file, tokenizer):
    first = Pretraining(make_plan(max_tokens=4096), tokens_file, tokenizer, tmp_path / "first")
    folder = str(first.run())
    further = Pretraining(make_plan(initial_model=folder, seed=7), tokens_file, tokenizer, tmp_path / "further")
    for name, parameter in first.model.named_parameters():
        assert torch.equal(further.model.get_parameter(name).detach(), parameter.detach().bfloat16().float()), name
    record = json.loads((further.run() / "training.json").read_text())
    assert record["before"]["tokens"] == first.n_tokens
    with pytest.raises(InputError, match="another shape"):
        Pretraining(make_plan(initial_model=folder, d_ff=64), tokens_file, tokenizer, tmp_path / "other")


def kept_models(out):
    """Tokens by which each kept model is named, and the share of the budget that it says."""
    return {folder.name: json.loads((folder / "training.json").read_text())["share"] for folder in sorted((out / "models").iterdir())}


def test_models_are_kept_along_the_run_and_the_last_is_the_model(make_plan, tokenizer, tokens_file, tmp_path):
    states = {}
    run = Pretraining(make_plan(keep=3), tokens_file, tokenizer, tmp_path)
    model = run.run(lambda progress: states.update({progress.tokens: run.model.model.norm.weight.detach().bfloat16()}))
    kept = kept_models(tmp_path)
    assert kept == {"tokens-000004096": 0.25, "tokens-000006144": 0.5, "tokens-000012288": 1.0}  # 2 of 6 steps are the first past 1/4
    for name in kept:
        assert torch.equal(load_file(tmp_path / "models" / name / "model.safetensors")["model.norm.weight"], states[int(name[7:])])
    last = tmp_path / "models" / "tokens-000012288"
    assert {file.name: file.read_bytes() for file in last.iterdir()} == {file.name: file.read_bytes() for file in model.iterdir()}


def test_a_step_past_several_shares_keeps_one_model(make_plan, tokenizer, tokens_file, tmp_path):
    Pretraining(make_plan(keep=20, max_tokens=2 * 2048), tokens_file, tokenizer, tmp_path).run()
    assert kept_models(tmp_path) == {"tokens-000002048": 0.5, "tokens-000004096": 1.0}


@pytest.mark.parametrize("checkpoint", ["written", "lost"])
def test_kept_models_are_neither_lost_nor_doubled_by_a_stop(make_plan, tokenizer, tokens_file, tmp_path, checkpoint):
    # By the clock a resumed run passes a share after another number of tokens, so that only the share tells of a double.
    plan = make_plan(keep=4, max_tokens=None, max_minutes=1.0)

    def train(tokens):
        run = Pretraining(plan, tokens_file, tokenizer, tmp_path)
        run._fraction = lambda: min(1.0, run.n_tokens / tokens)
        return run

    with pytest.raises(InterruptedRunError):
        train(8 * 2048).run(Stop(3))
    assert kept_models(tmp_path) == {"tokens-000002048": 1 / 8, "tokens-000004096": 1 / 4}
    if checkpoint == "lost":
        (tmp_path / "checkpoint.safetensors").unlink()
    train(10 * 2048).run()
    train(10 * 2048).run()  # a run that has ended keeps nothing more
    kept = {"tokens-000002048": 1 / 8, "tokens-000004096": 1 / 4, "tokens-000010240": 1 / 2, "tokens-000020480": 1.0}
    assert kept_models(tmp_path) == kept
    Pretraining(make_plan(keep=1, max_tokens=12 * 2048), tokens_file, tokenizer, tmp_path).run()
    assert kept_models(tmp_path) == kept | {"tokens-000024576": 1.0}  # of a longer plan
