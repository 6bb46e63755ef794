"""A given picture beside the frame that was delivered for it."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from keyframe_mcp.media import comparing, encode, sheet, video
from keyframe_mcp.media.orders import Fit, Given, Likeness, MakeSheet, SheetFacts
from media import clips


def scene(seed: int = 1, width: int = 416, height: int = 240) -> Image.Image:
    """Clouds of every size, as unlike between two seeds as two photographs."""
    random = np.random.default_rng(seed)
    total = np.zeros((height, width, 3))
    for fineness in (4, 8, 16, 32, 64):
        dots = random.integers(0, 256, (fineness, fineness * width // height, 3), dtype=np.uint8)
        total += np.asarray(Image.fromarray(dots).resize((width, height), Image.Resampling.BICUBIC), float) / fineness
    total -= total.min()
    return Image.fromarray((total * 255 / total.max()).astype(np.uint8))


def as_jpeg(image: Image.Image, quality: int) -> Image.Image:
    content = io.BytesIO()
    image.save(content, format="JPEG", quality=quality)
    return Image.open(content).convert("RGB")


def moved(image: Image.Image, pixels: int) -> Image.Image:
    return Image.fromarray(np.roll(np.asarray(image), pixels, axis=1))


def test_a_picture_is_like_itself_without_any_difference():
    found = comparing.compare(scene(), scene())
    assert (found.psnr, found.ssim, found.likeness, found.fit) == (None, 1.0, "same", "scaled")


def test_the_psnr_of_a_known_error_is_what_its_formula_says():
    gray = Image.new("RGB", (320, 240), (100, 100, 100))
    lighter = Image.new("RGB", (320, 240), (110, 110, 110))
    found = comparing.compare(gray, lighter)
    assert found.psnr == pytest.approx(20 * np.log10(255 / 10), abs=0.05)
    # without contrast only the brightness term of SSIM is left, with the constant of its authors
    stable = (0.01 * 255) ** 2
    assert found.ssim == pytest.approx((2 * 100 * 110 + stable) / (100**2 + 110**2 + stable), abs=0.001)


def test_known_noise_has_the_figures_known_for_it():
    flat = Image.new("RGB", (320, 256), (128, 128, 128))
    noise = np.random.default_rng(0).normal(0, 10, (256, 320, 1))
    grainy = Image.fromarray((128.5 + np.repeat(noise, 3, axis=2)).clip(0, 255).astype(np.uint8))
    found = comparing.compare(flat, grainy)
    assert found.psnr == pytest.approx(20 * np.log10(255 / 10), abs=0.1)
    # against a flat picture: c2 / (variance + c2)
    stable = (0.03 * 255) ** 2
    assert found.ssim == pytest.approx(stable / (100 + stable), abs=0.03)


CHANGES: list[tuple[str, Callable[[Image.Image], Image.Image], Likeness]] = [
    ("jpeg 30", lambda image: as_jpeg(image, 30), "same"),
    ("jpeg 10", lambda image: as_jpeg(image, 10), "near"),
    ("scaled up from half", lambda image: image.resize((208, 120)).resize(image.size), "same"),
    ("moved by 4 px", lambda image: moved(image, 4), "near"),
    ("cropped by 1.5 % a side", lambda image: image.crop((6, 4, 410, 236)).resize(image.size), "near"),
    ("moved by 20 px", lambda image: moved(image, 20), "related"),
    ("brighter", lambda image: ImageEnhance.Brightness(image).enhance(1.5), "recoloured"),
    ("gray", lambda image: image.convert("L").convert("RGB"), "recoloured"),
    ("mirrored", ImageOps.mirror, "other"),
    ("another", lambda _: scene(2), "other"),
    ("plain", lambda image: Image.new("RGB", image.size, (90, 90, 90)), "other"),
]


@pytest.mark.parametrize(("change", "likeness"), [each[1:] for each in CHANGES], ids=[each[0] for each in CHANGES])
def test_the_verdict_says_what_happened(change: Callable[[Image.Image], Image.Image], likeness: Likeness):
    given = scene()
    found = comparing.compare(given, change(given))
    assert found.likeness == likeness, found


def test_pictures_of_one_colour_differ_by_their_colour():
    red, blue = (Image.new("RGB", (320, 240), colour) for colour in ((200, 30, 30), (30, 30, 200)))
    assert comparing.compare(red, red).likeness == "same"
    assert comparing.compare(red, blue).likeness == "recoloured"


def delivered(given: Image.Image, fit: Fit) -> Image.Image:
    """A frame of 416 x 240 as a provider makes it of a square picture."""
    match fit:
        case "cropped":
            return ImageOps.fit(given, (416, 240))
        case "letterboxed":
            return ImageOps.pad(given, (416, 240), color="white")
        case _:
            return given.resize((416, 240))


@pytest.mark.parametrize("fit", ["cropped", "letterboxed", "stretched"])
def test_a_picture_of_another_shape_is_compared_as_it_was_fitted(fit: Fit):
    given = scene(width=480, height=480)
    found = comparing.compare(given, as_jpeg(delivered(given, fit), 60))
    assert (found.fit, found.likeness) == (fit, "same")
    assert found.fitted.size == (416, 240)


@pytest.mark.parametrize("size", [(416, 240), (832, 480), (1664, 960)])
def test_a_video_of_another_size_is_judged_alike(size: tuple[int, int]):
    found = comparing.compare(scene(), as_jpeg(scene().resize(size), 60))
    assert found.likeness == "same"
    assert found.ssim > 0.95


@pytest.mark.parametrize("size", [(2, 2), (16, 16), (3, 400), (64, 1200)])
def test_even_the_smallest_and_thinnest_pictures_can_be_compared(size: tuple[int, int]):
    found = comparing.compare(scene(), scene().resize(size))
    assert 0 <= found.ssim <= 1


def film(folder: Path, first: Image.Image, last: Image.Image) -> Path:
    """A video that begins with one picture and ends with another."""
    to = folder / "film.mp4"
    with encode.open_encoder(to, width=416, height=240, fps=8, frames=16) as encoder:
        for place in range(16):
            encoder.write(encode.from_rgb(np.asarray(Image.blend(first, last, place / 15))))
    return to


def sheet_of(folder: Path, **more: object) -> tuple[SheetFacts, Image.Image]:
    scene(1).save(folder / "first.png")
    scene(2).save(folder / "last.png")
    given = (Given(end="first", path=folder / "first.png"), Given(end="last", path=folder / "last.png"))
    path = film(folder, scene(1), scene(2))
    order = MakeSheet.model_validate({"path": path, "to": folder / "sheet.jpg", "given": given} | more)
    facts = sheet.make(order)
    with Image.open(facts.path) as image:
        return facts, image.convert("RGB")


@pytest.mark.parametrize(("longest", "most"), [(1456, 300_000), (896, 120_000), (512, 30_000)])
def test_a_sheet_shows_each_given_picture_beside_the_frame_made_for_it(tmp_path: Path, longest: int, most: int):
    facts, image = sheet_of(tmp_path, longest_side=longest, max_bytes=most)
    assert [(each.end, each.likeness) for each in facts.comparisons] == [("first", "same"), ("last", "same")]
    assert facts.size_bytes <= most
    assert max(image.size) <= longest
    known = video.survey(tmp_path / "film.mp4")
    grid = sheet.choose_grid(known, 9 if longest > 600 else 4, longest, pairs=2)
    assert grid.size == image.size
    width, height = grid.pair_tile
    corner = (grid.inner_width - 1, image.height - 1) if grid.columns > 2 else (2 * width, image.height - 1)
    last = image.crop((corner[0] - width, corner[1] - height, *corner)).resize((104, 60))
    assert np.abs(np.asarray(last, float)[20:] - np.asarray(scene(2).resize((104, 60)), float)[20:]).mean() < 14


@pytest.fixture(scope="module")
def any_video(tmp_path_factory: pytest.TempPathFactory) -> video.Survey:
    return video.survey(clips.make(tmp_path_factory.mktemp("videos") / "video.mp4", 2))


@pytest.mark.parametrize("size", [(832, 480), (480, 832), (512, 512), (1200, 64), (16, 16)])
@pytest.mark.parametrize("pairs", [1, 2])
@pytest.mark.parametrize("longest", [256, 512, 896, 1456])
def test_with_a_row_to_compare_a_sheet_is_still_no_larger_than_allowed(
    any_video: video.Survey, size: tuple[int, int], pairs: int, longest: int
):
    known = replace(any_video, width=size[0], height=size[1], shown=tuple(range(26)))
    for wanted in (1, 2, 4, 9, 16, 25):
        grid = sheet.choose_grid(known, wanted, longest, pairs=pairs)
        assert max(grid.size) <= longest
        assert grid.size[0] * grid.size[1] <= sheet.MAX_PIXELS


def test_a_given_picture_that_cannot_be_read_is_named_and_the_sheet_is_made(tmp_path: Path):
    (tmp_path / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    facts, _ = sheet_of(tmp_path, given=[{"end": "first", "path": tmp_path / "torn.png"}])
    assert facts.comparisons == ()
    assert len(facts.remarks) == 1
    assert "the given first picture was not compared: torn.png" in facts.remarks[0]


@pytest.mark.parametrize("size", [(10, 345), (10, 600), (20, 1400), (1, 3000)])
def test_a_thin_picture_is_judged_like_any_other(size: tuple[int, int]):
    found = comparing.compare(scene(3, 416, 240).resize(size), scene(4, 832, 480))
    assert 0 <= found.ssim <= 1
    assert found.likeness == "other"


def test_a_video_of_a_few_pixels_is_not_compared_and_says_so(tmp_path: Path):
    path = clips.make(tmp_path / "tiny.mp4", size=(6, 6), frames=4)
    scene(1).save(tmp_path / "first.png")
    given = (Given(end="first", path=tmp_path / "first.png"),)
    facts = sheet.make(MakeSheet(path=path, to=tmp_path / "sheet.jpg", given=given))

    assert facts.comparisons == ()
    assert facts.remarks == ("a video of 6x6 is too small to be compared with what was given",)
