"""Pictures made to fit what a provider takes."""

from __future__ import annotations

from pathlib import Path

import anyio
import numpy as np
import pytest
from PIL import Image, ImageCms

from keyframe_mcp.errors import OutputUnwritable, UnreadableImage
from keyframe_mcp.media import fitting
from keyframe_mcp.media.orders import FitImage, ImageFacts, ImageFormat
from keyframe_mcp.media.workshop import Workshop

WIDTH, HEIGHT = 64, 48
PLENTY = 1 << 20
EVERY_FORMAT: tuple[ImageFormat, ...] = ("png", "jpeg", "webp", "gif", "bmp", "tiff")


def gradient(width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    across = np.tile(np.linspace(0, 255, width), (height, 1))
    down = np.tile(np.linspace(255, 0, height)[:, None], (1, width))
    return Image.fromarray(np.dstack([across, down, np.full((height, width), 90.0)]).astype(np.uint8))


def noise(width: int = 200, height: int = 150) -> Image.Image:
    """What compresses worst."""
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def difference(file: Path, other: Image.Image) -> float:
    with Image.open(file) as opened:
        return float(np.abs(np.asarray(opened.convert("RGB"), float) - np.asarray(other, float)).mean())


def fit(
    path: Path, *formats: ImageFormat, most_bytes: int = PLENTY, longest_side: int | None = None
) -> tuple[Path, ImageFacts]:
    to = path.with_name("fitted")
    formats = formats or ("png", "jpeg")
    order = FitImage(path=path, to=to, formats=formats, most_bytes=most_bytes, longest_side=longest_side)
    facts = fitting.fit(order)
    assert to.stat().st_size == facts.size_bytes <= most_bytes
    with Image.open(to) as opened:
        assert (opened.width, opened.height) == (facts.width, facts.height)
        assert opened.get_format_mimetype() == facts.mime_type
    return to, facts


@pytest.mark.parametrize("kind", EVERY_FORMAT)
def test_a_picture_that_fits_is_copied_to_the_last_byte(tmp_path: Path, kind: ImageFormat):
    path = tmp_path / "picture"
    gradient().save(path, format=kind.upper())
    to, facts = fit(path, *EVERY_FORMAT)
    assert to.read_bytes() == path.read_bytes()
    assert (facts.width, facts.height, facts.mime_type, facts.notes) == (WIDTH, HEIGHT, f"image/{kind}", ())


@pytest.mark.parametrize(("kind", "name"), [("webp", "WebP"), ("gif", "GIF"), ("bmp", "BMP"), ("tiff", "TIFF")])
def test_a_picture_of_another_format_becomes_png(tmp_path: Path, kind: str, name: str):
    path = tmp_path / f"picture.{kind}"
    gradient().save(path)
    to, facts = fit(path)
    assert (facts.mime_type, facts.notes) == ("image/png", (f"converted from {name} to PNG",))
    assert difference(to, gradient()) < 8


def test_an_avif_becomes_jpeg_where_png_is_not_taken(tmp_path: Path):
    gradient().save(tmp_path / "picture.avif")
    to, facts = fit(tmp_path / "picture.avif", "jpeg")
    assert (facts.mime_type, facts.notes) == ("image/jpeg", ("converted from AVIF to JPEG of quality 95",))
    assert difference(to, gradient()) < 8


def test_a_jpeg_becomes_png_only_where_jpeg_is_not_taken(tmp_path: Path):
    gradient().save(tmp_path / "picture.jpg")
    assert fit(tmp_path / "picture.jpg", "png", "jpeg")[1].mime_type == "image/jpeg"
    assert fit(tmp_path / "picture.jpg", "png", "webp")[1].notes == ("converted from JPEG to PNG",)


def test_where_only_webp_is_taken_it_becomes_webp(tmp_path: Path):
    gradient().save(tmp_path / "picture.png")
    to, facts = fit(tmp_path / "picture.png", "webp")
    assert facts.notes == ("converted from PNG to WebP of quality 95",)
    assert difference(to, gradient()) < 8


def test_a_png_that_is_too_large_becomes_a_jpeg_of_the_best_quality_that_fits(tmp_path: Path):
    path = tmp_path / "noise.png"
    noise().save(path)
    sizes = {
        quality: fit(path, "jpeg", most_bytes=limit)[1] for quality, limit in ((95, PLENTY), (90, 40_000), (85, 25_000))
    }
    assert path.stat().st_size > 80_000
    assert [facts.notes for facts in sizes.values()] == [
        (f"converted from PNG to JPEG of quality {quality}",) for quality in sizes
    ]
    assert fit(path, "png", "jpeg", most_bytes=60_000)[1].mime_type == "image/jpeg"


def test_a_jpeg_that_is_too_large_is_saved_again(tmp_path: Path):
    noise().save(tmp_path / "noise.jpg", quality=100, subsampling=0)
    _, facts = fit(tmp_path / "noise.jpg", most_bytes=25_000)
    assert facts.notes == ("saved again as JPEG of quality 85",)


def test_a_picture_that_cannot_be_made_small_enough_is_refused_with_a_size_that_works(tmp_path: Path):
    path = tmp_path / "noise.png"
    noise().save(path)
    with pytest.raises(UnreadableImage) as caught:
        fit(path, most_bytes=10_000)
    message = str(caught.value)
    assert message.startswith("noise.png: 200 x 150 pixels are ")
    assert "bytes even as JPEG of quality 85, and at most 10,000 can be sent" in message
    assert list(tmp_path.iterdir()) == [path]
    side = int(message.partition("about ")[2].partition(" ")[0])
    assert fit(path, most_bytes=10_000, longest_side=side)[1].width == side


def test_a_picture_that_can_neither_be_sent_nor_converted_is_refused(tmp_path: Path):
    noise().save(tmp_path / "noise.gif")
    with pytest.raises(UnreadableImage, match="give it as GIF or BMP, upright, not animated and of at most 900 bytes"):
        fit(tmp_path / "noise.gif", "gif", "bmp", most_bytes=900)


def test_sides_that_are_too_long_are_scaled_and_never_up(tmp_path: Path):
    gradient(300, 100).save(tmp_path / "wide.png")
    to, facts = fit(tmp_path / "wide.png", longest_side=150)
    assert (facts.width, facts.height) == (150, 50)
    assert facts.notes == ("scaled from 300 x 100 to 150 x 50", "saved again as PNG")
    assert difference(to, gradient(150, 50)) < 8
    assert fit(tmp_path / "wide.png", longest_side=300)[1].notes == ()
    assert fit(tmp_path / "wide.png", longest_side=5000)[1].notes == ()


def test_a_sliver_keeps_at_least_a_pixel(tmp_path: Path):
    gradient(2000, 2).save(tmp_path / "sliver.png")
    assert fit(tmp_path / "sliver.png", longest_side=100)[1].height == 1


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "tiff"])
def test_a_phone_picture_is_turned_upright(tmp_path: Path, ending: str):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / f"phone.{ending}"
    gradient().transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)
    to, facts = fit(path, *EVERY_FORMAT)
    assert (facts.width, facts.height) == (WIDTH, HEIGHT)
    assert facts.notes[0] == "rotated as its EXIF says"
    assert difference(to, gradient()) < 8
    with Image.open(to) as opened:
        assert opened.getexif().get(0x0112, 1) == 1


