"""Every error this package raises on purpose, sorted by who can fix it.

KeyframeError
├── CallerError                 the agent: call again differently
│   ├── InvalidInput
│   │   ├── UnreadableImage
│   │   ├── UnreadableVideo
│   │   └── UnfetchableUrl
│   ├── UnknownModel
│   ├── UnknownTask
│   ├── BudgetExceeded
│   │   ├── SpentForToday
│   │   └── PriceUnknown
│   ├── NotReady
│   ├── NoVideo
│   └── InDoubt
├── OperatorError               whoever runs the server: change the configuration
│   ├── InvalidSettings
│   ├── InvalidCatalogue
│   ├── MissingCredential
│   ├── StoreUnusable
│   ├── OutputUnwritable
│   └── UnusableHostFile
└── ProviderError               the provider: wait, or pick another
    ├── CredentialRefused
    ├── PaymentNeeded
    ├── ProviderRefused
    │   └── ContentRejected
    ├── ProviderBusy
    ├── ProviderUnavailable
    ├── SubmissionUncertain
    ├── UnexpectedReply
    ├── GenerationFailed
    ├── JobLost
    ├── GivenUp
    ├── ResultGone
    ├── ResultTooLarge
    └── RenderFailed
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a request: which argument, what was wrong, what would have worked.

    `kind` is the error it would have been by itself.
    """

    argument: str
    message: str
    kind: type[CallerError] | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"{self.argument}: {self.message}"


class KeyframeError(Exception):
    """Something went wrong that this package knows how to describe."""

    retryable: ClassVar[bool] = False
    fix: ClassVar[str] = ""
    who: ClassVar[str] = "this server's authors"

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())

    @classmethod
    def outlook(cls) -> str:
        """Whose it is to mend, and whether there is any use in the same call again."""
        return f"To mend: {cls.who}. The same call again: {'may work later' if cls.retryable else 'no use'}."

    @property
    def kind(self) -> str:
        """The class in the form results use: `InvalidInput` is `invalid_input`."""
        return kind_of(type(self))


class CallerError(KeyframeError):
    """The request cannot be honoured as asked."""

    fix = "Call again with the arguments corrected."
    who = "you"

    def __init__(self, message: str = "", problems: Iterable[Problem] = ()) -> None:
        self.problems = tuple(problems)
        if self.problems and not message:
            message = "; ".join(map(str, self.problems))
        super().__init__(message)


class InvalidInput(CallerError):
    """The arguments cannot be used."""


class UnreadableImage(InvalidInput):
    """The file is not an image that can be used."""


class UnreadableVideo(InvalidInput):
    """The file is not a video that can be used."""


