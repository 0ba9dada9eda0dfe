"""One shape, every result. A new result is held to it the day it is written; here is how a small one of each is made."""

import dataclasses
import functools
import importlib
import inspect
import json
import pkgutil

import numpy as np
import pandas as pd
import pytest

import lexframe
from lexframe.adaptation import Draws, adapt, compare
from lexframe.audit import CategoryAudit, audit_memberships, category_map, map_points, planted_check, published_reconsideration
from lexframe.data import AnalogyQuestion, WordVectors
from lexframe.exceptions import InputError
from lexframe.generative import (
    ScoreSettings,
    count_active_units,
    disentanglement,
    edit_texts,
    importance_weighted,
    interpolate,
    memorization_check,
    mutual_information,
    nearest_texts,
    position_gain,
    probe_factors,
    rate_distortion,
    reconstruct_texts,
    sample_texts,
    score_text_vae,
    traverse,
)
from lexframe.generative.score.rate_distortion import RateDistortion
from lexframe.generative.texts.sample_diversity import compare_diversity
from lexframe.generative.texts.text_perplexity import text_perplexity
from lexframe.instruments import MeanDifferenceEdit, VocabularyFrame, compare_paths, evaluate_analogies, solve_analogy, trace
from lexframe.instruments.directions.direction import Direction
from lexframe.instruments.directions.side_effects import SideEffectBudget
from lexframe.instruments.directions.steering import SteeredTexts
from lexframe.instruments.directions.steering_choice import SteeringChoice, SteeringPoint
from lexframe.instruments.patching.patch_result import ALL_TASKS, ConditionScore, LayerChoice, PatchResult
from lexframe.intervals import Estimate
from lexframe.latents import LatentStore, encode_to_store, text_blocks
from lexframe.provenance import Provenance
from lexframe.results import Result, WithPage
from lexframe.spaces import ToySpace
from lexframe.studies import compare_families, study_transport
from lexframe.studies.next_token_result import NextTokenComparison, NextTokenScore
from lexframe.studies.reproduction import Reproduction
from lexframe.studies.selection_result import MEASURES, SelectionScore, SelectionStudy
from lexframe.studies.truncation import TruncationCost
from lexframe.task_space import GradientSettings, TransferSettings, build_task_space, compare_task_spaces, measure_transfer
from lexframe.training.language_model import EvaluationData, Windows, bits_per_byte, evaluate_language_model, minimal_pairs
from lexframe.verbal import (
    Checks,
    Obedience,
    PredictionTrace,
    ScriptedClient,
    Settings,
    Steps,
    classification_sample,
    fit,
    follow_parameters,
    task_of,
)
from tests.audit.planted import gaussian_items
from tests.generative.toy import ToyLatentSpace
from tests.generative.toy_writer import ToyWriter
from tests.planted import planted_space, planted_table
from tests.task_space.small_tasks import CATS, PLURALS, PLURALS_AGAIN
from tests.tiny_models import tiny_model, tiny_space, tiny_tokenizer

SCRIPT = "<script>alert(1)</script>"
PACKAGES = ("adaptation", "audit", "generative", "instruments", "latents", "studies", "task_space", "training", "verbal")
"""Whose results all have an entry in MAKERS."""
ESTIMATE = Estimate(0.5, 0.4, float("nan"))
SPOKEN = ["she spoke softly today", "he spoke loudly now", "they spoke softly now", f"{SCRIPT} spoke loudly today"]


def toy():
    space = ToyLatentSpace([2.0, 0.0])
    return space, space.sample_texts(40, n_words=6)


def audited():
    items = gaussian_items(n=60, d=4, k=3, spread=3.0, wrong=0.1, seed=0)
    names = np.array([SCRIPT, "b", "c"])
    return items, CategoryAudit(check=True).fit(items.points, names[items.given], texts=[f"{SCRIPT}\n{i}" for i in range(60)]).result_


def a_store(folder):
    texts = ["a", SCRIPT, "c d"]
    space = ToySpace({text: [float(row), 1.0] for row, text in enumerate(texts)})
    result = encode_to_store(space, text_blocks(texts), folder / "store")
    return result, LatentStore(folder / "store")


def planted(_):
    items, result = audited()
    return planted_check(items.points, items.given, result.neighborhood, result.posterior)


def memberships(_):
    items = gaussian_items(n=60, d=4, k=3, spread=3.0, wrong=0.1, seed=0)
    labels = [[f"{SCRIPT}{k}"] if i % 3 else [f"{SCRIPT}{k}", "extra"] for i, k in enumerate(items.given)]
    return audit_memberships(items.points, labels, texts=[SCRIPT] * 60)


