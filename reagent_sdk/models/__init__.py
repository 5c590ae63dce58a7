"""Where local model weights come from: known models, fetching and checking them, and what they say about themselves."""

from reagent_sdk.models.find import find
from reagent_sdk.models.manifest import Manifest, read_manifest, write_manifest
from reagent_sdk.models.pull import pull
from reagent_sdk.models.registry import KNOWN, KnownModel, known
from reagent_sdk.models.store import Installed, installed, remove
from reagent_sdk.models.unpack import unpack, unpacked

__all__ = [
    "KNOWN",
    "Installed",
    "KnownModel",
    "Manifest",
    "find",
    "installed",
    "known",
    "pull",
    "read_manifest",
    "remove",
    "unpack",
    "unpacked",
    "write_manifest",
]
