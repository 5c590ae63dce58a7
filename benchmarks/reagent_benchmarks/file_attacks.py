"""What hostile files and paths get from the tools that read files, and what the tools make of honest ones."""

from __future__ import annotations

import io
import os
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio

from reagent_benchmarks import file_samples as samples
from reagent_sdk.tools.base import Tool, ToolResult
from reagent_sdk.tools.files.process import FileLimits
from reagent_sdk.tools.files.reader import FileReader
from reagent_sdk.tools.media.audio import AudioTool
from reagent_sdk.tools.media.audio_decode import decode
from reagent_sdk.tools.media.image import ImageTool

_SECRET = "the secret outside the root"  # noqa: S105 - a marker, not a password
_MIB = 1 << 20


@dataclass(frozen=True)
class _Attack:
    title: str
    tool: str
    given: str
    stopped_by: tuple[str, ...]
    seconds: float = 60.0

    def on(self, root: Path) -> tuple[Tool, Mapping[str, object]]:
        """The tool that is attacked, and the call."""
        limits = FileLimits(seconds=self.seconds)
        tools: Sequence[Tool] = (FileReader(root, limits=limits), ImageTool(root), AudioTool(root))
        tool = next(tool for tool in tools if tool.name == self.tool)
        return tool, {tool.parameters["required"][0]: self.given}


_ATTACKS = (
    _Attack("path traversal", "file_reader", "../secret.txt", ("PathRefused",)),
    _Attack("path traversal through a folder", "file_reader", "sub/../../secret.txt", ("PathRefused",)),
    _Attack("absolute path", "file_reader", "/etc/passwd", ("PathRefused",)),
    _Attack("environment of the process", "file_reader", "/proc/self/environ", ("PathRefused",)),
    _Attack("endless device", "file_reader", "/dev/zero", ("PathRefused",)),
    _Attack("link out of the root", "file_reader", "link.txt", ("PathRefused",)),
    _Attack("folder link out of the root", "file_reader", "up/secret.txt", ("PathRefused",)),
    _Attack("named pipe that blocks", "file_reader", "pipe", ("PathRefused",)),
    _Attack("file of 1 TB", "file_reader", "huge.txt", ("TooLarge",)),
    _Attack("zip-slip", "file_reader", "slip.zip!../secret.txt", ("PathRefused",)),
    _Attack("zip bomb", "file_reader", "bomb.zip!zeros.txt", ("ArchiveBomb",)),
    _Attack("zip bomb inside a zip", "file_reader", "nested.zip!bomb.zip!zeros.txt", ("ArchiveBomb",)),
    _Attack("zip nested 6 deep", "file_reader", "deep.zip" + "!in.zip" * 5 + "!x.txt", ("TooDeep",)),
    _Attack("zip bomb as a Word document", "file_reader", "bomb.docx", ("ArchiveBomb",)),
    _Attack("billion laughs in a Word document", "file_reader", "laughs.docx", ("Damaged", "TooLarge")),
    _Attack("pdf that takes for ever", "file_reader", "slow.pdf", ("TimedOut",), seconds=4),
    _Attack("decompression bomb as a PNG", "image2text", "bomb.png", ("TooLarge",)),
    _Attack("picture at an address", "image2text", "http://169.254.169.254/latest", ("NotFetched",)),
    _Attack("picture outside the root", "image2text", "../secret.txt", ("PathRefused",)),
    _Attack("playlist that names other files", "audio2text", "playlist.mp3", ("Unsupported",)),
    _Attack("recording at a file address", "audio2text", "file:///etc/passwd", ("NotFetched",)),
)


async def run_attacks() -> list[tuple[str, str, bool]]:
    """Each attack, what stopped it, and whether it was stopped."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "files"
        _lay_traps(root)
        results = await _called([attack.on(root) for attack in _ATTACKS])
        return [
            (
                f"{attack.tool}: {attack.title}",
                _short(result.text),
                result.error in attack.stopped_by and _SECRET not in result.text,
            )
            for attack, result in zip(_ATTACKS, results, strict=True)
        ]


async def run_formats() -> list[tuple[str, str, str]]:
    """Each tool, what was tried, and what came back."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name, content in _honest().items():
            (root / name).write_bytes(content)
        reader, see, hear = FileReader(root), ImageTool(root), AudioTool(root)
        tried: list[tuple[Tool, str, Mapping[str, object]]] = [
            *((reader, name, {"path": name}) for name in _honest() if name.startswith("report")),
            (reader, "member of a zip", {"path": "all.zip!inner/report.docx"}),
            (reader, "query in a pdf of 30 pages", {"path": "long.pdf", "query": "heron"}),
            (see, "png, without a vision model", {"image": "invoice.png"}),
            (hear, "wav, offline", {"audio": "spoken.wav"}),
            (hear, "mp3, offline", {"audio": "spoken.mp3"}),
        ]
        results = await _called([(tool, given) for tool, _, given in tried])
        return [(tool.name, what, _short(result.text)) for (tool, what, _), result in zip(tried, results, strict=True)]