def an_edit(_):
    space = ToyWriter()
    texts = ["she spoke softly today", "he spoke loudly now", "she sang softly today", "he sang loudly now"]
    edit = MeanDifferenceEdit().fit(space.encode(texts), ["a", "a", "b", "b"])
    return edit_texts(space, SPOKEN[:2], edit)


def latent_score(_):
    space, texts = toy()
    sizes = {"n_samples": 20, "n_bound_texts": 20, "n_decoded_texts": 20}
    return score_text_vae(space, texts, settings=ScoreSettings((1, 5), **sizes), training_texts=texts[:5])


def patched(_):
    score = ConditionScore("t", "few-shot", ESTIMATE, None, None, 0.5, float("nan"), 3, 2)
    scores = [
        dataclasses.replace(score, condition=name, task=task) for task in ("t", ALL_TASKS) for name in ("few-shot", "zero-shot", SCRIPT)
    ]
    return PatchResult(SCRIPT, tuple(scores), (LayerChoice("t", 0, 1, (1, 2), (0.5, 1.0)),), {"t": ((SCRIPT, 0.5),)}, Provenance())


def next_tokens(_):
    score = NextTokenScore("frozen", ESTIMATE, ESTIMATE, ESTIMATE, 0.0, 0.1, 0, {})
    methods = {"frozen": score, "affine": dataclasses.replace(score, method="affine")}
    return NextTokenComparison(methods, "affine", 10, 10, 50, 1, 2, 0, 16, 8, "document", 0.1, Provenance())


def selection(_):
    scores = tuple(SelectionScore(name, measure, ESTIMATE, ESTIMATE, ESTIMATE) for name in ("prompt", "shuffled") for measure in MEASURES)
    margins = {measure: {"shuffled": ESTIMATE} for measure in MEASURES}
    return SelectionStudy((SCRIPT, "b"), 3, -1, 2, {SCRIPT: ("x",), "b": ("y",)}, scores, margins)


def states(seed=0):
    return np.random.default_rng(seed).normal(size=(3, 16, 4)).astype(np.float32)


def vectors():
    words = ("man", "woman", "king", "queen", SCRIPT)
    points = [[1, 0, 0], [-1, 0, 0], [1, 2, 0], [-1, 2, 0], [1, 0, 2]]
    return WordVectors(words, np.array(points, dtype=np.float32), source=SCRIPT)


def a_path(_):
    space, texts = toy()
    return interpolate(space, texts[0], texts[1])


def of_points(measure):
    def make(_):
        space, texts = toy()
        return measure(space, texts, space.posterior(texts))

    return make


QUESTION = AnalogyQuestion("man", "woman", "king", ("queen",), SCRIPT)
PAIRS = [{"good": "the cat sat", "bad": "the mat", "uid": SCRIPT, "term": "t"}, {"good": "cat", "bad": "dog", "uid": "q", "term": "t"}]


def adapted():
    return adapt(planted_space(), planted_table(6, 0), planted_table(4, 1), methods="zero-shot,lda,logistic")


def choice(chosen):
    found = SteeringPoint(2, 0.2, ESTIMATE, ESTIMATE, ESTIMATE, ESTIMATE, None, None, np.zeros(2), np.zeros(2), (), np.zeros(3))
    return SteeringChoice((found,), found if chosen else None, None, SideEffectBudget(), SCRIPT, "bad", 3, Provenance())


def steered_texts():
    unwritten = np.full(2, np.nan)
    return SteeredTexts(("a", "b"), ("x", SCRIPT), ("y", SCRIPT), 2, 0.5, np.array([3.0, np.nan]), unwritten, 0.5, 0.5)


def verbal_run():
    """A run whose texts could run."""
    sample = classification_sample(SPOKEN * 6, [SCRIPT, "b"] * 12)
    client = ScriptedClient(lambda request: f"Reasoning: {SCRIPT}\nNew Pattern Descriptions: {SCRIPT}\nRules: else b")
    return fit(client, task_of(sample, is_regression=False), sample, Settings(Steps(steps=2)), checks=Checks(obedience_rows=0))


def verbal_trace():
    half = np.full((2, 3, 2), 0.5)
    return PredictionTrace((SCRIPT, "b"), (0, 1, 2), half, half, np.zeros((2, 3)), Provenance())


TASKS = [dataclasses.replace(CATS, name=SCRIPT, group=SCRIPT), PLURALS, PLURALS_AGAIN, dataclasses.replace(CATS, name="again")]


@functools.cache
def task_space():
    return build_task_space(tiny_space("gpt2"), TASKS, settings=GradientSettings(n_dims=2_000))


@functools.cache
def transferred():
    settings = TransferSettings(arms=("differential",), n_steps=1, n_dims=2_000)
    return measure_transfer(tiny_space("gpt2"), TASKS[:3], settings=settings, sources=[SCRIPT], neutral=SPOKEN[:2])


