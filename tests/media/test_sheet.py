"""Contact sheets: what a model sees of a video."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keyframe_mcp.errors import UnreadableVideo
from keyframe_mcp.media import sheet, video
from keyframe_mcp.media.orders import MakeSheet, SheetFacts
from media import clips


def made(path: Path, **choices: int) -> tuple[SheetFacts, Image.Image]:
    facts = sheet.make(MakeSheet(path=path, to=path.with_suffix(".jpg")).model_copy(update=choices))
    with Image.open(facts.path) as image:
        assert image.format == "JPEG"
        assert image.size == (facts.width, facts.height)
        assert facts.path.stat().st_size == facts.size_bytes
        return facts, image.convert("RGB")


@pytest.mark.parametrize(
    ("size", "frames"),
    [((832, 480), 60), ((480, 832), 60), ((512, 512), 60), ((1200, 64), 30), ((16, 16), 60), ((320, 180), 400)],
)
def test_a_sheet_stays_within_what_a_model_sees_unscaled(tmp_path: Path, size: tuple[int, int], frames: int):
    facts, _ = made(clips.make(tmp_path / "video.mp4", frames, size=size))
    assert max(facts.width, facts.height) <= 1456
    assert facts.width * facts.height <= 1_150_000
    assert facts.size_bytes <= 300_000
    assert facts.video.frames == frames


@pytest.mark.parametrize(("frames", "cells"), [(1, 1), (2, 2), (3, 3), (40, 4), (60, 9), (360, 9), (361, 16)])
def test_the_number_of_cells_follows_the_length(tmp_path: Path, frames: int, cells: int):
    facts, _ = made(clips.make(tmp_path / "video.mp4", frames, size=(96, 64)))
    assert len(facts.cells) == cells
    assert [cell.cell for cell in facts.cells] == list(range(1, cells + 1))


@pytest.mark.parametrize("wanted", range(1, 26))
def test_the_first_and_the_last_frame_are_always_there(tmp_path: Path, wanted: int):
    facts, _ = made(clips.make(tmp_path / "video.mp4", 30, size=(160, 96)), cells=wanted)
    assert facts.cells[0].frame == 0
    assert facts.cells[-1].frame == 29
    assert abs(len(facts.cells) - wanted) <= 1
    assert all(cell.at == round(cell.frame / 24, 3) for cell in facts.cells)


@pytest.mark.parametrize("wanted", [2, 4, 5, 7, 9, 13, 16, 25])
@pytest.mark.parametrize("size", [(160, 96), (96, 160), (128, 128)])
def test_no_cell_is_empty_and_each_shows_its_frame(tmp_path: Path, wanted: int, size: tuple[int, int]):
    path = clips.make(tmp_path / "video.mp4", 30, size=size)
    facts, image = made(path, cells=wanted)
    grid = sheet.choose_grid(video.survey(path), wanted, 1456)
    assert grid.cells == len(facts.cells)
    assert grid.size == image.size
    frames = clips.decode_all(path)
    for place, cell in enumerate(facts.cells):
        row, column = divmod(place, grid.columns)
        left, top = column * (grid.width + 4), row * (grid.height + 4)
        tile = image.crop((left, top, left + grid.width, top + grid.height)).resize(size)
        shown = np.asarray(tile, float)[size[1] // 2 :]
        expected = np.asarray(video.to_rgb(frames[cell.frame]), float)[size[1] // 2 :]
        other = np.asarray(video.to_rgb(frames[cell.frame - 3]), float)[size[1] // 2 :]
        assert np.abs(shown - expected).mean() < 6
        assert np.abs(shown - expected).mean() < np.abs(shown - other).mean()


def test_one_cell_is_too_few_for_the_first_and_the_last_frame(tmp_path: Path):
    known = video.survey(clips.make(tmp_path / "video.mp4", 30))
    assert sheet.choose_grid(replace(known, width=1920, height=1080), 1, 1456).cells == 2


def test_every_tile_is_labelled_in_white_on_black(tmp_path: Path):
    path = clips.make(tmp_path / "video.mp4", 60, size=(320, 192))
    facts, image = made(path)
    grid = sheet.choose_grid(video.survey(path), 9, 1456)
    labels: list[bytes] = []
    for place in range(len(facts.cells)):
        row, column = divmod(place, grid.columns)
        left, top = column * (grid.width + 4), row * (grid.height + 4)
        label = np.asarray(image.crop((left, top, left + 60, top + 20)).convert("L"))
        assert label.min() < 30
        assert label.max() > 220
        labels.append((label > 128).tobytes())
    assert len(set(labels)) == len(labels)


def test_noise_is_squeezed_under_the_limit_by_quality_first(tmp_path: Path):
    path = clips.make_noise(tmp_path / "noise.mp4", frames=12, size=(480, 272))
    best, _ = made(path, max_bytes=5_000_000)
    usual, _ = made(path)
    small, _ = made(path, max_bytes=40_000)
    assert best.size_bytes > 300_000 >= usual.size_bytes
    assert (usual.width, usual.height) == (best.width, best.height)
    assert small.size_bytes <= 40_000
    assert small.width < usual.width


@pytest.mark.parametrize("longest", [256, 900, 1568])
def test_the_longest_side_is_respected(tmp_path: Path, longest: int):
    facts, _ = made(clips.make(tmp_path / "video.mp4", 60, size=(832, 480)), longest_side=longest)
    assert max(facts.width, facts.height) <= longest
    assert facts.width * facts.height <= 1_150_000


def test_a_gif_and_a_turned_video_have_sheets_too(tmp_path: Path):
    facts, _ = made(clips.make_gif(tmp_path / "moving.gif"))
    assert facts.cells[-1].frame == 11
    facts, _ = made(clips.make(tmp_path / "turned.mp4", 60, size=(320, 180), rotation=90))
    assert facts.height > facts.width


def test_a_truncated_video_has_a_sheet_of_what_is_there(tmp_path: Path):
    whole = clips.make(tmp_path / "whole.ts", 60, options={"g": "12", "bf": "2", "preset": "medium"})
    cut = tmp_path / "cut.ts"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    facts, _ = made(cut)
    assert len(facts.cells) in {4, 6, 8, 9}


def test_what_is_no_video_has_no_sheet(tmp_path: Path):
    (tmp_path / "text.mp4").write_text("I am a text")
    with pytest.raises(UnreadableVideo):
        made(tmp_path / "text.mp4")
    assert not (tmp_path / "text.jpg").exists()
