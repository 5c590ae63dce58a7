"""Fetching weights from the Hugging Face hub, without waiting long for a hub that cannot be reached."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from reagent_sdk.errors import WeightsUnavailable
from reagent_sdk.models.registry import KnownModel

Download = Callable[[str, str, Path], Path]
"""Puts (repository, file) into a folder and returns where it lies."""

Probe = Callable[[str, str], str | None]
"""Says why (repository, file) cannot be had, or None when it seems to be there."""

_PROBE_SECONDS = 2.0
_DEADLINE_SECONDS = 3.0


def fetch(
    model: KnownModel,
    folder: Path,
    report: Callable[[str], None],
    *,
    probe: Probe | None = None,
    download: Download | None = None,
) -> Path | None:
    """Downloads the model's file into `folder`; the caller checks it. None when the hub does not have the model.

    Raises:
        WeightsUnavailable: the hub cannot be reached, or the download failed.
        OSError: the file could not be written.
    """
    if model.hub_repo is None:
        return None
    reason = (probe or _probe)(model.hub_repo, model.file)
    if reason is not None:
        raise WeightsUnavailable(f"the Hugging Face hub cannot be used ({reason})")
    report(f"downloading {model.file} ({model.size / 1e6:.0f} MB) from {model.hub_repo} on the Hugging Face hub")
    return (download or _download)(model.hub_repo, model.file, folder)


def _probe(repo: str, file: str) -> str | None:
    """Asks for the file's head once. The hub library itself would retry for 23 seconds before it gives up."""
    answer: list[str | None] = []
    # Name resolution has no timeout of its own, so the question runs in a thread that we can stop waiting for.
    thread = threading.Thread(target=lambda: answer.append(_ask(repo, file)), name="hub-probe", daemon=True)
    thread.start()
    thread.join(_DEADLINE_SECONDS)
    return answer[0] if answer else f"no answer in {_DEADLINE_SECONDS:.0f} s"


def _ask(repo: str, file: str) -> str | None:
    import httpx
    from huggingface_hub import get_session, hf_hub_url

    try:
        reply = get_session().head(hf_hub_url(repo, file), timeout=_PROBE_SECONDS)
    except (httpx.HTTPError, OSError) as error:
        return str(error) or type(error).__name__
    return None if reply.status_code < 400 else f"HTTP {reply.status_code}"


def _download(repo: str, file: str, folder: Path) -> Path:
    import httpx
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    try:
        return Path(hf_hub_download(repo, file, local_dir=folder, etag_timeout=_PROBE_SECONDS))
    except (httpx.HTTPError, EntryNotFoundError) as error:
        raise WeightsUnavailable(f"the download from the Hugging Face hub failed ({error})") from error
