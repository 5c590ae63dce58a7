"""Records as a `datasets.Dataset`, for TRL and everything else around the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from reagent_sdk.errors import InvalidInput, MissingExtra
from reagent_training.data.columns import arrow_schema, from_row, to_row
from reagent_training.data.record import LabelledTrajectory, as_record

if TYPE_CHECKING:
    from datasets import Dataset, IterableDataset


def to_datasets(records: Iterable[LabelledTrajectory]) -> Dataset:
    """The records as a data set in memory, with the columns of the Parquet files.

    Raises:
        MissingExtra: `datasets` is not installed.
    """
    datasets = _datasets()
    features = datasets.Features.from_arrow_schema(arrow_schema())
    return datasets.Dataset.from_list([to_row(record) for record in records], features=features)


def from_datasets(dataset: Dataset | IterableDataset) -> Iterator[LabelledTrajectory]:
    """The records of a data set with the columns of :func:`to_datasets`, one at a time.

    Raises:
        InvalidInput: columns are missing, or a row is not a record; the message names the row, from 1.
    """
    for number, row in enumerate(dataset, start=1):
        try:
            data = from_row(row)
        except (ValueError, TypeError, KeyError) as error:
            raise InvalidInput(f"row {number}: not a row of labelled trajectories ({error!r:.80})") from None
        yield as_record(data, f"row {number}")


def _datasets() -> Any:
    try:
        import datasets
    except ImportError:
        raise MissingExtra("a data set of the Hugging Face hub", "training") from None
    return datasets
