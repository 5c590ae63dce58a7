"""Opens, shrinks and reads pictures. Runs in the reading process only, see `files_process`."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, TYPE_CHECKING, Any

from reagent_sdk.tools.files.media import media_bytes
from reagent_sdk.tools.files.roots import FileProblem

if TYPE_CHECKING:
    from PIL.Image import Image

SHRINK = "reagent_sdk.tools.media.image_worker:shrink"
OCR = "reagent_sdk.tools.media.image_worker:ocr"

_FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF")  # others start programs or are hardly ever tested
_MAX_PIXELS = 50_000_000
_OCR_SIDE = 2000
_SMALL = 1 << 20
_SIGNATURES = ((b"\x89PNG", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"))


def shrink(stream: IO[bytes], arguments: Mapping[str, Any]) -> tuple[dict[str, Any], bytes]:
    """The picture as a model gets it: upright, its longer side at most `side` pixels, PNG or, if that is large, JPEG.

    Without pillow it stays as it is; then only its size in bytes is limited.
    """
    data = media_bytes(stream, arguments)
    try:
        picture, facts = _opened(data, arguments["side"])
    except ModuleNotFoundError:
        return _untouched(data)
    for kind, options in (("PNG", {}), ("JPEG", {"quality": 85})):
        made = io.BytesIO()
        picture.save(made, kind, **options)
        if made.tell() <= _SMALL:
            break
    return {**facts, "media_type": f"image/{kind.lower()}"}, made.getvalue()


def ocr(stream: IO[bytes], arguments: Mapping[str, Any]) -> tuple[dict[str, Any], bytes]:
    """The words in a picture, line by line, recognised by models that ship with their package."""
    from rapidocr import RapidOCR

    picture, facts = _opened(media_bytes(stream, arguments), _OCR_SIDE)
    single = {f"EngineConfig.onnxruntime.{pool}_op_num_threads": 1 for pool in ("intra", "inter")}
    found: Any = RapidOCR(params={"Global.log_level": "error", **single})(picture)
    if not found.txts:
        return facts, b""
    words = [
        (box[:, 1].min(), box[:, 1].max(), box[:, 0].min(), text)
        for box, text in zip(found.boxes, found.txts, strict=True)
    ]
    return facts, "\n".join(_lines(words)).encode()


def _lines(words: Iterable[tuple[float, float, float, str]]) -> Iterator[str]:
    """Words given by top, bottom, left and text, put together where they stand on one line."""
    line: list[tuple[float, str]] = []
    middle = float("-inf")
    for top, bottom, left, text in sorted(words):
        if line and not top <= middle <= bottom:
            yield " ".join(text for _, text in sorted(line))
            line = []
        if not line:
            middle = (top + bottom) / 2
        line.append((left, text))
    if line:
        yield " ".join(text for _, text in sorted(line))


def _opened(data: bytes, side: int) -> tuple[Image, dict[str, Any]]:
    from PIL import Image, ImageOps, UnidentifiedImageError

    Image.MAX_IMAGE_PIXELS = _MAX_PIXELS
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture: Image.Image = Image.open(io.BytesIO(data), formats=_FORMATS)
            facts = {"width": picture.width, "height": picture.height, "frames": getattr(picture, "n_frames", 1)}
            picture.draft("RGB", (side, side))
            picture.load()
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise FileProblem("TooLarge", f"the picture has more than {_MAX_PIXELS // 10**6} million pixels") from None
    except UnidentifiedImageError:
        known = ", ".join(_FORMATS)
        raise FileProblem("Unsupported", f"this is no picture of a known kind ({known})") from None
    picture.thumbnail((side, side))
    return _on_white(ImageOps.exif_transpose(picture)), facts


def _on_white(picture: Image) -> Image:
    """Without transparency, which many models would see as black."""
    from PIL import Image

    if picture.mode == "RGB":
        return picture
    layer = picture.convert("RGBA")
    white = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(white, layer).convert("RGB")


def _untouched(data: bytes) -> tuple[dict[str, Any], bytes]:
    media_type = next((kind for mark, kind in _SIGNATURES if data.startswith(mark)), None)
    if media_type is None:
        raise FileProblem("Unsupported", "this is no picture of a known kind (PNG, JPEG, GIF)")
    if len(data) > 4 * _SMALL:
        raise FileProblem("TooLarge", "the picture is too large, and without pillow it cannot be made smaller")
    return {"media_type": media_type}, data
