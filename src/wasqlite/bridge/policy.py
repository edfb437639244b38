"""What a guest is allowed: the whole security surface of an instance, in one frozen value."""

from __future__ import annotations

from dataclasses import dataclass

from wasqlite.bridge.engine import MAX_WASM_STACK

MEMORY = 256 << 20
TABLE = 100_000
MOST_MEMORY = 1 << 32
LEAST_STACK, MOST_STACK = 64 << 10, 4 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """The limits of one instance. The default grants nothing beyond memory and computing."""

    memory: int | None = MEMORY
    """Bytes of linear memory at most: beyond, ``malloc`` returns NULL. None: all that 32 bits address."""
    table: int = TABLE
    """Entries of each function table at most; a callback takes one, and each takes some bytes of the host's."""
    stack: int = MAX_WASM_STACK
    """Bytes of native stack that the guest may use before it traps. The stack of a thread that calls it must be larger,
    for nothing else stops a recursion. (C's own stack, of what has an address, has the size that it was built with.)"""
    deadline: float | None = None
    """Seconds that an outermost call may take, host functions included, before it is stopped (``DeadlineExceeded``).
    None: as long as it likes; ``interrupt()`` and Ctrl-C always work."""

    def __post_init__(self) -> None:
        if self.memory is not None and not 0 <= self.memory <= MOST_MEMORY:
            raise ValueError(f"memory must be a number of bytes up to 4 GiB, or None: {self.memory}")
        if not 0 <= self.table < 1 << 32:
            raise ValueError(f"table must be a number of entries: {self.table}")
        if not LEAST_STACK <= self.stack <= MOST_STACK:
            raise ValueError(f"stack must be a number of bytes from {LEAST_STACK} to {MOST_STACK}: {self.stack}")
        if self.deadline is not None and not self.deadline > 0:
            raise ValueError(f"deadline must be a positive number of seconds, or None: {self.deadline}")
