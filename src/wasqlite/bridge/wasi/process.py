"""What a guest takes for its process: arguments, environment, randomness, the end."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import NoReturn

from wasqlite.bridge.errors import Exited
from wasqlite.bridge.hostfunction import HostFunction
from wasqlite.bridge.memory import Memory
from wasqlite.bridge.wasi.errno import EIO, ENOTSUP, EPERM, EXPECTED, SUCCESS, answer
from wasqlite.bridge.wasi.layout import MODULE

Random = Callable[[int], bytes]

_PIECE = 1 << 16
"""Random bytes that are made at once: a guest may ask for as many as it has memory."""


def randomness(source: str | int | None) -> Random | None:
    """The policy's ``random``: the operating system's, a sequence of its own for each number, or none."""
    if source is None:
        return None
    if source == "real":
        return os.urandom
    from random import Random

    return Random(source).randbytes


def functions(
    memory: Memory, arguments: Sequence[bytes], environment: Sequence[bytes], random: Random | None
) -> list[HostFunction]:
    """The imports."""

    def sizes(strings: Sequence[bytes]) -> Callable[[int, int], int]:
        def sizes_get(count: int, size: int) -> int:
            try:
                memory.span(size, 4)
                memory.write_u32(count, len(strings))
                memory.write_u32(size, sum(len(string) + 1 for string in strings))
                return SUCCESS
            except EXPECTED as error:
                return answer(error)

        return sizes_get

    def texts(strings: Sequence[bytes]) -> Callable[[int, int], int]:
        def get(pointers: int, buffer: int) -> int:
            try:
                memory.span(pointers, 4 * len(strings))
                memory.span(buffer, sum(len(string) + 1 for string in strings))
                for index, string in enumerate(strings):
                    memory.write_u32(pointers + 4 * index, buffer)
                    memory.write(buffer, string + b"\0")
                    buffer += len(string) + 1
                return SUCCESS
            except EXPECTED as error:
                return answer(error)

        return get

    def random_get(buffer: int, size: int) -> int:
        if random is None:
            return EPERM
        try:
            memory.span(buffer, size)
            for start in range(0, size, _PIECE):
                memory.write(buffer + start, random(min(_PIECE, size - start)))
            return SUCCESS
        except EXPECTED as error:
            return answer(error)

    def proc_exit(code: int) -> NoReturn:
        raise Exited(code)

    def host(name: str, params: str, call: Callable[..., int]) -> HostFunction:
        return HostFunction(MODULE, name, params, "i", call, on_error=EIO, retry=True)

    return [
        host("args_sizes_get", "ii", sizes(arguments)),
        host("args_get", "ii", texts(arguments)),
        host("environ_sizes_get", "ii", sizes(environment)),
        host("environ_get", "ii", texts(environment)),
        # Not retried: a sequence that is the same each time must not lose a piece.
        HostFunction(MODULE, "random_get", "ii", "i", random_get, on_error=EIO),
        HostFunction(MODULE, "proc_exit", "i", "", proc_exit),
        host("proc_raise", "i", lambda signal: ENOTSUP),
        host("sched_yield", "", lambda: SUCCESS),
    ]
