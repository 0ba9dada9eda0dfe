"""The comparison: what it must find, what it computes once, and what it says of its data."""

import json

import numpy as np
import pytest

from lexframe.adaptation import Draws, compare
from lexframe.adaptation.cells import ALL
from lexframe.adaptation.draws import draw_labels, part_of_table, require_distinct, without_duplicates
from lexframe.adaptation.methods import make_methods
from lexframe.adaptation.methods.linear import Logistic
from lexframe.adaptation.task import reader_of
from lexframe.data import Table
from lexframe.exceptions import DataError, InputError
from lexframe.intervals import mean_over_draws
from lexframe.latents import LatentStore, Reading, TextReader
from lexframe.spaces.base import Representation
from tests.planted import LABELS, planted_space, planted_table
from tests.tiny_models import tiny_space

POINTS = "zero-shot,batch-calibration,knn,class-mean,lda,logistic,vds,posterior,posterior-labels-only"


def table(texts, labels):
    return Table(tuple(texts), tuple(labels), "here", 0, tuple(range(len(texts))))


@pytest.fixture(scope="module")
def result():
    return compare(
        {"toy": planted_space()},
        planted_table(30, 0),
        planted_table(30, 1),
        methods=make_methods(POINTS),
        draws=Draws((0, 1, 8, ALL), (0, 1, 2)),
    )


def test_planted_classes_are_found_and_more_labels_help(result):
    for method in ("lda", "logistic", "posterior", "class-mean", "knn"):
        accuracy = [result.accuracy("toy", method, shots).value for shots in (8, ALL)]
        assert min(accuracy) > 0.75, method  # chance is a third
    assert result.accuracy("toy", "posterior", ALL).value >= result.accuracy("toy", "posterior", 1).value


def test_every_method_shots_and_seed_has_its_cell(result):
    shots_of = {method: sorted({str(cell.shots) for cell in result.cells if cell.method == method}) for method in result.methods}
    assert shots_of["zero-shot"] == ["0", "1", "8", "all"]
    assert shots_of["logistic"] == ["1", "8", "all"]
    assert shots_of["lda"] == ["8", "all"]  # a covariance needs two texts a class
    n_draws = {shots: len(result.select("toy", "posterior", shots)) for shots in result.shots}
    assert n_draws == {0: 3, 1: 3, 8: 3, ALL: 1}  # all labels can be drawn in one way only
    assert result.shots == (0, 1, 8, ALL)


def test_without_any_text_posterior_calibration_is_zero_shot(result):
    for zero, posterior in zip(result.select("toy", "zero-shot", 0), result.select("toy", "posterior-labels-only", 0), strict=True):
        np.testing.assert_array_equal(zero.predicted, posterior.predicted)
        np.testing.assert_allclose(zero.log_probability, posterior.log_probability, atol=1e-5)


def test_unlabeled_texts_place_the_prior_and_say_so(result):
    methods = {method.name: method for method in make_methods("posterior,posterior-labels-only")}
    assert methods["posterior"].uses_unlabeled
    assert not methods["posterior-labels-only"].uses_unlabeled
    placed, bare = (result.accuracy("toy", name, 0).value for name in methods)
    assert placed > bare + 0.1
    assert placed >= result.accuracy("toy", "batch-calibration", 0).value


def test_points_are_kept_beside_the_cells_and_not_made_again(tmp_path, monkeypatch):
    train, test = planted_table(6, 0), planted_table(4, 1)

    def run(train, methods):
        return compare({"toy": planted_space()}, train, test, methods=methods, draws=Draws((ALL,), (0,)), folder=tmp_path)

    first = run(train, "lda")
    (kept,) = tmp_path.glob("points-*")
    n_texts = len({*train.texts, *test.texts})
    assert len(LatentStore(kept)) == n_texts
    with monkeypatch.context() as patched:
        patched.setattr(type(planted_space()), "encode_representations", lambda *rest, **options: pytest.fail("encoded twice"))
        again = run(train, "logistic")
    assert again.cells[0].encode_seconds == first.cells[0].encode_seconds > 0
    more = table([*train.texts, "invoice today"], [*train.labels, "money"])
    run(more, "lda")
    assert len(LatentStore(kept)) == n_texts + 1


