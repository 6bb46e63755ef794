"""The camera move a prompt asks for, read from the words film crews use."""

from __future__ import annotations

import re
from dataclasses import dataclass

_CAMERA = r"\b(?:camera|shot|view|drone|lens|frame)\b[^,.;:!?\n]*?"
_HOW = r"[- ](?:(?:very|so|all|the|way|slowly|gently|smoothly|steadily|subtly|quickly|rapidly|swiftly),? )*"
_SIDE = _HOW + r"(?:to the |towards? the |to )?"
_IN = _HOW + r"(?:in|inwards?|into|forwards?|closer|towards?)\b"
_OUT = _HOW + r"(?:out|outwards?|back|backwards?|away)\b"

_ZOOM = r"zoom(?:s|ing|ed)?"
_DOLLY = r"doll(?:y|ies|ying)|track(?:s|ing)?|truck(?:s|ing)?|cran(?:e|es|ing)"
_PUSH = r"push(?:es|ing)?"
_PULL = r"pull(?:s|ing)?"
_PAN = r"pan(?:s|ning)?"
_SLIDE = r"slid(?:e|es|ing)|track(?:s|ing)?|truck(?:s|ing)?"
_TILT = r"tilt(?:s|ing)?|pan(?:s|ning)?|cran(?:e|es|ing)|pedestal(?:s|ing)?|boom(?:s|ing)?"
_TRAVEL = (  # people and birds do these too, so they count only after "camera" or a word for it
    r"mov(?:e|es|ing)|fl(?:y|ies|ying)|go(?:es|ing)?|com(?:e|es|ing)|glid(?:e|es|ing)|travel(?:s|ling|ing)?"
    r"|drift(?:s|ing)?|slid(?:e|es|ing)|ris(?:e|es|ing)|look(?:s|ing)?|turn(?:s|ing)?"
)


def _move(verbs: str, direction: str) -> str:
    return rf"(?:\b(?:{verbs})|{_CAMERA}\b(?:{_TRAVEL})){direction}"


_SOMEWHERE = rf"\b{_PAN} (?:across|over|along)\b|\bcamera {_PAN}$"
_STATIC = (
    r"\b(?:static|fixed|stationary|locked(?:[- ]off)?|still|motionless) (?:camera|shot|frame|view)\b"
    r"|\bcamera (?:is |stays |remains |holds )?(?:static|fixed|still|stationary|locked)\b|\btripod\b"
)
_MOVES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(pattern))
    for name, pattern in (
        ("zoom out", _move(f"{_ZOOM}|{_DOLLY}|{_PULL}", _OUT)),
        ("push in", rf"{_move(f'{_ZOOM}|{_DOLLY}|{_PUSH}', _IN)}|\b{_ZOOM}\b(?!{_OUT})"),
        ("pan left", _move(f"{_PAN}|{_SLIDE}", rf"{_SIDE}left(?:wards?)?\b")),
        ("pan right", rf"{_move(f'{_PAN}|{_SLIDE}', rf'{_SIDE}right(?:wards?)?')}\b|{_SOMEWHERE}"),
        ("tilt up", rf"{_move(_TILT, rf'{_HOW}up(?:wards?)?')}\b|{_CAMERA}\bris(?:es|ing)\b"),
        ("tilt down", rf"{_move(_TILT, rf'{_HOW}down(?:wards?)?')}\b|{_CAMERA}\b(?:descend|lower)(?:s|ing)?\b"),
        ("orbit", rf"\borbit(?:s|ing)?\b|\barc (?:shot|around)\b|{_CAMERA}\b(?:circl|rotat)(?:es|ing) around\b"),
        ("roll", rf"\bdutch (?:angle|tilt|roll)\b|{_CAMERA}\b(?:roll|spin|rotat)(?:e|s|es|ing|ning)?\b(?! around)"),
        ("handheld", r"\bhand-?held\b|\bshaky\b|\bcamera shak(?:e|es|ing)\b"),
        ("static", _STATIC),
    )
)
_REFUSABLE: tuple[tuple[str, re.Pattern[str]], ...] = (  # "no zoom" names no direction, and means them all
    ("push in", re.compile(rf"\b(?:{_ZOOM}|{_PUSH}|doll(?:y|ies|ying))\b(?!{_OUT})")),
    ("zoom out", re.compile(rf"\b(?:{_ZOOM}|{_PULL}|doll(?:y|ies|ying))\b(?!{_IN})")),
    ("pan left", re.compile(rf"\b{_PAN}\b(?!{_SIDE}right)")),
    ("pan right", re.compile(rf"\b{_PAN}\b(?!{_SIDE}left)")),
    ("tilt up", re.compile(rf"\btilt(?:s|ing)?\b(?!{_HOW}down)")),
    ("tilt down", re.compile(rf"\btilt(?:s|ing)?\b(?!{_HOW}up)")),
)
_ANY_MOVE = re.compile(r"\b(?:camera (?:movement|motion|moves?|moving)|movement|motion)\b")
_NEGATION = re.compile(
    r"\b(?:no|not|without|never|avoid|cannot|(?:do|does|is|wo)n['’]?t)\b(?: (?!and\b|but\b|then\b)[\w'-]+){0,3} ?$"
)
_CLAUSE_ENDS = re.compile(r"[,.;:!?\n。、，；！？]+|\bbut\b|\bthen\b|\bwhile\b")
_SLOW = re.compile(r"\b(?:slow(?:ly)?|gentl[ey]|subtl[ey]|gradual(?:ly)?|soft(?:ly)?|slight(?:ly)?)\b")
_FAST = re.compile(r"\b(?:fast|quick(?:ly)?|rapid(?:ly)?|swift(?:ly)?|whip|sudden(?:ly)?|crash)\b")


