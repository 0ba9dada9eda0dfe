"""LangVAE on the captions, in an environment of its own, for text_vae_peer.py to set beside lexframe.

    python -m venv langvae && langvae/bin/pip install torch==2.13.0 langvae==0.6.13
    langvae/bin/python benchmarks/langvae_captions.py --minutes 13 --out runs/langvae.json

Encoder and decoder are the embedded model of lexframe, since nothing else need be downloaded; settings are those of LangVAE's own
example where they are not given here. What is asked of it comes back as JSON: sentences that were reconstructed, walked to and edited.
This file imports nothing of lexframe.
"""

import argparse
import contextlib
import gzip
import json
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import torch
from langvae import LangVAE
from langvae.data_conversion.tokenization import TokenizedDataSet
from langvae.decoders import SentenceDecoder
from langvae.encoders import SentenceEncoder
from langvae.pipelines import LanguageTrainingPipeline
from langvae.trainers import CyclicalScheduleKLThresholdTrainerConfig
from pythae.models.vae import VAEConfig
from pythae.trainers.training_callbacks import TrainingCallback

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data" / "coco_captions"
MODEL = ROOT / "src" / "lexframe" / "models" / "embedded"
N_LATENT, MAX_TOKENS, N_TEST, N_PAIRS, N_LABELED = 32, 32, 300, 50, 1000


class TimeIsUpError(Exception):
    """Ends a training whose length its configuration can only state in epochs."""


class Clock(TrainingCallback):
    """Counts steps and ends the training by time."""

    def __init__(self, minutes: float):
        super().__init__()
        self.end, self.steps = time.monotonic() + 60 * minutes, 0

    def on_train_step_end(self, training_config, **kwargs):
        self.steps += 1
        if time.monotonic() > self.end:
            raise TimeIsUpError


def read(part: str) -> list[str]:
    with gzip.open(DATA / f"{part}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line)["text"] for line in lines]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=13.0)
    parser.add_argument("--epochs", type=int, default=20, help="which the cycles of the KL weight are stretched over")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    train, test = read("train"), list(dict.fromkeys(read("test")))
    folder = readable(options.out.parent / "embedded")
    decoder = SentenceDecoder(folder, N_LATENT, MAX_TOKENS, device="cpu")
    encoder = SentenceEncoder(folder, N_LATENT, decoder.tokenizer, caching=True, automodel_preset={"cls": "AutoModel"}, device="cpu")
    decoder._decoder[0].float()
    model = LangVAE(VAEConfig(latent_dim=N_LATENT), encoder, decoder)
    config = CyclicalScheduleKLThresholdTrainerConfig(
        output_dir=str(options.out.with_suffix("")),
        num_epochs=options.epochs,
        learning_rate=1e-3,
        per_device_train_batch_size=50,
        per_device_eval_batch_size=50,
        steps_saving=None,
        optimizer_cls="AdamW",
        max_beta=1.0,
        n_cycles=max(1, int(options.epochs * 0.8)),
        target_kl=2.0,
        no_cuda=True,
    )
    clock, start = Clock(options.minutes), time.monotonic()
    with contextlib.suppress(TimeIsUpError):
        LanguageTrainingPipeline(training_config=config, model=model)(
            TokenizedDataSet(train, decoder.tokenizer, decoder.max_len, caching=True), callbacks=[clock]
        )
    seconds = time.monotonic() - start
    sys.stderr.write(f"{clock.steps} steps in {seconds:.0f} s\n")
    model.eval()
    found = {"steps": clock.steps, "seconds": seconds, "batch": 50, "n_train": len(train)} | asked(model, train, test)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(found, indent=1), encoding="utf-8")


def readable(folder: Path) -> str:
    """A copy of the embedded model that transformers 4, which LangVAE asks for, can read: it does not know the tokenizer's class."""
    shutil.copytree(MODEL, folder, dirs_exist_ok=True)
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"tokenizer_class": "PreTrainedTokenizerFast"}))
    return str(folder)


@torch.no_grad()
def asked(model: LangVAE, train: list[str], test: list[str]) -> dict:
    chosen = [test[row] for row in np.random.default_rng(0).permutation(len(test))[:N_TEST]]
    means, log_variances = posterior(model, chosen)
    ways = np.linspace(0, 1, 9)[:, np.newaxis]
    paths = [write(model, means[2 * pair] * (1 - ways) + means[2 * pair + 1] * ways) for pair in range(N_PAIRS)]
    sides = [[text for text in train if text.split()[:2] == ["a", word]][:N_LABELED] for word in ("man", "woman")]
    poles = [posterior(model, side)[0].mean(axis=0) for side in sides]
    started = [text for text in test if text.split()[:2] == ["a", "man"]][:100]
    points = posterior(model, started)[0]
    shift = poles[1] - poles[0]
    random = np.random.default_rng(0).normal(size=points.shape)
    random *= np.linalg.norm(shift) / np.linalg.norm(random, axis=1, keepdims=True)
    drawn = np.random.default_rng(0).normal(size=(100, N_LATENT))
    return {
        "texts": chosen,
        "means": means.tolist(),
        "log_variances": log_variances.tolist(),
        "reconstructions": write(model, means),
        "paths": paths,
        "edit_texts": started,
        "edit_decoded": write(model, points),
        "edited": write(model, points + shift),
        "edit_random": write(model, points + random),
        "samples": write(model, drawn),
    }


def posterior(model: LangVAE, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    data = TokenizedDataSet(texts, model.decoder.tokenizer, model.decoder.max_len)
    outputs = [model.encoder(data[start : start + 50]["data"]) for start in range(0, len(texts), 50)]
    return tuple(torch.cat([getattr(one, name) for one in outputs]).float().numpy() for name in ("embedding", "log_covariance"))


def write(model: LangVAE, points: np.ndarray) -> list[str]:
    z = torch.tensor(points, dtype=torch.float32)
    return [text for start in range(0, len(z), 50) for text in model.decode_sentences(z[start : start + 50])]


if __name__ == "__main__":
    main()
