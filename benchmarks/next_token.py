"""Next-token calibration of a language model: four domains, beside the frozen model, kNN-LM and LoRA for the same time.

Each domain is a small text drawn from a set's training file, held-out text comes from its test file; three seeds draw both.
Controls: the affine move fitted on the next domain's text, and fitted on next tokens that were shuffled among the positions.
Shuffled tokens keep their frequencies, so the second control may gain what counts alone give (``unigram``), and no more.

    python benchmarks/next_token.py [--quick] [--model smollm2] [--domains trec,subj,...] [--n-tokens 8000] [--lora-times 1] [--join 1]

Where one seed alone is drawn, differences are over its held-out documents, and say nothing of other draws of the domain. `--lora-times 0`
leaves LoRA out. `--join n` writes n texts into one document, so that the frozen model has the domain in its context too.
"""

import argparse
import sys
from collections.abc import Sequence

import numpy as np

from common import SHARED, Control, Figure, Goal, Statement, default_model, finish, judged, named_after, over, peer, standing_in
from lexframe import LanguageModelSpace, read_table
from lexframe.instruments.classifiers.next_token_calibration import NextTokenCalibration
from lexframe.intervals import Estimate, t_interval
from lexframe.studies.next_token import NEXT_TOKEN_METHODS, LoraTime, compare_next_token
from lexframe.studies.next_token_result import NextTokenComparison
from lexframe.studies.next_token_states import NextTokenStates, read_next_tokens
from lexframe.training.language_model import Windows

DOMAINS = ("coco_captions", "trec", "agnews", "subj")
SEEDS = (0, 1, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two domains of 3,000 tokens, one seed, LoRA for the same time only")
    parser.add_argument("--model", default=default_model())
    parser.add_argument("--methods", default=",".join(NEXT_TOKEN_METHODS))
    parser.add_argument("--domains", default=",".join(DOMAINS))
    parser.add_argument("--seeds", type=int, default=len(SEEDS))
    parser.add_argument("--n-tokens", type=int, default=8_000, help="of each domain text")
    parser.add_argument("--lora-times", default="1", help="how many times the time of the calibration LoRA trains, such as 1,10")
    parser.add_argument("--n-held-out", type=int, default=5_000, help="tokens at most")
    parser.add_argument("--context", type=int, default=256)
    parser.add_argument("--join", type=int, default=1, help="texts in a document, a line each")
    options = parser.parse_args()
    names, seeds = options.domains.split(","), range(options.seeds)
    multiples = tuple(float(times) for times in options.lora_times.split(","))
    n_tokens, n_held_out = options.n_tokens, options.n_held_out
    if options.quick:
        names, seeds, multiples, n_tokens, n_held_out = ["trec", "subj"], range(1), (1.0,), 3_000, 1_500
    methods = tuple(options.methods.split(","))
    if not any(multiples) or peer("peft") is None:
        methods = tuple(method for method in methods if method != "lora")

    space = LanguageModelSpace(options.model)
    domains = {name: texts_of(name, options.join) for name in names if (SHARED / "data" / name).is_dir()}
    if not domains:
        sys.exit(f"No domain: {SHARED / 'data'} holds none of {', '.join(names)}.")
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in domains}
    alone: list[Statement] = []
    for seed in seeds:
        drawn = {
            name: (sample(space, train, n_tokens, seed), sample(space, test, n_held_out, seed)) for name, (train, test) in domains.items()
        }
        for number, name in enumerate(drawn):
            domain, held_out = drawn[name]
            result = compare_next_token(
                space,
                domain,
                held_out,
                methods=methods,
                windows=Windows(options.context, batch_size=16),
                lora=LoraTime(multiples=multiples),
                seed=seed,
            )
            other = [*drawn][(number + 1) % len(drawn)]
            controls = run_controls(space, domain, drawn[other][0] if other != name else None, held_out, options.context, seed)
            show(name, seed, result, other, controls)
            rows[name].append({method: score.bits_per_byte.value for method, score in result.methods.items()} | controls)
            if len(seeds) == 1 and not options.quick:
                alone += over_documents(name, result, controls)
    finish(
        alone or [claim for name, found in rows.items() for claim in claims_of(name, found)],
        keep_as=None if options.quick else named_after("next_token" if options.join == 1 else "next_token_joined", options.model),
    )


def texts_of(name: str, join: int) -> tuple[list[str], list[str]]:
    """Documents of the training and of the test file, `join` texts each."""
    halves = []
    train, test = (read_table(SHARED / "data" / name / f"{part}.jsonl.gz", label=None).texts for part in ("train", "test"))
    unseen = [text for text, stands in zip(train, standing_in(train, test), strict=True) if not stands]
    for texts in (unseen, test):
        halves.append(["\n".join(texts[start : start + join]) for start in range(0, len(texts), join)])
    return halves[0], halves[1]


