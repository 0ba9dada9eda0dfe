"""The page of a text VAE: its numbers, charts that show what they say, and nothing in people's text that can run."""

import dataclasses
import json
import re

import numpy as np
import pytest
import vl_convert

from lexframe.exceptions import InputError
from lexframe.generative import page as page_module
from lexframe.generative.charts import interpolation_chart
from lexframe.generative.interpolation import interpolate
from lexframe.generative.page import headlines, number, text_vae_report, value_and_interval
from lexframe.generative.score.active_units import count_active_units
from lexframe.generative.score.charts import kl_chart, position_chart, rate_distortion_chart
from lexframe.generative.score.rate_distortion import RateDistortion
from lexframe.generative.score.vae_measures import Measure
from lexframe.generative.score.vae_score import ScoreSettings, score_text_vae
from lexframe.generative.training_chart import training_chart
from lexframe.generative.traversal import traverse
from lexframe.intervals import Estimate
from lexframe.provenance import SpaceFingerprint
from lexframe.spaces.base import Posterior
from lexframe.training.text_vae.log import TextVAEProgress
from tests.adaptation.test_page import ATTACK
from tests.audit.test_page import Elements
from tests.generative.toy import ToyLatentSpace


class HostileSpace(ToyLatentSpace):
    """The toy, under a name and with samples that somebody would like to see run."""

    @property
    def fingerprint(self):
        return SpaceFingerprint(kind="ToyLatentSpace", model=f"{ATTACK} model", weights="toy")

    def decode(self, points, **options):
        return [f"{text} {ATTACK} \x07\ud800" for text in super().decode(points, **options)]


@pytest.fixture(scope="module")
def space():
    return HostileSpace([2.0, 0.0, 0.0, 0.0])


@pytest.fixture(scope="module")
def texts(space):
    return [f"{text} {ATTACK}" for text in space.sample_texts(80, n_words=6)]


@pytest.fixture(scope="module")
def score(space, texts):
    return score_text_vae(
        space,
        texts,
        training_texts=[f"a b a {ATTACK}", f"b b {ATTACK} training"],
        factors={f"first {ATTACK}": [text[0] for text in texts]},
        plain_language_model=-space.exact_log_likelihood(texts) + 1.0,
        settings=ScoreSettings((1, 5), 20, language_model=None),
    )


@pytest.fixture(scope="module")
def path(space, texts):
    return interpolate(space, texts[0], next(text for text in texts if text != texts[0]))


def course(*, kl=10.0, weight=1.0, collapsed=False, n=40, held_out=True):
    """The lines of a made-up log."""
    return [
        TextVAEProgress(
            step=step + 1,
            epoch=(step + 1) / 4,
            fraction=(step + 1) / n,
            kl_weight=weight,
            reconstruction=60.0 - step / 2,
            kl=kl,
            validation={"reconstruction": 61.0 - step / 2, "kl": kl, "bound": 75.0 - step / 2, "active": 3, "best": True}
            if held_out and step % 10 == 9
            else None,
            warning="collapsed" if collapsed and step % 10 == 9 else "",
            elapsed_seconds=float(step),
        )
        for step in range(n)
    ]


@pytest.fixture
def undrawn(monkeypatch):
    """Drawing takes most of the time of a page; most tests look at its text."""
    monkeypatch.setattr(page_module, "svg", lambda _: "<svg></svg>")


def page_of(score, tmp_path, **options):
    page = text_vae_report(score, tmp_path / "vae.html", **options).read_text(encoding="utf-8")
    seen = Elements(page)
    assert not {"script", "img", "iframe", "object", "embed", "link", "base", "form"} & set(seen.tags)
    assert not [name for name, _ in seen.attributes if name.startswith("on")]
    assert not [value for name, value in seen.attributes if name in ("href", "src", "xlink:href") and not value.startswith("#")]
    assert not re.search(r"url\((?!#)|@import", page)
    anchors = {value for name, value in seen.attributes if name == "id"}
    assert {value[1:] for name, value in seen.attributes if name == "href"} <= anchors
    return page


def drawn(chart):
    drawing = vl_convert.vegalite_to_svg(chart.to_json())
    assert "NaN" not in drawing
    return drawing


