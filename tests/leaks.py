"""What 100,000 cycles leave behind: ``python tests/leaks.py [cycles [kind]]``. Nothing may grow.

Each kind of cycle is warmed up first; then Python's blocks of memory, all memory (RSS), address space, mappings,
descriptors, threads and table slots are looked at, before and after. Linux, for /proc.
"""

from __future__ import annotations

import gc
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from wasqlite.bridge import Directory, Exited, HostFunction, Interrupted, Library, Policy, Trap

WAT = """
(module
  (import "host" "call" (func $call (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 2)
  (global $sp (export "__stack_pointer") (mut i32) (i32.const 60000))
  (type $f (func (param i32) (result i32)))
  (table $t (export "__indirect_function_table") 1 funcref)
  (data (i32.const 100) "file")
  (func (export "malloc") (param i32) (result i32) (i32.const 65536))
  (func (export "free") (param i32))
  (func (export "realloc") (param i32 i32) (result i32) (i32.const 65536))
  (func (export "apply") (param i32 i32) (result i32)
    (call_indirect $t (type $f) (local.get 1) (local.get 0)))
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "call") (param i32) (result i32) (call $call (local.get 0)))
  (func (export "open_file") (result i32)
    (if (call $open (i32.const 3) (i32.const 1) (i32.const 100) (i32.const 4) (i32.const 0) (i64.const 2)
         (i64.const 2) (i32.const 0) (i32.const 200)) (then (return (i32.const 1))))
    (call $close (i32.load (i32.const 200))))
  (func (export "table_size") (result i32) (table.size $t))
  (func (export "leave") (call $exit (i32.const 3)))
  (func (export "trap") unreachable)
  (func (export "call_and_loop") (drop (call $call (i32.const 1))) (loop $again (br $again))))
"""
TYPES = {
    "format": 1,
    "name": "leaks",
    "functions": {
        "add": {"type": "int (int, int)", "params": ["a", "b"]},
        "apply": {"type": "int (int (*)(int), int)", "params": ["f", "n"]},
    },
}


class Usage(NamedTuple):
    """What a process has; bytes, or counts."""

    blocks: int
    resident: int
    address_space: int
    mappings: int
    descriptors: int
    threads: int


def usage() -> Usage:
    """What this process has now."""
    gc.collect()
    pages = [int(word) for word in Path("/proc/self/statm").read_text().split()]
    return Usage(
        sys.getallocatedblocks(),
        pages[1] * os.sysconf("SC_PAGESIZE"),
        pages[0] * os.sysconf("SC_PAGESIZE"),
        len(Path("/proc/self/maps").read_text().splitlines()),
        len(list(Path("/proc/self/fd").iterdir())),
        len(list(Path("/proc/self/task").iterdir())),
    )


ALLOWED = Usage(blocks=300, resident=3 << 20, address_space=64 << 20, mappings=8, descriptors=0, threads=0)
"""The allocators' freedom; one object a cycle is as many blocks, one leaked instance has 4 GiB of address space."""


def fail(*_: object) -> int:
    raise ZeroDivisionError


