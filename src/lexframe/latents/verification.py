"""Whether every value of a store is still as it was written."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from lexframe.latents.files import first_line, is_remote
from lexframe.latents.rows import ROWS_AT_ONCE, checksums
from lexframe.latents.schema import CHECKSUM, ID, VectorColumn
from lexframe.provenance import Provenance
from lexframe.results import Result


@dataclass(frozen=True, slots=True)
class Verification(Result):
    """What reading every value of a store showed.

    Attributes
    ----------
    n_rows : int
        Rows whose values are as they were written.
    problems : tuple of str
        A line each: the file or the row, and what is wrong with it.
    damaged : tuple of str
        Ids of the damaged rows that can be named.
    provenance : Provenance
        Of the first column of points.
    """

    n_rows: int
    problems: tuple[str, ...] = ()
    damaged: tuple[str, ...] = field(default=(), repr=False)
    provenance: Provenance = field(default_factory=Provenance)

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON."""
        found = {"n_rows": self.n_rows, "holds": self.holds, "problems": list(self.problems), "damaged": list(self.damaged)}
        return found | {"provenance": self.provenance.to_dict()}

    def summary(self) -> str:
        """Whether the rows are as they were written, and what is wrong first."""
        if self.holds:
            return "The only row is as it was written." if self.n_rows == 1 else f"All {self.n_rows:,} rows are as they were written."
        return f"{self.n_rows:,} rows are as they were written, and {len(self.problems)} things are wrong: {self.problems[0]}."

    def to_frame(self) -> pd.DataFrame:
        """A row a problem."""
        return pd.DataFrame({"problem": list(self.problems)}, dtype=object)


def provenance_of(vectors: Mapping[str, VectorColumn], path: str, version: int) -> Provenance:
    """Of the first column of points in one version of a store."""
    first = next(iter(vectors.values()), None)
    return Provenance(space=None if first is None else first.fingerprint, parameters={"store": path, "version": version})


def verified(dataset: Any, path: str, vectors: Mapping[str, VectorColumn]) -> Verification:
    """Read every value and compare it with its checksum.

    Parameters
    ----------
    dataset : lance.LanceDataset
    path : str
        Of the store.
    vectors : mapping of str to VectorColumn
        Columns of points, by name.

    Returns
    -------
    Verification
        Names truncated and unreadable files, rows whose values have changed, and ids that stand twice.
    """
    problems: list[str] = []
    damaged: list[str] = []
    seen: dict[str, int] = {}
    n_rows = 0
    for fragment in dataset.get_fragments():
        files = [found.path for found in fragment.data_files()]
        name = ", ".join(files)
        lost = _lost_files(fragment, path)
        if lost:
            problems += lost
            continue
        try:
            for batch in fragment.to_batches(batch_size=ROWS_AT_ONCE):
                ids = batch.column(ID).to_pylist()
                wrong = np.flatnonzero(checksums(batch, vectors) != batch.column(CHECKSUM).to_numpy(zero_copy_only=False))
                n_rows += len(ids) - len(wrong)
                damaged += [ids[row] for row in wrong]
                if len(wrong):
                    listed = ", ".join(repr(ids[row]) for row in wrong[:5])
                    problems.append(f"data/{name}: {len(wrong)} rows are not as they were written, ids {listed}")
                for identifier in ids:
                    seen[identifier] = seen.get(identifier, 0) + 1
        except (OSError, ValueError, pa.ArrowException, UnicodeDecodeError) as error:
            problems.append(f"data/{name}: cannot be read ({first_line(error)})")
        except BaseException as error:  # a panic inside Lance is no Exception
            if type(error).__name__ != "PanicException":
                raise
            problems.append(f"data/{name}: cannot be read ({first_line(error)})")
    twice = [identifier for identifier, number in seen.items() if number > 1]
    if twice:
        problems.append(f"{len(twice)} ids stand more than once, such as {twice[0]!r}")
    return Verification(n_rows, tuple(problems), tuple(damaged), provenance_of(vectors, path, dataset.version))


def _lost_files(fragment: Any, store: str) -> list[str]:
    """Files of a fragment that are missing or shorter or longer than they were written; local stores only."""
    if is_remote(store):
        return []
    problems = []
    for found in fragment.data_files():
        path = Path(store) / "data" / found.path
        size, wanted = (path.stat().st_size if path.exists() else None), found.file_size_bytes
        if size is None:
            problems.append(f"data/{found.path}: the file is missing")
        elif wanted and size != wanted:
            problems.append(f"data/{found.path}: {size:,} bytes instead of {wanted:,}")
    return problems