@pytest.mark.parametrize("orientation", [0, 1, 9])
def test_a_picture_whose_exif_asks_for_no_turn_is_copied(tmp_path: Path, orientation: int):
    exif = Image.Exif()
    exif[0x0112] = orientation
    gradient().save(tmp_path / "camera.jpg", exif=exif)
    to, facts = fit(tmp_path / "camera.jpg")
    assert facts.notes == ()
    assert to.read_bytes() == (tmp_path / "camera.jpg").read_bytes()


@pytest.mark.parametrize("kind", ["gif", "webp", "png"])
def test_of_an_animation_the_first_frame_is_saved(tmp_path: Path, kind: ImageFormat):
    others = [Image.new("RGB", (WIDTH, HEIGHT), "red"), Image.new("RGB", (WIDTH, HEIGHT), "blue")]
    path = tmp_path / "moving"
    gradient().save(path, format=kind.upper(), save_all=True, append_images=others, duration=80)
    to, facts = fit(path, kind, "png")
    assert facts.mime_type == "image/png"
    assert facts.notes[0] == "animated: only its first frame is used"
    assert difference(to, gradient()) < 8
    with Image.open(to) as opened:
        assert getattr(opened, "n_frames", 1) == 1


def test_the_extra_pictures_of_a_phone_jpeg_are_no_reason_to_save_it_again(tmp_path: Path):
    path = tmp_path / "phone.jpg"
    gradient().save(path, format="MPO", save_all=True, append_images=[gradient()])
    order = FitImage(path=path, to=tmp_path / "fitted", formats=("jpeg",), most_bytes=PLENTY)
    assert fitting.fit(order).mime_type == "image/jpeg"
    assert (tmp_path / "fitted").read_bytes() == path.read_bytes()


