"""Images with transparency, 16 bits, profiles, DPI, EXIF and odd orientation go through ``upscale`` and keep them."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import struct
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps

import srbench
from srbench.cli import main
from srbench.errors import InputError, UnavailableError
from srbench.images import imresize, read_image, write_image
from srbench.photos import Photo, Wanted, decode_photo, encode_photo, for_format, read_photo, write_photo
from srbench.tiles import FittingTiles, pass_memory
from srbench.upscale_files import Way, upscale_photo
from tests.builders import noise, smooth

DPI = (300.0, 150.0)
LOSSLESS = (".png", ".tif", ".webp")


@cache  # it holds the time at which it was made
def profile(kind: str = "sRGB") -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(kind)).tobytes()


def camera() -> Image.Exif:
    exif = Image.Exif()
    exif[0x010F], exif[0x013B] = "Maker", "Somebody"
    exif.get_ifd(0x8769).update({0x829A: 0.004, 0x8827: 200, 0xA002: 30, 0xA003: 24})
    exif.get_ifd(0x8825).update({1: "N", 2: (47.0, 22.0, 0.0)})
    return exif


def upscale(*arguments: object, checkpoint: str = "bicubic", scale: object = 2, code: int = 0) -> str:
    more = ["--scale", str(scale)] if scale else []
    done = CliRunner().invoke(main, ["upscale", *map(str, arguments), "--checkpoint", checkpoint, *more])
    assert done.exit_code == code, done.output
    return done.output


def deep(height: int, width: int, bands: int = 3) -> np.ndarray:
    """16-bit samples whose low byte matters."""
    made = imresize(
        np.random.default_rng(1).integers(0, 65536, (height // 4, width // 4, bands)) / 65535.0, size=(height, width)
    )
    return np.squeeze((made.clip(0, 1) * 65535).astype(np.uint16))


# What is plain stays as it was


@pytest.mark.parametrize("gray", [False, True])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif", ".webp"])
def test_plain_images_are_written_byte_for_byte_as_without_photos(tmp_path: Path, gray: bool, suffix: str) -> None:
    image = smooth(24, 30)[..., 0] if gray else smooth(24, 30)
    write_image(tmp_path / f"a{suffix}", image)
    upscaler = srbench.load("bicubic", scale=2)
    write_image(tmp_path / f"expected{suffix}", upscaler(read_image(tmp_path / f"a{suffix}")))
    upscale(tmp_path / f"a{suffix}", tmp_path / f"b{suffix}")
    assert (tmp_path / f"b{suffix}").read_bytes() == (tmp_path / f"expected{suffix}").read_bytes()


# Round trips


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp"])
def test_profile_dpi_and_exif_are_kept(tmp_path: Path, suffix: str) -> None:
    exif = camera()
    if suffix == ".webp":  # it has no other place for dots per inch: here per centimetre
        exif.update({0x011A: DPI[0] / 2.54, 0x011B: DPI[1] / 2.54, 0x0128: 3})
    Image.fromarray(smooth(24, 30)).save(tmp_path / f"a{suffix}", icc_profile=profile(), dpi=DPI, exif=exif.tobytes())
    upscale(tmp_path / f"a{suffix}", tmp_path / f"b{suffix}")
    assert read_photo(tmp_path / f"b{suffix}").dpi == pytest.approx(DPI, abs=0.02)
    with Image.open(tmp_path / f"b{suffix}") as made:
        exif = made.getexif()
        assert made.info["icc_profile"] == profile()
        assert made.size == (60, 48)
        if suffix != ".webp":
            assert tuple(map(float, made.info["dpi"])) == pytest.approx(DPI, abs=0.02)
        assert (exif[0x010F], exif[0x013B]) == ("Maker", "Somebody")
        inner = exif.get_ifd(0x8769)
        assert (float(inner[0x829A]), inner[0x8827]) == (pytest.approx(0.004), 200)
        assert (inner[0xA002], inner[0xA003]) == (60, 48), "EXIF tells the size of the SR image"
        assert exif.get_ifd(0x8825)[1] == "N"


@pytest.mark.parametrize("suffix", LOSSLESS)
@pytest.mark.parametrize("gray", [False, True])
def test_alpha_is_upscaled_apart_and_put_back(tmp_path: Path, suffix: str, gray: bool) -> None:
    if gray and suffix == ".webp":
        pytest.skip("WebP has no gray")
    colours = smooth(24, 30)[..., :1] if gray else smooth(24, 30)
    alpha = np.zeros((24, 30), np.uint8)
    alpha[:, 10:] = 255
    alpha[:, 10] = 100
    Image.fromarray(np.dstack([colours, alpha])).save(tmp_path / f"a{suffix}", lossless=True)
    upscale(tmp_path / f"a{suffix}", tmp_path / f"b{suffix}")
    with Image.open(tmp_path / f"b{suffix}") as made:
        assert made.mode == ("LA" if gray else "RGBA")
        got = np.array(made.getchannel("A"))
    assert got.shape == (48, 60)
    assert (got[:, :12] == 0).all()
    assert (got[:, 30:] == 255).all()
    assert np.abs(got[:, 18:24].astype(int) - imresize(alpha, 2)[:, 18:24]).max() <= 1


def test_hidden_colours_do_not_bleed() -> None:
    pixels = np.full((16, 16, 3), 200, np.uint8)
    alpha = np.full((16, 16), 255, np.uint8)
    pixels[:, :8], alpha[:, :8] = 0, 0
    made = upscale_photo(srbench.load("bicubic", scale=2), Photo(pixels, alpha))
    assert (made.pixels == 200).all()


def test_a_network_leaves_flat_alpha_exactly_flat() -> None:
    alpha = np.zeros((24, 24), np.uint8)
    alpha[:, 12:] = 255
    made = upscale_photo(srbench.load("fsrcnn_x4.tuned"), Photo(smooth(24, 24), alpha))
    assert made.alpha is not None
    assert set(np.unique(made.alpha[:, :36])) == {0}
    assert set(np.unique(made.alpha[:, 60:])) == {255}


def test_opaque_alpha_is_dropped(tmp_path: Path) -> None:
    Image.fromarray(smooth(24, 30)).convert("RGBA").save(tmp_path / "a.png")
    upscale(tmp_path / "a.png", tmp_path / "b.jpg")
    with Image.open(tmp_path / "b.jpg") as made:
        assert made.mode == "RGB"


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("bands", [1, 2, 3, 4])
def test_sixteen_bits_stay_sixteen(tmp_path: Path, suffix: str, bands: int) -> None:
    samples = deep(24, 32, bands)
    parts = (samples, None) if bands in (1, 3) else (np.squeeze(samples[..., :-1]), samples[..., -1])
    write_photo(tmp_path / f"a{suffix}", Photo(*parts, profile=profile() if bands > 2 else None, dpi=DPI))
    upscale(tmp_path / f"a{suffix}", tmp_path / f"b{suffix}")
    made = read_photo(tmp_path / f"b{suffix}")
    expected = imresize(parts[0] / 65535.0, 2).clip(0, 1) * 65535
    assert made.deep
    if bands == 2 and suffix == ".tif":
        expected = np.repeat(expected[..., None], 3, axis=2)  # Pillow opens no gray of 16 bits with alpha
    assert made.pixels.shape == expected.shape
    if parts[1] is None:
        assert np.abs(made.pixels - expected).max() <= 1, "the low byte is no rounding of 8 bits"
    else:
        assert made.alpha is not None
        assert made.alpha.shape == expected.shape[:2]
    assert made.dpi == pytest.approx(DPI, abs=0.02)
    assert made.profile == (profile() if bands > 2 else None)


def test_our_deep_files_are_what_other_programs_read(tmp_path: Path) -> None:
    gray, rgb = deep(24, 32, 1), deep(24, 32, 3)
    write_photo(tmp_path / "gray.png", Photo(gray, dpi=DPI, exif=camera().tobytes()))
    write_photo(tmp_path / "rgb.tif", Photo(rgb, profile=profile(), dpi=DPI))
    write_photo(tmp_path / "rgb.png", Photo(rgb, profile=profile(), exif=camera().tobytes()))
    with Image.open(tmp_path / "gray.png") as made:
        assert np.array_equal(np.array(made), gray)
        assert made.getexif()[0x010F] == "Maker"
    assert np.array_equal(tifffile.imread(tmp_path / "rgb.tif"), rgb)
    with Image.open(tmp_path / "rgb.png") as made:
        assert made.info["icc_profile"] == profile()
        assert np.abs(np.array(made) - rgb / 256).max() <= 1, "Pillow's 8 bits of it"
    assert read_photo(tmp_path / "rgb.png").exif


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
def test_orientation_is_applied_and_taken_off(tmp_path: Path, orientation: int, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "Maker"
    Image.fromarray(smooth(16, 24)).save(tmp_path / f"a{suffix}", exif=exif)
    with Image.open(tmp_path / f"a{suffix}") as image:
        expected = np.array(ImageOps.exif_transpose(image))
    photo = read_photo(tmp_path / f"a{suffix}")
    assert np.array_equal(photo.pixels, expected)
    upscale(tmp_path / f"a{suffix}", tmp_path / f"b{suffix}")
    with Image.open(tmp_path / f"b{suffix}") as made:
        assert made.getexif().get(0x0112, 1) == 1
        assert made.getexif()[0x010F] == "Maker"
        assert made.size == (expected.shape[1] * 2, expected.shape[0] * 2)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_orientation_of_sixteen_bits_is_that_of_eight(tmp_path: Path, orientation: int, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    shallow = smooth(16, 24)
    Image.fromarray(shallow).save(tmp_path / f"a{suffix}", exif=exif)
    wide = shallow.astype(np.uint16) * 257
    if suffix == ".png":
        encoded = encode_photo(Photo(wide, exif=b"Exif\0\0" + exif.tobytes().removeprefix(b"Exif\0\0")), ".png")
        (tmp_path / "deep.png").write_bytes(encoded)
    else:
        tifffile.imwrite(tmp_path / "deep.tif", wide, photometric="rgb", extratags=[(274, 3, 1, orientation, True)])
    expected = read_photo(tmp_path / f"a{suffix}").pixels
    made = read_photo(tmp_path / f"deep{suffix}").pixels
    assert np.array_equal(made // 257, expected)


def test_palette_and_one_bit_and_transparent_colour(tmp_path: Path) -> None:
    Image.fromarray(smooth(24, 30)).quantize(16).save(tmp_path / "p.png")
    Image.fromarray(smooth(24, 30)).convert("1").save(tmp_path / "one.png")
    Image.fromarray(smooth(24, 30)).quantize(16).save(tmp_path / "t.png", transparency=3)
    assert read_photo(tmp_path / "p.png").pixels.shape == (24, 30, 3)
    assert read_photo(tmp_path / "one.png").pixels.shape == (24, 30)
    assert read_photo(tmp_path / "t.png").alpha is not None
    upscale(tmp_path, tmp_path / "out")
    assert len(list((tmp_path / "out").iterdir())) == 3


@pytest.mark.parametrize("bands", [1, 3])
def test_a_transparent_colour_of_sixteen_bits(tmp_path: Path, bands: int) -> None:
    samples = deep(24, 32, bands)
    clear = np.atleast_1d(samples[5, 7]).astype(">u2").tobytes()
    plain = encode_photo(Photo(samples), ".png")
    chunk = struct.pack(">I", len(clear)) + b"tRNS" + clear + struct.pack(">I", zlib.crc32(b"tRNS" + clear))
    (tmp_path / "a.png").write_bytes(plain[:33] + chunk + plain[33:])  # behind IHDR
    read = read_photo(tmp_path / "a.png")
    assert read.alpha is not None
    assert np.array_equal(read.pixels, samples)
    hidden = (samples.reshape(24, 32, -1) == samples.reshape(24, 32, -1)[5, 7]).all(axis=2)
    assert np.array_equal(read.alpha, np.where(hidden, 0, 65535))


def test_cmyk_is_converted_and_said_so(tmp_path: Path) -> None:
    Image.fromarray(smooth(24, 30)).convert("CMYK").save(tmp_path / "a.jpg")
    assert "approximate" in upscale(tmp_path / "a.jpg", tmp_path / "b.png")
    assert read_photo(tmp_path / "b.png").pixels.shape == (48, 60, 3)


def test_a_profile_of_other_channels_is_left_out(tmp_path: Path) -> None:
    Image.fromarray(smooth(24, 30)[..., 0]).save(tmp_path / "a.png", icc_profile=profile())
    assert read_photo(tmp_path / "a.png").profile is None


# What is refused or said


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png", ".tif"])
def test_animations_are_refused_with_a_hint(tmp_path: Path, suffix: str) -> None:
    frames = [Image.fromarray(noise(16, 16, seed)) for seed in range(3)]
    frames[0].save(tmp_path / f"a{suffix}", save_all=True, append_images=frames[1:])
    said = upscale(tmp_path / f"a{suffix}", tmp_path / "b.png", code=1)
    assert "frames as PNG files in a folder" in said


@pytest.mark.parametrize("suffix", [".jpg", ".bmp"])
def test_transparency_into_a_format_without_is_refused_before_anything_is_written(tmp_path: Path, suffix: str) -> None:
    write_image(tmp_path / "in" / "a.png", smooth(16, 16))
    write_photo(tmp_path / "in" / "b.png", Photo(smooth(16, 16), noise(16, 16)[..., 0]))
    said = upscale(tmp_path / "in", tmp_path / "out", "--format", suffix[1:], code=1)
    assert "b.png" in said
    assert not (tmp_path / "out").exists()


def test_sixteen_bits_into_a_format_of_eight_are_rounded_and_said_so(tmp_path: Path) -> None:
    write_photo(tmp_path / "a.png", Photo(deep(24, 32)))
    assert "8 bits" in upscale(tmp_path / "a.png", tmp_path / "b.webp")
    exact = imresize(deep(24, 32) / 65535.0, 2).clip(0, 1) * 255
    assert np.abs(read_image(tmp_path / "b.webp") - exact).max() <= 0.51


def test_a_tiff_of_floats_is_called_so(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 5, 3), np.float32), photometric="rgb")
    with pytest.raises(InputError, match=r"a\.tif: is a TIFF of samples that are not read, such as floats"):
        read_photo(tmp_path / "a.tif")


def test_lzw_of_sixteen_bits_says_what_is_missing(tmp_path: Path) -> None:
    Image.fromarray(deep(24, 32, 1)).save(tmp_path / "a.tif", compression="tiff_lzw")
    if importlib.util.find_spec("imagecodecs"):
        pytest.skip("imagecodecs is there")
    with pytest.raises(InputError, match="imagecodecs"):
        read_photo(tmp_path / "a.tif")


@given(st.binary(max_size=300), st.integers(0, 2000), st.sampled_from(["rgb.png", "gray.tif", "exif.jpg"]))
@settings(max_examples=60, deadline=None)
def test_damaged_files_are_refused_or_read(garbage: bytes, where: int, kind: str) -> None:
    encoded = bytearray(_good(kind))
    place = where % len(encoded)
    encoded[place : place + len(garbage)] = garbage
    with contextlib.suppress(InputError):
        decode_photo(bytes(encoded), "x")


@cache
def _good(kind: str) -> bytes:
    if kind == "exif.jpg":
        held = io.BytesIO()
        Image.fromarray(smooth(24, 30)).save(held, "JPEG", exif=camera(), icc_profile=profile())
        return held.getvalue()
    return encode_photo(Photo(deep(24, 32, 3 if kind == "rgb.png" else 1), dpi=DPI), kind[-4:])


# Sizes


@pytest.mark.parametrize(
    ("text", "expected"), [("100x50", (50, 100)), ("100x", (80, 100)), ("x40", (40, 50)), ("7X9", (9, 7))]
)
def test_size(tmp_path: Path, text: str, expected: tuple[int, int]) -> None:
    write_image(tmp_path / "a.png", smooth(24, 30))
    upscale(tmp_path / "a.png", tmp_path / "b.png", "--size", text, scale=None)
    assert read_image(tmp_path / "b.png").shape[:2] == expected


@pytest.mark.parametrize("text", ["", "x", "axb", "10", "0x0", "0x5", "5x0", "-3x4", "1x2x3", "٣x٤"])
def test_no_size(text: str) -> None:
    with pytest.raises(InputError, match="1920x1080"):
        Wanted.of_size(text)


@given(st.integers(1, 300), st.integers(1, 300), st.floats(1.01, 8))
def test_a_network_is_never_too_small(height: int, width: int, factor: float) -> None:
    wanted = Wanted(factor)
    tall, wide = wanted.size(height, width)
    assert abs(tall - height * factor) <= 0.5
    assert abs(wide - width * factor) <= 0.5
    assert wanted.network_factor(height, width) == factor


def test_scale_by_the_next_larger_network(tmp_path: Path) -> None:
    image = smooth(20, 30)
    write_image(tmp_path / "a.png", image)
    said = upscale(tmp_path / "a.png", tmp_path / "b.png", checkpoint="fsrcnn_x4.tuned", scale=3.5)
    assert "x4" in said
    float_sr = srbench.load("fsrcnn_x4.tuned")(torch.from_numpy(image).permute(2, 0, 1)[None] / 255.0)
    expected = imresize(float_sr, size=(70, 105))[0].permute(1, 2, 0).numpy() * 255
    assert np.abs(read_image(tmp_path / "b.png") - expected.clip(0, 255)).max() <= 0.51, "rounded once"
    upscale(tmp_path / "a.png", tmp_path / "b.png", checkpoint="fsrcnn_x4.tuned", scale=5, code=1)
    said = upscale(tmp_path / "a.png", tmp_path / "b.png", "--size", "4000x", scale=None, code=1)
    assert "two steps" in said
    assert "x8" in upscale(tmp_path / "a.png", tmp_path / "b.png", checkpoint="fsrcnn_x?.tuned", scale=7)
    assert read_image(tmp_path / "b.png").shape == (140, 210, 3)
    said = upscale(tmp_path / "a.png", tmp_path / "b.png", checkpoint="srcnn_x?.tuned", scale=7, code=1)
    assert "srcnn_x?.tuned enlarges by 4 at most" in said
    assert "give one" in upscale(tmp_path / "a.png", tmp_path / "b.png", "--size", "60x", scale=2, code=1)


# Folders


def test_a_tree_is_mirrored(tmp_path: Path) -> None:
    for name in ("a.png", "deep/a.jpg", "deep/er/b.webp", ".hidden/c.png", "deep/note.txt"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("no image") if name.endswith("txt") else write_image(path, smooth(16, 16))
    out = tmp_path / "in" / "out"  # within IN: what is written is no input of the second run
    for _ in range(2):
        upscale(tmp_path / "in", out, "--recursive", "--format", "webp")
    found = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    assert found == ["a.webp", "deep/a.webp", "deep/er/b.webp"]


def test_existing_outputs_are_left_alone(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_image(tmp_path / "in" / f"{name}.png", smooth(16, 16))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.png").write_bytes(b"kept")
    said = upscale(tmp_path / "in", tmp_path / "out", "--skip-existing")
    assert "1 are there already" in said
    assert (tmp_path / "out" / "a.png").read_bytes() == b"kept"
    assert read_image(tmp_path / "out" / "b.png").shape == (32, 32, 3)
    assert "wrote 0 images" in upscale(tmp_path / "in", tmp_path / "out", "--skip-existing")


def test_bad_files_are_left_out_where_that_is_asked_for(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "c.png"):
        write_image(tmp_path / "in" / name, smooth(24, 30))
    (tmp_path / "in" / "b.png").write_bytes((tmp_path / "in" / "b.png").read_bytes()[:200])
    command = ["upscale", str(tmp_path / "in"), str(tmp_path / "out"), "--checkpoint", "bicubic", "--scale", "2"]
    done = CliRunner().invoke(main, command)
    assert (done.exit_code, "b.png" in done.output) == (1, True)
    assert not (tmp_path / "out").exists()
    done = CliRunner().invoke(main, [*command, "--skip-bad"])
    assert done.exit_code == 0
    assert "left out: " in done.output
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "c.png"]
    for name in ("a.png", "c.png"):
        (tmp_path / "in" / name).write_bytes(b"")
    done = CliRunner().invoke(main, [*command, "--skip-bad"])
    assert "none of its 3 images can be read" in done.output


def test_what_is_left_out_of_a_folder_is_said(tmp_path: Path) -> None:
    write_image(tmp_path / "in" / "a.png", smooth(24, 30))
    write_image(tmp_path / "in" / "deeper" / "b.png", smooth(24, 30))
    (tmp_path / "in" / "notes.txt").write_text("x")
    assert "left out: 1 file that is no image (1 .txt), 1 subfolder (deeper)" in upscale(
        tmp_path / "in", tmp_path / "out"
    )


def test_an_output_may_not_be_another_input(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", smooth(16, 16))
    write_image(tmp_path / "b.jpg", smooth(16, 16))
    assert "overwrite" in upscale(tmp_path, tmp_path, code=1)


def test_a_full_disk_ends_the_run_and_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b", "c"):
        write_image(tmp_path / "in" / f"{name}.png", smooth(16, 16))
    written: list[Path] = []

    def full(path: Path, photo: Any) -> None:
        if written:
            raise OSError(28, "No space left on device", str(path))
        written.append(path)

    monkeypatch.setattr("srbench.upscale_files.write_photo", full)
    said = upscale(tmp_path / "in", tmp_path / "out", code=1)
    assert "No space left" in said
    assert "Traceback" not in said


# Between formats


@pytest.mark.parametrize("target", [".png", ".jpg", ".tif", ".webp", ".bmp"])
@pytest.mark.parametrize("deep_", [False, True])
@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_what_came_with_an_image_is_kept_or_said(tmp_path: Path, mode: str, deep_: bool, target: str) -> None:
    """A PNG with all that it can hold into every format: kept, or named as left out; never gone in silence."""
    samples = deep(24, 32, len(mode)) if deep_ else (deep(24, 32, len(mode)) // 257).astype(np.uint8)
    colours = samples if mode in ("L", "RGB") else np.squeeze(samples[..., :-1])
    alpha = samples[..., -1] if mode in ("LA", "RGBA") else None
    colour = None if mode.startswith("L") else profile()
    write_photo(tmp_path / "a.png", Photo(colours, alpha, colour, DPI, camera().tobytes()))
    if alpha is not None and target in (".jpg", ".bmp"):
        assert "no transparency" in upscale(tmp_path / "a.png", tmp_path / f"b{target}", code=1)
        return
    said = upscale(tmp_path / "a.png", tmp_path / f"b{target}")
    made = read_photo(tmp_path / f"b{target}")
    assert made.pixels.shape[:2] == (48, 64)
    assert made.deep == deep_ or "holds 8 bits a channel; the image has 16" in said
    assert (made.alpha is None) == (alpha is None)
    assert made.profile == colour or "no place for a colour profile" in said
    assert made.dpi == pytest.approx(DPI, abs=0.02)
    assert bool(made.exif) or "EXIF" in said


def test_the_next_image_is_read_and_the_last_written_while_the_network_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network's second pass does not end before the third image was read and the first was written."""
    import threading

    from srbench import upscale_files

    for name in ("1", "2", "3"):
        write_image(tmp_path / "in" / f"{name}.png", smooth(16, 16))
    read, written = threading.Event(), threading.Event()

    def reading(path: Path) -> Photo:
        photo = read_photo(path)
        if path.stem == "3":
            read.set()
        return photo

    def writing(path: Path, photo: Photo) -> None:
        write_photo(path, photo)
        written.set()

    plan = upscale_files.plan_files(tmp_path / "in", tmp_path / "out")
    monkeypatch.setattr(upscale_files, "read_photo", reading)
    monkeypatch.setattr(upscale_files, "write_photo", writing)
    passes = []

    def run(upscaler: Any, image: Any) -> Any:
        passes.append(image)
        if len(passes) == 2:
            assert read.wait(20)
            assert written.wait(20)
        return upscaler(image)

    upscale_files.upscale_files(srbench.load("bicubic", scale=2), plan.jobs, way=Way(run=run))
    assert len(list((tmp_path / "out").iterdir())) == 3


