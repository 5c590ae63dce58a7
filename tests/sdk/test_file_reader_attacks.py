from __future__ import annotations

import io
import os
import socket
import stat
import time
import zipfile
from pathlib import Path

import anyio
import pytest
from reagent_benchmarks import file_samples

from reagent_sdk.tools.base import ToolResult
from reagent_sdk.tools.files import process as files_process
from reagent_sdk.tools.files import reader as files
from reagent_sdk.tools.files.process import FileLimits, run_worker
from reagent_sdk.tools.files.reader import FileReader
from reagent_sdk.tools.files.roots import FileProblem

pytestmark = pytest.mark.anyio

SECRET = "the secret outside the root"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "files"
    root.mkdir()
    (tmp_path / "secret.txt").write_text(SECRET)
    (root / "a.txt").write_text("inside")
    return root


async def refused(folder: Path, path: str, limits: FileLimits | None = None) -> ToolResult:
    result = await FileReader(folder, limits=limits).call({"path": path})
    assert result.error is not None, result.text
    assert SECRET not in result.text
    return result


@pytest.mark.parametrize(
    "path",
    [
        "../secret.txt",
        "sub/../../secret.txt",
        "./../files/../secret.txt",
        "/etc/passwd",
        "/proc/self/environ",
        "/dev/zero",
        "/dev/stdin",
        "a\0b",
        "\ud800",
        "a" * 5000,
        "..",
        "/",
    ],
)
async def test_paths_out_of_the_root(folder: Path, path: str) -> None:
    result = await refused(folder, path)
    assert result.error in {"PathRefused", "NotFound", "NotReadable"}


async def test_absolute_path_beside_the_root(folder: Path, tmp_path: Path) -> None:
    assert (await refused(folder, str(tmp_path / "secret.txt"))).error == "PathRefused"
    beside = tmp_path / "files2"
    beside.mkdir()
    (beside / "b.txt").write_text(SECRET)
    assert (await refused(folder, str(beside / "b.txt"))).error == "PathRefused"


async def test_links_out_of_the_root(folder: Path, tmp_path: Path) -> None:
    (folder / "file_link").symlink_to(tmp_path / "secret.txt")
    (folder / "folder_link").symlink_to(tmp_path)
    (folder / "relative_link").symlink_to("../secret.txt")
    (folder / "loop").symlink_to("loop")
    for path in ("file_link", "folder_link/secret.txt", "folder_link", "relative_link", "loop"):
        await refused(folder, path)


async def test_links_within_the_root_work(folder: Path) -> None:
    (folder / "link").symlink_to("a.txt")
    assert (await FileReader(folder).call({"path": "link"})).text == "[a.txt]\ninside"


@pytest.mark.parametrize("swapped", ["sub", "sub/b.txt"])
async def test_a_link_put_in_place_after_the_check(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swapped: str
) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "b.txt").write_text("harmless")
    (tmp_path / "b.txt").write_text(SECRET)
    honest = os.path.realpath
    reader = FileReader(folder)

    def swap_after_resolving(path: str | os.PathLike[str]) -> str:
        resolved = honest(path)
        if not (folder / swapped).is_symlink():
            (folder / swapped).rename(folder / "gone")
            (folder / swapped).symlink_to(tmp_path if swapped == "sub" else tmp_path / "b.txt")
        return resolved

    monkeypatch.setattr(os.path, "realpath", swap_after_resolving)
    result = await reader.call({"path": "sub/b.txt"})
    assert result.error == "PathRefused"
    assert SECRET not in result.text


async def test_kernel_folders_are_closed_even_below_a_root() -> None:
    reader = FileReader("/")
    for path in ("/proc/self/environ", "/proc/1/root/etc/hostname", "/dev/zero", "/sys/kernel/notes"):
        assert (await reader.call({"path": path})).error == "PathRefused"


async def test_pipes_and_sockets_do_not_block(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)  # a socket's address must be short
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("sock")
        with anyio.fail_after(60):
            assert "named pipe" in (await refused(folder, "pipe")).text
            assert "a socket" in (await refused(folder, "sock")).text


