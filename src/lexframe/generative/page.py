"""The page of a text VAE: what it is worth, what to beware of, and what it writes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lexframe.drawing.marked_text import readable
from lexframe.drawing.page import as_json, svg, write_page
from lexframe.drawing.theme import shortened
from lexframe.generative.charts import interpolation_chart
from lexframe.generative.interpolation import Interpolation
from lexframe.generative.score.charts import kl_chart, position_chart, rate_distortion_chart
from lexframe.generative.score.vae_measures import Measure, vae_measures
from lexframe.generative.score.vae_score_result import TextVAEScore
from lexframe.generative.training_chart import training_chart
from lexframe.generative.traversal import Traversal

MAX_PAIRS = 14
"""Reconstructions and samples on the page: the first ones, so that nobody has picked them."""
_LETTERS, _NAME = 300, 80
_WIDE, _NARROW = 790, 330
PARTS = {
    "likelihood": "Likelihood",
    "latent": "The latent",
    "reconstruction": "Reconstruction",
    "samples": "Samples",
    "factors": "Known factors",
}


def text_vae_report(
    score: TextVAEScore,
    path: str | Path,
    *,
    interpolation: Interpolation | None = None,
    traversal: Traversal | None = None,
    runs: Mapping[str, Sequence[Any]] | None = None,
    title: str = "A text VAE, scored",
) -> Path:
    """Write the report of a text VAE.

    Parameters
    ----------
    score : TextVAEScore
        What :func:`lexframe.generative.score.vae_score.score_text_vae` gave.
    path : str or Path
        The HTML file; replaced atomically.
    interpolation : Interpolation, optional
        Between two texts.
    traversal : Traversal, optional
        Of a text along some dimensions.
    runs : mapping of str to sequence of lexframe.training.text_vae.log.TextVAEProgress, optional
        Logs of training runs by name: that of the model, or several to compare.
    title : str
        Heading.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    InputError
        If the file cannot be written, or the log of a run is empty.
    """
    space = score.provenance.space
    measures = vae_measures(score)
    return write_page(
        path,
        Path(__file__).with_name("text_vae.html"),
        title=readable(title),
        model=shown("a model" if space is None else space.model, _NAME),
        score=score,
        facts=score.provenance.parameters,
        warnings=[readable(warning) for warning in score.warnings],
        headlines=headlines(score),
        charts={
            "kl": svg(kl_chart(score.units, width=_WIDE)),
            "gain": svg(position_chart(score.gain, width=_WIDE)),
            "balance": svg(rate_distortion_chart(score.rate_distortion, width=_WIDE)),
            "training": svg(training_chart(runs, width=_WIDE if len(runs) == 1 else None)) if runs else None,
            "interpolation": None if interpolation is None else svg(interpolation_chart(interpolation, width=_NARROW)),
        },
        n_runs=len(runs or {}),
        reconstructions=_reconstructions(score),
        samples=_samples(score),
        interpolation=None if interpolation is None else _interpolation(interpolation),
        traversal=None if traversal is None else _traversal(traversal, score),
        parts=[(heading, [_measure(m) for m in measures if m.part == part]) for part, heading in PARTS.items()],
        provenance=readable(as_json(score.provenance)),
    )


def shown(text: str, length: int = _LETTERS) -> str:
    """A text on one line that any page can hold."""
    return shortened(readable(text), length)


def number(value: float | None) -> str:
    """A number as a page shows it: three digits that count, thousands set apart."""
    if value is None or value != value:
        return "–"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 100 else f"{value:.2f}"


def value_and_interval(measure: Measure) -> tuple[str, str]:
    """Both as a page shows them; counts have no digits behind the point, and what has no interval a blank one."""
    is_count = measure.unit.startswith("of ") and measure.low is None and measure.value.is_integer()
    value = f"{measure.value:.0f}" if is_count else number(measure.value)
    if measure.low is None or measure.low != measure.low:
        return value, ""
    return value, f"{number(measure.low)} to {number(measure.high)}"


def headlines(score: TextVAEScore) -> list[dict[str, str]]:
    """The numbers to read first: ``value``, ``name``, and ``meaning`` in a line."""
    last, information, units = score.likelihood.bounds[-1], score.information, score.units
    bound = f"at most so many, by {last.n_samples:,} samples a text"
    if score.plain is not None:
        bound += f"; a plain language model needs {number(score.plain.nats_per_text.value)}"
    found = [{"value": number(last.nats_per_text.value), "name": "nats a text", "meaning": bound}]
    if last.perplexity_per_word is not None:
        meaning = "the model hesitates as between so many words"
        found.append({"value": number(last.perplexity_per_word.value), "name": "perplexity a word", "meaning": meaning})
    found.append({"value": number(score.kl.value), "name": "nats of KL", "meaning": "what the latent costs a text; near 0 it is not used"})
    ceiling = f"what z tells of the text, of at most ln {information.n_texts:,} = {information.ceiling:.1f}"
    found.append({"value": number(information.nats.value), "name": "nats of mutual information", "meaning": ceiling})
    meaning = f"vary with the text; {units.n_unused} unused, {units.n_idle} cost nats for nothing"
    found.append({"value": f"{units.n_active[0]} of {units.n_dims}", "name": "dimensions active", "meaning": meaning})
    accuracy = f"of the words come back in their place; {score.reconstructions.exact_match.value:.0%} of the texts come back whole"
    found.append({"value": f"{score.reconstructions.word_accuracy.value:.0%}", "name": "word accuracy", "meaning": accuracy})
    meaning = "of a drawn point is read back from the text written from it"
    r2 = score.samples.r2
    found.append({"value": f"{r2:.0%}" if r2 == r2 else "–", "name": "of the variance", "meaning": meaning})
    if score.memorization is not None:
        copies, held_out = score.memorization.samples.is_copy.mean(), score.memorization.held_out
        beside = "" if held_out is None else f"; of real texts {held_out.is_copy.mean():.0%}"
        found.append({"value": f"{copies:.0%}", "name": "of samples copied", "meaning": f"stand among the training texts{beside}"})
    return found


def _measure(measure: Measure) -> dict[str, Any]:
    value, interval = value_and_interval(measure)
    return measure.to_dict() | {"value": value, "interval": interval, "measure": shown(measure.measure, _NAME)}


def _reconstructions(score: TextVAEScore) -> list[dict[str, Any]]:
    found = score.reconstructions
    rows = zip(found.texts, found.reconstructions, found.word_accuracies.tolist(), found.is_exact.tolist(), strict=True)
    kept = list(rows)[:MAX_PAIRS]
    return [
        {"text": shown(text), "written": shown(written), "accuracy": accuracy, "match": match} for text, written, accuracy, match in kept
    ]


def _samples(score: TextVAEScore) -> list[dict[str, Any]]:
    texts = score.samples.texts[:MAX_PAIRS]
    if score.memorization is None:
        return [{"text": shown(text), "nearest": None} for text in texts]
    found = score.memorization.samples
    return [
        {
            "text": shown(text),
            "nearest": shown(found.nearest[row]),
            "similarity": float(found.similarities[row]),
            "is_copy": bool(found.is_copy[row]),
        }
        for row, text in enumerate(texts)
    ]


def _interpolation(found: Interpolation) -> dict[str, Any]:
    steps = [
        {"fraction": float(fraction), "text": shown(text), "repeated": row > 0 and text == found.texts[row - 1]}
        for row, (fraction, text) in enumerate(zip(found.fractions, found.texts, strict=True))
    ]
    return {
        "start": shown(found.start_text),
        "end": shown(found.end_text),
        "path": found.path,
        "steps": steps,
        "n_distinct": len(found.distinct_texts),
        "monotone": None if found.monotone_share != found.monotone_share else found.monotone_share,
    }


def _traversal(found: Traversal, score: TextVAEScore) -> dict[str, Any]:
    axes = []
    for axis, texts in zip(found.axes, found.texts, strict=True):
        kl = float(score.units.mean_kl[int(axis)]) if axis.isdigit() and int(axis) < score.units.n_dims else None
        steps = [
            {"amount": f"{amount:+g}" if amount else "0", "text": shown(text)} for amount, text in zip(found.amounts, texts, strict=True)
        ]
        axes.append({"name": shown(axis, _NAME), "kl": kl, "steps": steps})
    return {"text": shown(found.text), "reconstruction": shown(found.reconstruction), "is_absolute": found.is_absolute, "axes": axes}
