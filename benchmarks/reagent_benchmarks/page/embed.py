"""JSON that can lie inside an HTML file."""

from __future__ import annotations

import json
from typing import Any

from markupsafe import Markup

_IN_HTML = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


def embedded(value: Any) -> Markup:
    """A value as JSON for a `<script type="application/json">` block.

    It is plain ASCII without `<`, `>` and `&`, so that nothing in it can end the block, open a comment or depend on the
    encoding of the file.

    Raises:
        ValueError: NaN or infinity, which JSON has no word for.
    """
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return Markup(text.translate(_IN_HTML))  # noqa: S704 - holds no character of HTML any more
