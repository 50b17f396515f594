"""Images in and out, and MATLAB's resize."""

from __future__ import annotations

import io
import os
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from srbench.errors import InputError
from srbench.images import (
    as_rgb,
    crop_to_multiple,
    imresize,
    list_images,
    luma,
    read_image,
    resize_weights,
    rgb,
    shave,
    to_array,
    to_tensor,
    write_image,
    ycbcr,
)  # fmt: skip
from tests.builders import noise

images = hnp.arrays(np.uint8, st.tuples(st.integers(1, 24), st.integers(1, 24), st.just(3)))


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".tiff", ".webp", ".PNG"])
@pytest.mark.parametrize("gray", [False, True])
def test_lossless_files_come_back_as_written(tmp_path: Path, suffix: str, gray: bool) -> None:
    image = noise(13, 17)[..., 0] if gray else noise(13, 17)
    write_image(tmp_path / f"a{suffix}", image)
    found = read_image(tmp_path / f"a{suffix}")
    expected = as_rgb(image) if gray and suffix == ".webp" else image  # WebP has no gray
    assert np.array_equal(found, expected)
    assert [p.name for p in tmp_path.iterdir()] == [f"a{suffix}"]


def test_jpeg_is_close(tmp_path: Path) -> None:
    ramp = np.tile(np.linspace(0, 255, 64, dtype=np.uint8)[:, None, None], (1, 64, 3))
    write_image(tmp_path / "a.jpg", ramp)
    assert np.abs(read_image(tmp_path / "a.jpg").astype(int) - ramp).max() <= 3


def test_images_that_are_converted(tmp_path: Path) -> None:
    pixels = noise(8, 9)
    image = Image.fromarray(pixels)
    image.quantize(16).save(tmp_path / "palette.png")
    assert np.array_equal(read_image(tmp_path / "palette.png"), np.asarray(image.quantize(16).convert("RGB")))
    image.convert("RGBA").save(tmp_path / "opaque.png")
    assert np.array_equal(read_image(tmp_path / "opaque.png"), pixels)
    Image.fromarray(pixels[..., 0] > 127).save(tmp_path / "bits.png")
    assert np.array_equal(read_image(tmp_path / "bits.png"), np.where(pixels[..., 0] > 127, 255, 0))
    turned = image.getexif()
    turned[274] = 6
    image.save(tmp_path / "turned.png", exif=turned)
    assert read_image(tmp_path / "turned.png").shape == (9, 8, 3)


def _sixteen(path: Path) -> None:
    Image.fromarray(np.arange(64, dtype=np.uint16).reshape(8, 8)).save(path)


def _sixteen_rgb(path: Path) -> None:
    import cv2

    cv2.imwrite(str(path), np.zeros((8, 8, 3), np.uint16))