# Tiles as large as memory allows


def test_tiles_halve_until_they_fit() -> None:
    upscaler, image, said = srbench.load("fsrcnn_x4.tuned"), smooth(96, 128), []
    whole = upscaler(image)
    assert np.array_equal(FittingTiles(said.append)(upscaler, image), whole)
    assert said == []
    cost = pass_memory(upscaler, 64) / 64**2
    tiles = FittingTiles(said.append, lambda: int((1.3 * cost + 36 * 16) * 128 * 96))
    made = tiles(upscaler, image)
    assert len(said) == 1
    assert np.abs(made.astype(int) - whole).max() <= 1
    with pytest.raises(UnavailableError, match="GiB are free"):
        FittingTiles(said.append, lambda: 1000)(upscaler, image)


def test_tiles_halve_when_memory_runs_out_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    upscaler, said = srbench.load("fsrcnn_x4.tuned"), []
    tried: list[int] = []

    def fails(self: FittingTiles, upscaler: Any, height: int, width: int, tile: int) -> str:
        tried.append(tile)
        return ""

    real = type(upscaler).__call__

    def call(self: Any, image: Any) -> Any:
        if self.inference.tile == 0 or self.inference.tile > 32:
            raise UnavailableError("oom", "out of memory")
        return real(self, image)

    monkeypatch.setattr(FittingTiles, "_too_much", fails)
    monkeypatch.setattr(type(upscaler), "__call__", call)
    assert FittingTiles(said.append)(upscaler, smooth(96, 128)).shape == (384, 512, 3)
    assert tried == [0, 64, 32]
    assert said == ["used tiles of 32 LR pixels"]


