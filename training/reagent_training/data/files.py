"""Files of labelled trajectories, JSONL (plain, .gz, .zst) or Parquet: read as streams, written whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from reagent_sdk.errors import InvalidInput
from reagent_sdk.replacing import replacing
from reagent_training.data import jsonl, parquet
from reagent_training.data.record import LabelledTrajectory

FORMATS = ".jsonl, .jsonl.gz, .jsonl.zst or .parquet"


def is_parquet(path: Path) -> bool:
    """Whether a file is Parquet, by its name.

    Raises:
        InvalidInput: the name tells no known format.
    """
    name = path.name.lower()
    if name.endswith(".parquet"):
        return True
    if name.endswith((".jsonl", ".jsonl.gz", ".jsonl.zst")):
        return False
    raise InvalidInput(f"{path}: the name of a set must end with {FORMATS}")


def read_set(path: str | Path) -> Iterator[LabelledTrajectory]:
    """The records of a file, in order, one at a time.

    Raises:
        InvalidInput: the file cannot be read or is damaged, a row is not a record, two rows have the same id, or the
            rows are written for different prompts; one line that names file, row and field.
    """
    path = Path(path).expanduser()
    rows = parquet.read_records(path) if is_parquet(path) else jsonl.read_records(path)
    return _checked(rows, str(path))


def write_set(records: Iterable[LabelledTrajectory], path: str | Path) -> int:
    """Writes records to a file, in one step: on any error the file stays as it was.

    Returns:
        How many.

    Raises:
        InvalidInput: two records have the same id, are written for different prompts, or hold what the format cannot
            carry; there are none; or whatever the source of the records raises.
    """
    path = Path(path).expanduser()
    write = parquet.write_records if is_parquet(path) else jsonl.write_records
    checked = _checked(records, str(path))
    with replacing(path) as draft:
        count = write(checked, draft, path)
        if not count:
            raise InvalidInput(f"{path}: there are no rows to write")
    return count


def _checked(records: Iterable[LabelledTrajectory], where: str) -> Iterator[LabelledTrajectory]:
    checks = SetChecks(where)
    for row, record in enumerate(records, start=1):
        checks.see(record, row)
        yield record


@dataclass
class SetChecks:
    """What must hold across the rows of a set: ids differ, one prompt version, pairs with two different sides.

    Attributes:
        where: the file, for messages.
    """

    where: str
    _ids: dict[str, int] = field(default_factory=dict)
    _version: tuple[str, int] | None = None

    def see(self, record: LabelledTrajectory, row: int) -> None:
        """Checks one more record.

        Raises:
            InvalidInput: it does not go with those before it.
        """
        if record.id in self._ids:
            before = self._ids[record.id]
            raise InvalidInput(f"{self.where}, row {row}, id: {record.id!r} is the id of row {before} already")
        self._ids[record.id] = row
        version, first = self._version or (record.prompt_version, row)
        if record.prompt_version != version:
            raise InvalidInput(
                f"{self.where}, row {row}, prompt_version: {record.prompt_version!r}, but row {first} has {version!r}; "
                "one set is written for one prompt"
            )
        self._version = (version, first)