def _cut_off(path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(noise(64, 64)).save(buffer, "png")
    path.write_bytes(buffer.getvalue()[:2000])


def _transparent(path: Path) -> None:
    Image.fromarray(np.dstack([noise(8, 8), np.full((8, 8), 128, np.uint8)])).save(path)


def _transparent_colour(path: Path) -> None:
    image = noise(8, 8)
    Image.fromarray(image).save(path, transparency=tuple(int(v) for v in image[0, 0]))


def _transparent_gray(path: Path) -> None:
    image = noise(8, 8)[..., 0]
    Image.fromarray(image).save(path, transparency=int(image[0, 0]))


def _animated(path: Path) -> None:
    frames = [Image.fromarray(noise(8, 8, seed)) for seed in (1, 2)]
    frames[0].save(path, format="PNG", save_all=True, append_images=frames[1:])


@pytest.mark.parametrize(
    ("name", "make", "words"),
    [
        ("text.png", lambda p: p.write_text("not an image"), "not an image"),
        ("empty.png", lambda p: p.write_bytes(b""), "not an image"),
        ("cut.png", _cut_off, "damaged or cut off"),
        ("cmyk.jpg", lambda p: Image.fromarray(noise(8, 8)).convert("CMYK").save(p), "CMYK"),
        ("deep.png", _sixteen, "expected 8 bits"),
        ("deep_rgb.png", _sixteen_rgb, "16-bit"),
        ("deep.tif", _sixteen, "expected 8 bits"),
        ("float.tif", lambda p: Image.fromarray(np.zeros((8, 8), np.float32)).save(p), "expected 8 bits"),
        ("clear.png", _transparent, "transparent"),
        ("clear_colour.png", _transparent_colour, "transparent"),
        ("clear_gray.png", _transparent_gray, "transparent"),
        ("frames.png", _animated, "2 frames"),
        ("missing.png", lambda p: None, "no such file"),
    ],
)
def test_images_that_are_refused(tmp_path: Path, name: str, make: object, words: str) -> None:
    make(tmp_path / name)  # type: ignore[operator]
    with pytest.raises(InputError, match=words) as error:
        read_image(tmp_path / name)
    assert name in str(error.value)
    assert "\n" not in str(error.value)


def _postscript(path: Path) -> None:
    """Pillow would start Ghostscript for it, whatever it is called."""
    path.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n")


def _gif(path: Path) -> None:
    Image.fromarray(noise(8, 8)[..., 0]).save(path, format="GIF")


def _pixels_changed(path: Path) -> None:
    """A stored pixel changed and the decoder's own checksum put right, the chunk's not: Pillow decodes it."""
    raw = b"".join(b"\0" + bytes(row) for row in noise(8, 8).reshape(8, 24))
    Image.fromarray(noise(8, 8)).save(path, compress_level=0)
    content = path.read_bytes()
    changed = bytearray(raw)
    changed[5] ^= 1
    at = content.index(b"IDAT")
    length = int.from_bytes(content[at - 4 : at], "big")
    packed = zlib.compress(bytes(changed), 0)
    assert len(packed) == length
    path.write_bytes(content[: at + 4] + packed + content[at + 4 + length :])


def _without_end(path: Path) -> None:
    write_image(path, noise(8, 8))
    path.write_bytes(path.read_bytes()[:-12])


def _empty(path: Path) -> None:
    write_image(path, noise(8, 8))
    content = bytearray(path.read_bytes())
    content[18:22] = bytes(4)  # BMP's width
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "make", "words"),
    [
        ("postscript.png", _postscript, "not an image"),
        ("gif.png", _gif, "not an image"),
        ("changed.png", _pixels_changed, "checksum of its PNG chunk IDAT"),
        ("without_end.png", _without_end, "cut off"),
        ("nothing.bmp", _empty, "nothing.bmp"),
        ("pipe.png", os.mkfifo, "not a regular file"),
        ("folder.png", Path.mkdir, "not a regular file"),
        ("device.png", lambda p: p.symlink_to("/dev/zero"), "not a regular file"),
    ],
)
def test_files_from_strangers_are_refused_in_one_line(tmp_path: Path, name: str, make: object, words: str) -> None:
    test_images_that_are_refused(tmp_path, name, make, words)


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_image(tmp_path / "a.png", noise(4, 4))

    def denied(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(InputError, match=r"a\.png: the file cannot be read"):
        read_image(tmp_path / "a.png")


def test_a_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    Image.new("1", (9000, 9000)).save(path)
    assert path.stat().st_size < 20_000
    tracemalloc.start()
    with pytest.raises(InputError, match=r"9000×9000 pixels; expected at most 50,000,000"):
        read_image(path)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_the_limit_of_pixels_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_image(tmp_path / "a.png", noise(4, 5))
    monkeypatch.setenv("SRBENCH_MAX_PIXELS", "20")
    assert read_image(tmp_path / "a.png").shape == (4, 5, 3)
    monkeypatch.setenv("SRBENCH_MAX_PIXELS", "19")
    with pytest.raises(InputError, match="5×4 pixels; expected at most 19"):
        read_image(tmp_path / "a.png")
    for bad in ("0", "-1", "many", "1e3", "٣"):
        monkeypatch.setenv("SRBENCH_MAX_PIXELS", bad)
        with pytest.raises(InputError, match="SRBENCH_MAX_PIXELS"):
            read_image(tmp_path / "a.png")


def test_more_pixels_than_pillow_allows_can_be_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 9)
    write_image(tmp_path / "a.png", noise(5, 5))
    monkeypatch.setenv("SRBENCH_MAX_PIXELS", "25")
    assert read_image(tmp_path / "a.png").shape == (5, 5, 3)