async def _called(calls: Sequence[tuple[Tool, Mapping[str, object]]]) -> list[ToolResult]:
    """Results of calls that run at the same time, in the order of the calls."""
    results: dict[int, ToolResult] = {}

    async def call(index: int) -> None:
        tool, arguments = calls[index]
        results[index] = await tool.call(arguments)

    async with anyio.create_task_group() as tasks:
        for index in range(len(calls)):
            tasks.start_soon(call, index)
    return [results[index] for index in range(len(calls))]


def _honest() -> dict[str, bytes]:
    spoken = samples.SPOKEN.read_bytes()
    part = {"start": 0.0, "end": None, "max_seconds": 60.0}
    _, voice = decode(io.BytesIO(spoken), {"members": [], "max_bytes": _MIB, "max_unpacked": _MIB, **part})
    report = samples.docx("The profit was 42 million euros.")
    pages = [f"Page {number} is about nothing." for number in range(1, 30)]
    return {
        "report.pdf": samples.pdf(["The profit was 42 million euros."]),
        "report.docx": report,
        "report.xlsx": samples.xlsx([["city", "people"], ["Graz", 290000]]),
        "report.pptx": samples.pptx("Quarter", "The profit was 42 million euros."),
        "report.epub": samples.epub("Report", "The profit was 42 million euros."),
        "report.csv": b"city,people\nGraz,290000\n",
        "report.html": b"<h1>Report</h1><p>The <b>profit</b> was 42 million euros.",
        "report.jsonl": b'{"profit": 42}\n{"profit": 43}\n',
        "report.txt": "Größe: 42 Straßen".encode("latin-1"),
        "all.zip": samples.archive({"inner/report.docx": report}),
        "long.pdf": samples.pdf([*pages, "The heron nested on the tower."]),
        "invoice.png": samples.png("Invoice total 4821 euros"),
        "spoken.mp3": spoken,
        "spoken.wav": samples.wav(voice),
    }


def _lay_traps(root: Path) -> None:
    root.mkdir()
    (root / "sub").mkdir()
    (root.parent / "secret.txt").write_text(_SECRET)
    (root / "link.txt").symlink_to(root.parent / "secret.txt")
    (root / "up").symlink_to(root.parent)
    os.mkfifo(root / "pipe")
    with (root / "huge.txt").open("wb") as file:
        file.truncate(1 << 40)
    zip_bomb = _zip_bomb(64 * _MIB)
    deep = samples.archive({"x.txt": "deep"})
    for _ in range(5):
        deep = samples.archive({"in.zip": deep})
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    laughs = f'<!DOCTYPE w:document [<!ENTITY l0 "lol">{laughs}]>'
    traps = {
        "slip.zip": samples.archive({"../secret.txt": "x"}),
        "bomb.zip": zip_bomb,
        "nested.zip": samples.archive({"bomb.zip": zip_bomb}),
        "deep.zip": deep,
        "bomb.docx": samples.docx("x", parts={"word/media/zeros.bin": "0" * (32 * _MIB)}),
        "laughs.docx": samples.docx("&l9;", prolog=laughs),
        "slow.pdf": samples.pdf([b"BT /F1 12 Tf " + b"(a) Tj " * 5_000_000 + b"ET"]),
        "bomb.png": png_bomb(30_000, 30_000),
        "playlist.mp3": f"#EXTM3U\n#EXTINF:5,\n{(root.parent / 'secret.txt').as_uri()}\n".encode(),
    }
    for name, content in traps.items():
        (root / name).write_bytes(content)


def _zip_bomb(size: int) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("zeros.txt", "w") as member:
        for _ in range(size // _MIB):
            member.write(bytes(_MIB))
    return made.getvalue()


def png_bomb(width: int, height: int) -> bytes:
    """A small PNG that unpacks to a picture of any size."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(64 * _MIB), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def _short(text: str) -> str:
    line = " / ".join(line for line in text.splitlines() if line.strip())
    return line if len(line) <= 160 else f"{line[:75]} ... {line[-80:]}"