@dataclass(frozen=True)
class CameraMove:
    """The moves asked for, by name. `pace` is 1, less when slow, more when fast."""

    moves: frozenset[str]
    pace: float = 1.0
    by_default: bool = False

    def __contains__(self, move: str) -> bool:
        return move in self.moves

    def __str__(self) -> str:
        named = ", ".join(name for name, _ in _MOVES if name in self.moves) or "static"
        if self.by_default:
            return f"{named} (gentle, the default)"
        return named + {0.5: " (slow)", 1.6: " (fast)"}.get(self.pace, "")

    def both_ways(self, plus: str, minus: str) -> int:
        """1, -1 or 0: opposite moves cancel each other."""
        return (plus in self.moves) - (minus in self.moves)


def read_camera(prompt: str) -> CameraMove:
    """The move a prompt asks for; a gentle push in when it asks for none and forbids none."""
    wanted: set[str] = set()
    refused: set[str] = set()
    pace = 1.0
    for clause in filter(None, map(str.strip, _CLAUSE_ENDS.split(prompt.lower()))):
        asked, forbidden = _read_clause(clause)
        wanted |= asked
        refused |= forbidden
        if asked:
            pace = _pace(clause, pace)
    return _settled(wanted - refused, refused, pace)


def _read_clause(clause: str) -> tuple[set[str], set[str]]:
    asked: set[str] = set()
    forbidden: set[str] = set()
    for name, pattern in _MOVES:
        if found := pattern.search(clause):
            (forbidden if _NEGATION.search(clause[: found.start()]) else asked).add(name)
    for name, pattern in _REFUSABLE:
        if (found := pattern.search(clause)) and _NEGATION.search(clause[: found.start()]):
            forbidden.add(name)
    if (found := _ANY_MOVE.search(clause)) and _NEGATION.search(clause[: found.start()]):
        asked.add("static")
    return asked - forbidden, forbidden


def _pace(clause: str, pace: float) -> float:
    if _SLOW.search(clause):
        return 0.5
    return 1.6 if _FAST.search(clause) else pace


def _settled(wanted: set[str], refused: set[str], pace: float) -> CameraMove:
    if "static" in wanted:
        return CameraMove(frozenset({"static"}))
    if wanted:
        return CameraMove(frozenset(wanted), pace)
    if "push in" not in refused:
        return CameraMove(frozenset({"push in"}), 0.5, by_default=True)
    if not refused & {"pan left", "pan right"}:
        return CameraMove(frozenset({"pan right"}), 0.5, by_default=True)
    return CameraMove(frozenset({"static"}))
