"""Making images smaller, for pages and previews."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, Field

from jobs.engine import Fatal, File, SavedFile, job, save_file, track

if TYPE_CHECKING:
    from PIL.Image import Image

#: A pixel takes 4 bytes of memory, and there are two copies of an image while it is rotated or resized.
MAX_PIXELS = 50_000_000
#: The formats that are read. Pillow's other formats run programs or are too unusual for uploads.
READ = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
WRITTEN = {"jpeg": ".jpg", "png": ".png", "webp": ".webp"}

Edge = Annotated[int, Field(ge=1, le=10_000, description="The longest edge, in pixels.")]
Format = Literal["jpeg", "png", "webp"]


class ImageFile(SavedFile):
    width: int
    height: int


class ProcessedImage(BaseModel):
    """An image in several sizes."""

    files: list[ImageFile]
    #: The size of the original minus the size of the largest file.
    bytes_saved: int


@job(timeout=300, preload=("PIL.Image", "PIL.ImageOps"))
def process_image(
    file: File,
    sizes: Annotated[list[Edge], Field(min_length=1, max_length=20)] = [1600, 800, 200],  # noqa: B006 (never changed)
    format: Format | None = None,  # noqa: A002 (what clients call it)
    quality: Annotated[int, Field(ge=1, le=100)] = 85,
) -> ProcessedImage:
    """Resize and optimise an image, once for each size.

    A size is the longest edge in pixels; images are never enlarged. The image is rotated upright, and its metadata,
    such as the place where it was taken, is removed. Only the first image of an animation is used. Without `format`,
    JPEG, PNG and WebP images keep their format, and all others become PNG.
    """
    image, own_format = _opened(file, longest=max(sizes))
    chosen = format or own_format
    if chosen == "jpeg":
        image = _on_white(image)
    files = [_saved(image, size, chosen, quality, file.filename) for size in track(sizes, "Resizing")]
    return ProcessedImage(files=files, bytes_saved=max(0, file.size - max(saved.size for saved in files)))


def _opened(file: File, longest: int) -> tuple[Image, Format]:
    from PIL import Image, ImageOps

    with image_errors(), file.open() as source:
        image = Image.open(source, formats=READ)
        _refuse_bomb(image.width, image.height)
        own: Format = {"JPEG": "jpeg", "WEBP": "webp"}.get(image.format or "", "png")  # type: ignore[assignment]
        # A JPEG can be decoded at half its size or less, which takes less memory.
        image.draft(None, (longest, longest))
        image.load()
        turned = ImageOps.exif_transpose(image)
        return turned if turned.mode in ("RGB", "RGBA", "L") else turned.convert(_plain_mode(turned)), own


@contextmanager
def image_errors() -> Iterator[None]:
    """Turn the errors that Pillow and its decoders raise into messages for the user."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except TimeoutError:
        raise  # the attempt has timed out; TimeoutError is an OSError
    except UnidentifiedImageError as error:
        known = "JPEG, PNG, WebP, GIF, BMP or TIFF"
        raise Fatal(f"The file can't be read as an image; send {known}.") from error
    except Image.DecompressionBombError as error:
        raise Fatal(f"The image has too many pixels; {MAX_PIXELS:,} are allowed.") from error
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError) as error:
        raise Fatal("The image is damaged: it can't be read to the end.") from error


def _refuse_bomb(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise Fatal(f"The image has {width} × {height} pixels; {MAX_PIXELS:,} are allowed.")


def _plain_mode(image: Image) -> str:
    return "RGBA" if "A" in image.getbands() or "transparency" in image.info else "RGB"


def _on_white(image: Image) -> Image:
    """Replace transparency, which JPEG does not support, by white."""
    from PIL import Image

    if image.mode != "RGBA":
        return image
    flat = Image.new("RGB", image.size, "white")
    flat.paste(image, mask=image.getchannel("A"))
    flat.info = image.info
    return flat


def _profile(image: Image) -> bytes | None:
    """Return the colour profile of an RGB image. Profiles for CMYK or greys do not fit its colours."""
    profile: bytes = image.info.get("icc_profile") or b""
    return profile if image.mode in ("RGB", "RGBA") and profile[16:20] == b"RGB " else None


def _saved(image: Image, size: int, chosen: Format, quality: int, filename: str) -> ImageFile:
    from PIL import Image

    smaller = image.copy()
    smaller.thumbnail((size, size), Image.Resampling.LANCZOS, reducing_gap=3.0)
    target = io.BytesIO()
    options = {
        "jpeg": {"quality": quality, "progressive": True},
        "png": {},
        "webp": {"quality": quality, "method": 4},
    }[chosen]
    smaller.save(target, chosen, optimize=True, icc_profile=_profile(image), **options)
    name = f"{PurePath(filename).stem}-{size}{WRITTEN[chosen]}"
    saved = save_file(target.getvalue(), name, f"image/{chosen}")
    return ImageFile(**saved.model_dump(), width=smaller.width, height=smaller.height)
