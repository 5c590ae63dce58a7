"""The tools that `reagent ask --tools` names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

if TYPE_CHECKING:
    from reagent_sdk.tools import CorpusSearch

NAMES = ("search", "browse", "python", "file_reader", "image2text", "audio2text")

ToolsOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--tools", metavar="NAME,...", help=f"Tools that the model may call: {', '.join(NAMES)}."),
]
CorpusOption: TypeAlias = Annotated[
    Path | None,
    typer.Option("--corpus", metavar="FILE", help="Search this offline corpus instead of the web; see `corpus build`."),
]
RootOption: TypeAlias = Annotated[
    Path, typer.Option("--root", metavar="DIR", help="The folder whose files the tools may read.")
]


def toolset(names: str | None, corpus: Path | None, root: Path) -> list[Any] | None:
    """The named tools; None when none were asked for.

    Raises:
        InvalidInput: a name is unknown, the corpus cannot be read or the folder is not there.
    """
    from reagent_sdk.errors import InvalidInput

    if names is None:
        if corpus is not None:
            raise InvalidInput("--corpus needs the search tool: add --tools search")
        return None
    wanted = list(dict.fromkeys(name.strip() for name in names.split(",") if name.strip()))
    for name in wanted:
        if name not in NAMES:
            raise InvalidInput(f"there is no tool {name!r}; there are {', '.join(NAMES)}")
    if not wanted:
        raise InvalidInput(f"--tools is empty; name some of {', '.join(NAMES)}")
    makers = _makers(corpus, root)
    return [makers[name]() for name in wanted]


def _makers(corpus: Path | None, root: Path) -> dict[str, Callable[[], Any]]:
    from reagent_sdk.tools import (
        AudioTool,
        BrowseTool,
        CorpusSearch,
        FileReader,
        ImageTool,
        PythonTool,
        SearchTool,
    )

    offline: CorpusSearch | None = None if corpus is None else CorpusSearch(corpus)
    return {
        "search": lambda: SearchTool(offline),
        "browse": lambda: BrowseTool(open_url=offline.open if offline else None),
        "python": PythonTool,
        "file_reader": lambda: FileReader(root),
        "image2text": lambda: ImageTool(root),
        "audio2text": lambda: AudioTool(root),
    }
