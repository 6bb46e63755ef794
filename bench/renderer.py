"""How good and how fast the embedded renderer is, as ratios taken within one run.

    python bench/renderer.py [--quick]

Quality: decibels (PSNR over all planes) against scenes whose in-between pictures are known. Speed: processor time of a
whole video against that of encoding the same frames. `--quick` takes three scenes, short videos and one round.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.filter import Graph
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from PIL import Image

from keyframe_mcp.media.encode import from_planes, from_rgb, open_encoder, planes_of
from keyframe_mcp.media.orders import RenderVideo
from keyframe_mcp.media.render import render
from keyframe_mcp.media.render.morph import Morph
from keyframe_mcp.media.render.plan import plan_clip
from keyframe_mcp.task import Mode
from scenes import SCENES, Scene

Pixels = npt.NDArray[np.uint8]
Measured = dict[str, dict[str, dict[str, float]]]

TIMES = (0.2, 0.35, 0.5, 0.65, 0.8)
SIZES: Mapping[str, tuple[int, int]] = {"480p": (832, 480), "720p": (1280, 720)}
LONG_PROMPT = (
    "A fox runs through a snowy forest at dawn, light rays between the pines, while the camera slowly pushes in."
)


def measure(*, quick: bool = False) -> Measured:
    """`quality` by scene, `speed` by engine and size, `ends` by scene; plain numbers all."""
    names = ["zoom and turn", "nightfall", "shapes"] if quick else list(SCENES)
    quality = {name: _quality(SCENES[name](*SIZES["480p"])) for name in names}
    quality["**mean**"] = {
        column: float(np.mean([row[column] for row in quality.values()])) for column in next(iter(quality.values()))
    }
    with tempfile.TemporaryDirectory() as folder:
        return {
            "quality": quality,
            "speed": _speeds(Path(folder), quick=quick),
            "ends": {name: _ends(SCENES[name](*SIZES["480p"]), Path(folder)) for name in names},
        }


def table(measured: Measured) -> str:
    """The measurements as Markdown."""
    headings = {
        "quality": ("Likeness to the truth (PSNR, dB)", "scene"),
        "speed": ("Processor time of a whole video (5 s; 1 s with --quick) against encoding its frames", "engine"),
        "ends": ("First and last frame as delivered, and the steadiness of the motion", "scene"),
    }
    return "\n\n".join(f"### {title}\n\n{_rows(measured[part], corner)}" for part, (title, corner) in headings.items())


def _rows(part: Mapping[str, Mapping[str, float]], corner: str) -> str:
    columns = list(next(iter(part.values())))
    lines = [f"| {corner} | {' | '.join(columns)} |", "|---|" + "---:|" * len(columns)]
    for name, row in part.items():
        lines.append(f"| {name} | {' | '.join(_number(column, row[column]) for column in columns)} |")
    return "\n".join(lines)


def _quality(scene: Scene) -> dict[str, float]:
    first, last = scene(0.0), scene(1.0)
    start, end = planes_of(first).astype(np.float32), planes_of(last).astype(np.float32)
    morph = Morph(first, last)
    between = _interpolated(first, last)
    truths = {moment: planes_of(scene(moment)) for moment in TIMES}
    ways: dict[str, Callable[[float], npt.NDArray[np.generic]]] = {
        "dissolve": lambda moment: start + (end - start) * np.float32(moment),
        "minterpolate": lambda moment: between[round(moment * 20)],
        "morph": morph.draw,
    }
    result = {
        name: float(np.mean([_psnr(draw(moment), truth) for moment, truth in truths.items()]))
        for name, draw in ways.items()
    }
    return {**result, "gain over dissolve": result["morph"] - result["dissolve"], "confidence": morph.confidence}


def _interpolated(first: Pixels, last: Pixels) -> list[Pixels]:
    """FFmpeg's own motion interpolation: 21 frames, the first and last of them given."""
    height, width = first.shape[:2]
    graph = Graph()
    source = graph.add_buffer(width=width, height=height, format=VideoFormat("yuv420p"), time_base=Fraction(1))
    graph.link_nodes(source, graph.add("minterpolate", "fps=20:mi_mode=mci:scd=none"), graph.add("buffersink"))
    graph.configure()
    # It looks at neighbours on both sides, so each picture is given more than once; the change is in the second second.
    for second, picture in enumerate((first, first, last, last, last)):
        frame = VideoFrame.from_ndarray(planes_of(picture), format="yuv420p")
        frame.pts, frame.time_base = second, Fraction(1)
        graph.push(frame)
    graph.push(None)
    return list(itertools.islice(_pulled(graph), 20, 41))


def _pulled(graph: Graph) -> Iterator[Pixels]:
    while True:
        try:
            frame = graph.pull()
        except (EOFError, BlockingIOError):
            return
        assert isinstance(frame, VideoFrame)
        yield np.asarray(frame.to_ndarray(), np.uint8)