DIRECTION = Direction({2: np.ones(4)}, n_layers=3, positive=SCRIPT, negative="bad", method="pca", provenance=Provenance())
MAKERS = {
    "AdaptationResult": lambda _: adapted()[0],
    "ComparisonResult": lambda _: compare(
        {"toy": planted_space()}, planted_table(6, 0), planted_table(4, 1), methods="zero-shot,lda", draws=Draws((0, 4), (0, 1))
    ),
    "Predictions": lambda _: adapted()[1].predict(["invoice paid", SCRIPT]),
    "SteeredTexts": lambda _: steered_texts(),
    "SteeringChoice": lambda _: choice(True),
    "ActiveUnits": of_points(lambda space, texts, q: count_active_units(q)),
    "Analogy": lambda _: solve_analogy(vectors(), "man", "woman", "king"),
    "AnalogyEvaluation": lambda _: evaluate_analogies(vectors(), [QUESTION, AnalogyQuestion("a", "b", "c", ("d",), "none")], n_resamples=5),
    "AuditResult": lambda _: audited()[1],
    "Obedience": lambda _: Obedience(ESTIMATE, ESTIMATE, ESTIMATE, ESTIMATE, ESTIMATE, SCRIPT, 8, Provenance()),
    "ParameterPath": lambda _: follow_parameters(verbal_run(), planted_space()),
    "PredictionTrace": lambda _: verbal_trace(),
    "TaskSpace": lambda _: task_space(),
    "TaskSpaceComparison": lambda _: compare_task_spaces({SCRIPT: task_space(), "again": task_space()}),
    "Transfer": lambda _: transferred(),
    "VerbalRun": lambda _: verbal_run(),
    "BitsPerByte": lambda _: bits_per_byte(tiny_model("llama"), tiny_tokenizer(), ["the cat"], windows=Windows(16)),
    "CategoryMap": lambda _: category_map(map_points(states()[0], method="pca"), np.arange(16) % 3),
    "Disentanglement": of_points(lambda space, texts, q: disentanglement(q.means, {SCRIPT: [text.split()[0] for text in texts]})),
    "EditedTexts": an_edit,
    "EncodingResult": lambda folder: a_store(folder)[0],
    "FactorProbes": of_points(lambda space, texts, q: probe_factors(q.means, {SCRIPT: [text.split()[0] for text in texts]}, n_folds=2)),
    "ImportanceWeighted": of_points(lambda space, texts, q: importance_weighted(space, texts, n_samples=(1, 4))),
    "Interpolation": a_path,
    "LanguageModelEvaluation": lambda _: evaluate_language_model(
        tiny_model("llama"), tiny_tokenizer(), EvaluationData(["the cat", "a dog"], PAIRS), name=SCRIPT, windows=Windows(16)
    ),
    "MembershipAudit": memberships,
    "MemorizationCheck": lambda _: memorization_check([SCRIPT, "a b"], ["a b c", "d e"], ["a e"]),
    "MinimalPairs": lambda _: minimal_pairs(tiny_model("llama"), tiny_tokenizer(), PAIRS[:1]),
    "MutualInformation": of_points(lambda space, texts, q: mutual_information(q)),
    "NearestTexts": lambda _: nearest_texts([SCRIPT, "a\nb"], ["a b c", "d e"]),
    "NextTokenComparison": next_tokens,
    "PatchResult": patched,
    "PathComparison": lambda _: compare_paths(tiny_space("gpt2"), trace(tiny_space("gpt2"), [SCRIPT, "a dog"])),
    "PlantedCheck": planted,
    "PositionGain": of_points(lambda space, texts, q: position_gain(space, texts, n_derangements=1)),
    "PromptTrace": lambda _: trace(tiny_space("gpt2"), [SCRIPT])[0],
    "PublishedReconsideration": lambda _: published_reconsideration(np.array([1.0, 2.0, 3.0]), 2.0),
    "RateDistortion": of_points(lambda space, texts, q: RateDistortion(rate_distortion(space, texts, weights=(0.0, 1.0)))),
    "Reconstructions": lambda _: reconstruct_texts(ToyWriter(), SPOKEN[:2]),
    "Reproduction": lambda _: Reproduction(
        {"lda": {"trec": 0.5}}, {}, {"rand": {"trec": (0.1, float("nan"))}}, {SCRIPT: "no file"}, Provenance()
    ),
    "SampleDiversity": lambda _: compare_diversity(["a b", SCRIPT], ["c", "d"]),
    "Samples": of_points(lambda space, texts, q: sample_texts(space, 1)),
    "SelectionStudy": selection,
    "StoreInfo": lambda folder: a_store(folder)[1].info(),
    "SubspaceComparison": lambda _: compare_families({SCRIPT: states(), "b": states(1)}, [0, 1, 2], n_axes=2, n_permutations=3),
    "TextPerplexity": lambda _: text_perplexity(tiny_model("llama"), tiny_tokenizer(), ["the cat", ""], name=SCRIPT, context=16),
    "TextVAEScore": latent_score,
    "TransportStudy": lambda _: study_transport(states(), [0, 1, 2]),
    "Traversal": of_points(lambda space, texts, q: traverse(space, texts[0], amounts=(-1.0, 1.0))),
    "TruncationCost": lambda _: TruncationCost((1, 2), np.array([[3.0, 4.0], [0.1, 0.2]]), np.array([4.0, 5.0])),
    "Verification": lambda folder: a_store(folder)[1].verify(),
    "WordCard": lambda _: VocabularyFrame(tiny_space("gpt2")).card("cat", n_nearest=3),
}


