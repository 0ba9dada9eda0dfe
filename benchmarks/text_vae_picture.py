"""The picture of the balance on the page about text VAEs, from three runs of text_vae.py: captions, seed 0.

    python benchmarks/text_vae_picture.py [--runs runs/text_vae]

Writes docs/text-vae-balance.svg: reconstruction and bound above, KL and its weight below, for the run with the remedies, the one without
and the autoencoder.
"""

import argparse
from pathlib import Path

from lexframe.drawing.page import svg
from lexframe.files import write_text
from lexframe.generative.training_chart import training_chart
from lexframe.training.text_vae.log import read_training_log

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "text-vae-balance.svg"
RUNS = {"with the remedies": "vae", "plain VAE": "plain", "autoencoder": "autoencoder"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/text_vae"))
    options = parser.parse_args()
    chart = training_chart({name: read_training_log(options.runs / f"captions-{kind}-0") for name, kind in RUNS.items()})
    write_text(PICTURE, svg(chart))
    print(PICTURE)


if __name__ == "__main__":
    main()
