"""Figures of a running worker: for Prometheus at ``/metrics``, for people and programs as JSON at ``/status``.

A thread serves them; the look at the workers itself is taken on the event loop, which owns what is looked at. Nothing
is counted here: every figure is computed from the snapshots when somebody asks.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import TimeoutError as LookTimeoutError
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from scaler_batch.adapter import __version__
from scaler_batch.adapter.errors import SettingsError

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

    from scaler_batch.adapter.fleet import Worker
    from scaler_batch.adapter.settings import MetricsSettings, WorkerSettings

logger = logging.getLogger(__name__)

PATIENCE: Final = 5.0
"""Seconds that a look may take; the event loop is never busy for that long unless something is wrong."""

Status = dict[str, Any]
"""What ``/status`` answers; see :func:`status_of`."""

Values = dict[tuple[str, ...], float]
"""Figures by the values of their labels."""


def status_of(workers: Iterable[Worker], settings: WorkerSettings, started: float) -> Status:
    """Describe the process and each of its workers in plain values."""
    return {
        "version": __version__,
        "name": settings.name,
        "scheduler": settings.scheduler_address,
        "queue": settings.tasks.job_queue,
        "max_concurrent_jobs": settings.tasks.max_concurrent_jobs,
        "seconds": time.monotonic() - started,
        "workers": [_worker(worker) for worker in workers],
    }


def _worker(worker: Worker) -> Status:
    look = worker.snapshot()
    return {
        "worker": worker.worker_id,
        "run": worker.run_id,
        "stages": {stage.value: count for stage, count in look.stages.items()},
        "oldest": look.oldest,
        "jobs": look.jobs,
        "answers": look.answers,
        "refused": look.refused,
        "calls": look.calls,
        "sent": look.sent,
        "received": look.received,
        "waiting": look.waiting,
        "credentials_refused": look.credentials_refused,
    }


class Figures(Collector):
    """The status as Prometheus wants it.

    Args:
        look: Returns the status.
    """

    def __init__(self, look: Callable[[], Status]) -> None:
        self._look = look

    def describe(self) -> Iterable[Metric]:
        """Nothing before somebody asks; the registry would look at the workers otherwise."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Compute all figures."""
        status = self._look()
        workers = status["workers"]
        yield _gauge("workers", "Workers of this process.", {(): len(workers)}, ())
        for family, about, name in _GAUGES:
            yield _gauge(family, about, {(each["run"],): each[name] for each in workers}, ("run",))
        stages: Values = {(each["run"], stage): count for each in workers for stage, count in each["stages"].items()}
        yield _gauge("tasks", "Tasks that are not answered yet, by where they are.", stages, ("run", "stage"))
        reasons: Values = {(each["run"], reason): jobs for each in workers for reason, jobs in each["waiting"].items()}
        yield _gauge("waiting_jobs", "Jobs that wait, by AWS Batch's reason.", reasons, ("run", "reason"))
        for family, about, name, label in _COUNTERS:
            totals: Values = _totals(workers, name) if label else {(each["run"],): each[name] for each in workers}
            yield _counter(family, about, totals, ("run", label) if label else ("run",))


_GAUGES: Final = (
    ("jobs", "Jobs that AWS Batch may be running.", "jobs"),
    ("credentials_refused_seconds", "For how long AWS has refused the credentials.", "credentials_refused"),
    ("oldest_task_seconds", "How long the oldest task has been here.", "oldest"),
)
_COUNTERS: Final = (
    ("answers", "Tasks that were answered, by what became of them.", "answers", "status"),
    ("refused_outcomes", "Objects in the place of outcomes that were not believed, by why.", "refused", "reason"),
    ("requests", "Requests to AWS, by operation.", "calls", "operation"),
    ("sent_bytes", "Bytes put into S3.", "sent", ""),
    ("received_bytes", "Bytes fetched from S3.", "received", ""),
)


def _totals(workers: Iterable[Status], name: str) -> Values:
    return {(each["run"], label): count for each in workers for label, count in each[name].items()}


def _gauge(name: str, about: str, values: Values, labels: tuple[str, ...]) -> Metric:
    family = GaugeMetricFamily(f"scaler_batch_{name}", about, labels=labels)
    for which, value in values.items():
        family.add_metric(which, value)
    return family


def _counter(name: str, about: str, values: Values, labels: tuple[str, ...]) -> Metric:
    family = CounterMetricFamily(f"scaler_batch_{name}", about, labels=labels)
    for which, value in values.items():
        family.add_metric(which, value)
    return family


@contextlib.contextmanager
def serving(workers: Iterable[Worker], settings: WorkerSettings, where: MetricsSettings | None) -> Iterator[None]:
    """Serve the figures of these workers meanwhile.

    Raises:
        SettingsError: The port cannot be listened at.
    """
    if where is None:
        yield
        return
    loop, started = asyncio.get_running_loop(), time.monotonic()

    async def look() -> Status:
        return status_of(workers, settings, started)

    application = _application(lambda: asyncio.run_coroutine_threadsafe(look(), loop).result(PATIENCE))
    with _listening(where, application) as server:
        thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
        thread.start()
        logger.info("metrics at http://%s:%d/metrics", where.host, server.server_port)
        try:
            yield
        finally:
            # Somebody may be waiting for a look that this loop is to take: never wait for the server on it.
            threading.Thread(target=server.shutdown, daemon=True).start()


Application = Callable[["WSGIEnvironment", "StartResponse"], Iterable[bytes]]


def _application(look: Callable[[], Status]) -> Application:
    registry = CollectorRegistry()
    registry.register(Figures(look))
    prometheus: Application = make_wsgi_app(registry)

    def answer(environment: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        try:
            match environment["PATH_INFO"]:
                case "/metrics":
                    return prometheus(environment, start)
                case "/status":
                    return _say(start, "200 OK", json.dumps(look()), "application/json")
        except (LookTimeoutError, RuntimeError) as error:
            return _say(start, "503 Service Unavailable", f"the worker does not answer: {type(error).__name__}\n")
        return _say(start, "404 Not Found", "there are /metrics and /status\n")

    return answer


def _say(start: StartResponse, status: str, text: str, kind: str = "text/plain; charset=utf-8") -> Iterable[bytes]:
    start(status, [("Content-Type", kind)])
    return [text.encode()]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    timeout = PATIENCE

    def log_message(self, *_: Any) -> None:
        """Say nothing: scrapes come every few seconds."""


def _listening(where: MetricsSettings, application: Application) -> WSGIServer:
    try:
        return make_server(where.host, where.port, application, _Server, _Handler)
    except OSError as error:
        raise SettingsError(f"cannot serve metrics at {where.host}:{where.port}: {error.strerror}") from error
