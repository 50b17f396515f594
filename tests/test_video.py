"""Clips keep their frames' times, their sound and their colours; a killed run goes on to the same file."""

from __future__ import annotations

import contextlib
import io
import os
import re
import resource
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import srbench
from srbench.cli import main
from srbench.errors import InputError, UnknownNameError
from srbench.images import imresize, read_image, write_image
from srbench.models import create_model, get_model
from srbench.photos import Photo, write_photo
from srbench.upscale_files import Way
from srbench.upscaler import for_model
from tests.builders import smooth

av = pytest.importorskip("av", reason="needs the extra video")

from srbench.video import VideoOptions, upscale_video  # noqa: E402
from srbench.video.options import CODECS  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent


def pan(count: int, height: int, width: int) -> list[np.ndarray]:
    """A pan by half a pixel a frame over one image."""
    whole = imresize(smooth(height + 16, width + count + 16), 2.0)
    return [imresize(whole[: height * 2, i : i + width * 2], 0.5) for i in range(count)]


def make_clip(
    path: Path, count: int = 24, size: tuple[int, int] = (36, 48), *, times: list[int] | None = None, sound: bool = True,
    video: bool = True, pixel_format: str = "yuv420p", colours: dict[str, int] | None = None, rotation: int = 0,
    aspect: Fraction | None = None, subtitles: Path | None = None, encoder: dict[str, str] | None = None,
) -> Path:  # fmt: skip
    """A clip of a pan with a tone; ``times`` in milliseconds."""
    with contextlib.ExitStack() as stack:
        out = stack.enter_context(av.open(str(path), "w"))
        if video:
            stream = out.add_stream("libx264", rate=24, options=encoder or {})
            stream.height, stream.width, stream.pix_fmt = *size, pixel_format
            for name, value in (colours or {}).items():
                setattr(stream.codec_context, name, value)
            stream.codec_context.time_base = Fraction(1, 1000) if times else Fraction(1, 24)
            if rotation:
                stream.set_display_rotation(rotation)
            if aspect:
                stream.codec_context.sample_aspect_ratio = aspect
        if sound:
            audio = out.add_stream("aac", rate=16000, layout="mono")
            audio.metadata["language"] = "deu"
        if subtitles:
            lines = stack.enter_context(av.open(str(subtitles)))
            text = out.add_stream_from_template(lines.streams[0])
            text.metadata["language"], text.disposition = "fra", av.stream.Disposition.forced
            out.set_chapters(
                [{"id": 1, "start": 0, "end": 400, "time_base": Fraction(1, 1000), "metadata": {"title": "One"}}]
            )
        if video:
            for index, image in enumerate(pan(count, *size)):
                frame = av.VideoFrame.from_ndarray(image, "rgb24").reformat(format=pixel_format)
                frame.pts = times[index] if times else index
                frame.time_base = stream.codec_context.time_base
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
        if sound:
            wave = (np.sin(np.arange(count * 16000 // 24) * 0.17) * 8000).astype(np.int16)
            for start in range(0, len(wave), 1024):
                piece = av.AudioFrame.from_ndarray(wave[None, start : start + 1024], "s16", "mono")
                piece.sample_rate, piece.pts = 16000, start
                out.mux(audio.encode(piece))
            out.mux(audio.encode(None))
        if subtitles:
            copy_packets(lines, text, out)
    return path


def copy_packets(opened: Any, stream: Any, out: Any) -> None:
    """The packets of a file's only stream, into a stream of another."""
    for packet in opened.demux():
        if packet.pts is not None:
            packet.stream = stream
            out.mux(packet)


def seen(path: Path) -> dict[str, Any]:
    """What a player finds in a clip."""
    with av.open(str(path)) as opened:
        frames = [(frame.time, frame.width, frame.height) for frame in opened.decode(video=0)]
    with av.open(str(path)) as opened:
        video = opened.streams.video[0].codec_context
        tags = (int(video.colorspace), int(video.color_range), int(video.color_trc), int(video.color_primaries))
        sound = [
            (float(packet.pts * packet.time_base), bytes(packet))
            for packet in (opened.demux(audio=0) if opened.streams.audio else ())
            if packet.dts is not None
        ]
        return {"frames": frames, "sound": sound, "duration": opened.duration, "tags": tags}


@pytest.fixture(scope="module")
def bicubic() -> srbench.Upscaler:
    return srbench.load("bicubic", scale=2)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_times_and_sound_are_the_inputs(tmp_path: Path, bicubic: Any, suffix: str) -> None:
    source = make_clip(tmp_path / f"in{suffix}")
    upscale_video(bicubic, source, tmp_path / f"out{suffix}", VideoOptions(segment=10))
    before, after = seen(source), seen(tmp_path / f"out{suffix}")
    assert [one[0] for one in after["frames"]] == pytest.approx([one[0] for one in before["frames"]], abs=1e-6)
    assert {one[1:] for one in after["frames"]} == {(96, 72)}
    assert [data for _, data in after["sound"]] == [data for _, data in before["sound"]]
    assert [at for at, _ in after["sound"]] == pytest.approx([at for at, _ in before["sound"]], abs=1e-3)
    assert after["duration"] == pytest.approx(before["duration"], abs=50_000)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"in{suffix}", f"out{suffix}"]


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes in folders")
def test_a_pipe_is_no_clip_and_hangs_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "in.mp4")
    command = [
        "upscale",
        str(tmp_path / "in.mp4"),
        str(tmp_path / "out.mp4"),
        "--checkpoint",
        "bicubic",
        "--scale",
        "2",
    ]
    refused = CliRunner().invoke(main, command)
    assert refused.exit_code == 1
    assert "in.mp4: not a regular file" in refused.stderr


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_variable_frame_rate(tmp_path: Path, bicubic: Any, suffix: str) -> None:
    times = [0, 20, 120, 130, 400, 410, 420, 1000, 1001, 1700, 1750, 2500]
    source = make_clip(tmp_path / f"in{suffix}", 12, times=times)
    upscale_video(bicubic, source, tmp_path / f"out{suffix}", VideoOptions(segment=5))
    assert [one[0] for one in seen(tmp_path / f"out{suffix}")["frames"]] == pytest.approx([one / 1000 for one in times])


def test_odd_sizes(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", 3, (35, 47), pixel_format="yuv444p")
    upscale_video(srbench.load("bicubic", scale=3), source, tmp_path / "out.mp4", VideoOptions(pixel_format="yuv420p"))
    assert {one[1:] for one in seen(tmp_path / "out.mp4")["frames"]} == {(142, 106)}


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", [1, 5])
def test_colours_stay_what_they_are(tmp_path: Path, bicubic: Any, full: bool, matrix: int) -> None:
    colours = {"colorspace": matrix, "color_range": 2 if full else 1, "color_trc": 1, "color_primaries": 1}
    source = make_clip(tmp_path / "in.mp4", 2, colours=colours, sound=False)
    upscale_video(bicubic, source, tmp_path / "out.mp4", VideoOptions(crf=4))
    assert seen(tmp_path / "out.mp4")["tags"] == seen(source)["tags"] == (matrix, 2 if full else 1, 1, 1)
    planes = []
    for path in (source, tmp_path / "out.mp4"):
        with av.open(str(path)) as opened:
            frame = next(opened.decode(video=0))
            planes.append(
                [
                    np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]
                    for plane in frame.planes
                ]
            )
    for small, large in zip(*planes, strict=True):
        assert abs(small.mean() - large.mean()) < 1.5


def test_wide_colours_stay_what_they_are(tmp_path: Path, bicubic: Any) -> None:
    """BT.2020 with PQ in 10 bits: matrix, range, transfer and primaries."""
    colours = {"colorspace": 9, "color_range": 1, "color_trc": 16, "color_primaries": 9}
    source = make_clip(tmp_path / "in.mp4", 2, colours=colours, sound=False, pixel_format="yuv420p10le")
    upscale_video(bicubic, source, tmp_path / "out.mkv")
    assert seen(tmp_path / "out.mkv")["tags"] == seen(source)["tags"] == (9, 1, 16, 9)


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_rotation_is_applied(tmp_path: Path, bicubic: Any, rotation: int) -> None:
    """As by the frames turned by hand: what a player shows of the input, larger, with no rotation left to apply."""
    lossless = VideoOptions(codec="ffv1", pixel_format="bgr0")
    plain = upscale_video(bicubic, make_clip(tmp_path / "a.mp4", 2, sound=False), tmp_path / "a.mkv", lossless)
    source = make_clip(tmp_path / "b.mp4", 2, sound=False, rotation=rotation)
    turned = upscale_video(bicubic, source, tmp_path / "b.mkv", lossless)
    with av.open(str(plain)) as one, av.open(str(turned)) as other:
        for upright, made in zip(one.decode(video=0), other.decode(video=0), strict=True):
            assert made.rotation == 0
            expected = np.rot90(upright.to_ndarray(format="rgb24"), rotation // 90)
            difference = np.abs(made.to_ndarray(format="rgb24").astype(int) - expected)
            assert difference.max() <= 1, "bicubic's sums come in another order"


def test_pixels_that_are_not_square_stay_so(tmp_path: Path, bicubic: Any) -> None:
    source = make_clip(tmp_path / "in.mkv", 2, aspect=Fraction(4, 3), sound=False)
    upscale_video(bicubic, source, tmp_path / "out.mp4")
    done = ["upscale", str(source), str(tmp_path / "exact.mp4"), "--checkpoint", "bicubic", "--size", "128x72"]
    assert CliRunner().invoke(main, done).exit_code == 0
    for name, expected in (("out.mp4", Fraction(4, 3)), ("exact.mp4", Fraction(1))):
        with av.open(str(tmp_path / name)) as opened:
            assert (opened.streams.video[0].sample_aspect_ratio or 1) == expected, "what is shown keeps its shape"


def test_subtitles_and_what_is_said_of_streams_are_kept(tmp_path: Path, bicubic: Any) -> None:
    lines = tmp_path / "lines.srt"
    lines.write_text("1\n00:00:00,000 --> 00:00:00,250\nfirst\n\n2\n00:00:00,300 --> 00:00:00,700\n<i>second</i>\n\n")
    source = make_clip(tmp_path / "in.mkv", subtitles=lines)
    upscale_video(bicubic, source, tmp_path / "out.mkv", VideoOptions(segment=10))
    told = []
    for path in (source, tmp_path / "out.mkv"):
        with av.open(str(path)) as opened:
            facts = [(one.type, one.metadata.get("language"), one.disposition) for one in opened.streams]
            chapters = [(one["start"], one["end"], one["metadata"]) for one in opened.chapters()]
            text = [(p.pts * p.time_base, p.duration, bytes(p)) for p in opened.demux(subtitles=0) if p.pts is not None]
        told.append((facts, chapters, text))
    assert told[0] == told[1]
    assert [kind for kind, _, _ in told[0][0]] == ["video", "audio", "subtitle"]
    assert [data for _, _, data in told[0][2]] == [b"first", b"<i>second</i>"]
    with pytest.raises(InputError, match=r"\.webm cannot hold audio of aac; \.mkv holds it"):
        upscale_video(bicubic, source, tmp_path / "out.webm", VideoOptions(codec="libvpx-vp9"))
    with pytest.raises(InputError, match=r"\.mp4 cannot hold subtitle of subrip"):
        upscale_video(bicubic, source, tmp_path / "out.mp4")


@pytest.mark.slow
def test_five_seconds_with_sound(tmp_path: Path, bicubic: Any) -> None:
    """Duration, number and times of frames, and every packet of sound are the input's."""
    source = make_clip(tmp_path / "in.mp4", 120)
    upscale_video(bicubic, source, tmp_path / "out.mp4")
    before, after = seen(source), seen(tmp_path / "out.mp4")
    assert len(after["frames"]) == len(before["frames"]) == 120
    assert [one[0] for one in after["frames"]] == [one[0] for one in before["frames"]]
    assert after["sound"] == before["sound"]
    assert len(after["sound"]) > 70
    assert after["duration"] == before["duration"]
    assert after["duration"] == pytest.approx(5e6, abs=1e5)


def test_ten_bits_stay_ten(tmp_path: Path, bicubic: Any) -> None:
    source = make_clip(tmp_path / "in.mp4", 2, pixel_format="yuv420p10le", sound=False)
    upscale_video(bicubic, source, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as opened:
        assert next(opened.decode(video=0)).format.name == "yuv420p10le"


def test_interlaced_clips_are_warned_of(tmp_path: Path, bicubic: Any) -> None:
    source = make_clip(tmp_path / "in.mp4", 2, sound=False, encoder={"x264-params": "tff=1"})
    with pytest.warns(UserWarning, match="is interlaced"):
        upscale_video(bicubic, source, tmp_path / "out.mp4")


def test_bad_input(tmp_path: Path, bicubic: Any) -> None:
    clip = make_clip(tmp_path / "in.mp4", 2)
    make_clip(tmp_path / "sound.mp4", video=False)
    (tmp_path / "text.mp4").write_text("no video")
    for source, target, options, words in (
        ("sound.mp4", "o.mp4", VideoOptions(), "no video stream; it has audio"),
        ("text.mp4", "o.mp4", VideoOptions(), "text.mp4"),
        ("in.mp4", "o.avi", VideoOptions(), ".mkv"),
        ("in.mp4", "o.webm", VideoOptions(), "cannot hold video of h264"),
        ("in.mp4", "in.mp4", VideoOptions(), "overwrite"),
    ):
        with pytest.raises(InputError, match=words.replace(".", r"\.")):
            upscale_video(bicubic, tmp_path / source, tmp_path / target, options)
    with pytest.raises(UnknownNameError, match="libx264"):
        upscale_video(bicubic, clip, tmp_path / "o.mp4", VideoOptions(codec="libx265x"))
    with pytest.raises(UnknownNameError, match="yuv420p"):
        upscale_video(bicubic, clip, tmp_path / "o.mp4", VideoOptions(pixel_format="yuv421p"))
    with pytest.raises(UnknownNameError, match="Did you mean 'veryfast'"):
        upscale_video(bicubic, clip, tmp_path / "o.mp4", VideoOptions(preset="veryfas"))
    with pytest.raises(InputError, match="ffv1 has none; --encoder-option NAME=VALUE gives what it takes: slicecrc"):
        upscale_video(bicubic, clip, tmp_path / "o.mkv", VideoOptions(codec="ffv1", preset="veryfast"))
    assert not (tmp_path / "o.mp4").exists()
    assert not list(tmp_path.glob(".*"))


def test_a_preset_is_the_encoders(tmp_path: Path, bicubic: Any) -> None:
    source, said = make_clip(tmp_path / "in.mp4", size=(72, 96)), {}
    for preset in ("", "medium", "ultrafast"):
        out = upscale_video(bicubic, source, tmp_path / f"o{preset}.mp4", VideoOptions(preset=preset))
        said[preset] = re.findall(rb"me=\w+ subme=\d+", out.read_bytes())  # x264 writes its settings into the file
    assert said[""] == said["medium"] != said["ultrafast"]
    assert said["ultrafast"] == [b"me=dia subme=0"]


def test_a_stopped_run_goes_on_to_the_same_file(tmp_path: Path, bicubic: Any) -> None:
    source, options = make_clip(tmp_path / "in.mp4"), VideoOptions(segment=7)
    upscale_video(bicubic, source, tmp_path / "whole.mp4", options)

    def stop(done: int, total: int | None) -> None:
        assert total == 24
        if done == 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        upscale_video(bicubic, source, tmp_path / "out.mp4", options, progress=stop)
    assert not (tmp_path / "out.mp4").exists()
    with pytest.raises(InputError, match="another run"):
        upscale_video(bicubic, source, tmp_path / "out.mp4", VideoOptions(segment=8), resume=True)
    told = []
    upscale_video(
        bicubic, source, tmp_path / "out.mp4", options, resume=True, progress=lambda done, _: told.append(done)
    )
    assert told[0] == 8, "the first segment was there"
    assert (tmp_path / "out.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()


def contents(path: Path) -> dict[str, bytes]:
    """Each file of a folder, or the file itself."""
    files = path.iterdir() if path.is_dir() else [path]
    return {file.name if path.is_dir() else "": file.read_bytes() for file in files}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "target", "sign"),
    [
        ("in.mp4", "out.mp4", ".out.mp4.parts/000002.mkv"),
        ("frames", "out.mp4", ".out.mp4.parts/000002.mkv"),
        ("in.mp4", "out", "out/000012.png"),
        ("frames", "out", "out/frame30.png"),
    ],
    ids=["file to file", "frames to file", "file to frames", "frames to frames"],
)
def test_sigkill_and_resume(tmp_path: Path, source: str, target: str, sign: str) -> None:
    """Killed in the midst of it, a run goes on to the bytes of the undisturbed one, container and all."""
    make_clip(tmp_path / "in.mp4", 60)
    frames_of(tmp_path / "frames", 60)
    command = [sys.executable, "-m", "srbench", "upscale", str(tmp_path / source)]
    options = ["--checkpoint", "bicubic", "--scale", "2", "--segment", "5"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    whole, out = tmp_path / f"whole{Path(target).suffix}", tmp_path / target
    subprocess.run([*command, str(whole), *options], env=environment, check=True)
    killed = subprocess.Popen([*command, str(out), *options], env=environment)
    while not (tmp_path / sign).exists() and killed.poll() is None:
        time.sleep(0.002)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL, "it was done before it could be killed"
    assert not out.is_file()
    subprocess.run([*command, str(out), *options, "--resume"], env=environment, check=True)
    assert contents(out) == contents(whole)


def limit_files() -> None:
    """As a disk with 60 kB left: writing beyond is an error and no signal."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_the_run_goes_on_when_there_is_room(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", 30, (72, 96))
    command = [
        sys.executable,
        "-m",
        "srbench",
        "upscale",
        str(source),
        "--checkpoint",
        "bicubic",
        "--scale",
        "2",
        "--segment",
        "5",
    ]
    command += ["--crf", "1"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    out = str(tmp_path / "out.mp4")
    full = subprocess.run([*command, out], env=environment, preexec_fn=limit_files, capture_output=True, text=True)
    assert full.returncode == 1
    assert "File too large" in full.stderr
    assert "Traceback" not in full.stderr
    assert not (tmp_path / "out.mp4").exists()
    assert not list((tmp_path / ".out.mp4.parts").glob("*.staging*"))
    subprocess.run([*command, out, "--resume"], env=environment, check=True)
    subprocess.run([*command, str(tmp_path / "whole.mp4")], env=environment, check=True)
    assert (tmp_path / "out.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()


@pytest.mark.slow
def test_a_disk_that_is_really_full(tmp_path: Path, bicubic: Any) -> None:
    place = tmp_path / "small"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(place)], capture_output=True).returncode:
        pytest.skip("no right to mount a file system")
    try:
        source = make_clip(tmp_path / "in.mp4", 30, (72, 96))
        with pytest.raises(OSError, match="No space left on device"):
            upscale_video(bicubic, source, place / "out.mp4", VideoOptions(crf=1, segment=30))
        with pytest.raises(OSError, match="No space left on device"):
            upscale_video(bicubic, source, place / "frames")
        assert not (place / "out.mp4").exists()
        assert not list(place.rglob("*.staging*"))
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_on_the_command_line(tmp_path: Path) -> None:
    make_clip(tmp_path / "in.mp4", 3)
    command = [
        "upscale",
        str(tmp_path / "in.mp4"),
        str(tmp_path / "out.mkv"),
        "--checkpoint",
        "fsrcnn_x4.tuned",
        "--size",
        "100x",
    ]
    done = CliRunner().invoke(main, [*command, "--codec", "ffv1"])
    assert done.exit_code == 0, done.output
    assert {one[1:] for one in seen(tmp_path / "out.mkv")["frames"]} == {(100, 76)}, "yuv420p wants even sizes"


# Folders of frames


def frames_of(folder: Path, count: int = 9, size: tuple[int, int] = (20, 24)) -> Path:
    for index, image in enumerate(pan(count, *size), 8):  # 9 before 10: the order is that of numbers
        write_image(folder / f"frame{index}.png", image)
    return folder


def command(*arguments: object, code: int = 0, checkpoint: str = "bicubic") -> str:
    given = ["upscale", *map(str, arguments), "--checkpoint", checkpoint, "--scale", "2"]
    done = CliRunner().invoke(main, given)
    assert done.exit_code == code, done.output
    return done.output


def test_frames_become_a_clip(tmp_path: Path, bicubic: Any) -> None:
    folder = frames_of(tmp_path / "f")
    lossless = ("--codec", "ffv1", "--pixel-format", "bgr0", "--fps", "24000/1001", "--segment", 4)
    command(folder, tmp_path / "out.mkv", *lossless)
    with av.open(str(tmp_path / "out.mkv")) as opened:
        made = [(frame.time, frame.to_ndarray(format="rgb24")) for frame in opened.decode(video=0)]
    expected = [bicubic(read_image(folder / f"frame{index}.png")) for index in range(8, 17)]
    assert [at for at, _ in made] == pytest.approx([index * 1001 / 24000 for index in range(9)], abs=1e-3)
    for (_, got), wanted in zip(made, expected, strict=True):
        assert np.array_equal(got, wanted)


def test_sixteen_bit_frames_keep_ten_and_are_tagged(tmp_path: Path) -> None:
    for index, image in enumerate(pan(3, 20, 24)):
        write_photo(tmp_path / "f" / f"{index}.png", Photo(image.astype(np.uint16) * 257))
    command(tmp_path / "f", tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as opened:
        assert next(opened.decode(video=0)).format.name == "yuv420p10le"
    assert seen(tmp_path / "out.mp4")["tags"] == (1, 1, 13, 1), "BT.709 of sRGB, studio range"


def test_a_clip_becomes_frames(tmp_path: Path, bicubic: Any) -> None:
    source = make_clip(tmp_path / "in.mp4", 11)
    command(source, tmp_path / "f")
    names = [f"{index:06}.png" for index in range(1, 12)]
    assert sorted(path.name for path in (tmp_path / "f").iterdir()) == names
    with av.open(str(source)) as opened:
        first = next(opened.decode(video=0)).reformat(
            format="rgb24", src_colorspace=5, src_color_range=1, dst_color_range=2, interpolation="BICUBIC"
        )
    assert np.array_equal(read_image(tmp_path / "f" / names[0]), bicubic(first.to_ndarray()))
    assert "images already" in command(source, tmp_path / "f", code=1)
    command(source, tmp_path / "g", "--format", "webp")
    assert len(list((tmp_path / "g").glob("*.webp"))) == 11


def test_frames_of_a_clip_go_on(tmp_path: Path, bicubic: Any) -> None:
    source = make_clip(tmp_path / "in.mp4", 11)
    upscale_video(bicubic, source, tmp_path / "whole")

    def stop(done: int, total: int | None) -> None:
        assert total == 11
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        upscale_video(bicubic, source, tmp_path / "f", progress=stop)
    assert "--resume goes on" in command(source, tmp_path / "f", code=1)
    with pytest.raises(InputError, match=r"another run \(format was 'png'\)"):
        upscale_video(bicubic, source, tmp_path / "f", VideoOptions(format="bmp"), resume=True)
    told: list[int] = []
    upscale_video(bicubic, source, tmp_path / "f", resume=True, progress=lambda done, _: told.append(done))
    assert told[0] in (5, 6), "what was written is not made again"
    assert told[-1] == 11
    for path in (tmp_path / "whole").iterdir():
        assert path.read_bytes() == (tmp_path / "f" / path.name).read_bytes()
    assert len(list((tmp_path / "f").iterdir())) == 11, "the statement of the run is gone"


def test_a_folder_of_images_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from srbench import upscale_files

    folder = frames_of(tmp_path / "f")
    command(folder, tmp_path / "whole")
    left = [3]

    def write(path: Path, photo: Photo) -> None:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        write_photo(path, photo)

    with monkeypatch.context() as patched:
        patched.setattr(upscale_files, "write_photo", write)
        CliRunner().invoke(
            main, ["upscale", str(folder), str(tmp_path / "o"), "--checkpoint", "bicubic", "--scale", "2"]
        )
    assert len(list((tmp_path / "o").glob("*.png"))) == 2
    assert "other weights" in command(folder, tmp_path / "o", "--resume", checkpoint="nearest", code=1)
    assert "other options of inference" in command(folder, tmp_path / "o", "--resume", "--tile", 8, code=1)
    assert "2 are there already" in command(folder, tmp_path / "o", "--resume")
    assert {p.name: p.read_bytes() for p in (tmp_path / "o").iterdir()} == {
        p.name: p.read_bytes() for p in (tmp_path / "whole").iterdir()
    }
    command(folder, tmp_path / "o", "--resume")
    (tmp_path / "o" / "frame9.png").unlink()
    assert "--skip-existing" in command(folder, tmp_path / "o", "--resume", code=1), "nobody says where they are from"
    assert "--resume goes on" in command(folder / "frame9.png", tmp_path / "a.png", "--resume", code=1)


def test_other_weights_of_the_same_name_are_another_run(tmp_path: Path) -> None:
    import torch

    def network(seed: int) -> srbench.Upscaler:
        torch.manual_seed(seed)
        return for_model(get_model("fsrcnn"), create_model("fsrcnn", 2), 2)

    def stop(done: int, total: int | None) -> None:
        if done == 7:
            raise KeyboardInterrupt

    source, target, options = make_clip(tmp_path / "in.mp4", 8), tmp_path / "out.mp4", VideoOptions(segment=3)
    with pytest.raises(KeyboardInterrupt):
        upscale_video(network(1), source, target, options, progress=stop)
    with pytest.raises(InputError, match=r"another run \(other weights\)"):
        upscale_video(network(2), source, target, options, resume=True)
    os.utime(source, ns=(1, 1))
    with pytest.raises(InputError, match="another input"):
        upscale_video(network(1), source, target, options, resume=True)
    (tmp_path / ".out.mp4.parts" / "run.json").write_text("{")
    with pytest.raises(InputError, match="damaged"):
        upscale_video(network(1), source, target, options, resume=True)


def test_bad_frames(tmp_path: Path) -> None:
    folder, out = frames_of(tmp_path / "f"), tmp_path / "o.mp4"
    assert "24000/1001" in command(folder, out, "--fps", "fast", code=1)
    assert "24000/1001" in command(folder, out, "--fps", "1/0", code=1)
    write_image(folder / "frame12.png", smooth(20, 30))
    assert "frame12.png: is 30×20, and frame8.png is 24×20" in command(folder, out, code=1)
    write_photo(folder / "frame12.png", Photo(smooth(20, 24), np.full((20, 24), 9, np.uint8)))
    assert "flatten it first" in command(folder, out, "--segment", 2, code=1)
    write_image(folder / "frame12.png", smooth(20, 24))
    command(folder, out, "--segment", 2, code=0)
    (tmp_path / "empty").mkdir()
    assert "no frames" in command(tmp_path / "empty", tmp_path / "p.mp4", code=1)
    assert "its own times" in command(out, tmp_path / "p.mp4", "--fps", 5, code=1)
    assert "folder of frames" in command(out, tmp_path / "p.png", code=1)
    assert "is there already" in command(folder, out, "--skip-existing")


def test_reading_ahead_takes_no_more_than_asked_and_writing_behind_tells_of_faults() -> None:
    from concurrent.futures import ThreadPoolExecutor

    from srbench.video.pipeline import Ahead, Behind

    items = iter(range(10))
    with ThreadPoolExecutor(1) as pool:
        ahead = Ahead(pool, lambda: next(items, None))
        assert list(ahead.take(4)) == [0, 1, 2, 3]
        assert next(items) == 4, "nothing was read beyond"
        assert list(ahead.take(99)) == [5, 6, 7, 8, 9]
        behind, written = Behind(pool), []
        for item in range(7):
            behind.put(written.append, item)
        behind.end()
        assert written == list(range(7))
        behind.put(lambda: 1 / 0)
        behind.put(written.append, "after a fault")
        with pytest.raises(ZeroDivisionError):
            behind.end()
    assert written == list(range(7)), "what follows a frame that is not there makes no whole file"


def test_the_network_goes_on_while_a_segment_ends(
    tmp_path: Path, bicubic: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first segment is not ended before the network has begun with the first frame of the second."""
    from threading import Event

    from srbench.video import encoding, upscaling

    begun, calls, end, upscale = Event(), [0], encoding._Segment._end, upscaling.begin_photo

    def waiting(self: Any) -> None:
        assert self._index or begun.wait(60), "the network waits for the encoder"
        end(self)

    def counting(*arguments: Any) -> Any:
        calls[0] += 1
        if calls[0] == 4:
            begun.set()
        return upscale(*arguments)

    monkeypatch.setattr(encoding._Segment, "_end", waiting)
    monkeypatch.setattr(upscaling, "begin_photo", counting)
    source = make_clip(tmp_path / "in.mp4", 5)
    upscale_video(bicubic, source, tmp_path / "out.mkv", VideoOptions(segment=3))
    assert len(seen(tmp_path / "out.mkv")["frames"]) == 5


# What files of other programs are like


def streams(path: Path) -> list[tuple[str, float]]:
    """Kind of each stream, and when it ends."""
    with av.open(str(path)) as opened:
        return [(one.type, float((one.duration or 0) * one.time_base)) for one in opened.streams]


def notes(source: Path, target: Path, bicubic: Any, **options: Any) -> str:
    """What a run says."""
    said: list[str] = []
    upscale_video(bicubic, source, target, VideoOptions(**options), Way(say=said.append))
    return "\n".join(said)


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
@pytest.mark.parametrize("times", [None, [0, 20, 60, 120, 153, 223, 243, 290, 330, 400, 420, 431]])
def test_a_clip_lasts_as_long_as_its_frames(tmp_path: Path, bicubic: Any, suffix: str, times: list[int] | None) -> None:
    """The encoder's frames of the future must not be taken from the clip's end, where players stop."""
    source = make_clip(tmp_path / f"in{suffix}", 12, times=times, sound=False)
    upscale_video(bicubic, source, tmp_path / f"out{suffix}", VideoOptions(segment=5))
    with av.open(str(source)) as opened:
        last = list(opened.decode(video=0))[-1]
        end = float((last.pts + last.duration) * last.time_base)
    assert streams(tmp_path / f"out{suffix}") == [("video", pytest.approx(end, abs=1e-3))]
    with av.open(str(tmp_path / f"out{suffix}")) as opened:
        decoded = [packet.dts for packet in opened.demux(video=0) if packet.dts is not None]
    assert decoded == sorted(set(decoded))


@pytest.mark.parametrize("codec", CODECS)
def test_every_codec_that_is_named_writes_a_clip(tmp_path: Path, bicubic: Any, codec: str, capfd: Any) -> None:
    if codec not in av.codecs_available:
        pytest.skip(f"this FFmpeg has no {codec}")
    source = make_clip(tmp_path / "in.mkv", 6, sound=False)
    upscale_video(bicubic, source, tmp_path / "out.mkv", VideoOptions(codec=codec, segment=4))
    before, after = seen(source)["frames"], seen(tmp_path / "out.mkv")["frames"]
    assert [one[0] for one in after] == pytest.approx([one[0] for one in before], abs=1e-6)
    assert capfd.readouterr().err == "", "no encoder writes over the progress"


def bare(path: Path, *sizes: tuple[int, int], count: int = 4) -> Path:
    """A stream of H.264 with nothing around it, of parts of several sizes."""
    for size in sizes:
        with av.open(str(path.with_suffix(".part")), "w", format="h264") as out:
            stream = out.add_stream("libx264", rate=25, options={"bf": "0"})
            stream.height, stream.width, stream.pix_fmt = *size, "yuv420p"
            for image in pan(count, *size):
                out.mux(stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
            out.mux(stream.encode(None))
        with path.open("ab") as whole:
            whole.write(path.with_suffix(".part").read_bytes())
    return path


def test_a_stream_without_times_has_those_of_its_rate(tmp_path: Path, bicubic: Any) -> None:
    source = bare(tmp_path / "in.h264", (36, 48), count=6)
    for way in ({}, {"segment": 4}):
        upscale_video(bicubic, source, tmp_path / "out.mp4", VideoOptions(**way))
        assert [one[0] for one in seen(tmp_path / "out.mp4")["frames"]] == [index / 25 for index in range(6)]


def test_frames_of_another_size_are_said(tmp_path: Path, bicubic: Any) -> None:
    source = bare(tmp_path / "in.h264", (36, 48), (24, 32))
    assert "has frames of 32×24 among those of 48×36" in notes(source, tmp_path / "out.mp4", bicubic)
    assert [one[1:] for one in seen(tmp_path / "out.mp4")["frames"]] == [(96, 72)] * 8
    assert "32×24" in notes(source, tmp_path / "frames", bicubic)
    assert {read_image(path).shape for path in (tmp_path / "frames").iterdir()} == {(72, 96, 3)}


def with_cover(path: Path, source: Path) -> Path:
    """The streams of a clip, and a cover."""
    with av.open(str(source)) as opened, av.open(str(path), "w") as out:
        copied = {one.index: out.add_stream_from_template(one) for one in opened.streams}
        cover = out.add_stream("mjpeg", rate=1)
        cover.height, cover.width, cover.pix_fmt = 24, 32, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        out.mux([*cover.encode(av.VideoFrame.from_ndarray(smooth(24, 32), "rgb24")), *cover.encode(None)])
        for packet in opened.demux():
            if packet.dts is not None:
                packet.stream = copied[packet.stream.index]
                out.mux(packet)
    return path


def test_a_cover_is_no_video(tmp_path: Path, bicubic: Any) -> None:
    source = with_cover(tmp_path / "in.mp4", make_clip(tmp_path / "clip.mp4", 4))
    assert notes(source, tmp_path / "out.mov", bicubic).endswith("in.mp4: left out: a cover")
    assert [kind for kind, _ in streams(tmp_path / "out.mov")] == ["video", "audio"]
    song = with_cover(tmp_path / "song.mp4", make_clip(tmp_path / "sound.mp4", video=False))
    with pytest.raises(InputError, match="no video stream; it has a cover, audio"):
        upscale_video(bicubic, song, tmp_path / "song.mkv")


def test_a_file_that_was_cut_off_is_said(tmp_path: Path, bicubic: Any) -> None:
    content = make_clip(tmp_path / "in.mkv", 48, size=(72, 96)).read_bytes()
    (tmp_path / "cut.mkv").write_bytes(content[: len(content) // 2])
    assert "says that it lasts 2.0" in notes(tmp_path / "cut.mkv", tmp_path / "out.mkv", bicubic)
    assert notes(tmp_path / "in.mkv", tmp_path / "out.mkv", bicubic) == ""


def test_transparency_that_is_lost_is_said(tmp_path: Path, bicubic: Any) -> None:
    shown = np.dstack([smooth(24, 32), np.full((24, 32), 90, np.uint8)])
    with av.open(str(tmp_path / "in.mkv"), "w") as out:
        stream = out.add_stream("ffv1", rate=25)
        stream.height, stream.width, stream.pix_fmt = 24, 32, "yuva420p"
        out.mux(stream.encode(av.VideoFrame.from_ndarray(shown, "rgba").reformat(format="yuva420p")))
        out.mux(stream.encode(None))
    assert "without transparency" in notes(tmp_path / "in.mkv", tmp_path / "out.mkv", bicubic)


def test_an_encoder_is_tried_before_a_frame_is_upscaled(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", 2, sound=False)
    with pytest.raises(InputError, match="codec 'mjpeg' cannot be used here with yuv420p"):
        upscale_video(None, source, tmp_path / "out.mkv", VideoOptions(codec="mjpeg"))
    with pytest.raises(InputError, match="--crf 52: libx264 ends at 51"):
        upscale_video(None, source, tmp_path / "out.mkv", VideoOptions(crf=52))
    assert not list(tmp_path.glob(".*"))
    assert "expected .mp4, .mkv, .mov, .webm" in command(source, tmp_path / "out.avi", code=1)


def test_a_run_that_failed_at_once_leaves_nothing(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", 2, sound=False)
    done = CliRunner().invoke(
        main, ["upscale", str(source), str(tmp_path / "o.mp4"), "--checkpoint", "bicubic", "--size", "9000x"]
    )
    assert (done.exit_code, "two steps" in done.output) == (1, True)
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


def test_a_clip_that_goes_back_in_time_is_one_line(tmp_path: Path, bicubic: Any) -> None:
    parts = [make_clip(tmp_path / f"{name}.ts", 12, sound=False).read_bytes() for name in "ab"]
    (tmp_path / "in.ts").write_bytes(b"".join(parts))
    with pytest.raises(InputError, match=r"in\.ts: frame 13 goes back from 0\.\d+ s to"):
        upscale_video(bicubic, tmp_path / "in.ts", tmp_path / "out.mkv")


# What a file holds besides its frames


def encode_all(out: Any, stream: Any, images: list[np.ndarray]) -> None:
    """Frames at 24 a second, in the stream's pixel format."""
    for index, image in enumerate(images):
        frame = av.VideoFrame.from_ndarray(image, "rgb24").reformat(format=stream.pix_fmt)
        frame.pts, frame.time_base = index, Fraction(1, 24)
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))


def rich(path: Path, subtitles: bool = True) -> Path:
    """Subtitles with their font, a cover, a text, titles and two chapters, all in Matroska."""
    lines = path.with_suffix(".srt")
    lines.write_text("1\n00:00:00,000 --> 00:00:00,100\nfirst\n\n")
    cover = io.BytesIO()
    Image.fromarray(smooth(24, 32)).save(cover, "PNG")
    with av.open(str(lines)) as text, av.open(str(path), "w") as out:
        out.metadata.update({"title": "A clip", "OWN": "word"})
        stream = out.add_stream("libx264", rate=24)
        stream.height, stream.width, stream.pix_fmt = 36, 48, "yuv420p"
        stream.metadata.update({"title": "Frames", "language": "deu"})
        said = out.add_stream_from_template(text.streams[0]) if subtitles else None
        out.add_attachment("Font.ttf", "application/x-truetype-font", bytes(range(99)))
        out.add_attachment("front.png", "image/png", cover.getvalue())
        out.add_attachment("read.txt", "text/plain", b"read")
        ends = [(0, 100), (100, 160)]
        out.set_chapters(
            [
                {
                    "id": number,
                    "start": start,
                    "end": end,
                    "time_base": Fraction(1, 1000),
                    "metadata": {"title": f"{end}"},
                }
                for number, (start, end) in enumerate(ends, 1)
            ]
        )
        encode_all(out, stream, pan(4, 36, 48))
        if subtitles:
            copy_packets(text, said, out)
    return path


def besides(path: Path) -> dict[str, Any]:
    """What a file says, and what is attached to it."""
    with av.open(str(path)) as opened:
        images = [one.index for one in opened.streams.video if one.disposition & av.stream.Disposition.attached_pic]
        covers = {p.stream_index: bytes(p) for p in opened.demux() if p.stream_index in images and p.size}
        return {
            "words": {name.lower(): value for name, value in opened.metadata.items() if name.lower() != "encoder"},
            "of frames": {
                name: value for name, value in opened.streams.video[0].metadata.items() if name in ("title", "language")
            },
            "attached": [(one.name, one.mimetype, one.data) for one in opened.streams if one.type == "attachment"],
            "covers": list(covers.values()),
            "chapters": [(one["metadata"], one["end"] * one["time_base"]) for one in opened.chapters()],
        }


def test_fonts_covers_chapters_and_titles_are_kept(tmp_path: Path, bicubic: Any) -> None:
    source = rich(tmp_path / "in.mkv")
    assert notes(source, tmp_path / "out.mkv", bicubic) == ""
    before = besides(source)
    assert besides(tmp_path / "out.mkv") == before
    assert [name for name, _, _ in before["attached"]] == ["Font.ttf", "read.txt"]
    assert (len(before["covers"]), before["words"]["own"]) == (1, "word")


def test_time_code_place_and_date_are_kept(tmp_path: Path, bicubic: Any) -> None:
    """As of cameras and phones, from QuickTime's kind of file to the others; none of it is said to be lost."""
    with av.open(str(tmp_path / "in.mov"), "w") as out:
        out.metadata.update({"creation_time": "2024-05-06T07:08:09.000000Z", "location": "+48.1000+011.5000/"})
        stream = out.add_stream("libx264", rate=24)
        stream.height, stream.width, stream.pix_fmt = 36, 48, "yuv420p"
        stream.metadata["timecode"] = "01:02:03:04"
        encode_all(out, stream, pan(2, 36, 48))
    for suffix in (".mov", ".mp4", ".mkv"):
        assert notes(tmp_path / "in.mov", tmp_path / f"out{suffix}", bicubic) == ""
        with av.open(str(tmp_path / f"out{suffix}")) as opened:
            said = {name.lower(): value for name, value in opened.metadata.items()}
            frames = {name.lower(): value for name, value in opened.streams.video[0].metadata.items()}
        assert said["creation_time"] == "2024-05-06T07:08:09.000000Z"
        assert said["location"] == "+48.1000+011.5000/"
        assert frames["timecode"] == "01:02:03:04"


def test_an_encoder_without_constant_quality_says_so_where_nothing_is_asked_of_it(tmp_path: Path, bicubic: Any) -> None:
    """MPEG-4's own default is coarse, and was unsaid."""
    source = make_clip(tmp_path / "in.mp4", 2, sound=False)
    assert "mpeg4 has no --crf" in notes(source, tmp_path / "out.mp4", bicubic, codec="mpeg4")
    assert notes(source, tmp_path / "out.mp4", bicubic, codec="mpeg4", encoder=("qmax=3",)) == ""


def test_what_a_format_has_no_place_for_is_said(tmp_path: Path, bicubic: Any) -> None:
    source = rich(tmp_path / "in.mkv", subtitles=False)
    said = notes(source, tmp_path / "out.mp4", bicubic)
    assert "in.mkv: left out: the attachment Font.ttf, the attachment read.txt\n" in said
    assert said.endswith("out.mp4: .mp4 has no place for what the input says: 'OWN'")
    before, after = besides(source), besides(tmp_path / "out.mp4")
    assert (after["covers"], after["chapters"]) == (before["covers"], before["chapters"])
    assert (after["words"]["title"], after["of frames"]["language"]) == ("A clip", "deu")
    assert notes(tmp_path / "out.mp4", tmp_path / "again.mp4", bicubic) == "", "chapters of QuickTime are no other data"
    assert besides(tmp_path / "again.mp4") == after
    assert "a cover" in notes(source, tmp_path / "out.mov", bicubic)
    source = rich(tmp_path / "rich.mkv")
    said = notes(tmp_path / "rich.mkv", tmp_path / "frames", bicubic)
    assert said.endswith("left out: subtitle, the attachment Font.ttf, a cover, the attachment read.txt, chapters")


SCREEN = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"


def hdr(path: Path, codec: str = "libx265") -> Path:
    """Two frames of PQ in BT.2020, graded on a screen of 1,000 cd/m²."""
    options = {
        "libx265": {"x265-params": f"log-level=error:master-display={SCREEN}:max-cll=1000,400"},
        "libx264": {"x264-params": f"mastering-display={SCREEN}:cll=1000,400"},
    }[codec]
    colours = {"colorspace": 9, "color_range": 1, "color_trc": 16, "color_primaries": 9}
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=24, options=options)
        stream.height, stream.width, stream.pix_fmt = 72, 96, "yuv420p10le"
        for name, value in colours.items():
            setattr(stream.codec_context, name, value)
        encode_all(out, stream, pan(2, 72, 96))
    return path


def graded(path: Path) -> Any:
    from srbench.video.grading import grading_of

    with av.open(str(path)) as opened:
        return [grading_of(frame) for frame in opened.decode(video=0)]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("codec", ["libx264", "libx265", "libsvtav1"])
def test_what_an_hdr_clip_says_of_its_screen_is_kept(tmp_path: Path, bicubic: Any, codec: str, suffix: str) -> None:
    if codec not in av.codecs_available:
        pytest.skip(f"this FFmpeg has no {codec}")
    source = hdr(tmp_path / "in.mp4", "libx264" if codec == "libx265" else "libx265")
    assert notes(source, tmp_path / f"out{suffix}", bicubic, codec=codec) == ""
    before, after = graded(source)[0], graded(tmp_path / f"out{suffix}")
    after = after[:1] if codec == "libx264" else after  # which says it with each key frame
    assert before.light == (1000, 400)
    assert before.screen.luminance == (Fraction(50, 10_000), 1000)
    for one in after:
        assert one.light == before.light
        for got, wanted in zip(
            [*one.screen.primaries, one.screen.white, one.screen.luminance],
            [*before.screen.primaries, before.screen.white, before.screen.luminance],
            strict=True,
        ):
            assert [float(value) for value in got] == pytest.approx([float(value) for value in wanted], abs=1e-4)


def test_an_encoder_that_cannot_be_told_of_a_screen_is_named(tmp_path: Path, bicubic: Any) -> None:
    said = notes(hdr(tmp_path / "in.mp4"), tmp_path / "out.mkv", bicubic, codec="ffv1")
    assert "ffv1 is not told of its mastering display (kept by libx264" in said
    assert "content light level" in said
    assert "frames are of PQ, which no image says" in notes(tmp_path / "in.mp4", tmp_path / "frames", bicubic)


def test_what_is_said_of_frames_alone_and_lost_is_named(tmp_path: Path, bicubic: Any) -> None:
    source = make_clip(tmp_path / "in.mp4", 2, sound=False, encoder={"x264-params": "frame-packing=3"})
    assert "in.mp4: left out: 3D layout" in notes(source, tmp_path / "out.mp4", bicubic)


def test_options_are_the_encoders(tmp_path: Path, bicubic: Any) -> None:
    """What an encoder does not take is refused before a frame is upscaled, by FFmpeg's own word of what it does."""
    source = make_clip(tmp_path / "in.mp4", 3, (64, 96), sound=False)
    for options, words in (
        ({"codec": "ffv1", "crf": 20}, "--crf 20: ffv1 is lossless"),
        (
            {"codec": "prores_ks", "crf": 20},
            "prores_ks has no constant quality of that name; --encoder-option NAME=VALUE",
        ),
        (
            {"codec": "libvpx-vp9", "preset": "fast"},
            "libvpx-vp9 has none; --encoder-option NAME=VALUE gives what it takes",
        ),
        ({"codec": "libsvtav1", "preset": "14"}, "libsvtav1 takes a number from -2 to 13"),
        ({"codec": "libsvtav1", "crf": 64}, "libsvtav1 ends at 63"),
        ({"encoder": ("tun=film",)}, "unknown encoder option 'tun' in libx264. Did you mean 'tune'?"),
        ({"encoder": ("g=many",)}, "--encoder-option g=many: libx264 takes a number from"),
        ({"encoder": ("g",)}, "expected NAME=VALUE"),
        ({"encoder": ("crf=20",)}, "give it as --crf 20"),
        ({"encoder": ("tune=fill",)}, "libx264' cannot be used here with yuv420p and tune=fill: "),
    ):
        with pytest.raises((InputError, UnknownNameError), match=re.escape(words)):
            upscale_video(None, source, tmp_path / "out.mkv", VideoOptions(**options))
    for name in ("h264_nvenc", "hevc_nvenc"):
        if name in av.codecs_available:
            with pytest.raises(InputError, match=r"gives what it takes: (.*, )?cq, "):
                upscale_video(None, source, tmp_path / "out.mkv", VideoOptions(codec=name, crf=20))
    upscale_video(bicubic, source, tmp_path / "out.mkv", VideoOptions(codec="ffv1"))
    upscale_video(bicubic, source, tmp_path / "o.webm", VideoOptions(codec="libvpx-vp9", encoder=("lossless=1",)))
    made = command(source, tmp_path / "o.mp4", "--encoder-option", "bf=0", "--encoder-option", "x264-params=me=dia")
    assert "wrote" in made
    said = re.findall(rb"\bme=\w+|bframes=\d|crf=\S+|mbtree=\d", (tmp_path / "o.mp4").read_bytes())
    assert said == [b"me=dia", b"bframes=0", b"mbtree=0", b"crf=18.0"]


# What files are like that something happened to, or that were made for other ends


def damaged(path: Path, source: Path, packet: int) -> Path:
    """A clip of which one packet of its frames is noise."""
    with av.open(str(source)) as opened:
        places = [(one.pos, one.size) for one in opened.demux(video=0) if one.size]
    start, size = places[packet]
    content = bytearray(source.read_bytes())
    content[start + 10 : start + size] = np.random.default_rng(1).bytes(size - 10)
    path.write_bytes(content)
    return path


def test_frames_that_cannot_be_decoded_are_said(tmp_path: Path, bicubic: Any) -> None:
    """The others are upscaled; without any, the file and not PyAV's function is named."""
    source = make_clip(tmp_path / "whole.mkv", 24, sound=False, encoder={"g": "6", "bf": "0"})
    for packet, found in ((3, "1 of its packets cannot be decoded"), (6, "1 of its frames are damaged")):
        said = notes(damaged(tmp_path / "in.mkv", source, packet), tmp_path / "out.mkv", bicubic)
        assert found in said
        assert re.search(r"in\.mkv: .*, the first at 0\.\d+ s$", said)
        made = [one[0] for one in seen(tmp_path / "out.mkv")["frames"]]
        assert 12 <= len(made) < 24
        assert made == sorted(set(made))
    alone = damaged(tmp_path / "one.mkv", make_clip(tmp_path / "a.mkv", 1, sound=False), 0)
    with pytest.raises(InputError, match=r"one\.mkv: its video stream has no frame that can be decoded"):
        upscale_video(bicubic, alone, tmp_path / "o.mkv")
    cut = tmp_path / "cut.mp4"
    content = make_clip(tmp_path / "b.mp4", 12).read_bytes()
    cut.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"cut\.mp4: holds no clip that FFmpeg can read, or was cut off"):
        upscale_video(bicubic, cut, tmp_path / "o.mkv")


def stored(path: Path, pixel_format: str, codec: str = "ffv1") -> Path:
    """Two frames in a pixel format of one's choice."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=24)
        stream.height, stream.width, stream.pix_fmt = 48, 64, pixel_format
        encode_all(out, stream, pan(2, 48, 64))
    return path


@pytest.mark.parametrize(
    ("of_input", "codec", "made", "said"),
    [
        ("yuv444p10le", "libx264", "yuv444p10le", ""),
        ("yuva444p10le", "libx264", "yuv444p10le", ""),
        ("yuv444p12le", "libx264", "yuv444p10le", "fewer bits"),
        ("yuv422p10le", "libsvtav1", "yuv420p10le", "less chroma"),
        ("gray16le", "libx264", "yuv420p10le", "fewer bits"),
        ("bgr0", "libx264", "yuv420p", "less chroma"),
        ("bgr0", "ffv1", "bgr0", ""),
        ("yuva420p", "ffv1", "yuv420p", ""),
    ],
)
def test_the_nearest_pixel_format_is_taken_and_what_it_loses_is_said(
    tmp_path: Path, bicubic: Any, of_input: str, codec: str, made: str, said: str
) -> None:
    """Where the encoder does not have the input's: ten bits of 4:4:4 had become eight of 4:2:0, unsaid."""
    if codec not in av.codecs_available:
        pytest.skip(f"this FFmpeg has no {codec}")
    source = stored(tmp_path / "in.mkv", of_input)
    told = notes(source, tmp_path / "out.mkv", bicubic, codec=codec)
    with av.open(str(tmp_path / "out.mkv")) as opened:
        assert next(opened.decode(video=0)).format.name == made
    assert told.endswith(f"in.mkv: is {of_input}, and is written as {made}: {said}") if said else told == ""


def test_rgb_is_marked_as_it_is_written(tmp_path: Path) -> None:
    """Luma and chroma made of it are BT.709's, and RGB itself uses all of its range."""
    nearest = srbench.load("nearest", scale=2)
    source = stored(tmp_path / "in.mkv", "bgr0")
    upscale_video(nearest, source, tmp_path / "luma.mkv", VideoOptions(crf=1))
    assert seen(tmp_path / "luma.mkv")["tags"][:2] == (1, 1)
    upscale_video(nearest, source, tmp_path / "rgb.mkv", VideoOptions(codec="ffv1"))
    assert seen(tmp_path / "rgb.mkv")["tags"][1] == 2
    with (
        av.open(str(source)) as one,
        av.open(str(tmp_path / "rgb.mkv")) as other,
        av.open(str(tmp_path / "luma.mkv")) as luma,
    ):
        small, large, coded = (next(opened.decode(video=0)) for opened in (one, other, luma))
        assert np.array_equal(large.to_ndarray(format="rgb24")[::2, ::2], small.to_ndarray(format="rgb24"))
        shown = coded.reformat(format="rgb24", src_colorspace=1, src_color_range=1, dst_color_range=2).to_ndarray()
        assert np.abs(shown.mean((0, 1)) - small.to_ndarray(format="rgb24").mean((0, 1))).max() < 1.5


def test_a_format_that_holds_it_is_named(tmp_path: Path, bicubic: Any) -> None:
    source = make_clip(tmp_path / "in.mp4", 2, sound=False)
    with pytest.raises(InputError, match=r"\.mkv cannot hold video of gif; \.mov holds it"):
        upscale_video(bicubic, source, tmp_path / "out.mkv", VideoOptions(codec="gif"))
