"""From what a dialect read to what may be remembered and shown: in bounds, clean, and sure to name a file or a reason.

Everything textual a provider says of a job goes through here, and nothing else cleans it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TypeVar

from keyframe_mcp.adapters.base import Accepted, Report
from keyframe_mcp.adapters.dialect import Failed
from keyframe_mcp.adapters.outputs import is_address
from keyframe_mcp.adapters.quotation import Quotation
from keyframe_mcp.adapters.refusals import MODERATION
from keyframe_mcp.errors import ContentRejected, GenerationFailed, UnexpectedReply
from keyframe_mcp.task import Failure, Status

T = TypeVar("T", int, float)

STATE_CHARACTERS = 60
MOST_OUTPUTS = 64
MOST_WARNINGS = 20
LARGEST_SEED = 2**63 - 1  # what the database holds
LONGEST_SECONDS = 1e6
NOUN = r"\b(?:image|picture|photo|frame|file|url)s?\b"
FETCH = r"(?:fetch|download|retriev|access|reach)\w*"
NOT_FETCHED = re.compile(
    rf"{NOUN}.{{0,60}}(?:could not|couldn't|cannot|can't|not) (?:be )?{FETCH}"
    rf"|(?:fail\w* to|could not|couldn't|cannot|can't|unable to) {FETCH} .{{0,40}}{NOUN}|图片.{{0,10}}下载.{{0,4}}失败",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Reports:
    """One provider's."""

    quotation: Quotation

    def shown(self, heard: Report | Failed) -> Report:
        """A report that can be kept, bytes in its outputs apart."""
        report = self._failed(heard) if isinstance(heard, Failed) else heard
        addresses = tuple(each for each in report.outputs if is_address(each))
        open_to_see = tuple(each for each in addresses if not self._holds_key(each))
        warnings = map(self.quotation.cleaned, report.warnings[:MOST_WARNINGS])
        return replace(
            report,
            native_status=self.quotation.cleaned(report.native_status or "", STATE_CHARACTERS) or None,
            progress=within(report.progress, 0, 1),
            seed=within(report.seed, 0, LARGEST_SEED),
            inference_seconds=within(report.inference_seconds, 0, LONGEST_SECONDS),
            outputs=open_to_see[:MOST_OUTPUTS],
            warnings=(*warnings, *left_out(len(report.outputs), len(addresses), len(open_to_see))),
        )

    def accepted(self, accepted: Accepted, trace_id: str | None) -> Accepted:
        """A provider's yes that can be kept."""
        state = self.quotation.cleaned(accepted.native_status or "", STATE_CHARACTERS) or None
        return replace(accepted, native_status=state, trace_id=trace_id)

    def sure(self, report: Report) -> Report:
        """A report that says success names a file or the reason why it does not."""
        if report.status is not Status.SUCCEEDED or report.outputs or report.failure is not None:
            return report
        because = f" ({report.warnings[-1]})" if report.warnings else ""
        error = UnexpectedReply(f"{self.quotation.who} says the job succeeded and names no file{because}")
        return replace(report, failure=Failure.of(error))

    def _holds_key(self, output: str) -> bool:
        """Whether an address would show the key. What is inside an answer shows nothing."""
        return not output.startswith("data:") and self.quotation.holds_key(output)

    def _failed(self, failed: Failed) -> Report:
        kind = failed.kind
        if kind is GenerationFailed and MODERATION.search(failed.reason):
            kind = ContentRejected
        return Report(
            status=Status.FAILED,
            native_status=failed.native_status,
            failure=Failure.of(kind(self.quotation.of(failed.reason) + failed.note)),
            seed=failed.seed,
            inference_seconds=failed.inference_seconds,
            is_picture_gone=failed.is_picture_gone or NOT_FETCHED.search(failed.reason[:10_000]) is not None,
        )


def left_out(total: int, addresses: int, open_to_see: int) -> list[str]:
    """Warnings about outputs that are not taken, from how many there were, are addresses, and do not show the key."""
    odd, secret, many = total - addresses, addresses - open_to_see, open_to_see - MOST_OUTPUTS
    counts = {
        f"{odd} of {total} outputs have no address that can be fetched": odd,
        f"{secret} of {total} outputs have the key in their address, which is neither kept nor fetched": secret,
        f"{open_to_see} outputs were named; the last {many} were left out": many,
    }
    return [warning for warning, count in counts.items() if count > 0]


def within(value: T | None, least: T, most: T) -> T | None:
    """The number, or None where it cannot be meant: out of bounds, not finite."""
    return value if value is not None and least <= value <= most else None
