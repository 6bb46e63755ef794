"""A prompt as the shots of a storyboard."""

from __future__ import annotations

import re
from dataclasses import dataclass

_MOST_SHOTS = 12
_SHOT_MARK = re.compile(r"(?:^|\s+)(?:shot|scene)\s*\d+\s*[:.)\-]\s*", re.IGNORECASE)
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+|(?<=[。！？])\s*|\n+")


@dataclass(frozen=True)
class Shot:
    """One card: a label above and what happens."""

    label: str
    text: str


def shots_of(prompt: str) -> list[Shot]:
    """The shots a prompt describes: marked ("Shot 2: ..."), or its lines and sentences."""
    pieces = _SHOT_MARK.split(prompt) if _SHOT_MARK.search(prompt) else _SENTENCE_END.split(prompt)
    texts = [piece.strip() for piece in pieces if piece.strip()]
    if len(texts) > _MOST_SHOTS:
        texts = [*texts[: _MOST_SHOTS - 1], " ".join(texts[_MOST_SHOTS - 1 :])]
    if len(texts) < 2:
        return [Shot("SHOT 1", prompt.strip() or "(no prompt)")]
    return [Shot(f"SHOT {number} / {len(texts)}", text) for number, text in enumerate(texts, start=1)]


def shots_between(prompt_start: str, prompt_end: str) -> list[Shot]:
    """The shots of an animation: those of the start, then the end."""
    start = shots_of(prompt_start)
    labels = ["START"] if len(start) == 1 else [f"START {number} / {len(start)}" for number in range(1, len(start) + 1)]
    return [
        *(Shot(label, shot.text) for label, shot in zip(labels, start, strict=True)),
        Shot("END", prompt_end.strip() or "(no prompt)"),
    ]