def test_a_transparent_colour_that_no_pixel_has_is_dropped(tmp_path: Path) -> None:
    image = np.full((8, 8, 3), 7, np.uint8)
    Image.fromarray(image).save(tmp_path / "a.png", transparency=(9, 9, 9))
    assert np.array_equal(read_image(tmp_path / "a.png"), image)


def test_a_tiff_whose_next_directory_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    Image.new("RGB", (8, 8)).save(path)
    content = bytearray(path.read_bytes())
    start = int.from_bytes(content[4:8], "little")
    end = start + 2 + 12 * int.from_bytes(content[start : start + 2], "little")
    content[end : end + 4] = len(content).to_bytes(4, "little")
    path.write_bytes(content + bytes(8))  # an empty directory: Pillow itself fails with TypeError
    with pytest.raises(InputError, match=r"a\.tif: cannot be decoded"):
        read_image(path)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    write_image(path, noise(4, 4))
    before = path.read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space.*a\.png"):
        write_image(path, noise(4, 4, 1))
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_an_unknown_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="gif"):
        write_image(tmp_path / "a.gif", noise(4, 4))


def test_natural_order_without_hidden_files(tmp_path: Path) -> None:
    for name in ("img_10.png", "img_2.PNG", ".hidden.png", "notes.txt", "img²_1.png", "7.png"):
        (tmp_path / name).write_bytes(b"")
    assert [p.name for p in list_images(tmp_path)] == ["7.png", "img_2.PNG", "img_10.png", "img²_1.png"]
    with pytest.raises(InputError, match="no such folder"):
        list_images(tmp_path / "nowhere")


@given(images)
@settings(max_examples=30, deadline=None)
def test_tensors_and_back(image: np.ndarray) -> None:
    assert np.array_equal(to_array(to_tensor(image)), image)


def test_halves_are_rounded_up_and_clipped() -> None:
    values = torch.tensor([[[0.5, 1.5, 254.5, 300.0, -3.0]]]) / 255
    assert to_array(values).ravel().tolist() == [1, 2, 255, 255, 0]


@given(images)
@settings(max_examples=30, deadline=None)
def test_luma_equals_skimage_and_rgb_inverts_ycbcr(image: np.ndarray) -> None:
    from skimage.color import rgb2ycbcr

    expected = rgb2ycbcr(image)
    assert np.abs(luma(image) - expected[..., 0]).max() < 1e-9
    tensor = torch.from_numpy(image).permute(2, 0, 1)[None].double() / 255
    assert np.abs(ycbcr(tensor)[0].permute(1, 2, 0).numpy() * 255 - expected).max() < 1e-9
    assert (rgb(ycbcr(tensor)) - tensor).abs().max() < 1e-12


def test_crop_and_shave() -> None:
    assert crop_to_multiple(noise(13, 17), 4).shape == (12, 16, 3)
    assert shave(noise(13, 17), 3).shape == (7, 11, 3)
    assert shave(torch.zeros(1, 3, 13, 17), 3).shape == (1, 3, 7, 11)
    with pytest.raises(InputError, match="3×3"):
        crop_to_multiple(noise(3, 3), 4)
    with pytest.raises(InputError, match="nothing left"):
        shave(noise(8, 8), 4)


@pytest.mark.data
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_lr_equals_matlabs_files(data_root: Path, scale: int) -> None:
    for path in list_images(data_root / "Set5" / "HR"):
        expected = read_image(data_root / "Set5" / "LR_bicubic" / f"X{scale}" / f"{path.stem}x{scale}.png")
        found = imresize(crop_to_multiple(read_image(path), scale), 1 / scale)
        assert np.count_nonzero(found != expected) == 0


