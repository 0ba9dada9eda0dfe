"""``lexframe verbal replay``: a run again from the answers that are kept, without a call."""

from lexframe.cli import options, printing
from lexframe.cli.verbal import inputs
from lexframe.exceptions import DataError


def replay(run: inputs.Run, *, as_json: options.Json = False) -> None:
    """Run a finished run again from the answers that are kept: no call is made, and it has to come out the same."""
    from lexframe.verbal import replay as again

    kept, found = again(run)
    told = [each.to_dict() | {"calls": each.spent["all"].calls, "tokens": each.spent["all"].tokens} for each in (kept, found)]
    names = ("parameters", "steps", "score", "failures", "ended", "calls", "tokens")
    differ = [name for name in names if told[0][name] != told[1][name]]
    if as_json:
        printing.document({"same": not differ, "differs": differ, "run": found.to_dict()})
    if differ:
        raise DataError(f"{run} does not come out the same: {', '.join(differ)} differ. It was made by another version, or was changed.")
    if not as_json:
        printing.note(f"{run}: the same, step by step and word by word; {found.spent['all'].calls:,} kept answers, no call.")
