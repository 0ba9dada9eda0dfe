"""Checkpoints: what is written is what is read, and a stop is noticed where it can be."""

import os
import signal
import threading

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from lexframe.exceptions import InputError
from lexframe.training.checkpoints import (
    checkpoint_tensors,
    load_optimizer_state,
    model_tensors,
    noticing_signals,
    read_facts,
    save_tensors,
)


def stepped(seed):
    torch.manual_seed(seed)
    layer = nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(layer.parameters(), lr=0.1)
    layer(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    return layer, optimizer


def test_parameters_state_and_facts_come_back(tmp_path):
    layer, optimizer = stepped(0)
    tensors = checkpoint_tensors(layer.named_parameters(), layer.named_parameters(), optimizer)
    save_tensors(tmp_path / "run.safetensors", tensors, {"step": 7})
    assert read_facts(tmp_path / "run.safetensors") == {"step": 7}
    kept = load_file(tmp_path / "run.safetensors")
    assert set(model_tensors(kept)) == {"weight", "bias"}
    torch.testing.assert_close(model_tensors(kept)["weight"], layer.weight.detach(), rtol=0, atol=0)
    other = nn.Linear(3, 2)
    fresh = torch.optim.AdamW(other.parameters(), lr=0.1)
    load_optimizer_state(fresh, other.named_parameters(), kept)
    for mine, theirs in zip(other.parameters(), layer.parameters(), strict=True):
        for name, value in optimizer.state[theirs].items():
            torch.testing.assert_close(fresh.state[mine][name], value, rtol=0, atol=0)


def test_what_is_no_checkpoint_is_refused(tmp_path):
    (tmp_path / "broken").write_bytes(b"\x08")
    for name, message in (("broken", "is not a whole checkpoint"), ("absent", "cannot be read .*No such file")):
        with pytest.raises(InputError, match=message):
            read_facts(tmp_path / name)


def test_signals_are_noticed_and_given_back():
    seen, before = [], signal.getsignal(signal.SIGTERM)
    with noticing_signals(lambda: seen.append(1)):
        os.kill(os.getpid(), signal.SIGTERM)
    assert seen == [1]
    assert signal.getsignal(signal.SIGTERM) is before


def test_another_thread_goes_on_without_signals():
    done = []

    def work():
        with noticing_signals(lambda: None):
            done.append(1)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [1]
