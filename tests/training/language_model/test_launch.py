"""Runs in processes of their own: how many, how they are stopped, and what a failure says."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from lexframe.exceptions import InputError
from lexframe.training.checkpoints import read_facts
from lexframe.training.language_model.launch import _number_of_processes, pretrain
from lexframe.training.language_model.plan import BLOCK
from lexframe.training.language_model.run import Pretraining
from lexframe.training.language_model.tokenizer import encode_corpus, save_tokenizer


def test_the_number_of_processes_divides_the_blocks(make_plan):
    assert _number_of_processes(make_plan(batch_tokens=6 * BLOCK), 4) == 3
    assert _number_of_processes(make_plan(batch_tokens=BLOCK), 8) == 1
    with pytest.raises(InputError, match="expected 1 or more"):
        _number_of_processes(make_plan(), 0)


SCRIPT = """
import json, sys
from lexframe.training.language_model import PretrainingPlan, pretrain
plan, tokens, tokenizer, out = sys.argv[1:]
pretrain(PretrainingPlan(**json.loads(plan)), tokens, tokenizer, out, n_processes=2)
"""


@pytest.mark.timeout(240)
@pytest.mark.long
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
