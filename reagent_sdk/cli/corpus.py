"""`reagent corpus`: offline corpora for the search tool."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from reagent_sdk.cli.options import JsonOption
from reagent_sdk.cli.terminal import clean, console, one_line, to_stderr, to_stdout, write_json

if TYPE_CHECKING:
    from reagent_sdk.tools.corpus.build import BuildReport, Progress
    from reagent_sdk.tools.corpus.search import CorpusSearch

T = TypeVar("T")

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="A file written by `reagent corpus build`.")]
_SNIPPET = 300

BUILD_EXAMPLES = """\b
Examples:
  reagent corpus build wiki.jsonl --out wiki.corpus
  reagent corpus build docs/ notes.md --out docs.corpus
  reagent corpus build dump.jsonl --out dump.corpus --text-field body --title-field headline
"""
SEARCH_EXAMPLES = """\b
Examples:
  reagent corpus search wiki.corpus "boarding school in Adelaide"
  reagent corpus search wiki.corpus "Adelaide" --limit 20 --json | jq .url
"""
INFO_EXAMPLES = """\b
Example:
  reagent corpus info wiki.corpus --json
"""


def build(
    sources: Annotated[
        list[Path],
        typer.Argument(metavar="SOURCE", help="JSONL, text, Markdown or HTML files, or folders of these."),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The corpus to write; an older one is replaced.")],
    text_field: Annotated[str | None, typer.Option(metavar="NAME", help="JSONL field with the text.")] = None,
    title_field: Annotated[str | None, typer.Option(metavar="NAME", help="JSONL field with the title.")] = None,
    url_field: Annotated[str | None, typer.Option(metavar="NAME", help="JSONL field with the address.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Build a corpus for offline search. The usual names of JSONL fields are found without options.

    The file appears when it is complete; when anything is wrong with a source, nothing is written.
    """
    from reagent_sdk.tools.corpus.build import build_corpus
    from reagent_sdk.tools.corpus.jsonl import Fields

    fields = Fields(text=text_field, title=title_field, url=url_field)
    with _bar() as show:
        report = build_corpus(sources, out, fields=fields, progress=show)
    if as_json:
        write_json(report)
    else:
        to_stdout(_told(report))


def search(
    file: FileArgument,
    query: Annotated[str, typer.Argument(metavar="QUERY", help="Words; a document need not have all of them.")],
    limit: Annotated[int, typer.Option(min=1, max=100, metavar="N", help="Most results.")] = 5,
    as_json: JsonOption = False,
) -> None:
    """Search a corpus as an agent would. With --json, one result a line."""
    hits = _opened(file, lambda corpus: corpus.find(query, limit))
    if as_json:
        for hit in hits:
            write_json(hit)
        return
    if not hits:
        to_stderr("nothing was found; try other or fewer words")
    for number, hit in enumerate(hits, start=1):
        to_stdout(f"{number}. {one_line(hit.title)}\n   {clean(hit.url)}\n   {one_line(hit.snippet, _SNIPPET)}")


def info(file: FileArgument, as_json: JsonOption = False) -> None:
    """Show what a corpus holds."""
    found = _opened(file, lambda corpus: corpus.info())
    if as_json:
        write_json(found)
        return
    to_stdout(f"{found.documents} documents in {found.passages} passages, {found.bytes / 1e6:.1f} MB")
    to_stdout(f"built {found.built_at}")


def _opened(file: Path, use: Callable[[CorpusSearch], T]) -> T:
    """Uses a corpus, and closes it.

    Raises:
        InvalidInput: the file is missing, is no corpus, or is damaged.
    """
    import sqlite3

    from reagent_sdk.errors import InvalidInput
    from reagent_sdk.tools.corpus.search import CorpusSearch

    corpus = CorpusSearch(file)
    try:
        return use(corpus)
    except sqlite3.Error as error:
        raise InvalidInput(f"{file} is damaged ({error}); build it again") from None
    finally:
        corpus.close()


@contextmanager
def _bar() -> Iterator[Callable[[Progress], None]]:
    """A progress bar on stderr, for as long as the `with` block lasts and only where it can move."""
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    screen = console(stderr=True)
    columns = (BarColumn(), DownloadColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    with Bar(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task("reading", total=None)

        def show(done: Progress) -> None:
            what = "optimising the index" if done.bytes == done.total_bytes else f"{done.documents} documents"
            bar.update(task, completed=done.bytes, total=done.total_bytes, description=what)

        yield show


def _told(report: BuildReport) -> str:
    left_out = {"duplicates": report.duplicates, "empty": report.empty}
    skipped = ", ".join(f"{count} {what}" for what, count in left_out.items() if count)
    renamed = f"; {report.renamed} ids were taken and got a suffix" if report.renamed else ""
    return (
        f"{report.documents} documents in {report.passages} passages, {report.bytes / 1e6:.1f} MB, "
        f"{report.seconds:.1f} s: {report.path}" + (f"\nleft out: {skipped}" if skipped else "") + renamed
    )


app = typer.Typer(help="Offline corpora for the search tool.")
app.command("build", short_help="Build a corpus.", epilog=BUILD_EXAMPLES)(build)
app.command("search", short_help="Search a corpus.", epilog=SEARCH_EXAMPLES)(search)
app.command("info", short_help="What a corpus holds.", epilog=INFO_EXAMPLES)(info)