def test_shuffled_labels_give_chance():
    found = [
        compare(
            {"toy": planted_space()},
            planted_table(60, seed, shuffled=True),
            planted_table(30, 50 + seed),
            methods=make_methods("logistic,posterior-without-prior"),
            draws=Draws((ALL,), (0,)),
        )
        for seed in range(8)
    ]
    for method in ("logistic", "posterior-without-prior"):
        values = [result.accuracy("toy", method, ALL).value for result in found]
        assert abs(np.mean(values) - 1 / 3) < 4 * max(np.std(values) / np.sqrt(8), 0.03), method


class Counting(Logistic):
    """Counts how often it is fitted."""

    n_fits = 0

    def fit(self, problem):
        Counting.n_fits += 1
        return super().fit(problem)


def test_a_finished_cell_is_never_computed_twice(tmp_path):
    def run(seeds):
        return compare(
            {"toy": planted_space()}, planted_table(12, 0), planted_table(8, 1),
            methods=[Counting()], draws=Draws((4,), seeds), folder=tmp_path,
        )  # fmt: skip

    Counting.n_fits = 0
    first = run((0, 1))
    assert Counting.n_fits == 2
    second = run((0, 1, 2))
    assert Counting.n_fits == 3
    assert [cell.to_dict() for cell in second.cells[:2]] == [cell.to_dict() for cell in first.cells]


def test_kept_cells_follow_the_model_to_another_name(tmp_path):
    first, second = (
        compare(
            {name: planted_space()}, planted_table(12, 0), planted_table(8, 1),
            methods=make_methods("lda"), draws=Draws((4,), (0,)), folder=tmp_path,
        )
        for name in ("here", "there")
    )  # fmt: skip
    assert second.models == ("there",)
    assert second.cells[0].fit_seconds == first.cells[0].fit_seconds


def test_a_comparison_that_was_killed_goes_on(tmp_path):
    class KilledError(Exception):
        pass

    def killed_after_one(jobs):
        for number, job in enumerate(jobs):
            if number == 1:
                raise KilledError
            yield job

    arguments = {"methods": [Counting()], "draws": Draws((4,), (0, 1)), "folder": tmp_path}
    Counting.n_fits = 0
    with pytest.raises(KilledError):
        compare({"toy": planted_space()}, planted_table(12, 0), planted_table(8, 1), progress=killed_after_one, **arguments)
    assert Counting.n_fits == 1
    compare({"toy": planted_space()}, planted_table(12, 0), planted_table(8, 1), **arguments)
    assert Counting.n_fits == 2


def test_other_data_words_or_parameters_are_other_cells(tmp_path):
    def run(train, words=None):
        compare(
            {"toy": planted_space()}, train, planted_table(8, 1),
            methods=[Counting()], draws=Draws((4,), (0,)), folder=tmp_path, label_words=words,
        )  # fmt: skip

    Counting.n_fits = 0
    run(planted_table(12, 0))
    run(planted_table(12, 3))
    run(planted_table(12, 3), {"money": ["invoice"], "parcel": ["parcel"], "room": ["room"]})
    assert Counting.n_fits == 3


def test_every_text_is_encoded_once_whatever_the_number_of_methods(monkeypatch):
    space, texts = tiny_space("llama"), []
    original = type(space).encode_representations
    monkeypatch.setattr(
        type(space),
        "encode_representations",
        lambda self, given, *rest, **options: texts.extend(given) or original(self, given, *rest, **options),
    )
    train, test = table(["a b", "c d", "e f", "g h"] * 3, ["cat", "dog"] * 6), table(["x", "y"], ["cat", "dog"])
    compare({"tiny": space}, train, test, methods=make_methods("zero-shot,lda,logistic,posterior"), draws=Draws((0, 2, 4), (0, 1)))
    assert sorted(texts) == sorted({*train.texts, *test.texts})


def test_several_models_stand_side_by_side():
    result = compare(
        {"one": planted_space(), "two": planted_space(6)}, planted_table(10, 0), planted_table(10, 1),
        methods=make_methods("class-mean"), draws=Draws((4,), (0,)),
    )  # fmt: skip
    assert result.models == ("one", "two")
    assert result.summary().startswith("one. With 4 labels a class: class-mean")


