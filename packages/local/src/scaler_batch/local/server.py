"""The server process: what is started in which order, and how it all ends.

The socket is bound first, because jobs are told the endpoint; the job host is started next and warms up while moto is
imported. When both are ready requests are answered. The main thread then waits for a signal and does nothing else.

Run as ``python -m scaler_batch.local.server SETTINGS LIFELINE REPORT`` this is the child process of
:class:`~.aws.LocalAWS`: when it is ready it writes the environment to use, keys included, to the descriptor REPORT, and
it ends when the descriptor LIFELINE reaches its end, which it does by itself when the parent is gone.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from . import environment
from .administration import Administration
from .batch.vocabulary import Scope
from .clock import Clock
from .errors import LocalError
from .faults.board import FaultBoard
from .faults.layer import FaultLayer
from .faults.reading import Plan
from .machine import Machine
from .permissions.layer import PermissionLayer
from .settings import LocalSettings
from .web.callers import caller_of, service_of, signed_with
from .web.chain import Answer, Call, Front, Layer
from .web.control import ControlLayer
from .web.counters import CountingLayer
from .web.dates import DateLayer
from .web.guard import Guard, Hosts
from .web.keys import AccessKey, Keys
from .web.portal import PortalLayer
from .web.regions import RegionLayer
from .web.serving import HttpServer

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

_STOPPING = frozenset({signal.SIGTERM, signal.SIGINT})
_MISLEADING = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE")
"""moto makes a boto3 session of its own, which fails when a profile is named that does not exist here."""


class LocalServer:
    """One local AWS in this process.

    Args:
        settings: How it behaves.

    Raises:
        StartError: It could not be started.
    """

    def __init__(self, settings: LocalSettings) -> None:
        for name in _MISLEADING:
            os.environ.pop(name, None)
        self._settings = settings
        self._application = _NotYet()
        self._furnish: Callable[[], None] = _nothing
        self._keys = Keys()
        self._http = HttpServer(settings.host, settings.port, self._application, self._screen)
        self._guard: Guard | None = None
        self.endpoint_url = f"http://{settings.netloc}:{self._http.port}"
        self.environment = environment.variables(self.endpoint_url, settings.region, self._keys.user)
        self._counting = CountingLayer()
        self._clock = Clock()
        try:
            plan = settings.fault_plan()
            self._machine = self._start_machine(settings, plan)
        except LocalError:
            self._http.close()
            raise
        self._application.ready(self._front())
        self._http.serve()

    def furnish(self, make: Callable[[], None]) -> None:
        """Have resources made through the API, now and again after every reset; the calls for it are not counted."""
        self._furnish = make
        make()
        self._counting.reset()

    def begin_faults(self) -> None:
        """Put the faults of the settings in force. Until then a server has none, so that it can be furnished."""
        self._faults.begin()

    def close(self) -> None:
        """End every job. The HTTP threads end with the process."""
        self._machine.close()

    def hang_up(self) -> None:
        """Answer no more, and wait for the HTTP threads: a process whose threads go on does not end by itself."""
        self._http.close()

    def reset(self) -> None:
        """End every job, have the resources and faults of the start and no others, and count from nothing again."""
        from .services.application import reset_everything

        self._machine.reset()
        self._machine.jump_clock(-self._clock.ahead)
        reset_everything()
        self._faults.clear()
        self._furnish()
        self._faults.begin()
        self._counting.reset()

    def _start_machine(self, settings: LocalSettings, plan: Plan) -> Machine:
        """Start the machine, and put it under moto's Batch."""
        variables = environment.variables(self.endpoint_url, settings.region, self._keys.job)
        machine = Machine(settings, variables, self._clock, give_up=stop_this_process)
        from .services import models

        models.share()
        from .services.backend import Registry, Wiring, install
        from .services.instances import MotoInstances
        from .services.logs import MotoLogs
        from .services.principals import Principals
        from .services.secrets import MotoSecrets

        registry = Registry()
        self._principals = Principals(Scope("", settings.region).partition, self._keys)
        self._faults = FaultBoard(plan, machine.strike, reconsider=machine.reconsider)
        install(Wiring(machine, registry, self._faults, settings.minimum_timeout))
        secrets = MotoSecrets(self._principals if settings.enforce_iam else None)
        machine.attach(registry, MotoLogs(), secrets, self._faults, MotoInstances(registry), self._key_of_role)
        self._guard = Guard(Hosts(settings.names), self._keys.user.secret, self._principals.secret_of)
        ready = machine.wait_until_ready()
        if ready.note:
            sys.stderr.write(f"jobs are spawned, because {ready.note}\n")
        return machine

    def _key_of_role(self, arn: str | None) -> AccessKey:
        return self._keys.of_role(arn) if self._settings.enforce_iam else self._keys.job

    def _screen(self, environ: WSGIEnvironment) -> Answer | None:
        if self._guard is None:
            raise RuntimeError("a request came before the server was started")
        return self._guard.screen(environ)

    def _front(self) -> Front:
        from .services import buckets, ec2, networks
        from .services.application import moto_application
        from .services.lifecycle import DAY, LifecycleLayer

        buckets.keep_time(self._clock.now)
        networks.install(self._settings.account)
        ec2.install()
        administration = Administration(self._counting, self._faults, self._machine.jump_clock, self.reset)
        layers: list[Layer] = [
            ControlLayer(administration.actions()),
            self._counting,
            DateLayer(self._clock),
            RegionLayer(buckets.region),
            FaultLayer(self._faults.striking, self._http.wait),
            PortalLayer(self._clock, self._keys.user),
            LifecycleLayer(self._clock.now, DAY * (self._settings.time_scale if self._settings.like else 1)),
        ]
        if self._settings.enforce_iam:
            layers.append(PermissionLayer(self._principals, self._keys.user.id))
        return Front(moto_application(), _understand, layers)


