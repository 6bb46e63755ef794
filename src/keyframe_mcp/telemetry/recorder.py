"""OpenTelemetry spans and metrics of the work, by its API alone: where they go is decided elsewhere.

A task outlives the call that made it, and often the process, so it has a trace of its own. Its root is the span of
writing it down, whose context is kept with the task; that span and the call's link to each other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit

from opentelemetry.context import Context, attach, detach, get_value, set_value
from opentelemetry.metrics import CallbackOptions, Counter, Histogram, Meter, Observation
from opentelemetry.propagate import extract
from opentelemetry.trace import (
    INVALID_SPAN,
    Link,
    Span,
    SpanKind,
    StatusCode,
    Tracer,
    format_span_id,
    format_trace_id,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from keyframe_mcp.errors import KeyframeError, kind_of
from keyframe_mcp.task import Status, Task
from keyframe_mcp.telemetry import Accepting, Observer, Told, marked
from keyframe_mcp.telemetry import inventory as of

W3C = TraceContextTextMapPropagator()
NANOSECONDS = 1_000_000_000
ENDS = frozenset({Status.SUCCEEDED, Status.FAILED, Status.CANCELLED, Status.UNKNOWN})

Tally = Callable[[], Mapping[tuple[Status, str], int]]
Labels = dict[str, str | int | float | bool]
NO_LABELS: Labels = {}


class Noted(Told):
    """A span that hears how it goes, and what to put beside it in a metric."""

    def __init__(self, span: Span) -> None:
        self.span = span
        self.labels: Labels = {}

    def answered(self, status: int) -> None:
        """There was an HTTP answer."""
        self._label(of.CODE, status)
        if status >= 400:
            self.failed(str(status))

    def failed(self, kind: str) -> None:
        """It ended badly."""
        self._label(of.ERROR, kind)
        self.span.set_status(StatusCode.ERROR)

    def _label(self, name: str, value: str | int) -> None:
        self.labels[name] = value
        self.span.set_attribute(name, value)


class Begun(Accepting):
    """A task that is about to be written down, with the span it is."""

    def __init__(self, draft: Task, span: Span) -> None:
        super().__init__(draft)
        self._span = span

    def became(self, task: Task) -> None:
        """The task that answers the request, which may have been there already."""
        self._span.set_attribute(of.TASK, task.id)
        self._span.set_attribute("keyframe.task.deduplicated", task.id != self.draft.id)


class Recorder(Observer):
    """Makes spans and metrics of what it hears. `tally` counts the tasks there are; `end` sends what is left."""

    def __init__(self, tracer: Tracer, meter: Meter, tally: Tally, end: Callable[[], None] = lambda: None) -> None:
        self._tracer = tracer
        self._tally = tally
        self._end = end
        self._counters = {each: counter(meter, each) for each in of.METRICS if each.kind == "counter"}
        self._histograms = {each: histogram(meter, each) for each in of.METRICS if each.kind == "histogram"}
        meter.create_observable_gauge(of.TASKS.name, [self._tasks], of.TASKS.unit, of.TASKS.about)

    @contextmanager
    def accepting(self, draft: Task) -> Generator[Accepting]:
        """See `Observer.accepting`. The root of the task's trace."""
        call = get_current_span()
        links = [Link(call.get_span_context())] if call.get_span_context().is_valid else []
        span = self._tracer.start_span(of.ACCEPT.name, Context(), SpanKind.PRODUCER, about(draft), links)
        carrier: dict[str, str] = {}
        W3C.inject(carrier, set_span_in_context(span, Context()))
        call.add_link(span.get_span_context())
        begun = Begun(marked(draft, carrier.get("traceparent")), span)
        span.set_attribute(of.CORRELATION, begun.draft.correlation_id or "")
        try:
            yield begun
        except Exception as error:
            Noted(span).failed(named(error))
            raise
        finally:
            span.end()

    def moved(self, before: Task | None, after: Task) -> None:
        """See `Observer.moved`."""
        self._spend(before.counted_usd if before else 0.0, after)
        if before is not None and (before.status, before.attempt) == (after.status, after.attempt):
            return
        labels = {of.STATUS: str(after.status), **made_by(after)}
        error = {of.ERROR: after.failure.kind} if after.failure and after.status in ENDS else {}
        self._counters[of.MOVES].add(1, labels | error)
        if after.status is Status.SUBMITTING and after.attempt == 1 and after.sent_at is not None:
            waited = max(0.0, after.sent_at - after.created_at)
            self._histograms[of.QUEUE].record(waited, {of.PROVIDER: after.provider})
        if after.status.is_final:
            self._histograms[of.DURATION].record(max(0.0, after.updated_at - after.created_at), labels)
        if after.status in ENDS:
            self._ended(after)

    @contextmanager
    def working(self, task: Task) -> Generator[None]:
        """See `Observer.working`. Only saving is a span here: the other steps are what the provider is asked."""
        token = attach(set_value(of.ATTEMPT, task.attempt, set_value(of.PROVIDER, task.provider, trace_of(task))))
        try:
            if task.status is not Status.SAVING:
                yield
                return
            with self._span(of.SAVE.name, {of.TASK: task.id, of.ATTEMPT: task.attempt}):
                yield
        finally:
            detach(token)

    @contextmanager
    def asking(self, provider: str, what: str, attempt: int | None = None) -> Generator[Told]:
        """See `Observer.asking`."""
        now = get_value(of.ATTEMPT) if attempt is None else attempt
        token = attach(set_value(of.ATTEMPT, now))
        try:
            with self._timed(
                of.ASKED, f"{what} {provider}", {of.PROVIDER: provider, of.WHAT: what}, attempted()
            ) as told:
                yield told
        except KeyframeError as error:
            if what == "check":
                self._counters[of.POLL_ERRORS].add(1, {of.PROVIDER: provider, of.ERROR: named(error)})
            raise
        finally:
            detach(token)

    @contextmanager
    def requesting(self, provider: str, method: str, route: str, host: str) -> Generator[Told]:
        """See `Observer.requesting`."""
        labels: Labels = {of.METHOD: method, of.ROUTE: route, of.HOST: host}
        more: Labels = {of.PROVIDER: provider, **attempted()}
        with self._timed(of.HTTP, f"{method} {route}", labels, more, SpanKind.CLIENT) as told:
            yield told

    @contextmanager
    def fetching(self, url: str) -> Generator[Told]:
        """See `Observer.fetching`. A host may be any, so it is no label."""
        labels: Labels = {of.PROVIDER: str(get_value(of.PROVIDER) or "web"), of.WHAT: "fetch"}
        more: Labels = {of.METHOD: "GET", of.HOST: urlsplit(url).hostname or "", **attempted()}
        with self._timed(of.ASKED, "GET {file}", labels, more, SpanKind.CLIENT) as told:
            yield told

    def circuit(self, provider: str, *, is_open: bool) -> None:
        """See `Observer.circuit`."""
        self._counters[of.CIRCUIT].add(1, {of.PROVIDER: provider, of.OUTCOME: "open" if is_open else "closed"})

    @contextmanager
    def at_work(self, order: str) -> Generator[Told]:
        """See `Observer.at_work`."""
        with self._timed(of.MEDIA, f"media {order}", {of.ORDER: order}) as told:
            yield told

    @contextmanager
    def continuing(self, headers: Mapping[str, str]) -> Generator[None]:
        """See `Observer.continuing`."""
        token = attach(extract(headers))
        try:
            yield
        finally:
            detach(token)

    @contextmanager
    def calling(self, method: str, tool: str | None) -> Generator[Told]:
        """See `Observer.calling`. The span is the SDK's."""
        labels: Labels = {of.MCP_METHOD: method, **({} if tool is None else {of.TOOL: tool})}
        noted, began = Noted(INVALID_SPAN), time.perf_counter()
        try:
            yield noted
        except BaseException as error:
            noted.failed(named(error))
            raise
        finally:
            self._histograms[of.SERVED].record(time.perf_counter() - began, labels | noted.labels)

    def close(self) -> None:
        """See `Observer.close`. Once is enough."""
        end, self._end = self._end, lambda: None
        end()

    @contextmanager
    def _timed(
        self, metric: of.Metric, name: str, labels: Labels, more: Labels = NO_LABELS, kind: SpanKind = SpanKind.INTERNAL
    ) -> Generator[Noted]:
        """A span, and how long it took as a metric with the same labels."""
        began = time.perf_counter()
        noted = Noted(INVALID_SPAN)
        try:
            with self._span(name, labels | more, kind) as noted:
                yield noted
        finally:
            end = noted.labels
            if of.OUTCOME in metric.labels:
                end = {of.OUTCOME: noted.labels.get(of.ERROR, "ok")}
            self._histograms[metric].record(time.perf_counter() - began, labels | end)

    @contextmanager
    def _span(self, name: str, attributes: Labels, kind: SpanKind = SpanKind.INTERNAL) -> Generator[Noted]:
        """A span around a block. Of an exception it tells the kind, and nothing of its text."""
        with self._tracer.start_as_current_span(
            name, kind=kind, attributes=attributes, record_exception=False, set_status_on_exception=False
        ) as span:
            noted = Noted(span)
            try:
                yield noted
            except BaseException as error:
                noted.failed(named(error))
                raise

    def _spend(self, before: float, task: Task) -> None:
        """What the budget's book holds more, or less, since the last write."""
        more = task.counted_usd - before
        outcome = "counted" if more > 0 else "released"
        if more:
            self._counters[of.SPEND].add(abs(more), {of.PROVIDER: task.provider, of.SPEND_OUTCOME: outcome})

    def _ended(self, task: Task) -> None:
        """The whole of a task, as one span from its beginning."""
        status = str(task.status)
        attributes = about(task) | {of.STATUS: status, of.ATTEMPT: task.attempt}
        began = int(task.created_at * NANOSECONDS)
        span = self._tracer.start_span(f"task {status}", trace_of(task), attributes=attributes, start_time=began)
        if task.failure is not None and task.status is not Status.CANCELLED:
            Noted(span).failed(task.failure.kind)
        span.end(int(task.updated_at * NANOSECONDS))

    def _tasks(self, _: CallbackOptions) -> Iterable[Observation]:
        """How many tasks are in which state. Runs on the exporter's thread."""
        found = dict(self._tally())
        if not any(status is Status.UNKNOWN for status, _ in found):
            yield Observation(0, {of.STATUS: str(Status.UNKNOWN)})
        for (status, provider), many in found.items():
            yield Observation(many, {of.STATUS: str(status), of.PROVIDER: provider})


