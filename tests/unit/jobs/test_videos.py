"""A video has the requested height, and keeps its aspect ratio, its length and its sound."""

from __future__ import annotations

import io
from pathlib import Path

import av
import numpy
import pytest

from jobs.engine import Fatal
from jobs.videos import process_video


def test_a_video_has_the_requested_height_and_its_original_length(files, in_job):
    with in_job() as attempt:
        result = process_video(files.sample("video.mp4"), height=180)
    assert (result.width, result.height, result.frames) == (320, 180, 50)
    assert result.seconds == pytest.approx(2.0, abs=0.05)
    assert (result.filename, result.content_type) == ("video-180p.mp4", "video/mp4")
    with av.open(io.BytesIO(files.content(result)), "r") as video:
        picture, sound = video.streams.video[0], video.streams.audio[0]
        assert (picture.codec_context.name, sound.codec_context.name) == ("h264", "aac")
        assert video.duration is not None
        assert video.duration / 1_000_000 == pytest.approx(2.0, abs=0.1)
        frames = list(video.decode(picture))
        assert (len(frames), frames[0].width, frames[0].height) == (50, 320, 180)
        # The ball is in its old place, a tenth of the way in the first frame.
        assert frames[0].to_ndarray(format="rgb24")[150, 30][0] > 180
    percents = [percent for percent, _ in attempt.steps]
    assert len(percents) >= 50 and percents == sorted(percents)


@pytest.mark.parametrize("kind", ["matroska", "avi", "mpegts"])
def test_other_video_formats_are_read(files, in_job, kind, tmp_path):
    target = tmp_path / "other"
    with av.open(str(target), "w", format=kind) as made:
        stream = made.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for number in range(20):
            frame = av.VideoFrame(160, 120, "yuv420p")
            frame.pts = number
            made.mux(stream.encode(frame))
        made.mux(stream.encode(None))
    with in_job():
        result = process_video(files.upload(target.read_bytes(), "other"), height=60)
    assert (result.width, result.height, result.frames) == (80, 60, 20)
    assert result.seconds == pytest.approx(2.0, abs=0.15)


def sample(cut: slice = slice(None)) -> bytes:
    return (Path(__file__).parents[3] / "demo" / "samples" / "video.mp4").read_bytes()[cut]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello" * 1000,
        sample(slice(0, 5_000)),
        b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/secret.ts\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile '/etc/passwd'\n",
    ],
    ids=["empty", "text", "cut off", "playlist", "list of files"],
)
def test_a_file_that_is_not_a_video_is_refused(files, in_job, content):
    with in_job(), pytest.raises(Fatal, match="video"):
        process_video(files.upload(content, "a.mp4"), height=120)


def test_a_file_with_only_sound_is_refused(files, in_job, tmp_path):
    target = tmp_path / "sound.mp4"
    with av.open(str(target), "w") as made:
        stream = made.add_stream("aac", rate=44_100, layout="mono")
        frame = av.AudioFrame.from_ndarray(numpy.zeros((1, 1024), "float32"), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 44_100, 0
        made.mux(stream.encode(frame))
        made.mux(stream.encode(None))
    with in_job(), pytest.raises(Fatal, match="contains no video"):
        process_video(files.upload(target.read_bytes(), "a.mp4"), height=120)
