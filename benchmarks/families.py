"""Every causal and masked family that the installed transformers knows, as a tiny random model: what works of lexframe on it.

    python benchmarks/families.py [--quick] [--only NAME ...] [--again]

Each family runs in a process of its own with a limit of time, so that one that crashes stops nothing; a run that was stopped goes
on where it was. Every answer is held against transformers itself: states of every layer against its hidden_states (1e-5 of the
largest number), logits against its logits, the lens against the model whose last block is made to give the state in question,
greedy texts against its generate, moved states and rows beside neighbors against those alone, and a folder that is written and
opened again. Writes results/families.csv, and the table of docs/spaces.md between its markers.
"""

import argparse
import csv
import inspect
import io
import multiprocessing
import queue
import re
import resource
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers as tf

from common import Control, Exact, Goal, finish
from lexframe.exceptions import LexframeError
from lexframe.files import write_text
from lexframe.spaces import Intervention, LanguageModelSpace, open_space
from tiny_families import TEXTS, build, families, tokenizer

RESULTS = Path(__file__).parent / "results" / "families.csv"
PAGE = Path(__file__).resolve().parents[1] / "docs" / "spaces.md"
MARKS = ("<!-- families: written by benchmarks/families.py -->", "<!-- end of families -->")
CHECKS = ("states", "logits", "lens", "generate", "steering", "neighbors", "saved")
QUICK = {
    "causal": ("gpt2", "llama", "mamba", "gemma2", "mpt", "lfm2", "rwkv", "deepseek_v4"),
    "masked": ("bert", "fnet", "distilbert", "albert", "modernbert"),
}
SECONDS, MEMORY = 120, 8 << 30
YES, NOT_ASKED = "yes", ""
LIMIT = 1e-5


