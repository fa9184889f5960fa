"""Making videos smaller, with ffmpeg's libraries."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from jobs.engine import Fatal, File, SavedFile, job, progress, save_file

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.video.stream import VideoStream

MAX_PIXELS = 40_000_000
#: The most audio frames, each of some hundredths of a second, that may come before the first picture.
MAX_EARLY_SOUNDS = 5_000
#: The formats that are read. Some of ffmpeg's other formats name further files and addresses to fetch.
READ = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,ogg,asf,gif"

Height = Annotated[int, Field(ge=16, le=2160, multiple_of=2, description="An even number of pixels.")]


class ProcessedVideo(SavedFile):
    """A video in MP4, as H.264 with AAC."""

    width: int
    height: int
    frames: int
    seconds: float


@job(timeout=3600, preload=("av",))
def process_video(file: File, height: Height = 720) -> ProcessedVideo:
    """Scale a video to a height, keeping its aspect ratio, and save it as an MP4 file that browsers can play."""
    with tempfile.TemporaryDirectory() as folder, video_errors():
        target = Path(folder) / "video.mp4"
        width, frames, seconds = _transcode(file.path, target, height)
        saved = save_file(target, f"{PurePath(file.filename).stem}-{height}p.mp4", "video/mp4")
    return ProcessedVideo(**saved.model_dump(), width=width, height=height, frames=frames, seconds=round(seconds, 3))


@contextmanager
def video_errors() -> Iterator[None]:
    """Turn the errors that ffmpeg raises into messages for the user."""
    import av

    try:
        yield
    except av.error.FFmpegError as error:
        raise Fatal(f"The video is damaged or has a format that can't be read: {error.strerror}.") from error


def _transcode(source: Path, target: Path, height: int) -> tuple[int, int, float]:
    """Write `target`. Return its width, its number of frames and its length in seconds."""
    import av

    safe = {"format_whitelist": READ, "protocol_whitelist": "file"}
    with av.open(str(source), options=safe) as opened, av.open(str(target), "w", options=_FAST_START) as made:
        picture = _picture(opened)
        output = _Output(made, picture, height)
        sounds = opened.streams.audio[:1]
        sound = output.add_sound(sounds[0]) if sounds else None
        expected = _expected_frames(opened, picture)
        for packet in opened.demux(picture, *sounds):
            for frame in packet.decode():
                if packet.stream is picture:
                    output.add(frame)
                    percent = min(99.0, 100 * output.frames / expected) if expected else None
                    progress(percent, "Converting", current=output.frames)
                elif sound is not None:
                    sound(frame)
        if not output.frames:
            raise Fatal("The video has no frame that can be read.")
        output.end()
        return output.width, output.frames, output.seconds


#: The index comes first, so that a browser can play the video while it loads.
_FAST_START = {"movflags": "+faststart"}


def _picture(opened: InputContainer) -> VideoStream:
    if not opened.streams.video:
        raise Fatal("The file contains no video.")
    picture = opened.streams.video[0]
    if picture.codec_context.width * picture.codec_context.height > MAX_PIXELS:
        size = f"{picture.codec_context.width} × {picture.codec_context.height}"
        raise Fatal(f"The video's pictures have {size} pixels; {MAX_PIXELS:,} are allowed.")
    picture.thread_type = "AUTO"
    return picture


def _expected_frames(opened: InputContainer, picture: VideoStream) -> int:
    """Estimate the number of frames, for the progress. 0 if it is unknown."""
    if picture.frames:
        return picture.frames
    rate = picture.average_rate
    return int(opened.duration / 1_000_000 * rate) if opened.duration and rate else 0


class _Output:
    """The video file that is written."""

    def __init__(self, made: OutputContainer, picture: VideoStream, height: int) -> None:
        self.frames, self.seconds, self.width = 0, 0.0, 0
        self._made, self._height = made, height
        self._rate = picture.average_rate or Fraction(25)
        self._time_base = picture.time_base or 1 / self._rate
        self._stream: Any = made.add_stream("libx264", rate=self._rate, options={"crf": "23", "preset": "veryfast"})
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = self._time_base
        self._first: int | None = None
        self._last = -1
        self._encoders: list[Any] = [self._stream]

    def add_sound(self, sound: Any) -> Any:
        stream: Any = self._made.add_stream("aac", rate=min(sound.codec_context.sample_rate or 48_000, 48_000))
        self._encoders.append(stream)

        early: list[Any] = []

        def add(frame: Any) -> None:
            early.append(frame)
            if self.frames:  # the size of the pictures must be known before the first write
                while early:
                    self._made.mux(stream.encode(early.pop(0)))
            elif len(early) > MAX_EARLY_SOUNDS:
                raise Fatal("The video has no frame that can be read.")

        return add

    def add(self, frame: Any) -> None:
        shown = self._upright(frame)
        if not self.frames:
            self.width = max(2, round(shown.width * self._height / shown.height / 2) * 2)
            self._stream.width, self._stream.height = self.width, self._height
        scaled = shown.reformat(self.width, self._height, "yuv420p")
        scaled.pts, scaled.time_base = self._moment(frame), self._time_base
        self.frames += 1
        self.seconds = float((scaled.pts + 1 / (self._rate * self._time_base)) * self._time_base)
        self._made.mux(self._stream.encode(scaled))

    def _moment(self, frame: Any) -> int:
        """Return the time of a frame since the first one. Wrong times are corrected: each is later than the last."""
        if self._first is None:
            self._first = frame.pts or 0
        shown_at = frame.pts - self._first if frame.pts is not None else self._last + 1
        self._last = max(shown_at, self._last + 1)
        return self._last

    def _upright(self, frame: Any) -> Any:
        """Rotate a frame upright. Phones store it as the sensor saw it, with the angle to rotate it by."""
        import av

        turns = round(getattr(frame, "rotation", 0) / 90) % 4
        if not turns:
            return frame
        import numpy

        return av.VideoFrame.from_ndarray(numpy.rot90(frame.to_ndarray(format="rgb24"), turns).copy(), format="rgb24")

    def end(self) -> None:
        for stream in self._encoders:
            self._made.mux(stream.encode(None))
