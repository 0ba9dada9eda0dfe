"""A grammar with planted rules, and small language models trained on it: what a task space should find, known beforehand.

    python benchmarks/task_space_grammar.py --out runs/grammar [--quick] [--seeds 5] [--shared-words]

One model a seed, kept in OUT/seed-N and left as it is where it is there already; a minute each on a core, or four with shared words.

- accuracy of every paradigm on minimal pairs whose noun and adverb the model never saw together, least over the twelve paradigms
"""

import argparse
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from common import Control, Goal, Statement, finish, judged
from lexframe.data.agreement_grammar import AgreementGrammar
from lexframe.files import replacing_files, write_json
from lexframe.intervals import t_interval
from lexframe.seeding import seeded
from lexframe.spaces import open_space
from lexframe.task_space.tasks import Contrast, Task
from lexframe.training.language_model.grammatical_pairs import minimal_pairs
from lexframe.training.language_model.network import build_model
from lexframe.training.language_model.plan import PretrainingPlan
from lexframe.training.muon import MuonAdamW, matrix_and_other_parameters
from lexframe.training.schedules import learning_rate_scale

SEPARATOR = "<|endoftext|>"
BATCH = 256
STEPS = 300
"""Of a grammar whose words are disjoint. With shared words only the opener says which rule holds: that takes three times the steps, and
batches twice as large."""
MATRIX_RATE, RATE, DECAY = 0.01, 0.005, 0.03


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the models")
    parser.add_argument("--quick", action="store_true", help="two seeds of a tenth of the steps")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--shared-words", action="store_true", help="paradigms of different groups share their words")
    options = parser.parse_args()
    grammar = AgreementGrammar(shared_words=options.shared_words)
    n_steps = STEPS // 10 if options.quick else STEPS
    folders = [trained(options.out / f"seed-{seed}", grammar, seed, n_steps) for seed in range(2 if options.quick else options.seeds)]
    finish(accuracy_claims(grammar, folders))


def trained(folder: Path, grammar: AgreementGrammar, seed: int, n_steps: int) -> Path:
    """The folder of a model of this seed, trained where it is missing; with shared words for three times the steps."""
    if not (folder / "config.json").is_file():
        n_steps = 3 * n_steps if grammar.shared_words else n_steps
        save(folder, *train(grammar, seed, n_steps), seed=seed, steps=n_steps)
    return folder


def save(folder: Path, model: Any, tokenizer: Any, **facts: int) -> None:
    with replacing_files(folder) as temporary:
        write_json(temporary / "training.json", facts)
        model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)


def train(grammar: AgreementGrammar, seed: int, n_steps: int) -> tuple[Any, Any]:
    """A Llama of .4M parameters and its tokenizer, a token a word; `seed` is of the weights and of the sentences."""
    tokenizer = word_tokenizer(grammar.vocabulary)
    model: Any = build_model(shape(seed), tokenizer)
    optimizer = MuonAdamW(*matrix_and_other_parameters(model), matrix_lr=MATRIX_RATE, lr=RATE, matrix_weight_decay=DECAY, weight_decay=0.0)
    peaks = [group["lr"] for group in optimizer.param_groups]
    rng, n_sentences = np.random.default_rng(seed), 2 * BATCH if grammar.shared_words else BATCH
    for step in range(n_steps):
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * learning_rate_scale(step / n_steps, warmup_share=0.05, cooldown_share=0.5)
        loss_of(model, batch(tokenizer, grammar.sentences(n_sentences, rng))).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return model.eval(), tokenizer


def shape(seed: int) -> PretrainingPlan:
    return PretrainingPlan(n_layers=2, d_model=128, n_heads=4, d_ff=344, context=16, short_context=16, max_tokens=1, seed=seed)


def word_tokenizer(words: Sequence[str]) -> Any:
    """Words between blanks, and the separator of texts."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    ids = {word: number for number, word in enumerate((SEPARATOR, *words))}
    plain = Tokenizer(models.WordLevel(ids, unk_token=SEPARATOR))
    plain.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=plain, bos_token=SEPARATOR, eos_token=SEPARATOR, pad_token=SEPARATOR)


def batch(tokenizer: Any, sentences: Sequence[str]) -> Tensor:
    """Ids of the sentences, each between two separators, filled up with -1."""
    rows = [[tokenizer.bos_token_id, *tokenizer(sentence)["input_ids"], tokenizer.eos_token_id] for sentence in sentences]
    return torch.tensor(list(itertools.zip_longest(*rows, fillvalue=-1))).T


def loss_of(model: Any, ids: Tensor) -> Tensor:
    """Nats a token; what fills up comes last, so nothing looks at it."""
    logits = model(input_ids=ids[:, :-1].clamp(min=0), use_cache=False).logits
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), ignore_index=-1)


def grammar_tasks(grammar: AgreementGrammar, n_pairs: int, seed: int = 0) -> list[Task]:
    """Every paradigm as a task, grouped by its rule."""
    paradigms = itertools.groupby(grammar.tasks(n_pairs, seed), key=lambda pair: (pair.paradigm, pair.group))
    return [Task(name, tuple(Contrast(pair.good, pair.bad) for pair in pairs), group) for (name, group), pairs in paradigms]


def grammar_space(folder: Path) -> Any:
    """The model in a folder as a space."""
    return open_space(str(folder))


def accuracies(model: Any, tokenizer: Any, grammar: AgreementGrammar, n_pairs: int = 200) -> dict[str, float]:
    """Of each paradigm, in the order of the grammar."""
    pairs = [{"good": p.good, "bad": p.bad, "uid": p.paradigm, "term": p.group} for p in grammar.tasks(n_pairs, seed=1)]
    found = minimal_pairs(model, tokenizer, pairs).by_paradigm
    return {paradigm.name: found[paradigm.name] for paradigm in grammar.paradigms}


def accuracy_claims(grammar: AgreementGrammar, folders: Sequence[Path]) -> list[Statement]:
    least, untrained = [], []
    for seed, folder in enumerate(folders):
        space = grammar_space(folder)
        found = accuracies(space.model, space.tokenizer, grammar)
        print(folder.name, "  ".join(f"{name} {value:.3f}" for name, value in found.items()), flush=True)
        with seeded(seed):
            random = type(space.model)(space.model.config).eval()
        least.append(min(found.values()))
        untrained.append(float(np.mean(list(accuracies(random, space.tokenizer, grammar).values()))))
    control = Control("random weights, mean of the paradigms", t_interval(untrained, unit="seeds"))
    return [
        *judged("accuracy of the worst of 12 paradigms, new combinations", t_interval(least, unit="seeds"), Goal(at_least=0.9), control)
    ]


if __name__ == "__main__":
    main()