def all_results():
    """Every class below Result in the package, whatever its module."""
    for module in pkgutil.walk_packages(lexframe.__path__, "lexframe."):
        importlib.import_module(module.name)
    found, waiting = {}, [Result]
    while waiting:
        for child in waiting.pop().__subclasses__():
            if child.__module__.startswith("lexframe."):
                found[child.__name__] = child  # a dataclass with slots is made anew; the later one is the one in its module
                waiting.append(child)
    return {name: getattr(importlib.import_module(found[name].__module__), name) for name in found}


RESULTS = all_results()


@pytest.mark.parametrize("name", sorted(RESULTS))
def test_a_result_is_a_frozen_dataclass_with_all_that_is_promised(name):
    kind = RESULTS[name]
    assert dataclasses.is_dataclass(kind)
    assert kind.__dataclass_params__.frozen
    assert not inspect.isabstract(kind) or kind.__subclasses__()  # what several results share
    assert "provenance" in {field.name for field in dataclasses.fields(kind)} or isinstance(getattr(kind, "provenance", None), property)
    for method in ("summary", "to_dict", "to_frame", "_repr_html_"):
        required = [
            parameter
            for parameter in list(inspect.signature(getattr(kind, method)).parameters.values())[1:]
            if parameter.default is inspect.Parameter.empty
        ]
        assert not required, f"{name}.{method} has to work without arguments"
    for old in ("answer", "advice"):
        assert not callable(getattr(kind, old, None))


def test_every_result_of_these_packages_is_tried_below():
    wanted = {
        name
        for name, kind in RESULTS.items()
        if not inspect.isabstract(kind) and kind.__module__.startswith(tuple(f"lexframe.{package}." for package in PACKAGES))
    }
    assert wanted - set(MAKERS) == set()
    assert set(MAKERS) <= set(RESULTS)


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_a_result_tells_itself(name, tmp_path):
    result = MAKERS[name](tmp_path)
    assert type(result).__name__ == name
    summary = result.summary()
    assert isinstance(summary, str)
    assert summary.strip() == summary != ""
    assert "\n\n" not in summary  # several models or numbers of labels have a line each
    assert summary[-1] in ".)?!"
    document = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert set(document["provenance"]) == {"space", "seed", "parameters", "versions"}
    assert isinstance(result.to_frame(), pd.DataFrame)
    said = repr(result)
    assert said.startswith(f"<{name}>")
    assert len(said.splitlines()) <= 12
    assert len(said) <= 1500
    page = result._repr_html_()
    assert "<table" in page
    assert SCRIPT not in page
    assert isinstance(result.provenance, Provenance)


def test_text_that_could_run_reaches_the_table_escaped():
    assert "&lt;script&gt;" in MAKERS["NearestTexts"](None)._repr_html_()
    assert "&lt;script&gt;" in MAKERS["Analogy"](None)._repr_html_()


def test_a_choice_that_found_nothing_says_so():
    assert "no layer and strength moves the model" in choice(False).summary()
    assert choice(False).to_dict()["chosen"] is None


PAGES = {name: kind for name, kind in RESULTS.items() if issubclass(kind, WithPage)}


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_result_with_a_page_writes_it(name, tmp_path):
    result = MAKERS[name](tmp_path)
    options = {"direction": DIRECTION} if name == "SteeredTexts" else {}
    page = result.report(tmp_path / "page.html", title=f"About {SCRIPT}", **options).read_text(encoding="utf-8")
    assert "<html" in page
    assert "About &lt;script&gt;" in page
    assert "<script>" not in page
    with pytest.raises(InputError, match=r"It takes .*title"):
        result.report(tmp_path / "page.html", heading="x")


def test_every_page_is_reached_from_a_result():
    written = {kind.page.partition(":")[2] for kind in PAGES.values()}
    pages = {
        name
        for module in pkgutil.walk_packages(lexframe.__path__, "lexframe.")
        if module.name.endswith(".page") and module.name != "lexframe.drawing.page"
        for name in vars(importlib.import_module(module.name))
        if name.endswith("_report")
    }
    assert written == pages
