"""Every module has tests: a twin of its name, tests that import from it, or a line below that says who tests it."""

import ast
import functools
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
SOURCE = TESTS.parent / "src" / "lexframe"
NOT_TESTED = {"lexframe.typing"}  # names for types, which the checks of the whole suite go by

# These are reached through the module that the named tests import.
TESTED_BY = {
    "lexframe.adaptation.adaptation_result": "adaptation/test_adaptation.py",
    "lexframe.adaptation.cost": "adaptation/test_comparison.py",
    "lexframe.adaptation.fitted": "adaptation/test_views.py",
    "lexframe.adaptation.methods.class_mean": "adaptation/test_comparison.py",
    "lexframe.adaptation.methods.extras": "adaptation/methods/test_peft.py",
    "lexframe.adaptation.methods.nearest_points": "adaptation/test_comparison.py",
    "lexframe.adaptation.methods.posterior": "adaptation/test_comparison.py",
    "lexframe.adaptation.methods.semantic_calibration": "adaptation/test_comparison.py",
    "lexframe.adaptation.results": "adaptation/test_comparison.py",
    "lexframe.audit.review_curve": "audit/test_category_audit.py",
    "lexframe.cli.adapt": "cli/test_main.py",
    "lexframe.cli.analogies": "cli/test_analogy.py",
    "lexframe.cli.frame": "cli/test_main.py",
    "lexframe.cli.lens": "cli/test_trace.py",
    "lexframe.cli.neighbors": "cli/test_encode.py",
    "lexframe.cli.options": "cli/test_main.py",
    "lexframe.cli.predict": "cli/test_main.py",
    "lexframe.cli.pretrain.corpus": "cli/test_pretrain.py",
    "lexframe.cli.pretrain.evaluate": "cli/test_pretrain.py",
    "lexframe.cli.pretrain.inputs": "cli/test_pretrain.py",
    "lexframe.cli.pretrain.tokenizer": "cli/test_pretrain.py",
    "lexframe.cli.pretrain.train": "cli/test_pretrain.py",
    "lexframe.cli.printing": "cli/test_main.py",
    "lexframe.cli.study.next_token": "cli/test_study.py",
    "lexframe.cli.study.reproduce": "cli/test_compare.py",
    "lexframe.cli.tasks.build": "cli/test_tasks.py",
    "lexframe.cli.tasks.show": "cli/test_tasks.py",
    "lexframe.cli.tasks.transfer": "cli/test_tasks.py",
    "lexframe.cli.vae.edit": "cli/vae/test_move.py",
    "lexframe.cli.vae.interpolate": "cli/vae/test_move.py",
    "lexframe.cli.vae.reconstruct": "cli/vae/test_write.py",
    "lexframe.cli.vae.sample": "cli/vae/test_write.py",
    "lexframe.cli.vae.sentences": "cli/vae/test_train.py",
    "lexframe.cli.vae.traverse": "cli/vae/test_move.py",
    "lexframe.cli.verbal.answering": "cli/verbal/test_verbal.py",
    "lexframe.cli.verbal.cost": "cli/verbal/test_verbal.py",
    "lexframe.cli.verbal.diff": "cli/verbal/test_verbal.py",
    "lexframe.cli.verbal.fit": "cli/verbal/test_verbal.py",
    "lexframe.cli.verbal.inputs": "cli/verbal/test_verbal.py",
    "lexframe.cli.verbal.predict": "cli/verbal/test_verbal.py",
    "lexframe.cli.verbal.replay": "cli/verbal/test_verbal.py",
    "lexframe.cli.verbal.show": "cli/verbal/test_verbal.py",
    "lexframe.cli.word_vectors": "cli/test_analogy.py",
    "lexframe.drawing.page": "audit/test_page.py",
    "lexframe.generative.score.likelihoods": "generative/score/test_vae_score.py",
    "lexframe.generative.score.plain_comparison": "generative/score/test_vae_score.py",
    "lexframe.generative.score.vae_score_parts": "generative/score/test_vae_score.py",
    "lexframe.generative.score.vae_score_result": "generative/score/test_vae_score.py",
    "lexframe.generative.score.vae_warnings": "generative/score/test_vae_score.py",
    "lexframe.instruments.directions.charts": "instruments/directions/test_steering_choice.py",
    "lexframe.instruments.directions.neutral_texts": "instruments/directions/test_steering_choice.py",
    "lexframe.instruments.directions.preflight": "instruments/directions/test_direction.py",
    "lexframe.instruments.edits.late_probe": "instruments/edits/test_attribute_edit.py",
    "lexframe.instruments.edits.point_edit": "instruments/edits/test_attribute_edit.py",
    "lexframe.instruments.patching.charts": "instruments/patching/test_task_vector.py",
    "lexframe.instruments.words.analogy_answers": "instruments/words/test_analogy.py",
    "lexframe.instruments.words.charts": "instruments/words/test_analogy.py",
    "lexframe.instruments.words.page": "cli/test_analogy.py",
    "lexframe.latents.conditions": "latents/test_filters.py",
    "lexframe.latents.reading": "latents/test_store.py",
    "lexframe.latents.verification": "latents/test_store.py",
    "lexframe.spaces.base.chat": "spaces/language_model/test_chat.py",
    "lexframe.spaces.base.heads": "contracts/test_spaces.py",
    "lexframe.spaces.base.latents": "contracts/test_spaces.py",
    "lexframe.spaces.base.lens": "contracts/test_spaces.py",
    "lexframe.spaces.base.next_tokens": "contracts/test_spaces.py",
    "lexframe.spaces.base.prompts": "contracts/test_spaces.py",
    "lexframe.spaces.base.space": "contracts/test_spaces.py",
    "lexframe.spaces.base.steering": "contracts/test_spaces.py",
    "lexframe.spaces.base.tokens": "contracts/test_spaces.py",
    "lexframe.spaces.base.vocabulary": "contracts/test_spaces.py",
    "lexframe.spaces.language_model.chat_prompts": "spaces/language_model/test_chat.py",
    "lexframe.spaces.language_model.generation": "spaces/language_model/test_interventions.py",
    "lexframe.spaces.language_model.lens": "spaces/language_model/test_space.py",
    "lexframe.spaces.language_model.training": "adaptation/methods/test_weights.py",
    "lexframe.studies.subspace_charts": "studies/test_subspace.py",
    "lexframe.training.language_model.evaluation_result": "training/language_model/test_evaluation.py",
    "lexframe.training.language_model.worker": "training/language_model/test_launch.py",
    "lexframe.training.text_vae.losses": "training/text_vae/test_run.py",
    "lexframe.verbal.language.evaluation": "verbal/language/test_formula.py",
    "lexframe.verbal.language.expressions": "verbal/language/test_formula.py",
    "lexframe.verbal.language.inputs": "verbal/language/test_formula.py",
    "lexframe.verbal.language.limits": "verbal/language/test_formula.py",
    "lexframe.verbal.language.lines": "verbal/language/test_rules.py",
    "lexframe.verbal.language.nodes": "verbal/language/test_formula.py",
    "lexframe.verbal.language.printing": "verbal/language/test_formula.py",
    "lexframe.verbal.language.scanner": "verbal/language/test_formula.py",
    "lexframe.verbal.language.vocabulary": "verbal/language/test_formula.py",
    "lexframe.verbal.reading_charts": "verbal/test_prediction_trace.py",
}
MAX_STEPS = 4
"""Imports from a test file to a module that it is said to test."""


