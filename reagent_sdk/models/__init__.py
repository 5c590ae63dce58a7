"""Where local model weights come from: known models, fetching and checking them, and what they say about themselves."""

from reagent_sdk.models.find import find
from reagent_sdk.models.manifest import Manifest, read_manifest, write_manifest
from reagent_sdk.models.pull import pull
from reagent_sdk.models.registry import KNOWN, KnownModel, known, known_base
from reagent_sdk.models.shipped import SHIPPED, Shipped
from reagent_sdk.models.store import Installed, installed, remove
from reagent_sdk.models.unpack import unpack, unpacked

__all__ = [
    "KNOWN",
    "SHIPPED",
    "Installed",
    "KnownModel",
    "Manifest",
    "Shipped",
    "find",
    "installed",
    "known",
    "known_base",
    "pull",
    "read_manifest",
    "remove",
    "unpack",
    "unpacked",
    "write_manifest",
]