def test_gray_of_sixteen_bits_is_scaled_to_eight(tmp_path: Path):
    """Many a server would clip it to white."""
    ramp = np.tile(np.linspace(0, 65535, WIDTH), (HEIGHT, 1)).astype(np.uint16)
    Image.fromarray(ramp).save(tmp_path / "deep.png")
    to, facts = fit(tmp_path / "deep.png")
    assert facts.notes == ("its pixels (I;16) were brought to 8-bit sRGB", "saved again as PNG")
    with Image.open(to) as opened:
        row = np.asarray(opened.convert("L"), float)[0]
    assert np.abs(row - np.linspace(0, 255, WIDTH)).max() <= 1


def test_a_print_s_colours_become_those_of_a_screen(tmp_path: Path):
    gradient().convert("CMYK").save(tmp_path / "print.jpg")
    to, facts = fit(tmp_path / "print.jpg")
    assert facts.notes == ("its pixels (CMYK) were brought to 8-bit sRGB", "saved again as JPEG of quality 95")
    with Image.open(to) as opened:
        assert opened.mode == "RGB"
    assert difference(to, gradient()) < 12


def test_a_colour_profile_is_applied_where_the_picture_is_saved_again(tmp_path: Path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # a monitor whose red is what others call blue
    swapped = profile.replace(b"rXYZ", b"????", 1).replace(b"bXYZ", b"rXYZ", 1).replace(b"????", b"bXYZ", 1)
    Image.new("RGB", (8, 8), (255, 0, 0)).save(tmp_path / "swapped.webp", icc_profile=swapped, lossless=True)
    to, _ = fit(tmp_path / "swapped.webp")
    assert difference(to, Image.new("RGB", (8, 8), (0, 0, 255))) < 3


def test_transparent_parts_of_a_palette_become_white(tmp_path: Path):
    palette = Image.new("P", (8, 8), 3)
    palette.putpalette(bytes(768))
    palette.save(tmp_path / "palette.gif", transparency=3)
    to, facts = fit(tmp_path / "palette.gif")
    assert facts.notes == ("its transparent parts were made white", "converted from GIF to PNG")
    assert difference(to, Image.new("RGB", (8, 8), "white")) == 0
    palette.save(tmp_path / "palette.png", transparency=3)
    to, facts = fit(tmp_path / "palette.png", "jpeg")
    assert facts.notes == ("its transparent parts were made white", "converted from PNG to JPEG of quality 95")
    assert difference(to, Image.new("RGB", (8, 8), "white")) == 0


async def test_the_media_worker_does_it(tmp_path: Path):
    gradient().save(tmp_path / "picture.webp")
    order = FitImage(path=tmp_path / "picture.webp", to=tmp_path / "fitted", formats=("png",), most_bytes=PLENTY)
    workshop = Workshop()
    try:
        with anyio.fail_after(60):
            facts = await workshop.run(order)
    finally:
        await workshop.aclose()
    assert facts.size_bytes == (tmp_path / "fitted").stat().st_size
    assert facts.notes == ("converted from WebP to PNG",)


def test_what_is_no_picture_is_refused(tmp_path: Path):
    (tmp_path / "page.png").write_text("<html>")
    with pytest.raises(UnreadableImage, match=r"page\.png: this is a web page"):
        fit(tmp_path / "page.png")


@pytest.mark.parametrize("ending", ["png", "bmp"])
def test_where_it_cannot_be_written_nothing_is_left_behind(tmp_path: Path, ending: str):
    path = tmp_path / f"picture.{ending}"
    gradient().save(path)
    (tmp_path / "taken").mkdir()
    with pytest.raises(OutputUnwritable):
        fitting.fit(FitImage(path=path, to=tmp_path / "taken", formats=("png",), most_bytes=PLENTY))
    assert {each.name for each in tmp_path.iterdir()} == {path.name, "taken"}
