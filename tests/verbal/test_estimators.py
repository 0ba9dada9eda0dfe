"""The estimators are scikit-learn's: checks, pipelines, search, clones."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import DataConversionWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from lexframe.exceptions import InputError
from lexframe.verbal import Checks, ScriptedClient, Settings, Steps, VerbalClassifier, VerbalRegressor
from tests.verbal.students import batch_in, linear_student, obeys, prompt_of, proposal

QUICK = {"settings": Settings(Steps(steps=1, batch_size=1000)), "checks": Checks(obedience_rows=0)}


def plane(request):
    """A plane through the batch."""
    if request.purpose == "predict":
        return obeys(request)
    inputs, targets = batch_in(prompt_of(request))
    found = np.linalg.lstsq(np.column_stack([np.ones(len(inputs)), inputs]), targets, rcond=None)[0]
    names = ["x"] if inputs.shape[1] == 1 else [f"x{number + 1}" for number in range(inputs.shape[1])]
    terms = [repr(float(found[0])), *(f"{float(w)!r}*{name}" for w, name in zip(found[1:], names, strict=True))]
    return proposal("a", "b", f"Formula: y = {' + '.join(terms)}")


def stump(request):
    """A threshold of the first column between the means of the first two labels."""
    prompt = prompt_of(request)
    rows = [line.split(" | ") for line in prompt.split("## Rows, the worst first\n")[1].split("\n\n")[0].splitlines()]
    values = [float(row[0].split(" = ")[1].split(",")[0]) for row in rows]
    targets = [row[2].removeprefix("target ") for row in rows]
    labels = sorted(set(targets))
    if len(labels) < 2:
        return proposal("a", "b", f'Rules: else "{labels[0]}"')
    means = [np.mean([value for value, target in zip(values, targets, strict=True) if target == label]) for label in labels[:2]]
    low, high = labels[:2] if means[0] < means[1] else labels[1::-1]
    name = "x" if "x = " in prompt else "x1"
    return proposal("a", "b", f'Rules: if {name} > {np.mean(means)!r} then "{high}"\nelse "{low}"')


POOR = "A scripted student that draws one threshold is no good learner, which this check asks for."
ESTIMATORS = [VerbalRegressor(ScriptedClient(plane), digits=None, **QUICK), VerbalClassifier(ScriptedClient(stump), digits=None, **QUICK)]


def poor(estimator):
    classifies = isinstance(estimator, VerbalClassifier)
    return {"check_classifiers_train": POOR} if classifies else {}


@parametrize_with_checks(ESTIMATORS, expected_failed_checks=poor)
def test_scikit_learns_own_checks(estimator, check, without_type_checks):
    check(estimator)


def test_they_work_in_pipelines_search_and_clones():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(80, 2))
    y = 1 + 2 * x[:, 0] - x[:, 1]
    model = make_pipeline(StandardScaler(), VerbalRegressor(ScriptedClient(plane), **QUICK))
    assert cross_val_score(model, x, y, cv=3).min() > 0.99
    search = GridSearchCV(VerbalRegressor(ScriptedClient(plane), **QUICK), {"digits": [1, 6]}, cv=2).fit(x, y)
    assert search.best_params_ == {"digits": 6}
    copy = clone(model[-1])
    assert copy.client is model[-1].client


def test_texts_and_labels_that_are_numbers():
    def script(request):
        return proposal("a", "b", 'Rules: if has("refund") then 1\nelse 0')

    words = [f"{'my refund' if n % 2 else 'a parcel'} {n}" for n in range(40)]
    model = VerbalClassifier(ScriptedClient(script), **QUICK).fit(words, [n % 2 for n in range(40)])
    assert model.predict(["refund please", "hello"]).tolist() == [1, 0]
    np.testing.assert_array_equal(model.predict_proba(["refund please", "hello"]), [[0, 1], [1, 0]])
    assert model.predict("one refund").tolist() == [1]
    assert model.score(words, [n % 2 for n in range(40)]) == 1.0


def test_tables_keep_their_column_names():
    frame = pd.DataFrame({"size": np.arange(40.0), "note": ["small"] * 20 + ["big"] * 20})

    def script(request):
        return proposal("a", "b", 'Formula: y = size + 100*has("big")')

    model = VerbalRegressor(ScriptedClient(script), **QUICK).fit(frame, frame["size"] + 100 * (frame["note"] == "big"))
    assert model.parameters_.program.source.startswith("size")
    assert model.predict(frame.iloc[[0, 39]]).tolist() == [0.0, 139.0]
    with pytest.raises(InputError, match="lack the column 'note'"):
        model.predict(frame[["size"]])


def test_labels_in_a_column_and_missing_ones():
    words = [f"{'my refund' if n % 2 else 'a parcel'} {n}" for n in range(40)]
    labels = np.array([["billing"], ["other"]] * 20)
    model = VerbalClassifier(ScriptedClient(lambda request: proposal("a", "b", "Rules: else other")), **QUICK)
    assert model.fit(words, labels[:, 0]).predict(["x"])[0] in ("billing", "other")
    with pytest.warns(DataConversionWarning):
        assert model.fit(words, labels).predict(["x"])[0] in ("billing", "other")
    with pytest.raises(InputError, match="Row 2 has no label"):
        model.fit(words, ["a", None] * 20)


def test_without_a_client_nothing_is_done():
    with pytest.raises(InputError, match="VerbalRegressor has no client"):
        VerbalRegressor().fit([[1.0], [2.0]], [1.0, 2.0])


def test_probabilities_of_a_client_that_gives_them():
    def script(request):
        if request.choices:
            return (-1.0, -2.0) if "refund" in request.messages[-1].content.split("## Input")[1] else (-2.0, -1.0)
        return proposal("a", "b")

    words = [f"{'my refund' if n % 2 else 'a parcel'} {n}" for n in range(40)]
    client = ScriptedClient(script, scores=True)
    model = VerbalClassifier(client, kind="sentences", **QUICK).fit(words, ["billing" if n % 2 else "other" for n in range(40)])
    found = model.predict_proba(["refund", "parcel"])
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert model.predict(["refund", "parcel"]).tolist() == ["billing", "other"]


def test_a_run_is_kept_where_it_is_asked_for(tmp_path):
    x = np.linspace(0, 2, 40).reshape(-1, 1)
    model = VerbalRegressor(linear_student(), folder=str(tmp_path), **QUICK).fit(x, 4 + 3 * x[:, 0])
    assert (tmp_path / "calls.jsonl").is_file()
    assert model.run_.provenance.seed == 0
