"""What is killed: work that writes, on small spaces and arrays."""

from pathlib import Path

import numpy as np
import torch

from lexframe.adaptation import Draws
from lexframe.adaptation.cells import Cell, CellStore
from lexframe.adaptation.comparison import compare
from lexframe.artifacts import Artifact, write_artifact
from lexframe.latents import NeighborIndex, encode_to_store, text_blocks
from lexframe.provenance import Provenance
from lexframe.spaces import ToySpace
from lexframe.training.checkpoints import save_tensors
from tests.planted import planted_space, planted_table

torch.set_num_threads(1)
WORDS = tuple(f"w{number}" for number in range(9))


def toy_space() -> ToySpace:
    rng = np.random.default_rng(3)
    return ToySpace({word: rng.normal(size=6).tolist() for word in WORDS})


def toy_texts() -> list[str]:
    rng = np.random.default_rng(4)
    return [" ".join(rng.choice(WORDS, size=rng.integers(1, 9))) for _ in range(30)]


def encode(folder: Path) -> None:
    """Three blocks into a store."""
    encode_to_store(toy_space(), text_blocks(toy_texts(), block_rows=10), folder / "store")


def artifact(value: float) -> Artifact:
    return Artifact("probe", {"value": value}, {"a": np.full(500, value), "b": np.full(3, value)}, Provenance(seed=int(value)))


def keep_artifact(folder: Path) -> None:
    write_artifact(artifact(2.0), folder / "kept")


def index(value: float) -> NeighborIndex:
    return NeighborIndex(metric="euclidean").fit(np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32) + np.float32(value))


def keep_index(folder: Path) -> None:
    index(2.0).save(folder / "kept")


def keep_checkpoint(folder: Path, value: float = 2.0) -> None:
    save_tensors(folder / "checkpoint.safetensors", {"model.weight": torch.full((500,), value)}, {"step": value})


def cell(seed: int) -> Cell:
    arrays = {"predicted": np.full(400, seed, np.int16), "log_probability": np.full(400, -float(seed), np.float32)}
    return Cell("toy", "lda", 4, seed, 12, 0.5, 0.5, 1.0, 0.1, 0.1, 0.2, 0.3, 9, 1.5, {}, **arrays)


def keep_cells(folder: Path) -> None:
    for seed in (1, 2, 3):
        CellStore(folder).put({"seed": seed}, cell(seed))


def compare_methods(folder: Path) -> None:
    planted_comparison(folder)


def planted_comparison(folder: Path | None) -> list[Cell]:
    """Three cells on planted classes."""
    result = compare(
        {"toy": planted_space()},
        planted_table(6, 0),
        planted_table(6, 1),
        methods="class-mean",
        draws=Draws((4, "all"), (0, 1)),
        folder=folder,
    )
    return list(result.cells)