@pytest.mark.parametrize("name", ["fsrcnn_x4.tuned", "bicubic"])
def test_memory_of_a_pass_grows_with_the_image(name: str) -> None:
    upscaler = srbench.load(name, scale=4)
    small, large = (pass_memory(upscaler, side) for side in (32, 64))
    assert small >= 32 * 32 * 16 * 3 * 4, "the SR image alone is that"
    assert 2 < large / small < 6


def test_tile_auto_on_the_command_line(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", smooth(24, 30))
    upscale(tmp_path / "a.png", tmp_path / "b.png", "--tile", "auto", checkpoint="fsrcnn_x4.tuned", scale=None)
    upscale(tmp_path / "a.png", tmp_path / "c.png", checkpoint="fsrcnn_x4.tuned", scale=None)
    assert (tmp_path / "b.png").read_bytes() == (tmp_path / "c.png").read_bytes()
    done = CliRunner().invoke(main, ["upscale", str(tmp_path), "x", "--checkpoint", "bicubic", "--tile", "some"])
    assert done.exit_code == 2


def test_for_format_says_what_it_leaves_out() -> None:
    photo = Photo(smooth(16, 16), profile=profile(), exif=camera().tobytes())
    assert for_format(photo, ".png").notes == ()
    assert "profile" in for_format(photo, ".bmp").notes[0]
    with pytest.raises(InputError, match="cannot write"):
        for_format(photo, ".gif")
    with pytest.raises(InputError, match="16384"):
        encode_photo(Photo(np.zeros((1, 16384), np.uint8)), ".webp")


def test_upscale_photo_takes_another_way_through_the_network() -> None:
    seen = []
    way = Way(run=lambda upscaler, image: seen.append(image.shape) or upscaler(image))
    upscale_photo(srbench.load("bicubic", scale=2), Photo(smooth(16, 16), noise(16, 16)[..., 0]), way)
    assert seen == [(16, 16, 3), (16, 16)]
