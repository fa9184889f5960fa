"""Images have the requested sizes and are upright, and no image can use up the memory."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from PIL import Image, ImageCms

from jobs import images, pdf_text
from jobs.engine import Fatal, File
from jobs.engine.errors import JobTimeout
from jobs.images import process_image


def opened(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def an_image(kind: str = "PNG", mode: str = "RGB", size: tuple[int, int] = (400, 300), color: object = "red") -> bytes:
    target = io.BytesIO()
    Image.new(mode, size, color).save(target, kind)  # type: ignore[arg-type]
    return target.getvalue()


def test_a_photo_is_resized_to_every_size_and_rotated_upright(files, in_job):
    photo = files.sample("photo.jpg")
    with in_job() as attempt:
        result = process_image(photo, sizes=[600, 100])
    assert [(file.width, file.height) for file in result.files] == [(600, 400), (100, 67)]
    large, small = (opened(files.content(file)) for file in result.files)
    assert (large.size, small.size) == ((600, 400), (100, 67))
    assert large.format == "JPEG"
    assert not large.getexif()
    # The image is upright if the sun is right of the middle and the sky is above the hills.
    assert large.getpixel((425, 120))[2] > 150  # type: ignore[index]
    assert sum(large.getpixel((300, 20))[:2]) > sum(large.getpixel((300, 390))[:2])  # type: ignore[index]
    assert [file.filename for file in result.files] == ["photo-600.jpg", "photo-100.jpg"]
    assert result.bytes_saved == photo.size - result.files[0].size > 0
    assert attempt.steps[-1][0] == 100


def test_an_image_is_never_enlarged(files, in_job):
    with in_job():
        result = process_image(files.upload(an_image(), "a.png"), sizes=[4000])
    assert (result.files[0].width, result.files[0].height) == (400, 300)
    assert result.files[0].content_type == "image/png"


@pytest.mark.parametrize(("chosen", "kind"), [("jpeg", "JPEG"), ("png", "PNG"), ("webp", "WEBP")])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "CMYK", "I;16"])
def test_every_kind_of_image_is_converted_to_every_format(files, in_job, chosen, kind, mode):
    source = an_image("TIFF" if mode in ("CMYK", "I;16") else "PNG", mode, color=0)
    with in_job():
        result = process_image(files.upload(source, "a"), sizes=[40], format=chosen)
    image = opened(files.content(result.files[0]))
    assert (image.format, image.size) == (kind, (40, 30))


def test_transparent_pixels_become_white_in_a_jpeg(files, in_job):
    with in_job():
        result = process_image(files.upload(an_image(mode="RGBA", color=(0, 0, 0, 0)), "a.png"), [50], format="jpeg")
    assert opened(files.content(result.files[0])).getpixel((5, 5)) == (255, 255, 255)


def test_a_lower_quality_makes_a_smaller_file(files, in_job):
    with in_job():
        sizes = [process_image(files.sample("photo.jpg"), [600], quality=q).files[0].size for q in (20, 90)]
    assert sizes[0] < sizes[1] / 2


def bomb(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 1_000_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("width", "height"), [(60_000, 60_000), (9_000, 9_000), (2_000_000_000, 1)])
def test_an_image_bomb_is_refused_by_its_header(files, in_job, width, height):
    with in_job(), pytest.raises(Fatal, match="pixels"):
        process_image(files.upload(bomb(width, height), "bomb.png"), [100])


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "can't be read as an image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "can't be read as an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "can't be read as an image"),
        (an_image("JPEG", size=(900, 900))[:3000], "damaged"),
        (an_image("PNG")[:200], "damaged"),
    ],
)
def test_a_file_that_is_not_a_complete_image_is_refused(files, in_job, content, sentence):
    with in_job(), pytest.raises(Fatal, match=sentence):
        process_image(files.upload(content, "a.jpg"), [100])


def test_an_rgb_profile_is_kept_and_a_cmyk_profile_is_dropped(files, in_job):
    def saved_with(profile: bytes, mode: str) -> object:
        target = io.BytesIO()
        Image.new(mode, (40, 30)).save(target, "TIFF", icc_profile=profile)
        with in_job():
            result = process_image(files.upload(target.getvalue(), "a.tif"), [20], format="jpeg")
        return opened(files.content(result.files[0])).info.get("icc_profile")

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert saved_with(profile, "RGB") == profile
    assert saved_with(profile[:16] + b"CMYK" + profile[20:], "CMYK") is None


@pytest.mark.parametrize("reading_errors", [images.image_errors, pdf_text.pdf_errors])
def test_a_timeout_is_not_mistaken_for_a_damaged_file(reading_errors):
    with pytest.raises(JobTimeout), reading_errors():
        raise JobTimeout


def test_the_function_runs_on_a_local_file_outside_a_job(data_dir, files):
    result = process_image(File(files.samples / "photo.jpg"), [64])
    assert opened((data_dir / "saved" / result.files[0].file_id / "photo-64.jpg").read_bytes()).size == (64, 43)