def test_as_json_as_a_table_and_as_a_summary(result):
    document = json.loads(json.dumps(result.to_dict()))
    wanted = {
        "method",
        "shots",
        "seed",
        "accuracy",
        "macro_f1",
        "log_loss",
        "calibration_error",
        "fit_seconds",
        "n_parameters",
        "peak_memory_mb",
    }
    assert all(wanted <= set(cell) for cell in document["cells"])
    assert len(result.to_frame()) == len(result.cells)
    assert "<table" in result._repr_html_()
    assert len(result.summary().splitlines()) == len(result.shots)
    assert result.summary().startswith("Without labels: ")


def test_a_reader_says_what_is_read():
    space, reading = planted_space(), Reading((Representation(0, "mean"),))
    result = compare(
        {"toy": TextReader(space, reading)},
        planted_table(12, 0),
        planted_table(6, 1),
        methods="class-mean,logistic",
        draws=Draws((ALL,), (0,)),
    )
    assert {cell.choices["representation"] for cell in result.cells} <= {"own points", "0:mean"}
    kept = reader_of(TextReader(space, reading, batch_size=3), "somewhere")
    assert (kept.reading, kept.batch_size, kept.folder.parent.name) == (reading, 3, "somewhere")


def test_a_comparison_of_nothing_is_refused():
    with pytest.raises(InputError, match="shots or seeds are empty"):
        Draws((), (0,))
    with pytest.raises(InputError, match="No method was given"):
        compare({"toy": planted_space()}, planted_table(4, 0), planted_table(4, 1), methods=[])


def test_draws_are_nested_and_balanced():
    y = np.repeat([0, 1, 2], [40, 7, 20])
    few, many = draw_labels(y, 4, 3), draw_labels(y, 16, 3)
    assert set(few) <= set(many)
    assert np.bincount(y[few]).tolist() == [4, 4, 4]
    assert np.bincount(y[many]).tolist() == [16, 7, 16]
    assert len(draw_labels(y, 0, 3)) == 0
    assert draw_labels(y, ALL, 3).tolist() == list(range(67))
    assert draw_labels(y, 4, 4).tolist() != few.tolist()


def test_a_part_of_the_test_keeps_the_shares_of_the_classes():
    whole = table([str(i) for i in range(300)], ["a"] * 200 + ["b"] * 100)
    part = part_of_table(whole, 30)
    assert (len(part), part.labels.count("a")) == (30, 20)
    assert part_of_table(whole, None) is whole
    assert part.texts == part_of_table(whole, 30).texts


def test_duplicates_across_training_and_test_are_counted_named_and_dropped():
    train, test = table(["same", "other", " same "], "aba"), table(["same", "new"], "ab")
    kept, notes = without_duplicates(train, test, drop=False)
    assert (len(kept), len(notes)) == (3, 1)
    assert "2 training texts stand in the test" in notes[0]
    assert "'same'" in notes[0]
    assert without_duplicates(train, test, drop=True)[0].texts == ("other",)
    with pytest.raises(DataError, match="Every training text"):
        without_duplicates(table(["same"], "a"), test, drop=True)


def test_labels_that_share_a_word_are_refused():
    with pytest.raises(InputError, match="'good' and 'nice' share the word 'Fine'"):
        require_distinct({"good": ["fine"], "nice": ["Fine "]})


def test_what_a_reader_should_know_first():
    train, test = planted_table(10, 0), planted_table(10, 1)
    result = compare({"toy": planted_space()}, train, test, methods=make_methods("class-mean"), draws=Draws((1, 64), (0,)))
    assert any("Fewer than 64 labels in money (10), parcel (10), room (10)" in note for note in result.notes)
    assert result.select("toy", "class-mean", 64)[0].n_labels == 30


def test_the_interval_of_a_mean_holds_the_truth_about_as_often_as_it_says():
    hits = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        values = (rng.random((5, 200)) < 0.7).astype(float)
        found = mean_over_draws(values, n_resamples=300)
        hits += found.low <= 0.7 <= found.high
    assert hits >= 52


def test_planted_labels_are_in_order(result):
    assert result.labels == LABELS
    assert 0.3 < result.chance < 0.4