def tables(chart):
    """Every table of a chart, in order."""
    found = []

    def walk(part):
        if isinstance(part, dict):
            if "values" in part.get("data", {}):
                found.append(part["data"]["values"])
            for value in part.values():
                walk(value)
        elif isinstance(part, list):
            for value in part:
                walk(value)

    walk(chart.to_dict())
    return found


def test_everything_hostile_is_shown_and_nothing_runs(score, space, texts, path, tmp_path):
    walk = traverse(space, texts[0], axes={ATTACK: np.eye(4)[0], "0": np.eye(4)[1]}, amounts=(-1.0, 0.0, 1.0))
    runs = {ATTACK: course(), "{{ 7*7 }}": course(collapsed=True)}
    page = page_of(score, tmp_path, interpolation=path, traversal=walk, runs=runs, title=f"{ATTACK} title")
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert "{{ 7*7 }}" in page
    assert page.count("<svg") == 5
    body = page.split("</style>")[-1]
    # the name of the model, texts, what comes back, samples, the nearest training texts, the path, the walk, the factor, the provenance
    assert body.count("&lt;script&gt;") > 2 * page_module.MAX_PAIRS
    for what in ("title", "model"):
        assert f"please {what}" in page
    assert "\x07" not in page


def test_the_page_holds_its_numbers_and_warnings_first(score, undrawn, tmp_path):
    page = page_of(score, tmp_path)
    assert score.warnings
    for warning in score.warnings:
        assert f"<li>{warning}</li>" in page
    assert page.index(f"<li>{score.warnings[0]}") < page.index('<dl class="counts">') < page.index("<h2>")
    for name, value in (
        ("KL", number(score.kl.value)),
        ("bound of 5 samples", number(score.likelihood.bounds[1].nats_per_text.value)),
        ("bound less plain language model", number(score.plain.difference.value)),
    ):
        assert f'<bdi>{name}</bdi></td><td class="number">{value}</td>' in page
    for headline in headlines(score):
        assert f"<b>{headline['value']}</b>{headline['name']}" in page
    assert page.count("<tr><td><bdi>") >= len(score.to_frame())
    assert 'class="copy"' not in page  # the samples are no copies


def test_copies_are_marked(score, undrawn, tmp_path):
    found = score.memorization.samples
    is_copy = np.arange(20) == 2
    copied = dataclasses.replace(score.memorization, samples=dataclasses.replace(found, is_copy=is_copy))
    assert page_of(dataclasses.replace(score, memorization=copied), tmp_path).count('class="copy"') == 1


def test_parts_without_content_are_left_out(score, undrawn, tmp_path):
    bare = dataclasses.replace(score, memorization=None, factors=None, plain=None)
    page = page_of(bare, tmp_path)
    for absent in ("nearest training text", "From one text to another", "most KL</h2>", "How training went", "Known factors", "None"):
        assert absent not in page
    assert page.count("<svg") == 3


def test_without_warnings_the_page_says_so(score, undrawn, tmp_path, monkeypatch):
    monkeypatch.setattr("lexframe.generative.score.vae_score_result.vae_warnings", lambda score: ())
    assert "Nothing to warn of" in page_of(score, tmp_path)


def test_numbers_have_digits_that_count():
    assert [number(value) for value in (1234.5, 123.45, 1.234, -0.5, None, float("nan"))] == ["1,234", "123.5", "1.23", "-0.50", "–", "–"]


def test_counts_have_no_digits_and_others_their_interval():
    parts = {"part": "latent", "measure": "x", "n_texts": 5, "good": "y"}
    for value, low, high, unit, expected in (
        (3.0, None, None, "of 4 dimensions", ("3", "")),
        (3.0, 2.5, 3.5, "of 100", ("3.00", "2.50 to 3.50")),
        (3.0, None, None, "nats", ("3.00", "")),
        (3.0, float("nan"), float("nan"), "nats", ("3.00", "")),
    ):
        assert value_and_interval(Measure(value=value, low=low, high=high, unit=unit, **parts)) == expected


def test_dimensions_are_sorted_and_told_apart(rng):
    means = rng.normal(size=(50, 4)).astype(np.float32) * np.array([2.0, 0.2, 0.01, 0.0], dtype=np.float32)
    log_variances = np.tile(np.array([-2.0, -0.1, -3.0, 0.0], dtype=np.float32), (50, 1))
    chart = kl_chart(count_active_units(Posterior(means, log_variances)))
    (rows,) = tables(chart)
    assert [row["dimension"] for row in rows] == ["0", "2", "1", "3"]
    assert [row["kind"].split(":")[0] for row in rows] == ["active", "idle", "weakly active", "unused"]
    drawing = drawn(chart)
    assert "idle: costs nats, tells nothing" in drawing
    assert "2 of 4 active, 1 unused, 1 idle" in drawing