@contextlib.contextmanager
def serving(settings: LocalSettings) -> Iterator[LocalServer]:
    """A server for as long as the block lasts. Signals that stop should have been held back before."""
    server = LocalServer(settings)
    try:
        yield server
    except BaseException:
        server.hang_up()
        raise
    finally:
        server.close()


@contextlib.contextmanager
def signals_held_back() -> Iterator[None]:
    """Keep the signals that stop for whoever waits for them. To be entered before other threads are there to take them.

    What was held back before is so again afterwards: a server that could not start leaves its process as it was.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def wait_to_stop() -> None:
    """Wait for the signal to stop."""
    signal.sigwait(_STOPPING)


def stop_this_process() -> None:
    """Have :func:`wait_to_stop` return, from any thread."""
    os.kill(os.getpid(), signal.SIGTERM)


def leave(code: int) -> NoReturn:
    """End this process at once. A thread that still answers a request is not waited for: a machine is switched off."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _understand(environ: WSGIEnvironment) -> Call:
    from .services.naming import operation_of

    service = service_of(environ)
    return Call(service, operation_of(service, environ), caller_of(environ), environ, signed_with(environ) or "")


def _nothing() -> None:
    """A server that nobody has furnished."""


class _NotYet:
    """Stands for the application until it is there; the socket is bound before, but nothing is answered yet."""

    def __init__(self) -> None:
        self._application: Front | None = None

    def ready(self, application: Front) -> None:
        """From now on it is this one."""
        self._application = application

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Any:
        if self._application is None:
            raise RuntimeError("a request came before the server was started")
        return self._application(environ, start_response)


def _watch(lifeline: int) -> None:
    """Stop when the other end of the lifeline is closed, which also happens when its owner is killed."""
    while os.read(lifeline, 1):
        pass
    stop_this_process()


def main(arguments: Sequence[str]) -> None:
    """Be the child process of a :class:`~.aws.LocalAWS`."""
    settings, lifeline, report = arguments
    with signals_held_back(), os.fdopen(int(report), "w") as answer:
        threading.Thread(target=_watch, args=(int(lifeline),), name="lifeline", daemon=True).start()
        try:
            with serving(LocalSettings.from_json(settings)) as server:
                server.begin_faults()
                answer.write(json.dumps({"environment": server.environment}))
                answer.close()
                wait_to_stop()
        except LocalError as error:
            answer.write(json.dumps({"error": str(error)}))
            answer.flush()
            leave(1)
        leave(0)


if __name__ == "__main__":
    main(sys.argv[1:])
