"""The pretraining loop: its schedule, its data order, what it learns, and that stopping changes nothing."""

import errno
import json
import math
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from lexframe.exceptions import InputError, InterruptedRunError
from lexframe.training import checkpoints
from lexframe.training.checkpoints import read_facts
from lexframe.training.language_model import run as language_model
from lexframe.training.language_model.run import (
    BLOCK,
    Pretraining,
    PretrainingPlan,
    batch_of_blocks,
    build_model,
    learning_rate_scale,
    pretrain,
)
from lexframe.training.language_model.tokenizer import encode_corpus, save_tokenizer


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_tokens": None}, "has no end"),
        ({"max_tokens": 0}, "max_tokens is 0"),
        ({"max_minutes": -1.0}, "max_minutes is -1"),
        ({"context": 0}, "context is 0"),
        ({"context": 96}, "context is 96, which does not divide 1024"),
        ({"n_heads": 3}, "d_model 32 is not a multiple of n_heads 3"),
        ({"batch_tokens": 1000}, "multiple of 1024"),
        ({"precision": "float16"}, "precision is 'float16'"),
    ],
)
def test_a_plan_that_cannot_be_run_is_refused(make_plan, changes, message):
    with pytest.raises(InputError, match=message):
        make_plan(**changes)


def test_learning_rate_rises_stays_and_falls_linearly():
    def scale(fraction):
        return learning_rate_scale(fraction, warmup_share=0.1, cooldown_share=0.4)

    assert [scale(fraction) for fraction in (0.0, 0.05, 0.1, 0.6, 0.8, 1.0, 1.2)] == pytest.approx([0, 0.5, 1, 1, 0.5, 0, 0])
    assert learning_rate_scale(0.0, warmup_share=0.0, cooldown_share=0.0) == 1


TOKENS = np.arange(7 * BLOCK + 5)


@given(first=st.integers(0, 30), n_blocks=st.sampled_from([2, 4, 8]), seed=st.integers(0, 3))
def test_batches_do_not_depend_on_the_number_of_processes(first, n_blocks, seed):
    alone = batch_of_blocks(TOKENS, first, n_blocks, seed=seed)
    shared = [batch_of_blocks(TOKENS, first, n_blocks, seed=seed, rank=rank, world=2) for rank in range(2)]
    together = np.empty_like(alone)
    together[0::2], together[1::2] = shared
    assert np.array_equal(together, alone)


@pytest.mark.parametrize("epoch", [0, 1, 5])
def test_every_block_comes_once_an_epoch_and_every_token_is_a_target_once(epoch):
    batch = batch_of_blocks(TOKENS, 7 * epoch, 7, seed=3)
    assert sorted(batch[:, 0]) == list(range(0, 7 * BLOCK, BLOCK))
    assert sorted(batch[:, 1:].ravel()) == list(range(1, 7 * BLOCK + 1))


def test_epochs_have_their_own_order():
    orders = [tuple(batch_of_blocks(TOKENS, 7 * epoch, 7, seed=0)[:, 0]) for epoch in range(4)]
    assert len(set(orders)) == 4


def test_a_corpus_of_less_than_a_block():
    with pytest.raises(InputError, match="fewer than one block"):
        batch_of_blocks(np.arange(BLOCK), 0, 1, seed=0)


def test_a_new_model_knows_nothing(make_plan, tokenizer, tokens_file):
    model = build_model(make_plan(), tokenizer)
    ids = torch.from_numpy(np.load(tokens_file)[:1024].astype(np.int64)).view(-1, 64)
    with torch.no_grad():
        assert model(ids, labels=ids).loss.item() == pytest.approx(math.log(len(tokenizer)), abs=0.1)


def test_building_a_model_leaves_the_random_state(make_plan, tokenizer):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = build_model(make_plan(), tokenizer).state_dict()
    assert torch.equal(torch.rand(3), expected)
    again, other = (build_model(make_plan(seed=seed), tokenizer).state_dict() for seed in (0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["model.embed_tokens.weight"], other["model.embed_tokens.weight"])


def test_later_tokens_do_not_change_earlier_logits(make_plan, tokenizer):
    model = build_model(make_plan(), tokenizer)
    with torch.no_grad():
        for parameter in model.parameters():  # the zero projections would hide attention
            parameter.normal_(std=0.3)
        ids = torch.arange(20)[None] + 40
        changed = ids.clone()
        changed[0, 12:] += 30
        before, after = model(ids).logits[0], model(changed).logits[0]
    assert torch.equal(before[:12], after[:12])
    assert not torch.allclose(before[12:], after[12:])


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
    for save in (run.save_checkpoint, run.save_model):
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


def test_the_number_of_processes_divides_the_blocks(make_plan):
    assert language_model._number_of_processes(make_plan(batch_tokens=6 * BLOCK), 4) == 3
    assert language_model._number_of_processes(make_plan(batch_tokens=BLOCK), 8) == 1
    with pytest.raises(InputError, match="expected 1 or more"):
        language_model._number_of_processes(make_plan(), 0)


SCRIPT = """
import json, sys
from lexframe.training.language_model import PretrainingPlan, pretrain
plan, tokens, tokenizer, out = sys.argv[1:]
pretrain(PretrainingPlan(**json.loads(plan)), tokens, tokenizer, out, n_processes=2)
"""


@pytest.mark.timeout(240)
def test_a_terminated_run_of_two_processes_leaves_its_checkpoint(make_plan, tokenizer, tokens_file, tmp_path):
    changes = {"max_tokens": 2048 * 100_000, "long_share": 0.0}
    plan = make_plan(**changes)
    save_tokenizer(tokenizer, tmp_path / "tokenizer")
    arguments = [json.dumps({name: getattr(plan, name) for name in plan.__slots__}), tokens_file, tmp_path / "tokenizer", tmp_path / "run"]
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *map(str, arguments)], stderr=subprocess.PIPE, text=True, env=dict(os.environ, OMP_NUM_THREADS="1")
    )
    log = tmp_path / "run" / "log.jsonl"
    try:
        deadline = time.monotonic() + 200
        while process.poll() is None and not (log.is_file() and log.read_text().count("\n") >= 2) and time.monotonic() < deadline:
            time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        errors = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    assert process.returncode not in (0, None), errors
    assert "InterruptedRunError" in errors
    facts = read_facts(tmp_path / "run" / "checkpoint.safetensors")
    assert facts["step"] == log.read_text().count("\n") >= 2
    resumed = Pretraining(plan, tokens_file, tokenizer, tmp_path / "run")
    assert resumed.step == facts["step"]
    assert resumed.n_tokens == 2048 * resumed.step


@pytest.mark.timeout(240)
def test_a_worker_that_fails_is_an_input_error(make_plan, tokenizer, tmp_path, capfd):
    save_tokenizer(tokenizer, tmp_path / "tokenizer")
    tokens = encode_corpus(["too little text"], tokenizer, tmp_path / "tokens.npy")
    with pytest.raises(InputError, match="Training ended with exit code 1"):
        pretrain(make_plan(), tokens, tmp_path / "tokenizer", tmp_path / "run", n_processes=1)
    assert "fewer than one block" in capfd.readouterr().err


def test_plans_are_plain_values():
    plan = PretrainingPlan(max_minutes=1.0)
    assert PretrainingPlan(**{name: getattr(plan, name) for name in plan.__slots__}) == plan


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
