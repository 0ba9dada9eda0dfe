"""Logs of runs: read back as they were written, after a run was killed, and refused where they are none."""

import dataclasses
import json

import pytest

from lexframe.exceptions import InputError
from lexframe.training.text_vae.log import TextVAEProgress, read_training_log


def line(step, kl=1.0):
    return TextVAEProgress(
        step=step,
        epoch=step / 10,
        fraction=step / 100,
        kl_weight=0.5,
        reconstruction=40.0,
        kl=kl,
        validation=None,
        warning="",
        elapsed_seconds=1.0,
    )


def write(path, lines, end=""):
    path.write_text("".join(json.dumps(dataclasses.asdict(one)) + "\n" for one in lines) + end)
    return path


def test_a_log_is_read_back(tmp_path):
    lines = [line(1), dataclasses.replace(line(5), validation={"kl": 2.0, "bound": 3.0}, warning="collapsed")]
    path = write(tmp_path / "log.jsonl", lines)
    assert read_training_log(tmp_path) == read_training_log(path) == tuple(lines)


def test_steps_that_were_done_again_count_once(tmp_path):
    write(tmp_path / "log.jsonl", [line(1), line(5), line(9), line(4, kl=2.0), line(8, kl=2.0)])
    assert [(one.step, one.kl) for one in read_training_log(tmp_path)] == [(1, 1.0), (4, 2.0), (8, 2.0)]


def test_a_line_that_was_cut_off_is_left_out(tmp_path):
    write(tmp_path / "log.jsonl", [line(1)], end='{"step": 2, "ep')
    assert len(read_training_log(tmp_path)) == 1


def test_what_is_no_log_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be read as a log"):
        read_training_log(tmp_path)
    path = tmp_path / "log.jsonl"
    path.write_text("")
    with pytest.raises(InputError, match="has not logged a step yet"):
        read_training_log(tmp_path)
    for wrong in ('{"loss": 1}\n', "[1]\n", "no json\n"):
        path.write_text(wrong + json.dumps(dataclasses.asdict(line(1))) + "\n")
        with pytest.raises(InputError, match=r"log\.jsonl:1 is no line of a training log"):
            read_training_log(tmp_path)
