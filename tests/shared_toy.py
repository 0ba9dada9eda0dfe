"""The trained in-context toy, once for all tests of a run, whichever worker asks first."""

from pathlib import Path

from filelock import FileLock
from safetensors.torch import load_file, save_file

from lexframe.studies.in_context_toy import InContextToy, train_in_context_toy


def shared_toy(folder: Path) -> InContextToy:
    """The toy of seed 0; its weights are kept in `folder`, and who comes while they are being trained waits for them."""
    weights = folder / "toy.safetensors"
    with FileLock(folder / "toy.lock"):
        if not weights.is_file():
            toy = train_in_context_toy(seed=0)
            save_file({name: tensor.contiguous() for name, tensor in toy.model.state_dict().items()}, weights)
            return toy
    untrained = train_in_context_toy(seed=0, n_steps=0)
    untrained.model.load_state_dict(load_file(weights))
    return untrained
