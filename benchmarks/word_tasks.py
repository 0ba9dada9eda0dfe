"""Word tasks that demonstrations can show: relations of the Google analogies, read from the shared folder, and opposites of our own."""

import gzip
import json

from common import SHARED
from lexframe.instruments import Task

RELATIONS = {
    "comparative": "gram3-comparative",
    "superlative": "gram4-superlative",
    "adverb": "gram1-adjective-to-adverb",
    "opposite": "gram2-opposite",
    "plural": "gram8-plural",
    "capital": "capital-common-countries",
}
"""Neighbors share inputs where they can: most adjectives have a comparative and a superlative here."""

ANTONYMS = (
    "hot cold, big small, tall short, fast slow, young old, rich poor, happy sad, strong weak, light dark, hard soft, clean dirty, wet dry,"
    " early late, near far, high low, deep shallow, wide narrow, thick thin, loud quiet, full empty, open closed, good bad, right wrong,"
    " true false, cheap expensive, easy difficult, safe dangerous, brave afraid, sweet bitter, sharp dull, smooth rough, heavy light,"
    " tight loose, new used, first last, up down, left right, inside outside, above below, before after, always never, day night,"
    " war peace, love hate, life death, friend enemy, begin end, buy sell, push pull, give take, win lose"
)


def google_relations() -> dict[str, dict[str, str]]:
    """The first output for every input, by relation."""
    pairs: dict[str, dict[str, str]] = {}
    with gzip.open(SHARED / "data" / "analogies_google" / "questions.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            question = json.loads(line)
            for source, target in ((question["a"], question["b"]), (question["c"], question["d"])):
                pairs.setdefault(question["category"], {}).setdefault(source, target)
    return pairs


def google_tasks() -> list[Task]:
    """As the relations stand in the set."""
    pairs = google_relations()
    return [Task(name, tuple(sorted(pairs[relation].items()))) for name, relation in RELATIONS.items()]


def common_tasks() -> list[Task]:
    """What people try first: neighbors know the same inputs (verbs, countries, adjectives), so that one can be taken for the other."""
    pairs = google_relations()
    participles, pasts = pairs["gram5-present-participle"], pairs["gram7-past-tense"]
    capitals = {country: capital for capital, country in pairs["capital-world"].items()}
    capitals |= {country: capital for capital, country in pairs["capital-common-countries"].items()}
    nationalities = pairs["gram6-nationality-adjective"]
    both = sorted(capitals.keys() & nationalities.keys())
    verbs = sorted(verb for verb, participle in participles.items() if participle in pasts)
    antonyms = dict(pair.split() for pair in ANTONYMS.split(", "))
    found = {
        "past tense": {verb: pasts[participles[verb]] for verb in verbs},
        "participle": {verb: participles[verb] for verb in verbs},
        "capital": {country: capitals[country] for country in both},
        "nationality": {country: nationalities[country] for country in both},
        "plural": pairs["gram8-plural"],
        "antonym": antonyms,
        "comparative": pairs["gram3-comparative"],
    }
    return [Task(name, tuple(sorted(task.items()))) for name, task in found.items()]
