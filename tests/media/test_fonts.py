"""Prompts are written in every script there is; none of them may come out as boxes."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from PIL import Image, ImageDraw

from keyframe_mcp.media import fonts

SCRIPTS = {
    "latin": "Ünïcödé façade Łódź",
    "greek": "Καλημέρα",
    "cyrillic": "Съешь ещё",
    "hebrew": "שלום עולם",
    "arabic": "مرحبا بالعالم",
    "hindi": "नमस्ते",
    "thai": "สวัสดี",
    "chinese": "你好，世界",
    "japanese": "こんにちは",
    "korean": "안녕하세요",
    "emoji": "😀🎬❤️👩‍🚀👍🏽🇩🇪",
    "boxes": "┌─┬─┐│█▓▒░║╬",
    "runic": "ᚠᛇᚻ",
    "mathematical": "𝒜𝔅∑∞",
}


def drawn(text: str, size: int = 24, anchor: str = "la", xy: tuple[float, float] = (10, 10)) -> np.ndarray:
    picture = Image.new("RGB", (600, 60))
    fonts.draw(ImageDraw.Draw(picture), xy, text, size, (255, 255, 255), anchor=anchor)
    return np.asarray(picture.convert("L"))


def ink(text: str) -> np.ndarray:
    """What was drawn, cut out."""
    pixels = drawn(text)
    rows, columns = np.nonzero(pixels)
    return pixels[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] if rows.size else pixels[:0]


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_is_drawn_without_a_replacement(script: str):
    assert "\ufffd" not in "".join(run.text for run in fonts._runs_as_seen(SCRIPTS[script]))
    assert ink(SCRIPTS[script]).any()


def test_no_character_in_use_is_drawn_as_a_missing_glyph():
    unused = {"Cn", "Co", "Cs", "Cc", "Cf"}
    codes = [code for code in range(0x21, 0x20000, 61) if unicodedata.category(chr(code)) not in unused]
    missing = [code for code in codes if any("\ufffd" in run.text for run in fonts._runs_as_seen("a" + chr(code)))]
    in_the_first_plane = [hex(code) for code in missing if code <= 0xFFFF and code != 0xFFFD]
    assert in_the_first_plane == []
    assert len(missing) < 400  # scripts of antiquity


@pytest.mark.parametrize("character", ["\U000e1234", "\ue000", "\u0378", "\ud800", "\U0003ffff"])
def test_a_character_no_font_has_becomes_a_visible_question_mark(character: str):
    assert np.array_equal(ink(character), ink("\N{REPLACEMENT CHARACTER}"))
    assert ink(character).any()


def test_control_characters_and_line_breaks_do_not_show():
    assert np.array_equal(drawn("a\x00b\x1b\x7f"), drawn("ab"))
    assert np.array_equal(drawn("a\nb\tc"), drawn("a b c"))


def test_a_letter_and_its_accent_are_drawn_as_the_accented_letter():
    assert np.array_equal(drawn("e\u0301"), drawn("\u00e9"))


def test_joiners_and_variation_selectors_take_no_room():
    assert fonts.measure("a\u200db\ufe0fc\u2060", 24) == pytest.approx(fonts.measure("abc", 24), abs=1)
    assert fonts.measure("❤\ufe0f", 24) == fonts.measure("❤", 24)


def test_the_width_measured_is_the_width_drawn():
    for text in ("Hello, world", "中文 and Latin mixed", "שלום עולם", "नमस्ते दुनिया", "😀🎬"):
        columns = np.nonzero(drawn(text).any(axis=0))[0]
        assert abs((columns.max() - 9) - fonts.measure(text, 24)) < 6, text


@pytest.mark.parametrize(("anchor", "left"), [("la", 300), ("ma", 250), ("ra", 200)])
def test_the_anchor_says_which_part_is_at_the_point(anchor: str, left: int):
    width = fonts.measure("HHHHH", 24)
    columns = np.nonzero(drawn("HHHHH", anchor=anchor, xy=(300, 10)).any(axis=0))[0]
    start = {"la": 300, "ma": 300 - width / 2, "ra": 300 - width}[anchor]
    assert abs(columns.min() - start) < 5


def test_the_baseline_is_shared_by_all_fonts():
    bottoms = [np.nonzero(drawn(text, anchor="ls", xy=(10, 40)).any(axis=1))[0].max() for text in ("H", "한", "中")]
    assert bottoms[0] in {38, 39, 40}
    assert all(abs(bottom - bottoms[0]) <= 5 for bottom in bottoms)


@pytest.mark.skipif(not fonts._can_shape(), reason="this Pillow has no text shaping")
def test_right_to_left_lines_are_put_in_the_order_they_are_read():
    visual = fonts._runs_as_seen("שלום 世界 עולם")
    assert [run.text.strip() for run in visual] == ["עולם", "世界", "שלום"]
    one, two = drawn("א|"), drawn("|א")
    bar_first = np.nonzero((one > 0).sum(axis=0) >= 20)[0].min()
    bar_second = np.nonzero((two > 0).sum(axis=0) >= 20)[0].min()
    assert bar_first < bar_second


def test_words_of_one_script_are_drawn_together_with_the_spaces_between_them():
    assert [run.text for run in fonts._runs_as_seen("ܫܠܡܐ ܥܠܡܐ")] == ["ܫܠܡܐ ܥܠܡܐ"]


def test_lines_break_at_spaces_and_fit():
    text = "The quick brown fox jumps over the lazy dog and runs far away " * 3
    lines = fonts.wrap(text, 20, 200)
    assert all(fonts.measure(line, 20) <= 200 for line in lines)
    assert " ".join(lines) == text.strip()
    assert len(lines) < 14


def test_chinese_breaks_anywhere_but_not_before_a_full_stop():
    lines = fonts.wrap("你好，世界。" * 6, 20, 100)
    assert all(fonts.measure(line, 20) <= 100 for line in lines)
    assert "".join(lines) == "你好，世界。" * 6
    assert not any(line.startswith(("，", "。")) for line in lines)


def test_a_word_too_long_for_a_line_is_broken_inside():
    lines = fonts.wrap("a " + "x" * 60 + " b", 20, 100)
    assert all(fonts.measure(line, 20) <= 100 for line in lines)
    assert "".join(lines).replace(" ", "") == "a" + "x" * 60 + "b"


def test_marks_and_emoji_sequences_are_never_torn_apart():
    family = "👨‍👩‍👧"
    lines = fonts.wrap(family * 6, 20, 90)
    assert len(lines) > 1
    assert all(line == family * (len(line) // len(family)) for line in lines)
    assert fonts._clusters("नमस्ते") == ["न", "म", "स्ते"]
    assert fonts._clusters("🇩🇪🇫🇷") == ["🇩🇪", "🇫🇷"]


def test_line_breaks_in_the_text_are_kept():
    assert fonts.wrap("one\n\ntwo", 20, 500) == ["one", "", "two"]
    assert fonts.wrap("  ", 20, 500) == []


def test_a_width_too_small_for_anything_still_ends():
    assert fonts.wrap("漢字 ab", 20, 1) == ["漢", "字", "a", "b"]
