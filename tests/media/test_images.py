"""Pictures that agents are given by strangers, phones and broken downloads."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from keyframe_mcp.errors import OutputUnwritable, UnreadableImage
from keyframe_mcp.media import images
from keyframe_mcp.media.orders import CheckImage

WIDTH, HEIGHT = 64, 48


def gradient(width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    across = np.tile(np.linspace(0, 255, width), (height, 1))
    down = np.tile(np.linspace(255, 0, height)[:, None], (1, width))
    return Image.fromarray(np.dstack([across, down, np.full((height, width), 90.0)]).astype(np.uint8))


def mean_difference(one: Image.Image, other: Image.Image) -> float:
    return float(np.abs(np.asarray(one, float) - np.asarray(other, float)).mean())


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_claiming(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (png_chunk(b"IHDR", header), png_chunk(b"IDAT", zlib.compress(b"\0" * 100)), png_chunk(b"IEND", b""))
    )


def test_every_common_format_is_read_and_named(tmp_path: Path):
    for ending, mime_type in {
        "png": "image/png",
        "jpg": "image/jpeg",
        "webp": "image/webp",
        "gif": "image/gif",
        "bmp": "image/bmp",
        "tiff": "image/tiff",
        "avif": "image/avif",
    }.items():
        path = tmp_path / f"picture.{ending}"
        gradient().save(path)
        facts = images.check(CheckImage(path=path))
        assert (facts.width, facts.height, facts.mime_type, facts.notes) == (WIDTH, HEIGHT, mime_type, ()), ending
        assert mean_difference(images.load(path).image, gradient()) < 8, ending


def test_the_format_is_found_in_the_bytes_and_not_in_the_name(tmp_path: Path):
    path = tmp_path / "picture.png"
    gradient().save(path, format="JPEG")
    assert images.load(path).mime_type == "image/jpeg"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_phone_picture_comes_out_upright(tmp_path: Path, orientation: int):
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,  # stored turned the other way
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = gradient().transpose(turns[orientation]) if orientation in turns else gradient()
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "phone.png", exif=exif)
    upright = images.load(tmp_path / "phone.png").image
    assert upright.size == (WIDTH, HEIGHT)
    assert mean_difference(upright, gradient()) == 0


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_garbage_in_the_exif_data_is_no_obstacle(tmp_path: Path):
    gradient().save(tmp_path / "bad.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\xff" + bytes(range(50)))
    assert images.load(tmp_path / "bad.jpg", (32, 32)).image.size == (WIDTH, HEIGHT)


@pytest.mark.parametrize(
    ("mode", "name"),
    [("CMYK", "a.jpg"), ("CMYK", "a.tiff"), ("LAB", "a.tiff"), ("YCbCr", "a.jpg"), ("P", "a.png"), ("RGBA", "a.png")],
)
def test_every_colour_mode_becomes_the_same_rgb(tmp_path: Path, mode: str, name: str):
    converted = gradient().quantize(200) if mode == "P" else gradient().convert(mode)
    converted.save(tmp_path / name)
    picture = images.load(tmp_path / name)
    assert picture.image.mode == "RGB"
    assert mean_difference(picture.image, gradient()) < 12


@pytest.mark.parametrize("mode", ["1", "L", "LA"])
def test_gray_modes_become_gray_rgb(tmp_path: Path, mode: str):
    gradient().convert(mode).save(tmp_path / "gray.png")
    picture = images.load(tmp_path / "gray.png").image
    assert picture.mode == "RGB"
    assert abs(np.asarray(picture).mean() - np.asarray(gradient().convert("L")).mean()) < 6


def test_sixteen_bit_gray_is_scaled_and_not_clipped_to_white(tmp_path: Path):
    ramp = np.tile(np.linspace(0, 65535, WIDTH), (HEIGHT, 1)).astype(np.uint16)
    Image.fromarray(ramp).save(tmp_path / "deep.png")
    pixels = np.asarray(images.load(tmp_path / "deep.png").image)[0, :, 0].astype(float)
    assert np.abs(pixels - np.linspace(0, 255, WIDTH)).max() <= 1


@pytest.mark.parametrize("white", [1.0, 255.0, 65535.0])
def test_float_gray_keeps_its_tones_whatever_its_scale(tmp_path: Path, white: float):
    ramp = np.tile(np.linspace(0, white, WIDTH), (HEIGHT, 1)).astype(np.float32)
    ramp[0, 0] = np.nan
    Image.fromarray(ramp).save(tmp_path / "float.tiff")
    pixels = np.asarray(images.load(tmp_path / "float.tiff").image)[1, :, 0].astype(float)
    assert np.abs(pixels - np.linspace(0, 255, WIDTH)).max() <= 1


def test_transparency_is_laid_over_white(tmp_path: Path):
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    half = Image.new("RGBA", (8, 8), (0, 0, 0, 128))
    clear.save(tmp_path / "clear.png")
    half.save(tmp_path / "half.webp", lossless=True)
    palette = Image.new("P", (8, 8), 3)
    palette.putpalette(bytes(768))
    palette.save(tmp_path / "palette.png", transparency=3)
    assert images.load(tmp_path / "clear.png").image.getpixel((4, 4)) == (255, 255, 255)
    assert images.load(tmp_path / "half.webp").image.getpixel((4, 4)) == (127, 127, 127)
    assert images.load(tmp_path / "palette.png").image.getpixel((4, 4)) == (255, 255, 255)


def test_a_colour_profile_is_applied(tmp_path: Path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # a monitor whose red is what others call blue
    swapped = profile.replace(b"rXYZ", b"????", 1).replace(b"bXYZ", b"rXYZ", 1).replace(b"????", b"bXYZ", 1)
    red = Image.new("RGB", (8, 8), (255, 0, 0))
    red.save(tmp_path / "same.png", icc_profile=profile)
    red.save(tmp_path / "swapped.png", icc_profile=swapped)
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    clear.save(tmp_path / "clear.png", icc_profile=swapped)
    assert images.load(tmp_path / "same.png").notes == ()
    assert mean_difference(images.load(tmp_path / "same.png").image, red) < 1
    assert mean_difference(images.load(tmp_path / "swapped.png").image, Image.new("RGB", (8, 8), (0, 0, 255))) < 3
    assert images.load(tmp_path / "clear.png").image.getpixel((4, 4)) == (255, 255, 255)


@pytest.mark.parametrize("profile", [b"garbage" * 40, b"\0"])
def test_a_broken_colour_profile_is_noted_and_ignored(tmp_path: Path, profile: bytes):
    gradient().save(tmp_path / "odd.png", icc_profile=profile)
    picture = images.load(tmp_path / "odd.png")
    assert mean_difference(picture.image, gradient()) == 0
    assert "colour profile" in picture.notes[0]


@pytest.mark.parametrize("ending", ["gif", "webp", "png", "avif"])
def test_of_an_animation_the_first_frame_is_used_and_said_so(tmp_path: Path, ending: str):
    others = [Image.new("RGB", (WIDTH, HEIGHT), "red"), Image.new("RGB", (WIDTH, HEIGHT), "blue")]
    path = tmp_path / f"moving.{ending}"
    gradient().save(path, save_all=True, append_images=others, duration=80)
    picture = images.load(path)
    assert picture.notes == ("animated: only its first frame is used",)
    assert mean_difference(picture.image, gradient()) < 8


def test_the_extra_pictures_of_a_phone_jpeg_are_noted(tmp_path: Path):
    gradient().save(tmp_path / "phone.jpg", format="MPO", save_all=True, append_images=[gradient()])
    picture = images.load(tmp_path / "phone.jpg")
    assert picture.mime_type == "image/jpeg"
    assert "several pictures" in picture.notes[0]


def test_a_large_jpeg_is_decoded_small_when_the_target_is_small(tmp_path: Path):
    exif = Image.Exif()
    exif[0x0112] = 6
    gradient(3200, 1600).save(tmp_path / "large.jpg", exif=exif)
    assert images.load(tmp_path / "large.jpg").image.size == (1600, 3200)
    reduced = images.load(tmp_path / "large.jpg", (200, 400)).image
    assert reduced.size == (400, 800)


@pytest.mark.parametrize("size", [(30_000, 30_000), (10_000, 10_000), (8_100, 8_000), (40_000, 2)])
def test_a_bomb_is_refused_by_its_header(tmp_path: Path, size: tuple[int, int]):
    path = tmp_path / "bomb.png"
    path.write_bytes(png_claiming(*size))
    with pytest.raises(UnreadableImage, match=r"bomb\.png: the picture is .*64 megapixels"):
        images.load(path)


def test_a_gif_with_a_huge_screen_is_refused(tmp_path: Path):
    path = tmp_path / "huge.gif"
    frame = b"," + struct.pack("<HHHH", 0, 0, 1, 1) + b"\0\x02\x02D\x01\0;"
    path.write_bytes(b"GIF89a" + struct.pack("<HH", 65535, 65535) + b"\0\0\0" + frame)
    with pytest.raises(UnreadableImage, match="too large"):
        images.load(path)


@pytest.mark.parametrize("chunk", [b"zTXt", b"iCCP"])
def test_a_compressed_text_or_profile_that_explodes_is_refused(tmp_path: Path, chunk: bytes):
    gradient().save(tmp_path / "good.png")
    content = (tmp_path / "good.png").read_bytes()
    before = content.index(b"IDAT") - 4
    exploding = png_chunk(chunk, b"c\0\0" + zlib.compress(bytes(20_000_000), 9))
    (tmp_path / "bad.png").write_bytes(content[:before] + exploding + content[before:])
    with pytest.raises(UnreadableImage):
        images.load(tmp_path / "bad.png")


def test_a_file_over_the_size_limit_is_refused_without_being_read_whole(tmp_path: Path):
    path = tmp_path / "large.png"
    with path.open("wb") as file:
        file.truncate(images.MAX_BYTES + 1)
    with pytest.raises(UnreadableImage, match="larger than 64 MiB"):
        images.load(path)


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "avif", "tiff", "bmp"])
@pytest.mark.parametrize("kept", [0.02, 0.3, 0.6, 0.95])
def test_a_truncated_picture_is_refused(tmp_path: Path, ending: str, kept: float):
    whole = tmp_path / f"whole.{ending}"
    gradient(320, 240).save(whole)
    content = whole.read_bytes()
    cut = tmp_path / f"cut.{ending}"
    cut.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(UnreadableImage, match=rf"^cut\.{ending}: the picture is damaged"):
        images.load(cut)


def test_the_first_frame_of_a_truncated_animation_is_used(tmp_path: Path):
    gradient().save(tmp_path / "whole.gif", save_all=True, append_images=[Image.new("RGB", (WIDTH, HEIGHT))] * 5)
    content = (tmp_path / "whole.gif").read_bytes()
    (tmp_path / "cut.gif").write_bytes(content[:-60])
    assert mean_difference(images.load(tmp_path / "cut.gif").image, gradient()) < 8


def test_a_flipped_bit_in_a_png_is_noticed(tmp_path: Path):
    gradient().save(tmp_path / "good.png")
    good = (tmp_path / "good.png").read_bytes()
    pixels = good.index(b"IDAT") + 4
    length = int.from_bytes(good[pixels - 8 : pixels - 4], "big")
    for place in (pixels + 40, pixels + length - 2, pixels + length):
        content = bytearray(good)
        content[place] ^= 4
        (tmp_path / "bad.png").write_bytes(content)
        with pytest.raises(UnreadableImage, match="damaged"):
            images.load(tmp_path / "bad.png")


@pytest.mark.parametrize(
    ("content", "advice"),
    [
        (b"", "the file is empty; use a PNG"),
        (b"<!DOCTYPE html><title>404</title>", "web page.*download the picture itself"),
        (b'{"error": "not found"}', "error text"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "export it as PNG"),
        (b"%PDF-1.7\n", "export the page as PNG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "use a PNG, JPEG, WebP"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100), "convert it to PNG or JPEG first"),
        (b"\0\0\0\x18ftypisom" + bytes(100), "this is a video"),
        (b"\x1a\x45\xdf\xa3" + bytes(100), "this is a video"),
        (bytes(range(7, 250)) * 4, "not a picture; use a PNG, JPEG, WebP"),
        (b"\x89PNG\r\n\x1a\n", "damaged"),
    ],
)
def test_what_is_no_picture_is_refused_with_what_would_work(tmp_path: Path, content: bytes, advice: str):
    path = tmp_path / "wrong.png"
    path.write_bytes(content)
    with pytest.raises(UnreadableImage, match=advice):
        images.load(path)


def test_a_missing_file_a_folder_and_a_pipe_are_refused(tmp_path: Path):
    paths = [tmp_path / "missing.png", tmp_path]
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.png")
        paths.append(tmp_path / "pipe.png")
    for path in paths:
        with pytest.raises(UnreadableImage, match="there is no such file"):
            images.load(path)


@pytest.mark.parametrize("size", [(1, 1), (3, 2000), (2000, 3), (333, 211), (64, 48)])
def test_any_shape_is_fitted_to_the_frame(tmp_path: Path, size: tuple[int, int]):
    gradient(*size).save(tmp_path / "odd.png")
    fitted = images.fit(images.load(tmp_path / "odd.png").image, 96, 64)
    assert fitted.size == (96, 64)


def test_fitting_crops_the_overhang_equally_on_both_sides():
    striped = Image.new("RGB", (300, 100), "red")
    striped.paste((0, 255, 0), (100, 0, 200, 100))
    fitted = images.fit(striped, 100, 100)
    assert fitted.getpixel((50, 50)) == (0, 255, 0)
    assert np.asarray(fitted)[:, 5:95, 1].min() > 200


def test_fitting_to_its_own_size_changes_nothing():
    assert mean_difference(images.fit(gradient(), WIDTH, HEIGHT), gradient()) == 0


def test_a_file_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path):
    with pytest.raises(OutputUnwritable, match="could not be written"):
        images.write(b"x", tmp_path / "no such folder" / "x.png")
    (tmp_path / "taken").mkdir()
    with pytest.raises(OutputUnwritable):
        images.write(b"x", tmp_path / "taken")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