def sample(space: LanguageModelSpace, documents: Sequence[str], n_tokens: int, seed: int) -> list[str]:
    """Documents drawn at random until they have `n_tokens`."""
    drawn, count = [], 0
    for row in np.random.default_rng(seed).permutation(len(documents)):
        drawn.append(documents[row])
        count += len(space.tokenizer.backend_tokenizer.encode(documents[row], add_special_tokens=False).ids)
        if count >= n_tokens:
            break
    return drawn


def run_controls(
    space: LanguageModelSpace, domain: list[str], other: list[str] | None, held_out: list[str], context: int, seed: int
) -> dict[str, float]:
    """Bits per byte of held-out text after fits that must not help."""
    asked = read_next_tokens(space.next_tokens, held_out, context=context)
    found = {}
    if other is not None:
        known = read_next_tokens(space.next_tokens, other, context=context)
        found["other domain"] = fitted_bits(space, known, known.next_ids, asked, seed)
    known = read_next_tokens(space.next_tokens, domain, context=context)
    found["shuffled"] = fitted_bits(space, known, np.random.default_rng(seed).permutation(known.next_ids), asked, seed)
    return found


def fitted_bits(space: LanguageModelSpace, known: NextTokenStates, next_ids: np.ndarray, asked: NextTokenStates, seed: int) -> float:
    head = space.next_tokens.head()
    model = NextTokenCalibration(head.unembedding, bias=head.bias, soft_cap=head.soft_cap, random_state=seed).fit(known.states, next_ids)
    return float(model.losses(asked.states, asked.next_ids).sum() / np.log(2) / asked.n_bytes.sum())


def show(name: str, seed: int, result: NextTokenComparison, other: str, controls: dict[str, float]) -> None:
    print(
        f"{name}, seed {seed}: {result.n_domain_tokens} tokens, held out {result.n_held_out_tokens} tokens in "
        f"{result.n_held_out_documents} documents ({result.n_shared_documents} of them in the domain text), context {result.context}, "
        f"stride {result.stride}, states in {result.encode_seconds:.1f} s"
    )
    for method, score in result.methods.items():
        print(
            f"  {method:9s} perplexity {score.perplexity.value:7.1f} [{score.perplexity.low:.1f}, {score.perplexity.high:.1f}]  "
            f"bits/byte {score.bits_per_byte.value:.3f}, minus frozen {score.difference.value:+.3f} [{score.difference.low:+.3f}, "
            f"{score.difference.high:+.3f}]  fit {score.fit_seconds:6.1f} s  {score.n_parameters:>9,d} numbers  {score.choices}"
        )
    frozen = result.methods["frozen"].bits_per_byte.value
    for control, value in controls.items():
        print(f"  affine, {control if control != 'other domain' else f'fitted on {other}'}: minus frozen {value - frozen:+.3f}", flush=True)


def over_documents(name: str, result: NextTokenComparison, controls: dict[str, float]) -> list[Statement]:
    """Differences of one draw from the frozen model, over its held-out documents; the control is fitted on shuffled next tokens."""
    frozen = result.methods["frozen"].bits_per_byte
    n = f"{name}, one draw of {result.n_domain_tokens:,} tokens"
    found: list[Statement] = [Figure(f"{n}: frozen, bits per byte", over(frozen, "documents", result.n_held_out_documents))]
    for method, score in result.methods.items():
        if method != "frozen":
            lead = over(score.difference, "documents", result.n_held_out_documents)
            control = Control("affine on shuffled next tokens", controls["shuffled"] - frozen.value)
            found += judged(f"{n}: {method} minus frozen, bits per byte", lead, Goal(below=0), control)
    return found


def claims_of(name: str, rows: list[dict[str, float]]) -> list[Statement]:
    """Differences over seeds; the control of each is the affine move fitted on another domain, in the place of the first."""

    def less(first: str, second: str) -> Estimate:
        return t_interval([row[first] - row[second] for row in rows], unit="seeds")

    found: list[Statement] = []
    stranger = "other domain" if "other domain" in rows[0] else "shuffled"
    for text, first, second, goal, control in (
        ("affine minus frozen", "affine", "frozen", Goal(below=0), stranger),
        ("unigram minus frozen (the part that counts alone give)", "unigram", "frozen", None, ""),
        ("neural module minus frozen", "neural", "frozen", Goal(below=0), stranger),
        ("affine minus neural module", "affine", "neural", None, ""),
        ("affine minus kNN-LM", "affine", "knn-lm", Goal(below=0), stranger),
        ("affine minus LoRA at the same time", "affine", "lora", Goal(below=0), stranger),
        ("affine minus LoRA at 10 times the time", "affine", "lora-10x", None, ""),
        ("affine fitted on another domain minus frozen", "other domain", "frozen", Goal(at_least=0), "affine"),
        ("affine on shuffled next tokens minus unigram", "shuffled", "unigram", Goal(at_least=0), "affine"),
    ):
        if first not in rows[0] or second not in rows[0]:
            continue
        title = f"{name}: {text}, bits per byte"
        if goal is None:
            found.append(Figure(title, less(first, second)))
        else:
            found += judged(title, less(first, second), goal, Control(f"affine, {control}", less(control, second)))
    return found


if __name__ == "__main__":
    main()