class Cycles:
    """The kinds of cycles; each method makes one."""

    def __init__(self, folder: str) -> None:
        Path(folder, "file").write_text("x")
        self.policy = Policy(files={"/data": Directory(folder)}, stdout="discard", clock="real", random=1)
        self.library = Library.from_wat(WAT, types=TYPES)
        self.fast = Library.from_wat('(module (func (export "f")))', interruptible=False)
        self.host = [lambda memory: [HostFunction("host", "call", "i", "i", lambda n: n + 1)]]
        self.failing = [lambda memory: [HostFunction("host", "call", "i", "i", fail, on_error=7)]]
        self.guest = self.open()
        self.failed = self.library.open(self.policy, hosts=self.failing)
        self.add = self.guest.function("add")
        self.call_back = self.guest.function("call")
        self.call_failing = self.failed.function("call")
        self.open_file = self.guest.function("open_file")
        self.callback = self.guest.callback("int (int)", lambda n: n + 1)
        self.raising = self.guest.callback("int (int)", fail, error=5)

    def table_size(self) -> int:
        return self.guest.function("table_size")()

    def open(self) -> Any:
        return self.library.open(self.policy, hosts=self.host)

    def calls(self) -> None:
        assert self.add(3, 4) == 7
        assert self.guest.lib.add(-3, 4) == 1

    def callbacks(self) -> None:
        assert self.call_back(3) == 4
        assert self.guest.lib.apply(self.callback, 3) == 4

    def exceptions(self) -> None:
        for call in (lambda: self.call_failing(3), lambda: self.guest.lib.apply(self.raising, 3)):
            try:
                call()
            except ZeroDivisionError:
                continue
            raise AssertionError

    def callbacks_opened_and_closed(self) -> None:
        with self.guest.callback("int (int)", lambda n: n * 2) as callback:
            assert self.guest.lib.apply(callback, 4) == 8

    def handles(self) -> None:
        handle = self.guest.handle([self])
        assert self.guest.from_handle(handle) == [self]
        handle.close()

    def new_functions(self) -> None:
        assert self.guest.function("add")(1, 2) == 3

    def files_opened_and_closed(self) -> None:
        assert self.open_file() == 0

    def instances_opened_and_closed(self) -> None:
        with self.open() as guest:
            assert guest.lib.add(1, 2) == 3
            guest.memory.write(0, b"x")

    def instances_forgotten(self) -> None:
        guest = self.open()
        assert guest.function("add")(1, 2) == 3

    def instances_without_a_policy(self) -> None:
        with self.fast.open() as guest:
            guest.function("f")()

    def libraries(self) -> None:
        with Library.from_wat(WAT, types=TYPES).open(self.policy, hosts=self.host) as guest:
            assert guest.lib.add(1, 2) == 3

    def snapshots(self) -> None:
        self.guest.restore(self.guest.snapshot())
        assert self.add(1, 2) == 3

    def clones(self) -> None:
        with self.guest.clone() as guest:
            assert guest.lib.add(1, 2) == 3

    def traps(self) -> None:
        self.ends_in(Trap, "trap")

    def exits(self) -> None:
        self.ends_in(Exited, "leave")

    def interrupts(self) -> None:
        def call(_: int) -> int:
            guest.interrupt()
            return 1

        guest = self.library.open(self.policy, hosts=[lambda _: [HostFunction("host", "call", "i", "i", call)]])
        with guest:
            try:
                guest.function("call_and_loop")()
            except Interrupted:
                return
        raise AssertionError

    def useless_interrupts(self) -> None:
        self.guest.interrupt()
        assert self.add(1, 2) == 3

    def ends_in(self, kind: type[BaseException], function: str) -> None:
        with self.open() as guest:
            try:
                guest.function(function)()
            except kind:
                return
        raise AssertionError


KINDS: dict[str, Callable[[Cycles], None]] = {
    name: function
    for name, function in vars(Cycles).items()
    if name[0] != "_" and name not in ("open", "ends_in", "table_size")
}


def grown(name: str, count: int) -> tuple[Usage, int]:
    """How much more there is after ``count`` cycles than after a tenth of them, and how many more table slots."""
    with tempfile.TemporaryDirectory() as folder:
        cycles = Cycles(folder)
        cycle = KINDS[name]
        for _ in range(max(count // 10, 100)):
            cycle(cycles)
        before, slots = usage(), cycles.table_size()
        for _ in range(count):
            cycle(cycles)
        more = cycles.table_size() - slots
        return Usage(*(after - before for before, after in zip(before, usage(), strict=True))), more


def main(count: int, only: str | None = None) -> int:
    """1 if anything grew."""
    leaking = 0
    for name in [only] if only else KINDS:
        started = time.process_time()
        more, slots = grown(name, count)
        bad = slots > 0 or any(a > b for a, b in zip(more, ALLOWED, strict=True))
        leaking += bad
        seconds = time.process_time() - started
        print(
            f"{'LEAKS' if bad else 'ok':6}{name:30}{count:8} cycles {seconds:6.1f} s  {slots} slots, {more}", flush=True
        )
    return bool(leaking)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000, *sys.argv[2:]))
