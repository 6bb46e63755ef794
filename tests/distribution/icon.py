"""Draws the bundle's icon: `python -m distribution.icon FILE`. Two key frames, and the way from one to the other."""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image, ImageDraw

SIZE, FINE = 512, 4
GROUND, DAWN, DUSK = (24, 28, 44), (255, 176, 92), (120, 108, 230)
FRAME, FIRST, LAST = 160, (72, 176), (280, 176)
STEPS = 4


def icon() -> Image.Image:
    """The icon, drawn larger and made smaller for smooth edges."""
    image = Image.new("RGBA", (SIZE * FINE, SIZE * FINE))
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle(scaled(0, 0, SIZE - 1, SIZE - 1), radius=112 * FINE, fill=GROUND)
    for step in range(STEPS + 1):
        share = step / STEPS
        left, top = (round(mixed(a, b, share)) for a, b in zip(FIRST, LAST, strict=True))
        box = scaled(left, top, left + FRAME, top + FRAME)
        colour = tuple(round(mixed(a, b, share)) for a, b in zip(DAWN, DUSK, strict=True))
        draw.rounded_rectangle(box, radius=28 * FINE, fill=colour, outline=GROUND, width=10 * FINE)
    x, y = LAST[0] + FRAME // 2 + 4, LAST[1] + FRAME // 2
    draw.polygon([each * FINE for each in (x - 26, y - 38, x - 26, y + 38, x + 40, y)], fill=(255, 255, 255))
    return image.resize((SIZE, SIZE), Image.Resampling.LANCZOS)


def scaled(*box: int) -> tuple[int, ...]:
    return tuple(each * FINE for each in box)


def mixed(one: float, other: float, share: float) -> float:
    return one + (other - one) * share


if __name__ == "__main__":
    icon().save(Path(sys.argv[1]), optimize=True)
