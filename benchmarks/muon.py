"""One step of our Muon against ``torch.optim.Muon``, on the matrices of the embedded model's shape.

    python benchmarks/muon.py [--quick]

The library orthogonalises in bfloat16, one matrix at a time. Both take the same gradients; the updates must point the same way.
"""

import argparse

import torch
from torch import nn

from common import AGAIN, Control, Exact, Goal, finish, judged, race, times
from lexframe.spaces.precision import fastest_precision
from lexframe.training.muon import MuonAdamW


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    rounds, n_layers = (3, 2) if (options := parser.parse_args()).quick else (7, 6)
    torch.manual_seed(0)
    shapes = [(256, 256)] * 4 * n_layers + [(672, 256)] * 2 * n_layers + [(256, 672)] * n_layers
    gradients = [torch.randn(shape) for shape in shapes]

    def parameters() -> list[nn.Parameter]:
        made = [nn.Parameter(torch.zeros(shape)) for shape in shapes]
        for parameter, gradient in zip(made, gradients, strict=True):
            parameter.grad = gradient.clone()
        return made

    own_parameters, library_parameters = parameters(), parameters()
    precision = getattr(torch, fastest_precision())
    own = MuonAdamW(own_parameters, [], matrix_lr=0.02, matrix_weight_decay=0.0, dtype=precision)
    library = torch.optim.Muon(library_parameters, lr=0.02, weight_decay=0.0)
    own.step(), library.step()
    agreement, plain = (
        min(
            nn.functional.cosine_similarity(sign * a.detach().flatten(), b.detach().flatten(), dim=0).item()
            for a, b in zip(moved, library_parameters, strict=True)
        )
        for sign, moved in ((1, own_parameters), (-1, gradients))
    )
    seconds, _ = race({"ours": own.step, "torch.optim.Muon": library.step}, rounds, again="torch.optim.Muon")
    for name, value in seconds.items():
        print(f"{name:18s} {value.mean():.3f} s a step")
    print(f"least cosine of the two updates {agreement:.4f}; precision of ours here: {precision}")
    itself = Control("torch.optim.Muon against itself", times(seconds[AGAIN], seconds["torch.optim.Muon"]))
    finish(
        [
            *judged(
                "seconds a step: torch.optim.Muon over ours", times(seconds["torch.optim.Muon"], seconds["ours"]), Goal(at_least=1), itself
            ),
            Exact("least cosine of the two updates", agreement, Goal(at_least=0.99), Control("the gradient, not orthogonalised", plain)),
        ],
        keep_as=None if options.quick else "muon",
    )


if __name__ == "__main__":
    main()
