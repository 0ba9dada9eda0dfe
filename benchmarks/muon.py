"""One step of our Muon against ``torch.optim.Muon``, on the matrices of the embedded model's shape.

    python benchmarks/muon.py [--quick]

The library orthogonalises in bfloat16, one matrix at a time. Both take the same gradients; the updates must point the same way.
"""

import argparse
import time

import torch
from torch import nn

from common import Claim, finish
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
    seconds = {"ours": float("inf"), "torch.optim.Muon": float("inf")}
    for _ in range(rounds):
        for name, optimizer in (("ours", own), ("torch.optim.Muon", library)):
            start = time.perf_counter()
            optimizer.step()
            seconds[name] = min(seconds[name], time.perf_counter() - start)
    agreement = min(
        nn.functional.cosine_similarity(a.detach().flatten(), b.detach().flatten(), dim=0).item()
        for a, b in zip(own_parameters, library_parameters, strict=True)
    )
    for name, value in seconds.items():
        print(f"{name:18s} {value:.3f} s a step")
    print(f"least cosine of the two updates {agreement:.4f}; precision of ours here: {precision}")
    ratio = seconds["torch.optim.Muon"] / seconds["ours"]
    finish(
        [
            Claim("seconds a step: torch.optim.Muon over ours", ratio, None, ">= 1", ratio >= 1),
            Claim("least cosine of the two updates", agreement, None, ">= 0.99", agreement >= 0.99),
        ],
        keep_as=None if options.quick else "muon",
    )


if __name__ == "__main__":
    main()