async def test_a_pipe_that_takes_a_files_place_does_not_block(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(folder / "pipe")
    honest = os.stat
    harmless = honest(folder / "a.txt")
    monkeypatch.setattr(os, "stat", lambda path, **given: harmless if path == "pipe" else honest(path, **given))
    with anyio.fail_after(60):
        assert "named pipe" in (await refused(folder, "pipe")).text


async def test_huge_files(folder: Path) -> None:
    with (folder / "huge.txt").open("wb") as file:
        file.truncate(1 << 40)
    assert (await refused(folder, "huge.txt")).error == "TooLarge"


async def test_a_file_that_grows_while_it_is_read(folder: Path) -> None:
    with (folder / "a.txt").open("rb") as source:
        arguments = {"name": "a", "members": [], "media_type": "", "max_bytes": 3, "max_unpacked": 100}
        with pytest.raises(FileProblem, match="larger than 3 bytes"):
            await run_worker(files.DOCUMENT, source, FileLimits(), **arguments)


def bomb(size: int) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("zeros.txt", "w") as member:
        for _ in range(size >> 20):
            member.write(bytes(1 << 20))
    return made.getvalue()


async def test_zip_slip(folder: Path) -> None:
    names = ("../secret.txt", "/etc/passwd", "a/../../b.txt", "..\\b.txt", "C:\\b.txt", "..")
    (folder / "slip.zip").write_bytes(file_samples.archive(dict.fromkeys(names, "x")))
    before = set(folder.parent.rglob("*"))
    for name in names:
        assert (await refused(folder, f"slip.zip!{name}")).error == "PathRefused"
    assert set(folder.parent.rglob("*")) == before


async def test_zip_bombs(folder: Path) -> None:
    (folder / "ratio.zip").write_bytes(bomb(64 << 20))
    (folder / "total.zip").write_bytes(file_samples.archive({"a.bin": os.urandom(3 << 20)}))
    assert "200 times" in (await refused(folder, "ratio.zip!zeros.txt")).text
    small = FileLimits(max_unpacked=1 << 20)
    assert (await refused(folder, "total.zip!a.bin", small)).error == "ArchiveBomb"
    package = file_samples.docx("x", parts={"word/media/zeros.bin": "0" * (32 << 20)})
    (folder / "bomb.docx").write_bytes(package)
    assert (await refused(folder, "bomb.docx")).error == "ArchiveBomb"


async def test_a_bomb_whose_directory_lies_about_its_size(folder: Path) -> None:
    data = bytearray(bomb(64 << 20))
    entry = data.rindex(b"PK\x01\x02")
    data[entry + 24 : entry + 28] = (100).to_bytes(4, "little")
    (folder / "liar.zip").write_bytes(data)
    result = await FileReader(folder).call({"path": "liar.zip!zeros.txt"})
    assert result.error in {"Damaged", "ArchiveBomb"}


async def test_nested_archives(folder: Path) -> None:
    data = file_samples.archive({"x.txt": "deep"})
    for _ in range(5):
        data = file_samples.archive({"in.zip": data})
    (folder / "nested.zip").write_bytes(data)
    assert (await refused(folder, "nested.zip" + "!in.zip" * 5 + "!x.txt")).error == "TooDeep"
    inner = bomb(64 << 20)
    (folder / "two.zip").write_bytes(file_samples.archive({"in.zip": inner}))
    assert (await refused(folder, "two.zip!in.zip!zeros.txt")).error == "ArchiveBomb"


async def test_encrypted_members(folder: Path) -> None:
    data = bytearray(file_samples.archive({"x.txt": "deep"}))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    (folder / "locked.zip").write_bytes(data)
    assert (await refused(folder, "locked.zip!x.txt")).error == "Encrypted"


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
LAUGHS = f'<!DOCTYPE w:document [<!ENTITY l0 "lol">{LAUGHS}]>'


async def test_billion_laughs(folder: Path) -> None:
    (folder / "laughs.docx").write_bytes(file_samples.docx("&l9;", prolog=LAUGHS))
    began = time.monotonic()
    result = await refused(folder, "laughs.docx")
    assert result.error in {"Damaged", "TooLarge"}
    assert time.monotonic() - began < 60


def rewritten(package: bytes, part: str, **replaced: str) -> bytes:
    """An office file in which words of one part are replaced, and the entities declared."""
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    text = parts[part].decode()
    for old, new in replaced.items():
        assert old in text
        text = text.replace(old, new)
    end = text.index("?>") + 2 if text.startswith("<?xml") else 0
    parts[part] = (text[:end] + LAUGHS + text[end:]).encode()
    return file_samples.archive(parts)


@pytest.mark.parametrize(
    ("name", "package", "part"),
    [
        ("laughs.epub", file_samples.epub("TITLE", "text"), "book.opf"),
        ("laughs.pptx", file_samples.pptx("TITLE", "text"), "ppt/slides/slide1.xml"),
        ("laughs.xlsx", file_samples.xlsx([["TITLE", 1]]), "xl/worksheets/sheet1.xml"),
    ],
)
async def test_billion_laughs_elsewhere(folder: Path, name: str, package: bytes, part: str) -> None:
    (folder / name).write_bytes(rewritten(package, part, TITLE="&l9;"))
    assert (await refused(folder, name)).error == "Damaged"


async def test_a_sheet_that_claims_to_be_endless(folder: Path) -> None:
    sheet = file_samples.xlsx([["a"]])
    with zipfile.ZipFile(io.BytesIO(sheet)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    cells = "".join(f'<row r="{row}"><c r="XFD{row}"><v>1</v></c></row>' for row in (1, 1_048_576))
    namespace = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    body = f'<worksheet xmlns="{namespace}"><sheetData>{cells}</sheetData></worksheet>'
    parts["xl/worksheets/sheet1.xml"] = body.encode()
    (folder / "endless.xlsx").write_bytes(file_samples.archive(parts))
    result = await refused(folder, "endless.xlsx", FileLimits(seconds=4, memory_mb=1024))
    assert result.error in {"TimedOut", "TooLarge", "Damaged"}


async def test_external_entities_and_linked_pictures_are_not_followed(folder: Path, tmp_path: Path) -> None:
    where = (tmp_path / "secret.txt").as_uri()
    prolog = f'<!DOCTYPE w:document [<!ENTITY x SYSTEM "{where}">]>'
    (folder / "entity.docx").write_bytes(file_samples.docx("&x;", prolog=prolog))
    result = await FileReader(folder).call({"path": "entity.docx"})
    assert SECRET not in result.text
    relationships = (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="p1" '
        'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/image" '
        f'Target="{where}" TargetMode="External"/></Relationships>'
    )
    drawing = (
        '<w:p><w:r><w:drawing><wp:inline xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/'
        'wordprocessingDrawing"><a:graphic xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main">'
        '<a:graphicData><pic:pic xmlns:pic="http://schemas.openxmlformats.org/drawingml/2006/picture"><pic:blipFill>'
        '<a:blip xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships" r:link="p1"/>'
        "</pic:blipFill></pic:pic></a:graphicData></a:graphic></wp:inline></w:drawing></w:r></w:p>"
    )
    parts = {"word/_rels/document.xml.rels": relationships}
    (folder / "link.docx").write_bytes(file_samples.docx("Text.", markup=drawing, parts=parts))
    result = await FileReader(folder).call({"path": "link.docx"})
    assert SECRET not in result.text
    assert "dGhlIHNlY3JldA" not in result.text


async def test_a_pdf_that_takes_for_ever_is_killed(folder: Path) -> None:
    (folder / "slow.pdf").write_bytes(file_samples.pdf([b"BT /F1 12 Tf " + b"(a) Tj " * 3_000_000 + b"ET"]))
    began = time.monotonic()
    result = await refused(folder, "slow.pdf", FileLimits(seconds=2))
    assert result.error == "TimedOut"
    assert time.monotonic() - began < 60


HOSTILE = """
import os, socket, subprocess, time
from reagent_sdk.tools.files.roots import FileProblem

def hang(stream, arguments):
    signals = open(arguments["pipe"], "rb", buffering=0) if "pipe" in arguments else None
    while True:
        time.sleep(60)

def spin(stream, arguments):
    while True:
        pass

def eat(stream, arguments):
    hoard = [bytearray(1 << 24) for _ in range(1000)]
    return {}, b""

def die(stream, arguments):
    os.abort()

def chatter(stream, arguments):
    print("noise on standard output" * 100_000)
    os.write(2, b"noise" * 1_000_000)
    return {"fine": True}, b"answer"

def flood(stream, arguments):
    return {}, b"x" * (1 << 24)

def fetch(stream, arguments):
    socket.create_connection(("127.0.0.1", arguments["port"]), timeout=5)

def start(stream, arguments):
    subprocess.run(["touch", arguments["file"]])

def write(stream, arguments):
    open(arguments["file"], "w").write("x")

def environment(stream, arguments):
    return dict(os.environ), os.getcwd().encode()
"""


@pytest.fixture
def hostile(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "hostile_reader.py").write_text(HOSTILE)
    monkeypatch.syspath_prepend(modules)
    return folder / "a.txt"


async def attack(name: str, source: Path, limits: FileLimits | None = None, **given: object) -> str:
    with source.open("rb") as file, pytest.raises(FileProblem) as raised:
        await run_worker(f"hostile_reader:{name}", file, limits or FileLimits(seconds=20), **given)
    return f"{raised.value.kind}: {raised.value}"


async def test_a_reader_that_hangs_or_spins_is_killed(folder: Path, hostile: Path) -> None:
    assert (await attack("hang", hostile, FileLimits(seconds=1))).startswith("TimedOut")
    assert (await attack("spin", hostile, FileLimits(seconds=1))).startswith("TimedOut")


async def test_a_reader_that_eats_memory_or_crashes(folder: Path, hostile: Path) -> None:
    assert (await attack("eat", hostile, FileLimits(memory_mb=512))).startswith(
        "TooLarge: reading it takes more than 512"
    )
    assert (await attack("die", hostile)).startswith("Damaged: the reader broke")


async def test_a_reader_has_no_network_no_programs_and_writes_nothing(folder: Path, hostile: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        assert "must not lead to socket" in await attack("fetch", hostile, port=listener.getsockname()[1])
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert "must not lead to subprocess" in await attack("start", hostile, file=str(folder / "new"))
    assert "must not lead to open" in await attack("write", hostile, file=str(folder / "new"))
    assert not (folder / "new").exists()


async def test_a_reader_has_no_secrets(hostile: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_KEY", "very secret")
    with hostile.open("rb") as file:
        reply = await run_worker("hostile_reader:environment", file, FileLimits())
    assert "very secret" not in str(reply.facts)
    assert reply.content == b"/"


async def test_noise_stays_out_of_the_answer_and_floods_are_cut(hostile: Path) -> None:
    with hostile.open("rb") as file:
        reply = await run_worker("hostile_reader:chatter", file, FileLimits())
        assert (reply.content, reply.facts["fine"]) == (b"answer", True)
        flood = await run_worker("hostile_reader:flood", file, FileLimits(max_output=4096))
        assert (len(flood.content), flood.facts["cut"]) == (4096, True)


async def test_cancelling_kills_the_process(tmp_path: Path, hostile: Path) -> None:
    pipe = tmp_path / "alive"
    os.mkfifo(pipe)
    with hostile.open("rb") as file:
        async with anyio.create_task_group() as tasks:

            async def read() -> None:
                await run_worker("hostile_reader:hang", file, FileLimits(), pipe=str(pipe))

            tasks.start_soon(read)
            # Opening the other end waits until the process is there.
            writer = await anyio.to_thread.run_sync(os.open, str(pipe), os.O_WRONLY)
            tasks.cancel_scope.cancel()
    try:
        # Its end is closed once it is dead.
        with pytest.raises(BrokenPipeError):
            os.write(writer, b"x")
    finally:
        os.close(writer)


async def test_many_files_at_once_leave_nothing_behind(folder: Path) -> None:
    for number in range(20):
        (folder / f"{number}.txt").write_text(f"file {number}")
    reader = FileReader(folder)
    await reader.call({"path": "0.txt"})
    before = _sockets_and_pipes()
    texts: dict[int, str] = {}
    async with anyio.create_task_group() as tasks:
        for number in range(20):

            async def read(number: int) -> None:
                texts[number] = (await reader.call({"path": f"{number}.txt"})).text

            tasks.start_soon(read, number)
    assert texts == {number: f"[{number}.txt]\nfile {number}" for number in range(20)}
    assert _sockets_and_pipes() == before


def _sockets_and_pipes() -> int:
    count = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            mode = os.fstat(int(name)).st_mode
        except OSError:
            continue
        count += stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
    return count


def test_slots_are_as_many_as_cores() -> None:
    async def total() -> float:
        return files_process._slots().total_tokens

    assert anyio.run(total) == (os.cpu_count() or 1)