class Wrong(Exception):  # noqa: N818  a finding, not an error
    """A number that is not that of transformers."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a dozen families that differ most; nothing is kept")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these families, anew; nothing is kept")
    parser.add_argument("--again", action="store_true", help="forget what an earlier run found")
    options = parser.parse_args()
    wanted = [(kind, name) for kind in ("causal", "masked") for name in families(kind)]
    if options.quick:
        wanted = [(kind, name) for kind, name in wanted if name in QUICK[kind]]
    if options.only:
        wanted = [(kind, name) for kind, name in wanted if name in options.only]
    kept = not (options.quick or options.only)
    found = {} if options.again or not kept else {(row["kind"], row["family"]): row for row in _read()}
    _warm_up()
    for kind, name in wanted:
        if (kind, name) not in found:
            found[kind, name] = _apart(kind, name)
            print(f"{kind:7} {name:26} {_in_words(found[kind, name])}", flush=True)
            if kept:
                _write([found[key] for key in wanted if key in found])
    rows = [found[key] for key in wanted]
    if kept:
        write_text(PAGE, with_table(PAGE.read_text(encoding="utf-8"), table(rows)))
    finish(claims(rows))


def claims(rows: list[dict[str, str]]) -> list[Exact]:
    """What is aimed at: families with states and logits right, never a traceback, and no row that depends on its neighbors.

    The control of all: states and logits held against those of the text after it, which nothing should pass.
    """
    made = []
    for kind, goal in (("causal", 0.95), ("masked", 0.9)):
        own = [row for row in rows if row["kind"] == kind and not row["not_built"]]
        n = max(1, len(own))
        right = sum(row["states"] == row["logits"] == YES for row in own) / n
        wrong = sum(row["held_against_another_text"] == YES for row in own) / n
        words = f"share of {len(own)} {kind} families that transformers {tf.__version__} builds and runs whose states and logits are right"
        made.append(Exact(words, right, Goal(at_least=goal), Control("held against another text", wrong)))
    built = [row for row in rows if not row["not_built"]]
    different = sum(row["held_against_another_text"] != YES for row in built)
    faults = sum(value.startswith("FAULT") for row in built for value in row.values())
    changed = sum(row["neighbors"].startswith("FAULT") for row in built)
    missed = Control("families told from another text, which are faults there", float(different))
    made.append(Exact("tracebacks and wrong numbers, over all checks of all families", float(faults), Goal(at_most=0), missed))
    made.append(Exact("families that open and whose rows depend on their neighbors", float(changed), Goal(at_most=0), missed))
    return made


class Checked:
    """One family: the space beside its model."""

    def __init__(self, kind: str, name: str, model: Any):
        self.kind, self.model, self.tokenizer = kind, model, tokenizer(masked=kind == "masked")
        self.space = LanguageModelSpace(model, tokenizer=self.tokenizer)
        self.texts = list(TEXTS)

    @cached_property
    def own(self) -> list[Any]:
        """What transformers gives for each text alone."""
        with torch.no_grad():
            return [self.model(**self.ids(text), **_uncached(self.model), output_hidden_states=True) for text in self.texts]

    def ids(self, text: str) -> dict[str, torch.Tensor]:
        ids = torch.tensor([self.space.tokenization([text])[0].ids.tolist()])
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}

    def states(self) -> str:
        """Every layer of every text, against hidden_states."""
        n_layers = self.space.n_layers
        hidden = [output.hidden_states for output in self.own]
        if hidden[0] is None:
            raise Wrong("transformers gives no hidden states to hold ours against")
        inner = [layer for layer in range(n_layers) if hidden[0][min(layer, len(hidden[0]) - 1)].ndim == 3]
        layers = [*inner, n_layers]
        points = [self.space.encode_layers(self.texts, layers=[layer])[:, 0] for layer in layers]  # one by one: some differ in width
        shift = len(hidden[0]) - 1 - n_layers
        late = len(inner) > 1 and shift == 0 and not _close(points[1][0], hidden[0][1][0, -1]) and _close(points[1][0], hidden[0][0][0, -1])
        for row, states in enumerate(hidden):
            for place, layer in enumerate(layers):
                if late and layer == 0:
                    continue
                expected = states[layer - 1] if late and layer < n_layers else states[layer] if layer < n_layers else self.last(row)
                _hold(points[place][row], expected[0, -1], f"layer {layer}", LIMIT)
        if len(inner) < n_layers:
            return f"last state only: {_refusal(lambda: self.space.encode_layers(self.texts, layers=[1]))}"
        return YES

    def last(self, row: int) -> torch.Tensor:
        """The last state as transformers gives it, which is not always the last of its hidden states."""
        with torch.no_grad():
            state = _last_state(self.model, **self.ids(self.texts[row]))
        known = self.own[row].hidden_states[-1]
        return known if known.shape == state.shape else state

    def logits(self) -> str:
        """Of the last state, against the model's."""
        found = self.space.logits(self.space.encode(self.texts))
        for row, output in enumerate(self.own):
            _hold(found[row], output.logits[0, -1, : found.shape[1]], "logits", 1e-4)
        return YES

    def against_another(self) -> str:
        """The control: `states` and `logits`, held against the text after each."""
        own = self.own
        try:
            self.own = [*own[1:], own[0]]
            return YES if self.states() == self.logits() == YES else "no"
        except Wrong:
            return "no"
        finally:
            self.own = own

    def lens(self) -> str:
        """Of an inner layer, against the model whose last block is made to give that state."""
        layer = 1
        states = self.space.encode_layers(self.texts, layers=[layer])[:, 0]
        found = self.space.lens.logits(self.space.lens.input(states, layer=layer))
        last = _blocks(self.model, self.space)[-1]
        for row, text in enumerate(self.texts):
            state = torch.from_numpy(states[row])

            def put_in(module: Any, args: Any, output: Any, state: torch.Tensor = state) -> Any:
                several = isinstance(output, tuple | list)
                put = state.expand_as(output[0] if several else output)
                return (put, *output[1:]) if several else put

            hook = last.register_forward_hook(put_in)
            try:
                with torch.no_grad():
                    expected = self.model(**self.ids(text), **_uncached(self.model)).logits[0, -1, : found.shape[1]]
            finally:
                hook.remove()
            _hold(found[row], expected, "lens", 1e-4)
        return YES

    def generate(self) -> str:
        """Greedy, against the model's own generate on the prompt alone."""
        if self.kind == "masked":
            return NOT_ASKED
        found = self.space.generate(self.texts[:3], max_new_tokens=6)
        for text, written in zip(self.texts, found, strict=False):
            with torch.no_grad():
                asked = {"max_new_tokens": 6, "do_sample": False, "pad_token_id": 1, "forced_eos_token_id": None}
                ids = self.model.generate(**self.ids(text), **asked)
            length = self.ids(text)["input_ids"].shape[1]
            expected = self.tokenizer.decode(ids[0, length:], skip_special_tokens=True, clean_up_tokenization_spaces=False)
            if written != expected:
                raise Wrong(f"wrote {written!r} where transformers writes {expected!r}")
        return YES

    def steering(self) -> str:
        """A moved state is moved by the vector, what comes after it changes, and nothing stays."""
        text, layer = self.texts[0], 1
        before = self.space.token_states(text, layers=[layer, -1]).states
        vector = np.random.default_rng(0).normal(size=before.shape[-1]).astype(np.float32)
        with self.space.intervened([Intervention(layer=layer, vector=vector)]):
            during = self.space.token_states(text, layers=[layer, -1]).states
        after = self.space.token_states(text, layers=[layer, -1]).states
        _hold(during[0], before[0] + vector, "moved state", LIMIT)
        if np.abs(during[1] - before[1]).max() < 1e-4 * np.abs(before[1]).max():
            raise Wrong("a moved state changes nothing behind it")
        if not np.array_equal(before, after):
            raise Wrong("a move stays when it is left")
        return YES

    def neighbors(self) -> str:
        """Rows in a batch, against those read alone, at every layer that can be read."""
        layers = [-1] if self._several_streams else list(range(self.space.n_layers + 1))
        for layer in layers:
            beside = self.space.encode_layers(self.texts, layers=[layer])
            alone = np.concatenate([self.space.encode_layers([text], layers=[layer]) for text in self.texts])
            _hold(beside, alone, "rows beside neighbors", LIMIT)
        return YES

    def saved(self) -> str:
        """Written, opened from the folder, and read again."""
        with tempfile.TemporaryDirectory() as folder:
            self.model.save_pretrained(folder)
            self.tokenizer.save_pretrained(folder)
            opened = open_space(folder, kind="language-model", device="cpu")
            # Neither all that a configuration says nor every tokenizer comes back as it was: what counts is how transformers reads both.
            again = type(self.model).from_pretrained(folder, dtype=torch.float32).eval()
            tokens = tf.AutoTokenizer.from_pretrained(folder)
            for row, text in zip(opened.encode(self.texts), self.texts, strict=True):
                ids = tokens(text, return_tensors="pt")["input_ids"]
                with torch.no_grad():
                    state = _last_state(again, input_ids=ids, attention_mask=torch.ones_like(ids))
                _hold(row, state[0, -1], "points of the folder", LIMIT)
            if opened.fingerprint.weights != self.space.fingerprint.weights:  # type: ignore[attr-defined]
                return "yes; the folder holds other names of weights"
        return YES

    @property
    def _several_streams(self) -> bool:
        return self.own[0].hidden_states is not None and self.own[0].hidden_states[0].ndim != 3


