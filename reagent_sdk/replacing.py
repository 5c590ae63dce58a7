"""Writing a file in one step."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

_MODE = 0o644


@contextmanager
def replacing(path: Path, *, mode: int = _MODE) -> Iterator[BinaryIO]:
    """A draft that takes the place of a file when the block ends well; else the file stays as it is.

    Whoever reads meanwhile finds the old file or the new one. An existing file's mode is kept.

    Args:
        path: the file; its folder is made if need be.
        mode: of a new file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-", delete=False) as draft:
        try:
            yield draft  # type: ignore[misc]  # a wrapper that behaves as one
            draft.close()
            os.chmod(draft.name, path.stat().st_mode & 0o777 if path.exists() else mode)
            os.replace(draft.name, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(draft.name)
            raise
