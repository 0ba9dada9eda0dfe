"""The command ``lexframe``: verbs, and what a person sees when something is wrong."""

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any, NoReturn

import typer

from lexframe import __version__
from lexframe.cli.verbs import Group, application
from lexframe.exceptions import InterruptedRunError, LexframeError

VERBS = Group(
    "What a language model's latent space means in the model's own vocabulary, and adapting a frozen model in it.",
    {
        "demo": "demo:demo",
        "adapt": "adapt:adapt",
        "predict": "predict:predict",
        "compare": "compare:compare",
        "audit": "audit:audit",
        "encode": "encode:encode",
        "neighbors": "neighbors:neighbors",
        "frame": Group("The vocabulary frame: where words lie in the latent space.", {"show": "frame:show_words"}),
        "analogy": "analogy:analogy",
        "analogies": "analogies:analogies",
        "retrofit": "retrofit:retrofit",
        "trace": "trace:trace",
        "lens": Group("Tuned lenses: fit one on your texts, and see how well a layer can be read.", {"fit": "lens:fit"}),
        "steer": "steer:steer",
        "models": "models:models",
        "show": "show_folder:show_folder",
        "store": Group(
            "Latent stores: what they hold, whether they are whole, rows in and out.",
            {
                "info": "store:info",
                "verify": "store:verify",
                "query": "store:query",
                "export": "store:export_rows",
                "import": "store:import_rows",
                "delete": "store:delete",
                "compact": "store:compact",
                "versions": "store:versions",
                "restore": "store:restore",
            },
        ),
        "vae": Group(
            "Text VAEs: train one, score it, reconstruct, sample, interpolate, edit.",
            {
                "sentences": "vae.sentences:sentences",
                "train": "vae.train:train",
                "score": "vae.score:score",
                "reconstruct": "vae.reconstruct:reconstruct",
                "sample": "vae.sample:sample",
                "interpolate": "vae.interpolate:interpolate",
                "traverse": "vae.traverse:traverse",
                "edit": "vae.edit:edit",
            },
        ),
        "pretrain": Group(
            "Pretrain a small language model from scratch: corpus, tokenizer, train, eval.",
            {
                "corpus": "pretrain.corpus:corpus",
                "tokenizer": "pretrain.tokenizer:tokenizer",
                "train": "pretrain.train:train",
                "eval": "pretrain.evaluate:evaluate",
            },
        ),
        "verbal": Group(
            "Models whose parameters are sentences: fit, predict, show, diff, replay, cost.",
            {
                "fit": "verbal.fit:fit",
                "predict": "verbal.predict:predict",
                "show": "verbal.show:show",
                "diff": "verbal.diff:diff",
                "replay": "verbal.replay:replay",
                "cost": "verbal.cost:cost",
            },
        ),
        "tasks": Group(
            "Task spaces: how the abilities of a model relate; build, show, transfer, compare.",
            {
                "build": "tasks.build:build",
                "show": "tasks.show:show",
                "transfer": "tasks.transfer:transfer",
                "compare": "tasks.compare:compare",
            },
        ),
        "study": Group(
            "Studies of single claims: published tables measured anew, calibration of the next token.",
            {"reproduce": "study.reproduce:reproduce", "next-token": "study.next_token:next_token"},
        ),
    },
)
app = application(VERBS, name="lexframe", takes_plug_ins=True, completes=True)
UsageError: Any = typer.BadParameter.__bases__[0]
"""What Typer raises for what was typed wrong; it has no public name."""
PLAINER = {
    "Value error, ": "",
    "Input should be a valid integer, unable to parse string as an integer": "expected a whole number",
    "Input should be a valid number, unable to parse string as a number": "expected a number",
}
"""How the checks of Typer say it, and how we do."""


def _show_version(asked: bool) -> bool:
    if asked:
        typer.echo(__version__)
        raise typer.Exit
    return asked


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")] = False,
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit.

    The exit code is 0 when done, 2 when the input or the options were wrong (one line on standard error), 130 when
    interrupted, 1 when the fault is ours.

    Parameters
    ----------
    arguments : sequence of str, optional
        Default: those of the process.
    """
    # Fewer than two of these lines are of use to anyone who runs a verb; the variables are read when torch and
    # transformers are imported, which happens inside the verbs.
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        code = app(args=list(arguments) if arguments is not None else None, prog_name="lexframe", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except typer.Abort:  # a question was answered with Ctrl-C or the end of input
        _fail("lexframe: not answered; nothing was done", 130)
    except UsageError as error:
        _fail_usage(error)
    except InterruptedRunError as error:
        _fail(str(error), 130)
    except LexframeError as error:
        _fail(f"lexframe: {error}", 2)
    except KeyboardInterrupt:
        _fail("lexframe: interrupted; nothing was left half-written", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def _fail_usage(error: Any) -> NoReturn:
    """One line for what was typed wrong, with the page that explains it; the page itself where nothing was typed."""
    path = error.ctx.command_path if error.ctx is not None else "lexframe"
    if error.ctx is not None and type(error).__name__ == "NoArgsIsHelpError":
        sys.stderr.write(f"{error.ctx.get_help()}\n")
        sys.exit(2)
    message = error.format_message()
    for theirs, ours in PLAINER.items():
        message = message.replace(theirs, ours)
    message = message.rstrip(".")
    _fail(f"{path}: {message[:1].lower()}{message[1:]}{'' if message.endswith('?') else '.'} See '{path} --help'.", 2)


def _fail(message: str, code: int) -> NoReturn:
    sentence, *picture = message.split("\n    ")  # lines that are set in show a place, such as the one in a condition
    sys.stderr.write("\n    ".join([" ".join(sentence.split()), *picture]) + "\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
