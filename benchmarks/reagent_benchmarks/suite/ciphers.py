"""Columns that publishers scramble to keep their sets out of training corpora; the key comes with each row."""

from __future__ import annotations

import base64
import binascii
import hashlib
from itertools import cycle

from reagent_sdk.errors import InvalidInput


def unscrambled(told: str, canary: str) -> str:
    """A cell of xbench: base64 of the text, XORed with the canary over and over.

    Raises:
        InvalidInput: it does not decode.
    """
    return _xored(told, canary.encode())


def unscrambled_by_digest(told: str, canary: str) -> str:
    """A cell of BrowseComp: base64 of the text, XORed with the canary's SHA-256 over and over.

    Raises:
        InvalidInput: it does not decode.
    """
    return _xored(told, hashlib.sha256(canary.encode()).digest())


def _xored(told: str, key: bytes) -> str:
    try:
        data = base64.b64decode(told, validate=True)
        return bytes(one ^ other for one, other in zip(data, cycle(key), strict=False)).decode()
    except (binascii.Error, ValueError):
        raise InvalidInput(
            "a scrambled cell does not decode with the row's canary; take the file as published"
        ) from None