def _psnr(shown: npt.NDArray[np.generic], truth: Pixels) -> float:
    error = float(((np.asarray(shown, np.float32) - truth) ** 2).mean())
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def _speeds(folder: Path, *, quick: bool) -> dict[str, dict[str, float]]:
    seconds, rounds = (1.0, 1) if quick else (5.0, 3)
    rows: dict[str, dict[str, float]] = {}
    for resolution, (width, height) in SIZES.items():
        for name, order in _orders(folder, width, height).items():
            asked = {**order, "resolution": resolution, "duration": seconds, "to": folder / "out.mp4"}
            total, encoding = _cost(RenderVideo.model_validate(asked), rounds, opencv="Pillow" not in name)
            row = rows.setdefault(name, {})
            row.update({f"{resolution} s": total, f"{resolution} encode s": encoding})
            row[f"{resolution} ratio"] = total / encoding
    return rows


def _orders(folder: Path, width: int, height: int) -> dict[str, dict[str, object]]:
    orders: dict[str, dict[str, object]] = {}
    for name in ("zoom and turn", "nightfall", "shapes"):
        scene = SCENES[name](width, height)
        first, last = (_saved(folder / f"{name} {width} {moment}.png", scene(moment)) for moment in (0.0, 1.0))
        orders[f"morph, {name}"] = {"mode": "flf2v", "first_image": first, "last_image": last}
    unlike = _saved(folder / f"unlike {width}.png", SCENES["face"](width, height)(1.0))
    picture = orders["morph, zoom and turn"]["first_image"]
    return {
        **orders,
        "dissolve, motion sought in vain": {"mode": "flf2v", "first_image": picture, "last_image": unlike},
        "dissolve, Pillow only": {"mode": "flf2v", "first_image": picture, "last_image": unlike},
        "camera, Pillow only": {"mode": "i2v", "first_image": picture, "prompt": "zoom in and pan left"},
        "camera": {"mode": "i2v", "first_image": picture, "prompt": "zoom in and pan left"},
        "storyboard": {"mode": "t2v", "prompt": LONG_PROMPT},
    }


def _saved(path: Path, pixels: Pixels) -> Path:
    Image.fromarray(pixels).save(path, compress_level=1)
    return path


def _cost(order: RenderVideo, rounds: int, *, opencv: bool) -> tuple[float, float]:
    """Processor seconds of the whole order, images read and all, and of encoding what it draws; the best of each."""
    clip = plan_clip(order, opencv=opencv)
    frames = round(order.duration * order.fps)
    drawn = [from_planes(clip.draw(number / (frames - 1))) for number in range(frames)]

    def encode() -> None:
        with open_encoder(order.to, width=clip.width, height=clip.height, fps=order.fps, frames=frames) as encoder:
            for frame in drawn:
                encoder.write(frame)

    def whole() -> None:
        render(order, lambda _fraction: None, opencv=opencv)

    return min(_processor_time(whole) for _ in range(rounds)), min(_processor_time(encode) for _ in range(rounds))


def _processor_time(work: Callable[[], object]) -> float:
    before = time.process_time()
    work()
    return time.process_time() - before


def _ends(scene: Scene, folder: Path) -> dict[str, float]:
    """PSNR of the delivered ends, for RGB also what 4:2:0 alone allows, and the largest step between frames."""
    first, last = scene(0.0), scene(1.0)
    order = RenderVideo(
        mode=Mode.FLF2V,
        to=folder / "ends.mp4",
        first_image=_saved(folder / "first.png", first),
        last_image=_saved(folder / "last.png", last),
    )
    render(order, lambda _fraction: None)
    frames = _decoded(order.to)
    steps = [float(np.abs(after - before).mean()) for before, after in itertools.pairwise(_lumas(frames))]
    ends = ((frames[0], first, "first"), (frames[-1], last, "last"))
    return {
        **{f"{name} luma": _psnr(_luma(frame), _luma(from_rgb(picture))) for frame, picture, name in ends},
        **{f"{name} RGB": _psnr(_rgb(frame), picture) for frame, picture, name in ends},
        **{f"{name} RGB bound": _psnr(_rgb(from_rgb(picture)), picture) for _, picture, name in ends},
        "step max / median": max(steps) / float(np.median(steps)),
    }


def _decoded(path: Path) -> list[VideoFrame]:
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def _lumas(frames: list[VideoFrame]) -> Iterator[npt.NDArray[np.float32]]:
    return (_luma(frame).astype(np.float32) for frame in frames)


def _luma(frame: VideoFrame) -> Pixels:
    return np.asarray(frame.to_ndarray(), np.uint8)[: frame.height]


def _rgb(frame: VideoFrame) -> Pixels:
    return np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


def _number(column: str, value: float) -> str:
    return f"{value:.2f}" if column.endswith((" s", "ratio", "median", "confidence")) else f"{value:.1f}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Measure the embedded renderer.")
    parser.add_argument("--quick", action="store_true", help="three scenes, short videos, one round")
    sys.stdout.write(table(measure(quick=parser.parse_args().quick)) + "\n")
