"""From what the user wrote to the GGUF file that is meant."""

from __future__ import annotations

from pathlib import Path

from reagent_sdk import home
from reagent_sdk.errors import WeightsUnavailable
from reagent_sdk.models import registry, store
from reagent_sdk.models.gguf import check_gguf


def find(ref: str | Path) -> Path:
    """Finds weights on this machine; never downloads.

    Args:
        ref: the name of a known model, a path to a `.gguf`, or a folder (also one in the weights folder) that holds
            exactly one.

    Raises:
        WeightsUnavailable: missing, damaged, ambiguous or not a GGUF; the message names the fix.
    """
    if isinstance(ref, str) and ref in registry.KNOWN:
        return _known(ref)
    path = Path(ref).expanduser()
    if not path.exists() and path.name == str(ref):
        path = home.models_dir() / path
    if path.is_dir():
        path = _only_gguf(path)
    if path.is_file():
        check_gguf(path)
        return path.resolve()
    if path.suffix == ".gguf" or len(Path(ref).parts) > 1:
        raise WeightsUnavailable(f"there is no file {ref}")
    hint = registry.did_you_mean(str(ref), registry.KNOWN)
    raise WeightsUnavailable(f"there are no weights called {str(ref)!r}{hint}")


def _known(name: str) -> Path:
    model = registry.KNOWN[name]
    found = store.verified(model)
    if found is None:
        state = "is damaged" if (store.folder_of(name) / model.file).exists() else "is not on this machine"
        raise WeightsUnavailable(
            f"the model {name!r} {state}: run `reagent models pull {name}` ({model.size / 1e6:.0f} MB, {model.licence})"
        )
    return found


def _only_gguf(folder: Path) -> Path:
    files = sorted(folder.glob("*.gguf"))
    if len(files) != 1:
        raise WeightsUnavailable(f"{folder} holds {len(files)} GGUF files; name the one that is meant")
    return files[0]
