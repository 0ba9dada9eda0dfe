"""The command ``lexframe``: verbs, and what a person sees when something is wrong."""

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from lexframe import __version__
from lexframe.cli import adapt, analogy, audit, compare, encode, evidence, frame, predict, pretrain, retrofit, steer, store, trace, vae
from lexframe.exceptions import InterruptedRunError, LexframeError

app = typer.Typer(
    name="lexframe",
    help="What a language model's latent space means in the model's own vocabulary, and adapting a frozen model in it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("demo")(adapt.demo)
app.command("adapt")(adapt.adapt)
app.command("analogy")(analogy.analogy)
app.command("analogies")(analogy.analogies)
app.command("audit")(audit.audit)
app.command("compare")(compare.compare)
app.command("predict")(predict.predict)
app.command("encode")(encode.encode)
app.command("retrofit")(retrofit.retrofit)
app.command("neighbors")(store.neighbors)
app.command("steer")(steer.steer)
app.add_typer(evidence.app, name="evidence")
app.add_typer(frame.app, name="frame")
app.command("trace")(trace.trace)
app.add_typer(trace.lens_app, name="lens")
app.add_typer(pretrain.app, name="pretrain")
app.add_typer(store.app, name="store")
app.add_typer(vae.app, name="vae")


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
        app(args=list(arguments) if arguments is not None else None)
    except InterruptedRunError as error:
        _fail(str(error), 130)
    except LexframeError as error:
        _fail(f"lexframe: {error}", 2)
    except KeyboardInterrupt:
        _fail("lexframe: interrupted; nothing was left half-written", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def _fail(message: str, code: int) -> None:
    sys.stderr.write(" ".join(message.split()) + "\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
