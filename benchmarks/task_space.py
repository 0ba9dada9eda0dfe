"""Task spaces: a planted grammar, first order against what happens, the price of tuning, minimal pairs, held-out words, removal, growth.

    python benchmarks/task_space.py [--quick] [--parts grammar,order,blimp,cost,price,words,removal,growth] [--model smollm2]
                                    [--pairs FILE] [--checkpoints FOLDER] [--out FOLDER] [--processes 2]

- grammar: models trained on a grammar with planted rules (benchmarks/task_space_grammar.py): are paradigms of one rule alike?
- order: change of margins after a small step against the inner product of gradients
- blimp: the whole space of minimal pairs (another file of them with --pairs), Mantel tests, and the overlap of units beside it
- cost: the same space built in one go, minutes of a core and memory
- price: harm to the bits per byte at the same gain, by share of the weights that move, against full gradients and controls
- words: gain on words that tuning never saw; removal: loss without the parameters that a task selects
- growth: models of three sizes over their training (benchmarks/task_space_checkpoints.py makes them; --checkpoints names the folder)
"""

import argparse
import sys
from pathlib import Path

from common import SHARED, Statement, default_model, finish, named_after
from lexframe.task_space import read_tasks
from task_space_blimp import blimp_claims, cost_claims
from task_space_growth import growth_claims
from task_space_lesions import removal_claims, word_claims
from task_space_planted import order_claims, planted_claims
from task_space_price import price_claims

PARTS = ("grammar", "order", "blimp", "cost", "price", "words", "removal", "growth")
OF_A_MODEL = ("blimp", "cost", "price", "words", "removal")
EVERY = 3
"""Of the paradigms, those whose words are held out and whose parameters are removed."""
PAIRS = SHARED / "data" / "blimp" / "pairs.jsonl.gz"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the planted grammar with one half-trained model, and first order")
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--model", default=default_model())
    parser.add_argument("--pairs", type=Path, default=PAIRS)
    parser.add_argument("--n-pairs", type=int, default=200, help="pairs a task, of the space")
    parser.add_argument("--checkpoints", type=Path, help="folder that task_space_checkpoints.py made")
    parser.add_argument("--grammar", type=Path, help="folder that task_space_grammar.py made; default: within --out")
    parser.add_argument("--out", type=Path, default=Path("runs/task_space"), help="where finished parts are kept")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    parts = ("grammar", "order") if options.quick else tuple(options.parts.split(","))
    claims: list[Statement] = []
    if "grammar" in parts:
        claims += planted_claims(options.grammar or options.out / "grammar", options.out, quick=options.quick)
    if "order" in parts:
        claims += order_claims("embedded", quick=options.quick)
    if not set(parts) <= {"grammar", "order"} and not options.pairs.is_file():
        sys.stderr.write(f"{options.pairs} is absent: what needs minimal pairs is left out\n")
        parts = ()
    place = options.out / Path(options.model).name
    if "blimp" in parts:
        tasks = read_tasks(options.pairs, most=options.n_pairs)
        claims += blimp_claims(options.model, tasks, place / f"{options.pairs.stem}-{options.n_pairs}", n_processes=options.processes)
    if "cost" in parts:
        claims += cost_claims(options.model, read_tasks(options.pairs, most=options.n_pairs), n_processes=options.processes)
    if "price" in parts:
        claims += price_claims(options.model, read_tasks(options.pairs, most=200), place / "price")
    if "words" in parts:
        claims += word_claims(options.model, read_tasks(options.pairs)[::EVERY], place / "words", n_processes=1)
    if "removal" in parts:
        claims += removal_claims(options.model, read_tasks(options.pairs, most=200)[::EVERY])
    if "growth" in parts and options.checkpoints is not None:
        claims += growth_claims(
            options.checkpoints, read_tasks(options.pairs, most=100), options.out / "growth", n_processes=options.processes
        )
    own = [part for part in parts if part in OF_A_MODEL]
    name = named_after("task_space", options.model) if own and len(own) == len(parts) else "task_space"
    finish(claims, keep_as=None if options.quick or not claims else name, beside=True)


if __name__ == "__main__":
    main()
