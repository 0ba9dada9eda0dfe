"""Calls of the verbs of text VAEs, and a run small enough for tests."""

import pytest

from lexframe.cli.main import main

TINY = (
    *("--n-latent", 4, "--memory-tokens", 2, "--vocab-size", 300, "--d-model", 32, "--encoder-layers", 1, "--decoder-layers", 1),
    *("--max-tokens", 20, "--batch-size", 16, "--n-validations", 4, "--n-importance-samples", 3, "--precision", "float32"),
    *("--free-nats", 2, "--max-epochs", 2),
)


def run(*arguments):
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return stop.value.code or 0


def refused(capsys, *arguments):
    """The one line that a call ends with."""
    capsys.readouterr()
    assert run(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    return err.strip().splitlines()[-1]


def lines_file(path, lines):
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path