def counter(meter: Meter, metric: of.Metric) -> Counter:
    """The instrument of a metric that only grows."""
    return meter.create_counter(metric.name, metric.unit, metric.about)


def histogram(meter: Meter, metric: of.Metric) -> Histogram:
    """The instrument of a metric that is spread."""
    bounds = list(metric.bounds)
    return meter.create_histogram(metric.name, metric.unit, metric.about, explicit_bucket_boundaries_advisory=bounds)


def made_by(task: Task) -> Labels:
    """What makes a task."""
    return {of.PROVIDER: task.provider, of.MODEL: task.model, of.MODE: str(task.mode)}


def about(task: Task) -> Labels:
    """What a span says of a task."""
    more: Labels = {of.TASK: task.id}
    if task.correlation_id is not None:
        more[of.CORRELATION] = task.correlation_id
    return made_by(task) | more


def attempted() -> Labels:
    """The attempt that the present work belongs to, where it belongs to one."""
    attempt = get_value(of.ATTEMPT)
    return {of.ATTEMPT: attempt} if isinstance(attempt, int) else {}


def span_ids() -> Mapping[str, str]:
    """The present span's ids, as they are written everywhere; nothing where there is none."""
    here = get_current_span().get_span_context()
    if not here.is_valid:
        return {}
    return {"trace_id": format_trace_id(here.trace_id), "span_id": format_span_id(here.span_id)}


def trace_of(task: Task) -> Context:
    """Where a task's trace goes on. One from before there were traces begins anew."""
    return Context() if task.traceparent is None else W3C.extract({"traceparent": task.traceparent}, Context())


def named(error: BaseException) -> str:
    """What kind of error it is, out of a few."""
    return kind_of(type(error)) if isinstance(error, KeyframeError) else type(error).__name__