def named(root, prefix):
    """Modules under a folder and their files; a package goes by its own name."""
    for path in sorted(root.rglob("*.py")):
        parts = (prefix, *path.relative_to(root).with_suffix("").parts)
        yield ".".join(parts[:-1] if path.name == "__init__.py" else parts), path


PACKAGE, SUITE = dict(named(SOURCE, "lexframe")), dict(named(TESTS, "tests"))
MODULES = {name: path for name, path in PACKAGE.items() if path.name != "__init__.py"}
FILES = {**PACKAGE, **SUITE}


@functools.cache
def parsed(path):
    return ast.parse(path.read_text(encoding="utf-8"))


@functools.cache
def public_names(package):
    """Homes of the names that a package hands on, as its ``lazy_names`` lists them; empty for any other."""
    calls = [node for node in ast.walk(parsed(FILES[package])) if isinstance(node, ast.Call)] if package in PACKAGE else []
    lists = [ast.literal_eval(node.args[1]) for node in calls if getattr(node.func, "id", "") == "lazy_names" and len(node.args) == 2]
    return {name: f"{package}.{module}" for homes in lists for module, names in homes.items() for name in names}


def home(module, name):
    """The module that defines what is imported: `name` itself where it is a module, `module`, or one that it hands the name on from."""
    if f"{module}.{name}" in FILES:
        return f"{module}.{name}"
    further = public_names(module).get(name)
    return module if further is None else home(further, name)


@functools.cache
def imports(path):
    """Modules of the package and of the suite that a file imports anywhere, whose public names it does, or that its tables name."""
    found = set()
    folder = next((".".join(name.split(".")[:-1]) for name, file in PACKAGE.items() if file == path), "")
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {home(node.module, alias.name) for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(r"[\w.]+:\w+", node.value):
            module = node.value.partition(":")[0]  # a table of paths, such as those of methods and verbs
            found |= {module, f"{folder}.{module}"}
        elif isinstance(node, ast.Constant) and node.value in PACKAGE and folder:
            found.add(node.value)  # a module that is run by its name
    return {name for name in found if name in FILES}


def imported():
    """What test files import themselves."""
    return {name for path in SUITE.values() if path.name.startswith("test_") for name in imports(path)}


def has_a_twin(path):
    return (TESTS / path.relative_to(SOURCE).parent / f"test_{path.name}").is_file()


def untested(modules):
    known = imported() | TESTED_BY.keys() | NOT_TESTED
    return [name for name, path in modules.items() if name not in known and not has_a_twin(path)]


def test_every_module_is_tested_somewhere():
    missing = untested(MODULES)
    assert not missing, "no test file imports these: write one, or say in TESTED_BY who tests them:\n" + "\n".join(missing)


def test_a_module_without_tests_is_found():
    assert untested({"lexframe.nowhere": SOURCE / "nowhere.py"}) == ["lexframe.nowhere"]


def reached(path):
    """Files within a few imports of a file."""
    found, edge = set(), {path}
    for _ in range(MAX_STEPS):
        edge = {FILES[name] for here in edge for name in imports(here)} - found
        found |= edge
    return found


@pytest.mark.parametrize("module", TESTED_BY)
def test_who_is_said_to_test_a_module_reaches_it(module):
    assert module in MODULES, f"{module} is gone: take its line out"
    assert not has_a_twin(MODULES[module]), f"{module} has tests of its name: take its line out"
    assert module not in imported(), f"{module} is imported by tests: take its line out"
    tests = TESTS / TESTED_BY[module]
    assert tests.is_file(), f"{module}: {TESTED_BY[module]} is gone"
    assert MODULES[module] in reached(tests), f"{TESTED_BY[module]} comes nowhere near {module}"
    assert MODULES[module] not in reached(Path(__file__))