def test_one_pass_and_one_rounding_would_differ() -> None:
    image = noise(64, 64)
    once = np.clip(np.floor(imresize(image.astype(np.float64), 0.25) + 0.5), 0, 255).astype(np.uint8)
    assert np.mean(once != imresize(image, 0.25)) > 0.02


@given(
    hnp.arrays(np.float64, st.tuples(st.integers(4, 20), st.integers(4, 20)), elements=st.floats(0, 1)),
    st.sampled_from([0.25, 1 / 3, 0.5, 0.7, 1.0, 1.3, 2.0, 3.0, 4.0]),
)
@settings(max_examples=60, deadline=None)
def test_resize_is_the_weighted_sum_of_its_taps(image: np.ndarray, scale: float) -> None:
    found = imresize(image, scale)
    expected = image
    for axis in (0, 1):
        weights, index = resize_weights(image.shape[axis], found.shape[axis], scale)
        moved = np.moveaxis(expected, axis, 0)
        expected = np.moveaxis(np.einsum("ok,ok...->o...", weights, moved[index]), 0, axis)
    assert np.abs(found - expected).max() < 1e-12


def test_float_resize_equals_basicsr() -> None:
    from srbench.interop.basicsr import import_basicsr

    theirs = import_basicsr("basicsr.utils.matlab_functions").imresize
    image = noise(40, 36).astype(np.float32) / 255
    for scale in (0.25, 1 / 3, 0.5, 2, 3, 4):
        # basicsr computes its taps in float32: at a third of a pixel they are 2e-6 off
        assert np.abs(imresize(image, scale) - theirs(image, scale)).max() < 1e-5


@pytest.mark.parametrize("method", ["bicubic", "bilinear", "lanczos", "nearest"])
@pytest.mark.parametrize("edges", ["mirror", "clamp"])
def test_a_constant_stays_and_arrays_equal_tensors(method: str, edges: str) -> None:
    assert np.all(imresize(np.full((9, 7), 93, np.uint8), 1.7, edges=edges, method=method) == 93)  # type: ignore[arg-type]
    image = noise(20, 24)
    tensor = torch.from_numpy(image).permute(2, 0, 1)[None]
    for kind in (torch.uint8, torch.float64):
        array = image if kind == torch.uint8 else image.astype(np.float64)
        found = imresize(tensor.to(kind), 0.4, edges=edges, method=method)[0].permute(1, 2, 0).numpy()  # type: ignore[arg-type]
        assert np.allclose(found, imresize(array, 0.4, edges=edges, method=method), atol=1e-12, rtol=0)  # type: ignore[arg-type]


def test_a_size_takes_the_axis_that_shrinks_most_first() -> None:
    image = noise(32, 32)
    wide = imresize(image, size=(30, 8))
    assert wide.shape == (30, 8, 3)
    assert np.array_equal(wide, imresize(image.transpose(1, 0, 2), size=(8, 30)).transpose(1, 0, 2))


def test_gradients_flow_through_a_resize() -> None:
    x = torch.rand(1, 1, 8, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda t: imresize(t, 0.5), (x,))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "scale or a size"),
        ({"scale": 2, "size": (4, 4)}, "not both"),
        ({"scale": 0}, "positive"),
        ({"scale": 2, "method": "cubik"}, "cubik"),
        ({"scale": 2, "edges": "wrap"}, "wrap"),
        ({"size": (0, 4)}, "positive"),
    ],
)
def test_bad_arguments(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        imresize(noise(4, 4), **arguments)  # type: ignore[arg-type]


def test_bad_images() -> None:
    for image in (np.zeros(4, np.uint8), np.zeros((4, 4), np.int32), np.zeros((0, 4), np.uint8)):
        with pytest.raises(InputError, match="expected"):
            imresize(image, 2)


def test_luma_of_a_flipped_view() -> None:
    image = noise(6, 5)
    assert np.array_equal(luma(image[::-1, ::-1]), luma(image)[::-1, ::-1])
