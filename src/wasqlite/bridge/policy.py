"""What a guest is allowed: the whole security surface of an instance, in one frozen value."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, Literal

from wasqlite.bridge.engine import LEAST_STACK, MAX_WASM_STACK

MEMORY = 256 << 20
TABLE = 100_000
MOST_MEMORY = 1 << 32
MOST_STACK = 4 << 20

Path = str | os.PathLike[str]


def _within(number: object, low: int, high: int) -> bool:
    return isinstance(number, int) and low <= number <= high


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory of the host that a guest may use, with all that is below it.

    The guest cannot leave it, by ``..`` nor by links; only regular files and directories can be opened. Without
    ``writable`` nothing in it can be changed. ``links`` allows to make hard and symbolic links too; symbolic ones are
    relative and do not go up, so that no other program that follows them is led astray.
    """

    path: Path
    writable: bool = False
    links: bool = False


@dataclass(frozen=True, slots=True)
class SteppingClock:
    """A clock that is the same in each run: it begins at ``start`` and moves by ``step`` when it is looked at.

    Both in ns. Sleeping moves it by the time asked for, and takes none.
    """

    start: int = 0
    step: int = 1_000_000

    def __post_init__(self) -> None:
        if not isinstance(self.start, int) or not isinstance(self.step, int) or self.start < 0 or self.step < 0:
            raise ValueError(f"a clock begins at zero or later, and does not go back; both in whole ns: {self}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """What one instance may use. The default grants nothing beyond memory and computing."""

    memory: int | None = MEMORY
    """Bytes of linear memory at most: beyond, ``malloc`` returns NULL. None: all that 32 bits address."""
    table: int = TABLE
    """Entries of each function table at most; a callback takes one, and each takes some bytes of the host's."""
    stack: int = MAX_WASM_STACK
    """Bytes of native stack that the guest may use before it traps; half a thread's, if ``threading.stack_size`` says
    that it has less than twice as much. A thread with a smaller stack than that must not call the guest: a recursion
    would end the process. (C's own stack, of what has an address, has the size that it was built with.)"""
    deadline: float | None = None
    """Seconds that an outermost call may take, host functions included, before it is stopped (``DeadlineExceeded``).
    None: as long as it likes; ``interrupt()`` and Ctrl-C always work."""
    rollback: bool = False
    """What a trap leaves behind. False: an instance that takes no more calls. True: what it was at the last snapshot,
    if there is one; the exception says why all the same."""

    files: Mapping[str, Directory | Path] = field(default_factory=dict, hash=False)
    """The directories that the guest finds, by the names that it finds them under. A mere path is read-only."""
    arguments: Sequence[str] = ()
    """``argv``, with the program's name first."""
    environment: Mapping[str, str] = field(default_factory=dict, hash=False)
    """The environment variables."""
    stdin: IO[Any] | bytes | Literal["discard"] | None = None
    """What standard input reads: bytes, or a stream, binary or text. ``"discard"``: nothing. None: it is closed."""
    stdout: IO[Any] | Literal["discard"] | None = None
    """Where standard output goes: a stream, binary or text. ``"discard"``: nowhere. None: it is closed."""
    stderr: IO[Any] | Literal["discard"] | None = None
    """The same for standard error."""
    clock: SteppingClock | Literal["real"] | None = None
    """``"real"``: the time, and sleeping. None: the guest is told that it may not know."""
    random: int | Literal["real"] | None = None
    """``"real"``: the operating system's randomness. A number: a sequence that is the same in each run. None: none."""

    def __post_init__(self) -> None:
        if self.memory is not None and not _within(self.memory, 0, MOST_MEMORY):
            raise ValueError(f"memory must be a whole number of bytes up to 4 GiB, or None: {self.memory!r}")
        if not _within(self.table, 0, (1 << 32) - 1):
            raise ValueError(f"table must be a whole number of entries: {self.table!r}")
        if not _within(self.stack, LEAST_STACK, MOST_STACK):
            raise ValueError(
                f"stack must be a whole number of bytes from {LEAST_STACK} to {MOST_STACK}: {self.stack!r}"
            )
        if self.deadline is not None and not (isinstance(self.deadline, int | float) and self.deadline > 0):
            raise ValueError(f"deadline must be a positive number of seconds, or None: {self.deadline!r}")
        given = isinstance(self.stdin, bytes | bytearray | memoryview)
        if not (given or _is_stream(self.stdin, "read")):
            raise ValueError(f'stdin must be bytes, a stream to read from, "discard" or None: {self.stdin!r}')
        for name in ("stdout", "stderr"):
            if not _is_stream(getattr(self, name), "write"):
                raise ValueError(f'{name} must be a stream to write to, "discard" or None: {getattr(self, name)!r}')
        if self.clock is not None and self.clock != "real" and not isinstance(self.clock, SteppingClock):
            raise ValueError(f'clock must be "real", a SteppingClock or None: {self.clock!r}')
        if self.random is not None and self.random != "real" and not isinstance(self.random, int):
            raise ValueError(f'random must be "real", a whole number or None: {self.random!r}')
        if isinstance(self.arguments, str):
            raise ValueError(f"arguments must be a sequence of strings, and not one string: {self.arguments!r}")
        for name in ("files", "environment"):
            if not isinstance(getattr(self, name), Mapping):
                raise ValueError(f"{name} must be a mapping of names: {getattr(self, name)!r}")
        for path in self.files.values():
            if not isinstance(path, Directory | str | os.PathLike):
                raise ValueError(f"files must be paths, or a Directory each: {path!r}")
        variables = (*self.environment, *self.environment.values())
        for name, texts in (("arguments", self.arguments), ("environment", variables), ("files", self.files)):
            for text in texts:
                if not isinstance(text, str) or "\0" in text:
                    raise ValueError(f"{name} must be made of strings without a NUL: {text!r}")
        for name in self.environment:
            if "=" in name or not name:
                raise ValueError(f"the name of an environment variable must not be empty, nor have a =: {name!r}")
        # Copies, so that nobody changes them afterwards.
        object.__setattr__(self, "arguments", tuple(self.arguments))
        object.__setattr__(self, "environment", dict(self.environment))
        object.__setattr__(self, "files", dict(self.files))

    @property
    def directories(self) -> list[tuple[str, Directory]]:
        """``files``, with a ``Directory`` for each name."""
        return [
            (name, found if isinstance(found, Directory) else Directory(found)) for name, found in self.files.items()
        ]

    @property
    def variables(self) -> list[tuple[str, str]]:
        """``environment``, as pairs."""
        return list(self.environment.items())


def _is_stream(stream: object, method: str) -> bool:
    return stream is None or (stream == "discard" if isinstance(stream, str) else hasattr(stream, method))