class UnfetchableUrl(InvalidInput):
    """What is at the URL could not be fetched."""

    # `status` is the HTTP status the other side answered with; None when the URL is not allowed, or nothing came.
    # `passing` is whether the same URL may well work a little later.

    def __init__(self, message: str = "", *, status: int | None = None, passing: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.passing = passing


class UnknownModel(CallerError):
    """No model in the catalogue has that id."""

    fix = "Call list_models and use one of its ids."


class UnknownTask(CallerError):
    """No task has that id."""

    fix = "Use an id that a generate tool gave."


class BudgetExceeded(CallerError):
    """It would cost more than may be spent. Nothing was sent."""

    fix = (
        "Choose a cheaper model, a shorter video or a lower resolution, "
        "or ask whoever runs the server to raise the limit."
    )


class SpentForToday(BudgetExceeded):
    """It would cost more than is left for today. Nothing was sent."""

    fix = f"Call again on the next day (UTC). Now: {BudgetExceeded.fix[0].lower()}{BudgetExceeded.fix[1:]}"
    retryable = True


class PriceUnknown(BudgetExceeded):
    """Nobody knows its price, and there is a limit on what may be spent. Nothing was sent."""

    fix = (
        "Choose a model with a known price (list_models), "
        "or ask whoever runs the server to set KEYFRAME_BUDGET_UNPRICED_USD to what such a video counts for."
    )


class NotReady(CallerError):
    """The task has no video yet."""

    fix = "Call get_task until it has succeeded."
    retryable = True


class NoVideo(CallerError):
    """The task is over and has no video."""

    fix = "Make it again, which is a new task, or name a task that succeeded."


class InDoubt(CallerError):
    """Nobody knows what became of the task. It may exist at the provider and be billed."""

    fix = "Tell the user, who can settle it in a terminal. Do not make it again before that."
    who = "the user"


class OperatorError(KeyframeError):
    """The server is not configured for this."""

    fix = "Ask whoever runs this server; `keyframe-mcp doctor` shows what is configured."
    who = "whoever runs this server"


class InvalidSettings(OperatorError):
    """An environment variable or option has a value that cannot be used."""


class InvalidCatalogue(OperatorError):
    """A catalogue file is malformed."""


class MissingCredential(OperatorError):
    """The provider needs an API key that is not set."""


class StoreUnusable(OperatorError):
    """The task database cannot be opened."""


class OutputUnwritable(OperatorError):
    """The video was made but could not be written to the output folder."""

    retryable = True


class UnusableHostFile(OperatorError):
    """A host's configuration cannot be changed as it is. Nothing was written."""

    fix = "Mend the file, or add the server by hand: `keyframe-mcp install HOST --print` shows what to add."


class ProviderError(KeyframeError):
    """The provider did not do what was asked."""

    fix = "Wait and try again, or choose another model."
    who = "the provider, or you with another request"

    def __init__(self, message: str = "", *, trace_id: str | None = None) -> None:
        super().__init__(message)
        self.trace_id = trace_id  # the provider's own name for the exchange, for asking its support


class CredentialRefused(ProviderError):
    """The provider rejected the API key."""

    fix = "Ask whoever runs this server to check the key and the host it belongs to."


class PaymentNeeded(ProviderError):
    """The provider's account has not enough credit for this. Nothing was made."""

    fix = "Ask whoever runs this server to top the account up, or choose another model."


class ProviderRefused(ProviderError):
    """The provider understood the request and declined it."""

    fix = "Read the provider's reason and change the request."


class ContentRejected(ProviderRefused):
    """The provider's content moderation declined the request or the result."""

    fix = "Change the prompt or the images; the same ones will be declined again."


class ProviderBusy(ProviderError):
    """The provider is rate limiting this key. Nothing was submitted."""

    retryable = True

    def __init__(self, message: str = "", *, retry_after: float | None = None, trace_id: str | None = None) -> None:
        super().__init__(message, trace_id=trace_id)
        self.retry_after = retry_after


class ProviderUnavailable(ProviderError):
    """The provider could not be reached. Nothing was submitted."""

    retryable = True

    # `is_held_up` is whether that was our own doing: this process was stopped for a while.

    def __init__(self, message: str = "", *, trace_id: str | None = None, is_held_up: bool = False) -> None:
        super().__init__(message, trace_id=trace_id)
        self.is_held_up = is_held_up


class SubmissionUncertain(ProviderError):
    """The job may have been accepted, and billed, so it was not sent again."""

    fix = "Look at the provider's own job list before paying again."


class UnexpectedReply(ProviderError):
    """The provider answered in a shape its documentation does not describe."""


class GenerationFailed(ProviderError):
    """The provider took the job and could not finish it."""

    fix = "Try again, which is a new job, or choose another model."
    retryable = True


class JobLost(ProviderError):
    """The provider took the job, and has not said for too long how it is doing."""

    fix = "Look for the job in the provider's own list before paying again; it may have been made."


class GivenUp(ProviderError):
    """A person gave the task up: nobody knows whether the provider made it."""

    fix = "Ask for the video again if it is still wanted; that is a new job, and paid anew."


class ResultGone(ProviderError):
    """The video was made, and the provider no longer has it."""

    fix = "Make it again; results are copied as soon as they are seen, so keep the server running while jobs run."


class ResultTooLarge(ProviderError):
    """The video was made, and is larger than what is copied."""

    fix = "Download it from its URL in outputs, or ask for a shorter or smaller video."


class RenderFailed(ProviderError):
    """The embedded renderer stopped before the video was finished."""

    who = "whoever runs this server"
    retryable = True


def refusal_of(problems: Iterable[Problem]) -> CallerError:
    """One error for all that is wrong with a request: of their own kind where all are of the same."""
    found = tuple(problems)
    kinds = {each.kind for each in found}
    (kind,) = kinds if len(kinds) == 1 else (None,)
    alike = kind if kind in (NotReady, NoVideo, InDoubt) else None
    return (alike or InvalidInput)(problems=found)


def kind_of(error: type[KeyframeError]) -> str:
    """`ProviderBusy` becomes `provider_busy`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", error.__name__).lower()


def by_kind() -> Mapping[str, type[KeyframeError]]:
    """Every error class by its kind; how an error crosses a process or a database."""
    found: dict[str, type[KeyframeError]] = {}
    waiting: list[type[KeyframeError]] = [KeyframeError]
    while waiting:
        error = waiting.pop()
        found[kind_of(error)] = error
        waiting.extend(error.__subclasses__())
    return found