def _blocks(model: Any, space: Any) -> Any:
    from lexframe.spaces.language_model.layers import find_blocks

    return find_blocks(model)


def _last_state(model: Any, **ids: torch.Tensor) -> torch.Tensor:
    """What the body of a model gives; a few have none that their base model names."""
    body = model.base_model
    if body is model:
        states: torch.Tensor = model(**ids, **_uncached(model), output_hidden_states=True).hidden_states[-1]
    else:
        states = body(**ids, **_uncached(body))[0]
    return states


def _uncached(model: Any) -> dict[str, bool]:
    """What makes a model remember nothing: some of them cannot do both."""
    return {"use_cache": False} if "use_cache" in inspect.signature(model.forward).parameters else {}


def _hold(found: np.ndarray, expected: Any, what: str, limit: float) -> None:
    expected = np.asarray(expected)
    if found.shape != expected.shape:
        raise Wrong(f"{what} has the shape {found.shape}, not {expected.shape}")
    error = np.abs(found - expected).max() / max(1.0, np.abs(expected).max())
    if not error <= limit:
        raise Wrong(f"{what} differs by {error:.1e}")


def _close(found: np.ndarray, expected: Any) -> bool:
    expected = np.asarray(expected)
    return bool(found.shape == expected.shape and np.abs(found - expected).max() <= LIMIT * max(1.0, np.abs(expected).max()))


def _refusal(ask: Callable[[], Any]) -> str:
    try:
        ask()
    except LexframeError as error:
        return _line(error)
    raise Wrong("an inner layer of several streams is not refused")


def _line(error: BaseException) -> str:
    lines = (str(error).strip() or type(error).__name__).splitlines()
    return " ".join(line.strip() for line in lines[: 2 if lines[0].endswith(":") else 1])[:300]


def examined(kind: str, name: str) -> dict[str, str]:
    """The row of one family."""
    row = {"kind": kind, "family": name, "model": families(kind)[name], "not_built": "", "opens": "", **_unasked()}
    try:
        model = build(name, kind)
        with torch.no_grad():
            ids = torch.arange(3, 12).unsqueeze(0)
            logits = model(input_ids=ids, attention_mask=torch.ones_like(ids), **_uncached(model)).logits
            model(input_ids=ids[:, :3], attention_mask=torch.ones_like(ids[:, :3]), **_uncached(model))  # Funnel reads none so short
        if not torch.isfinite(logits).all():
            raise RuntimeError("the random model gives logits that are not finite")
    except Exception as error:  # whatever transformers raises
        return row | {"not_built": f"{type(error).__name__}: {_line(error)}"}
    try:
        checked = Checked(kind, name, model)
    except LexframeError as error:
        return row | {"opens": _line(error)}
    except Exception as error:  # a traceback is a fault
        return row | {"opens": f"FAULT {type(error).__name__}: {_line(error)}"}
    row["opens"] = YES
    try:
        row["held_against_another_text"] = checked.against_another()
    except Exception:  # said by the checks themselves
        row["held_against_another_text"] = "no"
    for check in CHECKS:
        try:
            row[check] = getattr(checked, check)()
        except LexframeError as error:
            row[check] = _line(error)
        except Exception as error:  # a traceback is a fault, and so is a wrong number
            row[check] = f"FAULT {type(error).__name__}: {_line(error)}"
    return row


