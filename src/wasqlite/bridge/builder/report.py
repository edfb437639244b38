"""Build errors as one clear line, and progress lines on the long steps."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

MINIMUM_PYTHON = (3, 11)


class BuildError(Exception):
    """A failure whose message tells the reader what to do; it is shown without a traceback."""


def say(message: str) -> None:
    """Print one progress line at once, also when the output is a pipe."""
    # One write, so that the lines of several threads do not mix.
    sys.stderr.write(f"wasqlite build: {message}\n")
    sys.stderr.flush()


@contextmanager
def step(description: str) -> Iterator[None]:
    """Announce a long step, then its duration."""
    say(f"{description} ...")
    start = time.monotonic()
    yield
    say(f"{description}: {time.monotonic() - start:.1f} s")


def check_python(version: tuple[int, ...] = sys.version_info[:3]) -> None:
    """Raise BuildError on a Python that is too old."""
    if version < MINIMUM_PYTHON:
        found = ".".join(map(str, version))
        wanted = ".".join(map(str, MINIMUM_PYTHON))
        raise BuildError(f"Python {found} is too old: use Python {wanted} or newer (make PYTHON=python{wanted})")


def run_command(main: Callable[[], None]) -> None:
    """Run a script's `main`; a BuildError becomes one line on stderr and exit status 1."""
    try:
        check_python()
        main()
    except BuildError as error:
        raise SystemExit(f"wasqlite build: error: {error}") from None
    except KeyboardInterrupt:
        raise SystemExit("wasqlite build: interrupted") from None
