"""One small text VAE, trained once for all tests of its verbs, and files of texts."""

import pytest

from tests.cli.vae.calls import TINY, lines_file, run
from tests.training.text_vae.test_run import sentences


@pytest.fixture(scope="package")
def corpus(tmp_path_factory):
    return lines_file(tmp_path_factory.mktemp("corpus") / "texts.txt", [*sentences(240), "", "the " * 30, "  "])


@pytest.fixture(scope="package")
def trained(corpus, tmp_path_factory):
    """Folder of a run."""
    out = tmp_path_factory.mktemp("run") / "run"
    assert run("vae", "train", corpus, "--out", out, *TINY) == 0
    return out


@pytest.fixture(scope="package")
def model(trained):
    return trained / "model"


@pytest.fixture(scope="package")
def labeled(corpus):
    rows = [f"{text},{text.split()[1]}" for text in sentences(60)]
    return lines_file(corpus.with_name("labeled.csv"), ["text,subject", *rows])


@pytest.fixture(scope="package")
def poles(corpus):
    texts = sentences(240)
    return tuple(
        lines_file(corpus.with_name(f"{name}.txt"), [text for text in texts if word in text][:20])
        for name, word in (("rain", "rain"), ("snow", "snow"))
    )