def _unasked() -> dict[str, str]:
    return dict.fromkeys((*CHECKS, "held_against_another_text"), NOT_ASKED)


def _child(kind: str, name: str, answers: Any) -> None:
    warnings.filterwarnings("ignore")
    tf.logging.set_verbosity_error()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    answers.put(examined(kind, name))


def _apart(kind: str, name: str) -> dict[str, str]:
    """In a process of its own."""
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    process = context.Process(target=_child, args=(kind, name, answers))
    process.start()
    end, row = time.monotonic() + SECONDS, None
    while row is None and time.monotonic() < end:
        try:
            row = answers.get(timeout=0.5)
        except queue.Empty:
            if not process.is_alive() and answers.empty():
                break
    if process.is_alive() and row is None:
        process.kill()
    process.join()
    if row is None:
        gone = f"no answer within {SECONDS} s" if time.monotonic() >= end else f"its process ended with {process.exitcode}"
        row = {"kind": kind, "family": name, "model": families(kind)[name], "not_built": gone, "opens": "", **_unasked()}
    return row


def _warm_up() -> None:
    """What all families share is imported once."""
    torch.set_num_threads(1)
    tf.logging.set_verbosity_error()
    tf.logging.disable_progress_bar()
    warnings.filterwarnings("ignore")
    for kind, name in (("causal", "llama"), ("masked", "bert")):
        examined(kind, name)


def _in_words(row: dict[str, str]) -> str:
    if row["not_built"]:
        return f"not built: {row['not_built']}"
    if row["opens"] != YES:
        return f"refused: {_first_sentence(row['opens'])}"
    reasons: dict[str, list[str]] = {}
    for check in CHECKS:
        if row[check] not in (YES, NOT_ASKED):
            reasons.setdefault(_first_sentence(row[check]), []).append(check)
    return "; ".join(f"{', '.join(checks)}: {reason}" for reason, checks in reasons.items()) or "everything"


def _first_sentence(text: str) -> str:
    return re.split(r"\. (?=[A-Z])", text)[0].rstrip(".")


def _read() -> list[dict[str, str]]:
    if not RESULTS.is_file():
        return []
    with RESULTS.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def _write(rows: list[dict[str, str]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(RESULTS, text.getvalue())


def table(rows: list[dict[str, str]]) -> str:
    """Families for which everything works in a sentence, the others in a table with the reason."""
    lines = []
    for kind in ("causal", "masked"):
        own = [row for row in rows if row["kind"] == kind]
        built = [row for row in own if not row["not_built"]]
        whole = [row for row in built if _in_words(row) == "everything"]
        right = sum(row["states"] == row["logits"] == YES for row in built)
        lines.append(
            f"**{kind.capitalize()}: {len(own)} families. States and logits are right for {right}: {100 * right / max(1, len(built)):.1f}% "
            f"of the {len(built)} that transformers builds and runs, {100 * right / max(1, len(own)):.1f}% of all.** Everything works for "
            f"{len(whole)}: "
        )
        lines[-1] += ", ".join(f"`{row['family']}`" for row in whole) + "."
        lines += ["", "| family | what does not work, and why |", "|---|---|"]
        lines += [f"| `{row['family']}` | {_in_words(row).replace('|', '/')} |" for row in built if row not in whole]
        missing = [row for row in own if row["not_built"]]
        if missing:
            lines += ["", f"{len(missing)} not tried, as transformers itself does not build or run a tiny one from ids on a CPU: "]
            lines[-1] += "; ".join(f"`{row['family']}` ({_first_sentence(row['not_built']).rstrip(':')})" for row in missing) + "."
        lines.append("")
    return "\n".join(lines).strip()


def with_table(page: str, text: str) -> str:
    """The page with the table between its markers."""
    before, rest = page.split(MARKS[0])
    after = rest.split(MARKS[1])[1]
    return f"{before}{MARKS[0]}\n\n{text}\n\n{MARKS[1]}{after}"


if __name__ == "__main__":
    main()
