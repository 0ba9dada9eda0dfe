"""The trained in-context toy, for the tests that hold instruments against it.

Its weights are kept beside this file: training takes half a minute. With ``--long`` it is trained anew, once for all workers, and the
same claims have to hold of it. To keep new weights, train it so and copy ``toy.safetensors`` from the folder of the run.
"""

from pathlib import Path

from filelock import FileLock
from safetensors.torch import load_file, save_file

from lexframe.studies.in_context_toy import InContextToy, train_in_context_toy

KEPT = Path(__file__).with_suffix(".safetensors")


def shared_toy(folder: Path, *, anew: bool) -> InContextToy:
    """The toy of seed 0, as kept or trained anew; who comes while it is being trained waits for it."""
    weights = KEPT
    if anew:
        weights = folder / "toy.safetensors"
        with FileLock(folder / "toy.lock"):
            if not weights.is_file():
                trained = train_in_context_toy(seed=0).model
                save_file({name: tensor.contiguous() for name, tensor in trained.state_dict().items()}, weights)
    toy = train_in_context_toy(seed=0, n_steps=0)
    toy.model.load_state_dict(load_file(weights))
    return toy
