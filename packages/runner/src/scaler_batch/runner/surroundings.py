"""What a call finds when it begins, and leaves behind for the next call of its process.

After each call everything of :data:`ASPECTS` is looked at. What is other than before the first call is put back; where
that cannot be done, the process ends and the next call gets another. What a call has imported stays: that is what
sharing a process is for. The table of what is put back, what ends the process and what stays is in ADR 9.

A call may leave functions replaced as well, those of the standard library that this process goes on with, or our own.
What is used here is therefore taken hold of before the first call; and whoever has replaced one ends the process.
"""

from __future__ import annotations

import _locale
import _signal  # type: ignore[import-not-found]
import _warnings
import gc
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from os import chdir, get_blocking, getcwd, listdir, sched_setaffinity, set_blocking, umask, urandom
from typing import Any, Final, NamedTuple

_OURS: Final = "scaler_batch."

_GUARDED: Final = ("builtins", "os", "time", "signal", "json", "struct", "resource")
"""Modules of the standard library of which nothing may be replaced."""

_HELPERS: Final = frozenset({("tqdm._monitor", "TMonitor")})
"""Threads, by module and class, that do nothing to whoever comes after."""

_STANDARD: Final = (0, 1, 2)

_LIMITS: Final = tuple(sorted({getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")}))

_SIGNALS: Final = tuple(sorted(_signal.valid_signals()))

_ENVIRONMENT: Final = os.environb


def _give_up(_: object) -> None:
    """What to do about a change that cannot be undone."""


class Aspect(NamedTuple):
    """Something that a call can change for the next.

    Attributes:
        look: Return what it is like.
        restore: Make it what it was, as far as that can be done.
    """

    look: Callable[[], Any]
    restore: Callable[[Any], object] = _give_up


class Surroundings:
    """What the first call of a process has found."""

    def __init__(self) -> None:
        self._found = [(aspect, aspect.look()) for aspect in ASPECTS]
        self._modules = dict(sys.modules)
        self._functions = {name: dict(vars(module)) for name, module in sys.modules.items() if _is_guarded(name)}

    def restore(self) -> bool:
        """Make them what they were, after a call; ``False`` where they cannot be."""
        try:
            if not self._are_functions_ours():
                return False
            for aspect, found in self._found:
                if aspect.look() != found:
                    aspect.restore(found)
                    if aspect.look() != found:
                        return False
            _renew_chance()
        except Exception:
            # What a call has left may raise whatever it likes.
            return False
        return True

    def _are_functions_ours(self) -> bool:
        return all(sys.modules.get(name) is module for name, module in self._modules.items()) and all(
            # Importing adds to a module.
            found == (now := vars(self._modules[name])) or found.items() <= now.items()
            for name, found in self._functions.items()
        )


def _is_guarded(name: str) -> bool:
    return name in _GUARDED or name.startswith(_OURS)


# The process.


def _folder() -> str | None:
    try:
        return getcwd()
    except OSError:
        return None


def _umask() -> int:
    """There is no way to ask but to change it."""
    found = umask(0o77)
    umask(found)
    return found


def _environment() -> dict[Any, Any]:
    return dict(_ENVIRONMENT._data)  # type: ignore[attr-defined]


def _restore_environment(found: Mapping[Any, Any]) -> None:
    for name in [name for name in _ENVIRONMENT if name not in found]:
        del _ENVIRONMENT[name]
    for name, value in found.items():
        if _ENVIRONMENT.get(name) != value:
            _ENVIRONMENT[name] = value
    time.tzset()


def _handlers() -> tuple[Any, ...]:
    return tuple(map(_signal.getsignal, _SIGNALS))


def _restore_handlers(found: tuple[Any, ...]) -> None:
    for number, handler in zip(_SIGNALS, found, strict=True):
        if _signal.getsignal(number) != handler:
            _signal.signal(number, handler)


def _wakeup_file() -> int:
    found = _signal.set_wakeup_fd(-1)
    _signal.set_wakeup_fd(found)
    return int(found)


def _mask() -> set[Any]:
    return set(_signal.pthread_sigmask(_signal.SIG_BLOCK, ()))


def _restore_mask(found: set[Any]) -> None:
    _signal.pthread_sigmask(_signal.SIG_SETMASK, found)


def _alarms() -> bool:
    return any(_signal.getitimer(clock)[0] for clock in _CLOCKS)


def _restore_alarms(_: bool) -> None:
    for clock in _CLOCKS:
        _signal.setitimer(clock, 0)


_CLOCKS: Final = (_signal.ITIMER_REAL, _signal.ITIMER_VIRTUAL, _signal.ITIMER_PROF)


def _limits() -> tuple[Any, ...]:
    return tuple(map(resource.getrlimit, _LIMITS))


def _restore_limits(found: tuple[Any, ...]) -> None:
    for number, limit in zip(_LIMITS, found, strict=True):
        if resource.getrlimit(number) != limit:
            resource.setrlimit(number, limit)


def _identity() -> tuple[Any, ...]:
    return os.getpgid(0), os.getsid(0), os.getresuid(), os.getresgid(), os.getpriority(os.PRIO_PROCESS, 0)


def _processors() -> set[int]:
    return os.sched_getaffinity(0)


def _restore_processors(found: set[int]) -> None:
    sched_setaffinity(0, found)


def _has_children() -> bool:
    """Whether there are children, or dead ones that nobody has waited for; multiprocessing's helper does no harm."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    tracker = getattr(sys.modules.get("multiprocessing.resource_tracker"), "_resource_tracker", None)
    return set(_children()) != {getattr(tracker, "_pid", None)}


def _children() -> Iterator[int]:
    for thread in listdir("/proc/self/task"):
        with open(f"/proc/self/task/{thread}/children", encoding="ascii") as file:
            yield from map(int, file.read().split())


def _threads() -> int:
    """How many of Python's there are; native ones serve whoever comes."""
    threading = sys.modules.get("threading")
    if threading is None or threading.active_count() == 1:
        return 1
    return sum((type(each).__module__, type(each).__qualname__) not in _HELPERS for each in threading.enumerate())


def _standard_files() -> tuple[Any, ...]:
    return tuple(map(_file, _STANDARD))


def _file(number: int) -> tuple[int, ...] | None:
    try:
        about = os.fstat(number)
        return about.st_dev, about.st_ino, about.st_mode
    except OSError:
        return None


def _blocking() -> tuple[bool, ...]:
    return tuple(map(get_blocking, _STANDARD))


def _restore_blocking(found: tuple[bool, ...]) -> None:
    for number, is_blocking in zip(_STANDARD, found, strict=True):
        set_blocking(number, is_blocking)


# The interpreter.


def _streams() -> tuple[Any, ...]:
    streams = sys.stdin, sys.stdout, sys.stderr
    return (*streams, *(getattr(stream, "closed", True) for stream in streams))


def _restore_streams(found: tuple[Any, ...]) -> None:
    sys.stdin, sys.stdout, sys.stderr = found[:3]


def _lists() -> tuple[Any, ...]:
    return _PATH is sys.path, _ARGUMENTS is sys.argv, tuple(_PATH), tuple(_ARGUMENTS)


def _restore_lists(found: tuple[Any, ...]) -> None:
    sys.path, sys.argv = _PATH, _ARGUMENTS
    _PATH[:], _ARGUMENTS[:] = found[2:]


_PATH: Final = sys.path
_ARGUMENTS: Final = sys.argv


def _hooks() -> tuple[Any, ...]:
    return sys.excepthook, sys.displayhook, sys.unraisablehook, sys.gettrace(), sys.getprofile()


def _restore_hooks(found: tuple[Any, ...]) -> None:
    sys.excepthook, sys.displayhook, sys.unraisablehook = found[:3]
    sys.settrace(found[3])
    sys.setprofile(found[4])


def _interpreter() -> tuple[Any, ...]:
    return sys.getrecursionlimit(), sys.getswitchinterval(), gc.isenabled(), gc.get_threshold()


def _restore_interpreter(found: tuple[Any, ...]) -> None:
    recursions, interval, collects, thresholds = found
    sys.setrecursionlimit(recursions)
    sys.setswitchinterval(interval)
    (gc.enable if collects else gc.disable)()
    gc.set_threshold(*thresholds)


def _locale_in_use() -> str:
    return _locale.setlocale(_locale.LC_ALL, None)


def _restore_locale(found: str) -> None:
    _locale.setlocale(_locale.LC_ALL, found)


def _filters() -> tuple[Any, ...]:
    return tuple(_warnings.filters)


def _restore_filters(found: tuple[Any, ...]) -> None:
    import warnings

    # This also has modules forget which warnings they have given; there is no other public way.
    warnings.resetwarnings()
    warnings.filters[:] = found  # type: ignore[index]


# What may be imported by a call. It is then put back to what it is by default.


def _defaults() -> tuple[bool, ...]:
    loaded = sys.modules.get
    threading, events, sockets = loaded("threading"), loaded("asyncio.events"), loaded("_socket")
    return (
        threading is None or threading.excepthook is threading.__excepthook__,
        getattr(events, "_event_loop_policy", None) is None,
        sockets is None or sockets.getdefaulttimeout() is None,
    )


def _restore_defaults(_: tuple[bool, ...]) -> None:
    if (threading := sys.modules.get("threading")) is not None:
        threading.excepthook = threading.__excepthook__  # type: ignore[attr-defined]
    if (events := sys.modules.get("asyncio.events")) is not None:
        # With the policy goes the event loop that was set; the function for it warns that both are on their way out.
        events._event_loop_policy = None  # type: ignore[attr-defined]
    if (sockets := sys.modules.get("_socket")) is not None:
        sockets.setdefaulttimeout(None)


def _renew_chance() -> None:
    """Seed random numbers afresh: two calls of one process are to draw no more alike than those of two."""
    if (chance := sys.modules.get("random")) is not None:
        chance.seed(int.from_bytes(urandom(_SEED)))
    if (chance := sys.modules.get("numpy.random")) is not None:
        chance.seed(list(urandom(_SEED)))


_SEED: Final = 16
"""Bytes of a seed."""


ASPECTS: Final = (
    Aspect(_has_children),
    Aspect(_threads),
    Aspect(_standard_files),
    Aspect(_identity),
    Aspect(_folder, chdir),
    Aspect(_umask, umask),
    Aspect(_environment, _restore_environment),
    Aspect(_handlers, _restore_handlers),
    Aspect(_wakeup_file, _signal.set_wakeup_fd),
    Aspect(_mask, _restore_mask),
    Aspect(_alarms, _restore_alarms),
    Aspect(_limits, _restore_limits),
    Aspect(_processors, _restore_processors),
    Aspect(_blocking, _restore_blocking),
    Aspect(_streams, _restore_streams),
    Aspect(_lists, _restore_lists),
    Aspect(_hooks, _restore_hooks),
    Aspect(_interpreter, _restore_interpreter),
    Aspect(_locale_in_use, _restore_locale),
    Aspect(_filters, _restore_filters),
    Aspect(_defaults, _restore_defaults),
)
"""In this order: what ends the process comes first."""