def test_many_dimensions_have_no_numbers(rng):
    posterior = Posterior(rng.normal(size=(20, 100)).astype(np.float32), np.full((20, 100), -1.0, dtype=np.float32))
    charts = [kl_chart(count_active_units(posterior), width=width) for width in (560, 1500)]
    axes = [chart.to_dict()["layer"][0]["encoding"]["x"]["axis"] for chart in charts]
    assert [axis["labels"] for axis in axes] == [False, True]


def test_the_gain_and_its_band_are_drawn(score):
    chart = position_chart(score.gain)
    rows = tables(chart)[1]
    assert [row["gain"] for row in rows] == [point.gain.value for point in score.gain.by_share]
    assert all(row["low"] <= row["gain"] <= row["high"] for row in rows)
    assert score.gain.verdict in drawn(chart)


def test_rate_and_distortion_with_the_plain_language_model(score):
    found = score.rate_distortion
    chart = rate_distortion_chart(found)
    line, path, *_ = tables(chart)
    assert all(end["rate"] + end["distortion"] == pytest.approx(found.plain_language_model.value) for end in line)
    drawing = drawn(chart)
    assert f"the {found.plain_language_model.value:.1f} nats of a plain language model" in drawing
    own = [row for row in path if row["own"]]
    assert [(row["rate"], row["distortion"]) for row in own] == [(score.own_point.rate.value, score.own_point.distortion.value)]
    assert "plain language model" not in drawn(rate_distortion_chart(dataclasses.replace(found, plain_language_model=None)))
    out_of_sight = dataclasses.replace(found, plain_language_model=Estimate(1e-9, 0.0, 1.0))
    drawn(rate_distortion_chart(out_of_sight))
    both = RateDistortion(found.points + tuple(dataclasses.replace(point, model="other") for point in found.points))
    assert "2: other" in drawn(rate_distortion_chart(both))


def test_a_path_of_one_text_can_be_drawn(space, texts, path):
    assert "to the start" in drawn(interpolation_chart(path))
    drawn(interpolation_chart(interpolate(space, texts[0], texts[0], n_steps=2)))


def test_runs_share_their_scales_and_a_collapse_is_marked():
    runs = {"with remedies": course(kl=12.0), "plain VAE": course(kl=0.01, collapsed=True), "autoencoder": course(kl=200.0, weight=0.0)}
    chart = training_chart(runs)
    drawing = drawn(chart)
    for name in runs:
        assert name in drawing
    assert drawing.count(">collapsed<") == 1
    assert f"KL 200.0, bound {75 - 39 / 2:.1f}, 3 active" in drawing
    assert drawing.count(">passes over the texts<") == 3
    assert drawing.count(">KL, nats a text<") == drawing.count(">KL weight, shaded<") == 1
    assert '"symlog"' in json.dumps(chart.to_dict())
    assert '"symlog"' not in json.dumps(training_chart({"one": course(kl=12.0)}).to_dict())


def test_the_mark_of_what_was_kept_stays_inside_its_panel():
    low, high = (
        course(),
        [
            dataclasses.replace(line, validation=line.validation | {"bound": 200.0 - line.step / 1000}) if line.validation else line
            for line in course()
        ],
    )
    drawn_at = [
        layer["mark"]["dy"]
        for panel in training_chart({"low": low, "high": high}).to_dict()["concat"][:2]
        for layer in panel["layer"]
        if layer["mark"]["type"] == "text"
    ]
    assert drawn_at[0] < 0 < drawn_at[1]


def test_a_run_that_was_not_measured_yet_can_be_drawn():
    assert "nats in training" in drawn(training_chart({"young": course(n=3, held_out=False)}))
    drawn(training_chart({"one line": course(n=1, held_out=False)}))


def test_no_run_is_refused():
    with pytest.raises(InputError, match="no run to draw"):
        training_chart({})
    with pytest.raises(InputError, match="log of 'empty' has no lines"):
        training_chart({"empty": []})
