"""Text VAEs on captions, premises and a grammar with known factors, against what they must beat in the same run.

    python benchmarks/text_vae.py [--quick] [--parts captions,premises,grammar,rates,speed] [--seeds 0,1,2] [--kinds vae,...]

Every part trains what it needs, keeps finished cells in the folder `--out`, and goes on from them; parts, seeds and kinds can therefore be
spread over processes. At three seeds or more its claims are kept as results/text_vae_PART.csv. Models are chosen by texts held out of
the training file; the test file is read once, at the end.
"""

import argparse
import warnings
from pathlib import Path

import torch

from common import Statement, finish, keep
from text_vae_grammar import grammar_claims
from text_vae_rates import rate_claims
from text_vae_sets import set_claims
from text_vae_speed import speed_claims

PARTS = {
    "captions": lambda bench: set_claims(bench, "captions"),
    "premises": lambda bench: set_claims(bench, "premises"),
    "grammar": grammar_claims,
    "rates": rate_claims,
    "speed": speed_claims,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the grammar alone: one seed, a small model")
    parser.add_argument("--parts", default=",".join(PARTS), help=f"comma-separated, of {', '.join(PARTS)}")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument(
        "--control-seeds", default="", help="of the plain VAE and the autoencoder, where they are to be fewer; claims say so"
    )
    parser.add_argument(
        "--kinds", default="", help="train and measure these alone (vae, plain, autoencoder, language-model), without claims"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/text_vae"), help="where runs and finished cells are kept")
    parser.add_argument("--threads", type=int, default=0, help="of one process; default: what torch takes")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    warnings.filterwarnings("ignore", module="sklearn")
    options.seeds = [int(seed) for seed in options.seeds.split(",")]
    options.control_seeds = [int(seed) for seed in options.control_seeds.split(",")] if options.control_seeds else options.seeds
    parts = ["grammar"] if options.quick else options.parts.split(",")
    claims: list[Statement] = []
    for part in parts:
        found = PARTS[part](options)
        if found and not options.quick and len(options.seeds) >= 3:
            keep(found, f"text_vae_{part}")
        claims += found
    finish(claims)


if __name__ == "__main__":
    main()
