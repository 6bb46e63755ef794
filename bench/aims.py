"""What the embedded renderer is to reach, and which of its figures do not."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping

AIMS = """\
Aims: at least 12 dB over a dissolve in the mean and no scene 0.5 dB below it. Processor time of a morph, in the median
of its three scenes, at most 4.5 times encoding alone at 480p and 4 times at 720p, and of the worst 8 times; of a camera
move 2.5, of a plain dissolve 1.3, of a storyboard 4 times. First and last frame at least 45 dB in luma; steps at most
1.6 times the median."""
MORPH_MEDIAN = {"480p": 4.5, "720p": 4.0}
MORPH_WORST = 8.0
RATIOS = {"camera": 2.5, "camera, Pillow only": 2.5, "dissolve, Pillow only": 1.3, "storyboard": 4.0}
GAIN, SCENE_GAIN, ENDS, STEPS = 12.0, -0.5, 45.0, 1.6

Part = Mapping[str, Mapping[str, float]]


def missed(measured: Mapping[str, Part]) -> str:
    """Every figure that is short of its aim, in a sentence."""
    found = [*likeness(measured["quality"]), *speed(measured["speed"]), *ends(measured["ends"])]
    return f"Missed: {'; '.join(found)}." if found else "All are reached."


def likeness(part: Part) -> Iterator[str]:
    """Scenes that gain too little."""
    for name, row in part.items():
        gain, aim = row["gain over dissolve"], GAIN if name == "**mean**" else SCENE_GAIN
        if gain < aim:
            yield f"{name.strip('*')} gains {gain:.1f} dB ({aim:g})"


def speed(part: Part) -> Iterator[str]:
    """Engines that take too long."""
    for size, aim in MORPH_MEDIAN.items():
        ratios = [row[f"{size} ratio"] for name, row in part.items() if name.startswith("morph")]
        for what, ratio, most in (("median", statistics.median(ratios), aim), ("worst", max(ratios), MORPH_WORST)):
            if ratio > most:
                yield f"a morph at {size} in the {what} {ratio:.2f} times ({most:g})"
        for name, most in RATIOS.items():
            if (ratio := part[name][f"{size} ratio"]) > most:
                yield f"{name} at {size} {ratio:.2f} times ({most:g})"


def ends(part: Part) -> Iterator[str]:
    """Scenes whose ends are not the pictures, or whose motion is not steady."""
    for name, row in part.items():
        low, step = min(row["first luma"], row["last luma"]), row["step max / median"]
        if low < ENDS:
            yield f"{name} with {low:.1f} dB at an end ({ENDS:g})"
        if step > STEPS:
            yield f"{name} with a step of {step:.2f} times the median ({STEPS:g})"
