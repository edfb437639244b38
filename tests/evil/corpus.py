"""The corpus of evil modules: what each does, and the exception that it must end in.

A case is a function that gets an ``Open`` and misbehaves; ``EVIL`` has them all. ``worker.py`` runs one in a process.
"""

from __future__ import annotations

import io
import itertools
import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

sys.path.append(str(Path(__file__).resolve().parents[1]))
from guests import compiled

from wasqlite.bridge import (
    ArgumentRangeError,
    ArgumentTypeError,
    BridgeError,
    CallbackClosed,
    DeadlineExceeded,
    Directory,
    Exited,
    HostFunction,
    InstanceClosed,
    InstancePoisoned,
    Interrupted,
    Library,
    LinkError,
    LoadError,
    MemoryAccessError,
    PointerError,
    Policy,
    ReentryError,
    SteppingClock,
    Trap,
)
from wasqlite.bridge.wasi.errno import EFAULT


class Case(NamedTuple):
    """``run`` must raise ``expected``, with ``match`` in its message; None: it must return."""

    name: str
    run: Callable[[], Any]
    expected: type[BaseException] | tuple[type[BaseException], ...] | None
    match: str = ""


EVIL: dict[str, Case] = {}
LIMITS = Policy(memory=32 << 20, deadline=0.3, table=1000)


def add(name: str, run: Callable[[], Any], expected: Any, match: str = "") -> None:
    assert name not in EVIL, name
    EVIL[name] = Case(name, run, expected, match)


def evil(expected: Any, match: str = "") -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    def register(run: Callable[[], Any]) -> Callable[[], Any]:
        add(run.__name__.replace("_", " "), run, expected, match)
        return run

    return register


IMPORTED = "(;end of imports;)"


def wat(body: str, *arguments: int, policy: Policy = LIMITS, hosts: Any = (), function: str = "f") -> Any:
    """Open a module of this text, with usual things around it, and call its ``f``."""
    memory = "" if "(memory " in body else '(memory (export "memory") 1)'
    imports, _, rest = body.rpartition(IMPORTED)
    instance = Library.from_wat(f"(module {imports} {memory} {rest})").open(policy, hosts=hosts)
    try:
        return instance.function(function)(*arguments)
    finally:
        dead = instance.dead
        instance.close()
        if sys.exc_info()[0] is not None and isinstance(sys.exc_info()[1], Trap | Interrupted | Exited):
            assert isinstance(dead, InstancePoisoned), dead


def code(name: str, instructions: str, expected: Any, match: str = "", more: str = "") -> None:
    """A case whose ``f`` is just these instructions."""
    add(name, lambda: wat(f'{more} (func $f (export "f") {instructions})'), expected, match)


# -- out of bounds ----------------------------------------------------------------------------------------------------

OUT = "out of bounds memory access"
ADDRESSES = ["65536", "65533", "-1", "-4", "0x7fffffff", "0x80000000"]
for address in ADDRESSES:
    code(f"load at {address}", f"(drop (i32.load (i32.const {address})))", Trap, OUT)
    code(f"store at {address}", f"(i32.store (i32.const {address}) (i32.const 1))", Trap, OUT)
for size, at in (("i32.load8_u", 65536), ("i32.load16_u", 65535), ("i64.load", 65529), ("f64.load", 65529)):
    code(f"{size} over the end", f"(drop ({size} (i32.const {at})))", Trap, OUT)
code("v128.load over the end", "(drop (v128.load (i32.const 65521)))", Trap, OUT)
code("offset beyond 4 GiB", "(drop (i32.load offset=0xffffffff (i32.const -1)))", Trap, OUT)
code("store with a huge offset", "(i64.store offset=0xfffffff8 (i32.const 8) (i64.const 1))", Trap, OUT)
code("fill over the end", "(memory.fill (i32.const 65000) (i32.const 1) (i32.const 1000))", Trap, OUT)
code("fill around", "(memory.fill (i32.const 8) (i32.const 1) (i32.const -1))", Trap, OUT)
code("copy from outside", "(memory.copy (i32.const 0) (i32.const -16) (i32.const 32))", Trap, OUT)
code("copy to outside", "(memory.copy (i32.const 65535) (i32.const 0) (i32.const 2))", Trap, OUT)
code(
    "init over the segment", "(memory.init $d (i32.const 0) (i32.const 2) (i32.const 9))", Trap, OUT, '(data $d "abc")'
)
code(
    "init from a dropped segment",
    "(data.drop $d) (memory.init $d (i32.const 0) (i32.const 0) (i32.const 1))",
    Trap,
    OUT,
    '(data $d "abc")',
)
add("a data segment outside", lambda: wat('(data (i32.const 65535) "ab") (func (export "f"))'), Trap, OUT)
add("a data segment at minus one", lambda: wat('(data (i32.const -1) "a") (func (export "f"))'), Trap, OUT)

# -- tables -----------------------------------------------------------------------------------------------------------

TABLE = """(table $t (export "table") 4 funcref) (type $v (func)) (type $i (func (param i32) (result i32)))
  (type $many (func (param i64 i64 f64 f32 i32) (result f64)))
  (func $one) (func $two (param i32) (result i32) (local.get 0)) (elem $e (i32.const 0) func $one $two)"""
OUT_TABLE = "out of bounds table access"
UNDEFINED = "undefined element"
for index in ("4", "-1", "0x7fffffff"):
    code(f"call entry {index}", f"(call_indirect (type $v) (i32.const {index}))", Trap, OUT_TABLE, TABLE)
    code(f"get entry {index}", f"(drop (table.get $t (i32.const {index})))", Trap, OUT_TABLE, TABLE)
    code(f"set entry {index}", f"(table.set $t (i32.const {index}) (ref.null func))", Trap, OUT_TABLE, TABLE)
code("call an empty entry", "(call_indirect (type $v) (i32.const 3))", Trap, "uninitialized", TABLE)
MISMATCH = "indirect call type mismatch"
code("call with another type", "(call_indirect (type $v) (i32.const 1))", Trap, MISMATCH, TABLE)
code("call for another result", "(drop (call_indirect (type $i) (i32.const 1) (i32.const 0)))", Trap, MISMATCH, TABLE)
code(
    "call with many arguments more",
    "(drop (call_indirect (type $many) (i64.const 1) (i64.const 2) (f64.const 3) (f32.const 4) (i32.const 5)"
    " (i32.const 0)))",
    Trap,
    MISMATCH,
    TABLE,
)
code(
    "smash the table and call",
    "(table.fill $t (i32.const 0) (ref.null func) (i32.const 4)) (call_indirect (type $v) (i32.const 0))",
    Trap,
    "uninitialized",
    TABLE,
)
code("table.copy over the end", "(table.copy $t $t (i32.const 2) (i32.const 0) (i32.const 3))", Trap, OUT_TABLE, TABLE)
code("table.init over the end", "(table.init $t $e (i32.const 3) (i32.const 0) (i32.const 2))", Trap, OUT_TABLE, TABLE)
code("table.fill around", "(table.fill $t (i32.const 1) (ref.null func) (i32.const -1))", Trap, OUT_TABLE, TABLE)


@evil(None)
def a_table_bomb() -> None:
    body = """(table $t 1 funcref) (func (export "f") (result i32)
      (loop $again (br_if $again (i32.ne (table.grow $t (ref.null func) (i32.const 100)) (i32.const -1))))
      (table.size $t))"""
    assert wat(body) <= LIMITS.table


@evil(None)
def one_big_table() -> None:
    body = '(table $t 1 funcref) (func (export "f") (result i32) (table.grow $t (ref.null func) (i32.const -2)))'
    assert wat(body) == 0xFFFF_FFFF


add("many tables", lambda: wat("(table 1000 funcref)" * 50 + '(func (export "f"))'), LinkError, "table")
add("a table larger than allowed", lambda: wat('(table 2000 funcref) (func (export "f"))'), LinkError, "table")

# -- arithmetic and control -------------------------------------------------------------------------------------------

code("unreachable", "unreachable", Trap, "unreachable")
code("division by zero", "(drop (i32.div_s (i32.const 1) (i32.const 0)))", Trap, "divide by zero")
code("remainder by zero", "(drop (i64.rem_u (i64.const 1) (i64.const 0)))", Trap, "divide by zero")
code("division overflow", "(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))", Trap, "overflow")
code("truncating NaN", "(drop (i32.trunc_f64_s (f64.const nan)))", Trap, "conversion to integer")
code("truncating too much", "(drop (i64.trunc_f32_u (f32.const 1e30)))", Trap, "overflow")
code("an exception of its own", "(throw $t (i32.const 1))", Trap, "exception", "(tag $t (param i32))")

STACK = "call stack exhausted"
code("recursion", "(call $f)", Trap, STACK)
add(
    "recursion with large frames",
    lambda: wat(
        '(func $f (export "f") (result i64) '
        + "(local i64)" * 500
        + "".join(f"(local.set {n} (i64.load (i32.const {n})))" for n in range(500))
        + "(local.set 0 (call $f))"
        + "(i64.add (local.get 0) " * 499
        + "(i64.const 1)"
        + ")" * 499
        + ")"
    ),
    Trap,
    STACK,
)
add("mutual recursion", lambda: wat('(func $f (export "f") (call $g)) (func $g (call $f))'), Trap, STACK)
code("recursion through the table", "(call_indirect (type $v) (i32.const 0))", Trap, STACK,
     '(table 1 funcref) (type $v (func)) (elem (i32.const 0) func $f)')  # fmt: skip
LATE = "deadline"
code("an endless loop", "(loop $again (br $again))", DeadlineExceeded, LATE)
code("an endless loop that computes", "(local i64) (loop $again (local.set 0 (i64.add (local.get 0) (i64.const 1)))"
     " (br_if $again (i64.ne (local.get 0) (i64.const -1))))", DeadlineExceeded, LATE)  # fmt: skip
code("an endless loop of calls", "(loop $again (call $g) (br $again))", DeadlineExceeded, LATE, "(func $g)")
code("endless tail calls", "(return_call $f)", DeadlineExceeded, LATE)
code("endless large fills", "(drop (memory.grow (i32.const 500))) (loop $again (memory.fill (i32.const 0) (i32.const 1)"
     " (i32.const 32000000)) (br $again))", DeadlineExceeded, LATE)  # fmt: skip
code(
    "endless exceptions",
    "(loop $again (block $caught (result i32) (try_table (catch $t $caught) (throw $t (i32.const 1))) unreachable)"
    " drop (br $again))",
    DeadlineExceeded,
    LATE,
    "(tag $t (param i32))",
)
add("an endless start function", lambda: wat('(func $s (loop $l (br $l))) (start $s) (func (export "f"))'),
    DeadlineExceeded, LATE)  # fmt: skip
add(
    "a start function that traps",
    lambda: wat('(func $s unreachable) (start $s) (func (export "f"))'),
    Trap,
    "unreachable",
)
add("an initializer that traps", lambda: wat('(func (export "_initialize") unreachable)'), Trap, "unreachable")
add("an endless initializer", lambda: wat('(func (export "_initialize") (loop $l (br $l)))'), DeadlineExceeded, LATE)
add("an initializer with parameters", lambda: wat('(func (export "_initialize") (param i32))'), LinkError, "without")

# -- memory -----------------------------------------------------------------------------------------------------------


@evil(None)
def a_memory_bomb() -> None:
    body = """(func (export "f") (result i32)
      (loop $again (br_if $again (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) (memory.size))"""
    assert wat(body) * 65536 <= LIMITS.memory


@evil(None)
def all_memory_at_once() -> None:
    assert wat('(func (export "f") (result i32) (memory.grow (i32.const 65535)))') == 0xFFFF_FFFF
    assert wat('(func (export "f") (result i32) (memory.grow (i32.const -1)))') == 0xFFFF_FFFF


add(
    "a memory larger than allowed",
    lambda: wat('(memory (export "memory") 60000) (func (export "f"))'),
    LinkError,
    "memory minimum size",
)
add("two memories", lambda: wat("(memory 1) (memory 1)"), LoadError, "memories")
add("a shared memory", lambda: wat('(memory (export "memory") 1 2 shared)'), LinkError, "shared memory")
code(
    "waiting for ever", "(drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1)))", Trap, "atomic wait"
)
add("a 64-bit memory", lambda: wat('(memory (export "memory") i64 1)'), LoadError, "memory64")
add("stack switching", lambda: wat("(type $v (func)) (type (cont $v))"), LoadError, "stack switching")
add("references with a type", lambda: wat("(type $v (func)) (func (param (ref null $v)))"), LoadError, "references")
add("pages of another size", lambda: wat('(memory (export "memory") 1 (pagesize 1))'), LoadError, "page")
add("objects of the engine's", lambda: wat('(type $s (struct (field i32))) (func (export "f"))'), LoadError, "gc")

# -- modules that are none, and what they import and export -----------------------------------------------------------

WASM = b"\0asm\1\0\0\0"
for name, data in {
    "nothing": b"",
    "text": b"hello",
    "only a header": WASM[:6],
    "another version": b"\0asm\2\0\0\0",
    "a component": b"\0asm\x0d\0\1\0",
    "a section without an end": WASM + b"\x01\xff\xff\xff\xff\x0f",
    "a section of an unknown kind": WASM + b"\x7f\x01\x00",
    "a function without code": WASM + b"\x01\x04\x01\x60\0\0\x03\x02\x01\0",
    "code that is cut off": WASM + b"\x01\x04\x01\x60\0\0\x03\x02\x01\0\x0a\x05\x01\x03\0\x41",
    "a length that is too large": WASM + b"\x01\x85\x80\x80\x80\x00\xff\xff\xff\xff\x0f",
    "a wrong type": WASM + b"\x01\x05\x01\x60\x01\x00\x00",
}.items():
    add(f"a module that is {name}", lambda data=data: Library(data), LoadError, "does not compile")
add(
    "a value of the wrong type",
    lambda: wat('(func (export "f") (result i32) (i64.const 1))'),
    LoadError,
    "type mismatch",
)
add("an empty stack", lambda: wat('(func (export "f") drop)'), LoadError, "nothing on stack")

for name, imported in {
    "an unknown function": '(import "env" "system" (func (param i32) (result i32)))',
    "an unknown WASI function": '(import "wasi_snapshot_preview1" "sock_open" (func (param i32) (result i32)))',
    "a memory": '(import "env" "memory" (memory 1))',
    "a table": '(import "env" "table" (table 1 funcref))',
    "a global": '(import "env" "sp" (global (mut i32)))',
    "a WASI function with another type": '(import "wasi_snapshot_preview1" "fd_write" (func (param i64)))',
    "proc_exit with a result": '(import "wasi_snapshot_preview1" "proc_exit" (func (param i32) (result i32)))',
    "a memory under a WASI name": '(import "wasi_snapshot_preview1" "fd_write" (memory 1))',
}.items():
    add(f"importing {name}", lambda imported=imported: Library.from_wat(f"(module {imported})").open(LIMITS),
        LinkError, "imports")  # fmt: skip


@evil(BridgeError, "no function")
def a_memory_under_a_function_s_name() -> None:
    wat('(memory (export "memory") (export "f") 1)')


@evil(None)
def a_function_under_the_memory_s_name() -> None:
    with Library.from_wat('(module (memory 1) (func (export "memory")))').open(LIMITS) as instance:
        assert instance.memory.size == 0
        instance.function("memory")()


@evil(None)
def a_function_under_the_stack_pointer_s_name() -> None:
    with Library.from_wat('(module (func (export "__stack_pointer")))').open(LIMITS) as instance:
        assert instance.stack_pointer() is None


@evil(Trap, "unreachable")
def a_stack_pointer_of_another_type() -> None:
    wat('(global (export "__stack_pointer") (mut f64) (f64.const 1)) (func (export "f") unreachable)')


@evil(Trap, "unreachable")
def a_stack_pointer_that_cannot_be_set() -> None:
    wat('(global (export "__stack_pointer") i32 (i32.const 1)) (func (export "f") unreachable)')


@evil(BridgeError, "cannot be called")
def references_as_arguments() -> None:
    wat('(func (export "f") (param externref))', 1)


@evil(BridgeError, "cannot be called")
def two_results() -> None:
    wat('(func (export "f") (result i32 i32) (i32.const 1) (i32.const 2))')


ALLOCATOR = """(func (export "malloc") (param i32) (result i32) {malloc}) (func (export "free") (param i32) {free})"""


def allocating(malloc: str, free: str = "", data: bytes = b"x" * 100) -> None:
    library = Library.from_wat(f'(module (memory (export "memory") 1) {ALLOCATOR.format(malloc=malloc, free=free)})')
    with library.open(LIMITS) as instance, instance.arena() as arena:
        arena.bytes(data)


for at in ("65500", "-1", "-50", "0x80000000"):
    add(f"malloc answers {at}", lambda at=at: allocating(f"(i32.const {at})"), MemoryAccessError, "outside")
add("malloc answers NULL", lambda: allocating("(i32.const 0)"), MemoryError, "no 100 bytes left")
add("malloc traps", lambda: allocating("unreachable"), Trap, "unreachable")
add("malloc takes for ever", lambda: allocating("(loop $l (br $l)) unreachable"), DeadlineExceeded, LATE)
add("free traps", lambda: allocating("(i32.const 8)", "unreachable"), Trap, "unreachable")
add("free takes for ever", lambda: allocating("(i32.const 8)", "(loop $l (br $l))"), DeadlineExceeded, LATE)
add("malloc of another type", lambda: Library.from_wat(
    '(module (memory (export "memory") 1) (func (export "malloc") (result i32) (i32.const 8)))'
).open(LIMITS).arena().alloc(5), TypeError, "argument")  # fmt: skip


@evil(MemoryAccessError, "no NUL within")
def a_string_without_an_end() -> None:
    library = Library.from_wat(
        '(module (memory (export "memory") 16) (func (export "f") (memory.fill (i32.const 0) (i32.const 65)'
        " (i32.const 1048576))))"
    )
    with library.open(LIMITS) as instance:
        instance.function("f")()
        instance.memory.string(5)


for at, size in ((65536, 1), (0, 65537), (-1, 1), (0xFFFF_FFFF, 2), (1 << 40, 1), (5, -1)):

    def beyond(at: int = at, size: int = size) -> None:
        with Library.from_wat('(module (memory (export "memory") 1))').open(LIMITS) as instance:
            instance.memory.read(at, size)

    add(f"reading {size} at {at:#x}", beyond, MemoryAccessError, "outside")


# -- callbacks --------------------------------------------------------------------------------------------------------

CALL = '(import "host" "call" (func $call (param i32 i32) (result i32)))' + IMPORTED


def calling(call: Callable[..., Any], **options: Any) -> list[Any]:
    return [lambda memory: [HostFunction("host", "call", "ii", "i", lambda *a: call(memory, *a), **options)]]


FORWARD = CALL + '(func (export "f") (param i32 i32) (result i32) (call $call (local.get 0) (local.get 1)))'
for at, size in ((65536, 1), (0, 65537), (0xFFFF_FFFF, 2), (0x8000_0000, 0x8000_0000), (0xFFFF_FFFF, 0xFFFF_FFFF)):
    add(
        f"a callback's pointer {at:#x} with {size:#x} bytes",
        lambda at=at, size=size: wat(FORWARD, at, size, hosts=calling(lambda memory, a, n: len(memory.read(a, n)))),
        MemoryAccessError,
        "outside",
    )
add("a callback that answers text", lambda: wat(FORWARD, 1, 2, hosts=calling(lambda *_: "text")), TypeError, "")
add("a callback that answers too much", lambda: wat(FORWARD, 1, 2, hosts=calling(lambda *_: 1 << 70)), ValueError, "")
add("a callback that raises", lambda: wat(FORWARD, 1, 2, hosts=calling(lambda *_: 1 // 0)), ZeroDivisionError, "")
add(
    "a callback that raises, with an answer",
    lambda: wat(FORWARD, 1, 2, hosts=calling(lambda *_: 1 // 0, on_error=7)),
    ZeroDivisionError,
    "",
)
add("a callback that exits", lambda: wat(FORWARD, 1, 2, hosts=calling(lambda *_: sys.exit(3))), SystemExit, "3")
add(
    "an endless loop of callbacks",
    lambda: wat(CALL + '(func (export "f") (loop $l (drop (call $call (i32.const 1) (i32.const 2))) (br $l)))',
                hosts=calling(lambda *_: 0)),
    DeadlineExceeded,
    LATE,
)  # fmt: skip


def exceptions_without_end(**options: Any) -> None:
    body = CALL + '(func (export "f") (loop $l (drop (call $call (i32.const 1) (i32.const 2))) (br $l)))'
    try:
        wat(body, hosts=calling(lambda *_: 1 // 0, on_error=7, **options))
    except DeadlineExceeded as error:
        assert 90 < len(error.__notes__) < 110
        raise


add("exceptions without end", exceptions_without_end, DeadlineExceeded, LATE)
add("exceptions without end, reentrant", lambda: exceptions_without_end(reentrant=True), DeadlineExceeded, LATE)


def nested(reentrant: bool) -> None:
    library = Library.from_wat(f'(module {FORWARD} (memory (export "memory") 1))')
    with library.open(LIMITS, hosts=calling(lambda _, a, b: f(a, b), reentrant=reentrant)) as instance:
        f = instance.function("f")
        f(1, 2)


add("a callback that must not call and does", lambda: nested(False), ReentryError, "in the middle of a call")
add("recursion through callbacks", lambda: nested(True), (Trap, RecursionError), "")


@evil(BridgeError, "inside one of its own callbacks")
def closing_from_inside() -> None:
    library = Library.from_wat(f'(module {FORWARD} (memory (export "memory") 1))')
    with library.open(LIMITS, hosts=calling(lambda *_: instance.close())) as instance:
        instance.function("f")(1, 2)


@evil(InstanceClosed, "was closed")
def calling_what_is_closed() -> None:
    instance = Library.from_wat('(module (func (export "f")))').open(LIMITS)
    f = instance.function("f")
    instance.close()
    f()


@evil(InstancePoisoned, "unreachable")
def calling_what_has_trapped() -> None:
    with Library.from_wat('(module (func (export "f") unreachable) (func (export "g")))').open(LIMITS) as instance:
        g = instance.function("g")
        try:
            instance.function("f")()
        except Trap:
            g()


# -- WASI in unusual places ------------------------------------------------------------------------------------------


def wasi(name: str, params: str, result: str = "(result i32)") -> str:
    return f'(import "wasi_snapshot_preview1" "{name}" (func ${name} (param {params}) {result}))'


EXIT = wasi("proc_exit", "i32", "")
MOVE = "i32 i32 i32 i32"
START = "(func $s (call $proc_exit (i32.const 3))) (start $s)"
add("a start function that exits", lambda: wat(EXIT + IMPORTED + START), Exited, "code 3")


@evil(None)
def a_start_function_that_writes() -> None:
    body = (
        wasi("fd_write", MOVE)
        + IMPORTED
        + """(global $answer (mut i32) (i32.const -1))
      (func $s (global.set $answer (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))) (start $s)
      (func (export "f") (result i32) (global.get $answer))"""
    )
    assert wat(body, policy=Policy(stdout=io.BytesIO())) == EFAULT  # its memory is not there yet


@evil(Exited, "code 5")
def exiting_from_inside_a_callback() -> None:
    library = Library.from_wat(f"""(module {CALL} {EXIT}
      (func (export "f") (drop (call $call (i32.const 1) (i32.const 2))))
      (func (export "g") (call $proc_exit (i32.const 5))))""")
    with library.open(LIMITS, hosts=calling(lambda *_: instance.function("g")(), reentrant=True)) as instance:
        instance.function("f")()


@evil((Trap, RecursionError))
def malloc_that_calls_who_called_it() -> None:
    body = ALLOCATOR.format(malloc="(call $call (i32.const 1) (i32.const 2))", free="")
    library = Library.from_wat(f'(module {CALL} (memory (export "memory") 1) {body})')

    def allocate(*_: Any) -> int:
        with instance.arena() as arena:
            return arena.bytes(b"x")

    with library.open(LIMITS, hosts=calling(allocate, reentrant=True)) as instance:
        allocate()


class Calling(io.RawIOBase):
    """A stream that turns to the guest which writes to it."""

    def __init__(self, act: Callable[[Any], Any]) -> None:
        self.act = act

    def write(self, data: Any) -> int:
        self.act(self.instance)
        return len(data)


def writing(act: Callable[[Any], Any]) -> None:
    stream = Calling(act)
    library = Library.from_wat(f"""(module {wasi("fd_write", MOVE)} (memory (export "memory") 1)
      (func (export "f") (result i32)
        (i32.store (i32.const 4) (i32.const 1))
        (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))""")
    with library.open(Policy(stdout=stream)) as stream.instance:
        stream.instance.function("f")()


add(
    "a stream that calls the guest", lambda: writing(lambda guest: guest.function("f")()), ReentryError, "in the middle"
)
add("a stream that closes the guest", lambda: writing(lambda guest: guest.close()), BridgeError, "own callbacks")
add("a stream that takes a snapshot", lambda: writing(lambda guest: guest.snapshot()), ReentryError, "under way")


@evil(None)
def reading_over_the_vectors_themselves() -> None:
    body = (
        wasi("fd_read", MOVE)
        + IMPORTED
        + """(func (export "f") (result i32)
      (i64.store (i32.const 0) (i64.const 0x4000000000)) (i64.store (i32.const 8) (i64.const 0x4000000008))
      (i32.or (call $fd_read (i32.const 0) (i32.const 0) (i32.const 2) (i32.const 4)) (i32.load (i32.const 4))))"""
    )
    assert wat(body, policy=Policy(stdin=b"\xff" * 100)) == 100


@evil(None)
def polling_over_the_subscriptions_themselves() -> None:
    body = (
        wasi("poll_oneoff", MOVE)
        + IMPORTED
        + """(func (export "f") (result i32)
      (i32.or (call $poll_oneoff (i32.const 0) (i32.const 0) (i32.const 3) (i32.const 0)) (i32.load (i32.const 0))))"""
    )
    assert wat(body, policy=Policy(clock=SteppingClock())) == 3


@evil(None)
def names_that_are_empty_or_have_a_nul() -> None:
    names = ["", "\\00", "a\\00b", "\\u{1f4a3}"]
    body = " ".join(f'(func (export "{name}") (result i32) (i32.const {n}))' for n, name in enumerate(names))
    with Library.from_wat(f"(module {body})").open(LIMITS) as instance:
        for n, name in enumerate(("", "\0", "a\0b", "\N{BOMB}")):
            assert instance.function(name)() == n


# -- C ----------------------------------------------------------------------------------------------------------------

C = r"""
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <wasi/api.h>
static volatile int sink;
EXPORT void scribble(void) { char *volatile p = malloc(10); for (unsigned i = 0;; i++) p[i] = 'x'; }
EXPORT void scribble_down(void) { char *volatile p = malloc(10); for (unsigned i = 0;; i--) p[i] = 'x'; }
EXPORT void read_on(void) { char *volatile p = malloc(10); for (;; p++) sink += *p; }
EXPORT void smash_stack(void) { volatile char b[16]; for (int i = 0;; i--) b[i] = i; }
EXPORT int deep(int n) { volatile char b[4096]; b[n & 4095] = n; return n ? deep(n + 1) + b[5] : 0; }
EXPORT void variable_array(int n) { volatile char b[n]; b[0] = 1; sink = b[n - 1]; }
EXPORT void big_alloca(void) { for (;;) { volatile char *p = __builtin_alloca(60000); p[0] = 1; sink = p[0]; } }
EXPORT void heap_smash(void) {
  char *volatile a = malloc(24), *volatile b = malloc(24);
  memset(a, 0xff, 200); free(b); free(a); for (int i = 0; i < 1000; i++) malloc(i);
}
EXPORT void free_twice(void) {
  char *volatile p = malloc(1000), *volatile q = malloc(1000); (void)q; free(p); free(p);
  for (int i = 0; i < 100; i++) memset(malloc(1000), i, 1000);
}
EXPORT void free_wild(void) { free((void *)0x12345); free((void *)-8); for (int i = 0; i < 100; i++) malloc(i * 50); }
EXPORT void use_after_free(void) {
  char **volatile p = malloc(100); free(p); memset(p, 0x41, 100); malloc(100); malloc(100); p[0][0] = 1;
}
EXPORT int no_memory(void) { int n = 0; while (malloc(1 << 20)) n++; return n; }
EXPORT int no_memory_at_all(void) {
  return malloc(-1u) == 0 && malloc(0x80000000u) == 0 && calloc(1u << 20, 1u << 20) == 0;
}
EXPORT void fragments(void) { for (;;) if (!malloc(8)) abort(); }
typedef int (*wrong)(double, const char *, long long);
static int one(int n) { return n; }
EXPORT void wrong_type(void) { wrong volatile f = (wrong)(void *)one; sink = f(1.0, "x", 2); }
EXPORT void wild_call(int n) { ((void (*)(void))n)(); }
EXPORT void null_call(void) { void (*volatile f)(void) = 0; f(); }
EXPORT void overwritten(void) {
  struct { char name[8]; void (*f)(void); } *volatile p = malloc(sizeof *p);
  p->f = abort; strcpy(p->name, "AAAABBBBCCC"); p->f();
}
EXPORT void exits(int n) { exit(n); }
EXPORT void exits_twice(void) { atexit((void (*)(void))0x7fff); exit(1); }
EXPORT void aborts(void) { abort(); }
EXPORT void spins(void) { for (;;) sink++; }
EXPORT void sleeps(void) { struct timespec t = {1 << 30, 0}; for (;;) nanosleep(&t, 0); }
EXPORT void polls(void) {
  __wasi_subscription_t s[4] = {{0}}; __wasi_event_t e[4]; __wasi_size_t n;
  for (int i = 0; i < 4; i++) { s[i].u.tag = 0; s[i].u.u.clock.id = 1; s[i].u.u.clock.timeout = -1ULL; }
  for (;;) __wasi_poll_oneoff(s, e, 4, &n);
}
EXPORT void floods(void) { static char b[1 << 16]; for (;;) write(1, b, sizeof b); }
EXPORT int descriptors(void) {
  int n = 0; while (open("/data/file", O_RDONLY) >= 0) n++; return errno == EMFILE ? n : -errno;
}
EXPORT int closes_all(void) {
  for (int i = -5; i < 2000; i++) close(i);
  return open("/data/file", O_RDONLY) < 0 && write(1, "x", 1) < 0;
}
EXPORT int renumbers(void) { int n = 0; for (int i = 0; i < 50; i++) for (int j = 0; j < 50; j++)
  n += __wasi_fd_renumber(i, j) == 0; return n; }
EXPORT int long_path(void) {
  static char p[100001] = "/data/"; memset(p + 6, 'a', 99990); int a = open(p, O_RDONLY) < 0;
  for (int i = 6; i < 9000; i += 2) memcpy(p + i, "./", 2); return a && open(p, O_RDONLY) < 0;
}
EXPORT int many_ups(void) {
  char p[4000] = "/data"; for (int i = 0; i < 900; i++) strcat(p, "/.."); strcat(p, "/etc/passwd");
  return open(p, O_RDONLY) < 0;
}
EXPORT int huge_random(void) { return __wasi_random_get((void *)8, 0x7fffffff) != 0; }
EXPORT char *unterminated(void) { int n = 1 << 21; char *p = malloc(n); memset(p, 'A', n); return p; }
EXPORT void jumps(void) { volatile int *p = (int *)0xfffffff0; *p = 1; }
EXPORT void formats(void) { volatile int n = 1 << 30; char *b = malloc(100); sprintf(b, "%*d", n, 5); }
EXPORT void copies(void) { char *p = malloc(10); memcpy(p, p + 5, 0x7fffffff); }
EXPORT void moves(void) { memmove((void *)16, (void *)8, -1u); }
EXPORT int asks_length(const char *p) { return strlen(p); }
"""


def c(function: str, *arguments: int, policy: Policy = LIMITS) -> Any:
    instance = Library.load(compiled(C)).open(policy)
    try:
        return instance.function(function)(*arguments)
    finally:
        instance.close()


for function in ("scribble", "scribble_down", "read_on", "smash_stack", "jumps", "copies", "moves"):
    add(f"C: {function}", lambda function=function: c(function), Trap, OUT)
add("C: deep recursion", lambda: c("deep", 1), Trap, OUT)
add("C: a huge array on the stack", lambda: c("variable_array", 100_000_000), Trap, OUT)
add("C: alloca in a loop", lambda: c("big_alloca"), Trap, OUT)
add("C: wrong type", lambda: c("wrong_type"), Trap, MISMATCH)
for index in (0, -1 & 0xFFFF_FFFF, 5000):
    add(f"C: a wild call to {index}", lambda index=index: c("wild_call", index), Trap, "element")
add("C: a call to NULL", lambda: c("null_call"), Trap, "uninitialized element")
add("C: a function pointer overwritten", lambda: c("overwritten"), Trap, UNDEFINED)
# What is done to the heap is the guest's own loss: it may trap, or go on with garbage, for as long as it is allowed to.
for function in ("heap_smash", "free_twice", "free_wild", "use_after_free"):
    add(f"C: {function}", lambda function=function: c(function), (Trap, DeadlineExceeded, type(None)), "")
add("C: all memory", lambda: c("no_memory"), None)
add("C: impossible sizes", lambda: c("no_memory_at_all"), None)
add("C: all memory in small pieces", lambda: c("fragments", policy=Policy(memory=4 << 20)), Trap, "unreachable")
add("C: exit", lambda: c("exits", 7), Exited, "code 7")
add("C: exit with a huge code", lambda: c("exits", 0xFFFF_FFFF), Exited, "code 4294967295")
add("C: exit with a wild handler", lambda: c("exits_twice"), Trap, UNDEFINED)
add("C: abort", lambda: c("aborts"), Trap, "unreachable")
add("C: an endless loop", lambda: c("spins"), DeadlineExceeded, LATE)
REAL = Policy(clock="real", deadline=0.2)
add("C: sleeping for ever", lambda: c("sleeps", policy=REAL), DeadlineExceeded, LATE)
add("C: polling for ever", lambda: c("polls", policy=REAL), DeadlineExceeded, LATE)
add("C: a flood of output", lambda: c("floods", policy=Policy(stdout="discard", deadline=0.2)), DeadlineExceeded, LATE)
add("C: formatting a billion characters", lambda: c("formats"), (Trap, DeadlineExceeded), "")
add("C: the length of what has no end", lambda: c("asks_length", 0xFFFF_FF00), Trap, OUT)


@evil(MemoryAccessError, "no NUL within")
def a_C_string_without_an_end() -> None:
    with Library.load(compiled(C)).open(LIMITS) as instance:
        instance.memory.string(instance.function("unterminated")())


def with_files(function: str, check: Callable[[int], bool], **more: Any) -> Callable[[], None]:
    def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "file").write_text("x")
            policy = Policy(files={"/data": Directory(folder, writable=True)}, stdout="discard", random="real", **more)
            answer = c(function, policy=policy)
            assert check(answer), answer
            assert [path.name for path in Path(folder).iterdir()] == ["file"]

    return run


@evil(None)
def all_descriptors_of_the_process() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_NOFILE, (200, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "file").write_text("x")
        library = Library.load(compiled(C))
        instances = [library.open(Policy(files={"/data": folder})) for _ in range(3)]
        taken = [instance.function("descriptors")() for instance in instances]
        assert 50 < sum(taken) < 150, taken
        with ExitStack() as ours:
            for _ in range(40):
                ours.enter_context(Path(folder, "file").open())
        for instance in instances:
            instance.close()


add("C: all descriptors", with_files("descriptors", lambda n: 500 < n <= 1024), None)
add("C: closing everything", with_files("closes_all", lambda n: n == 1), None)
add("C: renumbering everything", with_files("renumbers", lambda n: 0 < n < 100), None)
add("C: a path of 100,000 bytes", with_files("long_path", lambda n: n == 1), None)
add("C: a path that goes up 900 times", with_files("many_ups", lambda n: n == 1), None)
add("C: more randomness than memory", with_files("huge_random", lambda n: n == 1), None)

# -- typed calls, pointers and callbacks ------------------------------------------------------------------------------

T = r"""
#include <stdlib.h>
#include <string.h>
typedef int (*binary)(int, int);
static binary kept;
EXPORT void keep(binary f) { kept = f; }
EXPORT int call_kept(int a, int b) { return kept(a, b); }
EXPORT int call_with_less(binary f) { int (*volatile g)(int) = (int (*)(int))(void *)f; return g(5); }
EXPORT char *endless(void) { char *p = malloc(1 << 21); memset(p, 'A', 1 << 21); return p; }
EXPORT char *wild(unsigned at) { return (char *)at; }
EXPORT void spin(int n) { volatile int i = n; while (n) i++; }
EXPORT void scribble_over(char *p, int n) { memset(p, 0xff, n); }
EXPORT int length(const char *p) { return strlen(p); }
EXPORT void release(void *p) { free(p); }
EXPORT int lie(int (*f)(unsigned), unsigned at) { return f(at); }
EXPORT void lie_about_a_result(void (*f)(unsigned), unsigned at) { f(at); }
"""
TYPES = {
    "format": 1,
    "name": "evil",
    "typedefs": {"binary": "int (*)(int, int)"},
    "functions": {
        "keep": {"type": "void (binary)", "params": ["f"]},
        "call_kept": {"type": "int (int, int)", "params": ["a", "b"]},
        "call_with_less": {"type": "int (binary)", "params": ["f"]},
        "endless": {"type": "char *(void)", "params": []},
        "wild": {"type": "char *(unsigned int)", "params": ["at"]},
        "spin": {"type": "void (int)", "params": ["n"]},
        "scribble_over": {"type": "void (char *, int)", "params": ["p", "n"]},
        "length": {"type": "int (const char *)", "params": ["p"]},
        "release": {"type": "void (void *)", "params": ["p"]},
        "free": {"type": "void (unsigned long long)", "params": ["p"]},
        "lie": {"type": "int (void *, unsigned int)", "params": ["f", "at"]},
        "lie_about_a_result": {"type": "void (void *, unsigned int)", "params": ["f", "at"]},
    },
    "records": {
        "struct large": {
            "kind": "struct",
            "size": 400,
            "align": 4,
            "fields": [{"name": "x", "offset": 0, "type": "int[100]"}],
        }
    },
}


def typed(expected: Any, match: str = "", policy: Policy = LIMITS) -> Callable[[Callable[[Any], Any]], None]:
    def register(run: Callable[[Any], Any]) -> None:
        def case() -> None:
            with Library(compiled(T).read_bytes(), types=TYPES).open(policy) as guest:
                run(guest)

        add("typed: " + run.__name__.replace("_", " "), case, expected, match)

    return register


@typed(CallbackClosed, "was closed")
def a_dead_callback(guest: Any) -> None:
    callback = guest.callback("binary", max)
    guest.lib.keep(callback)
    assert guest.lib.call_kept(3, 4) == 4
    callback.close()
    guest.lib.call_kept(3, 4)


@typed(Trap, MISMATCH)
def a_callback_called_as_another_type(guest: Any) -> None:
    guest.lib.call_with_less(guest.callback("binary", max))


@typed(Trap, UNDEFINED)
def a_callback_that_is_a_number(guest: Any) -> None:
    guest.lib.keep(guest.cast("binary", 54321))
    guest.lib.call_kept(1, 2)


@typed(PointerError, "was closed")
def passing_a_closed_callback(guest: Any) -> None:
    callback = guest.callback("binary", max)
    callback.close()
    guest.lib.keep(callback)


@typed(DeadlineExceeded, LATE)
def an_endless_loop(guest: Any) -> None:
    guest.lib.spin(1)


@typed(DeadlineExceeded, LATE)
def an_endless_loop_inside_a_callback(guest: Any) -> None:
    guest.lib.keep(guest.callback("binary", lambda a, b: guest.lib.spin(1) or 0))
    guest.lib.call_kept(1, 2)


@typed((Trap, RecursionError))
def recursion_through_callbacks(guest: Any) -> None:
    guest.lib.keep(guest.callback("binary", lambda a, b: guest.lib.call_kept(a, b)))
    guest.lib.call_kept(1, 2)


@typed(PointerError, "no NUL within")
def a_result_without_an_end(guest: Any) -> None:
    guest.lib.endless().string()


@typed(PointerError, "outside")
def a_result_that_points_outside(guest: Any) -> None:
    guest.lib.wild(0xFFFF_FF00).string()


@typed(PointerError, "outside")
def reading_where_a_result_points_outside(guest: Any) -> None:
    guest.lib.wild(0xFFFF_FF00).bytes(100)


@typed(PointerError, "outside")
def writing_where_a_result_points_outside(guest: Any) -> None:
    guest.lib.wild(0xFFFF_FFFF).write(b"xyz")


@typed(PointerError, "NULL")
def what_null_points_at(guest: Any) -> None:
    guest.lib.wild(0)[0]


@typed(PointerError, "outside")
def an_index_beyond_an_array(guest: Any) -> None:
    guest.new("int[10]")[10]


@typed(PointerError, "was freed")
def reading_what_was_freed(guest: Any) -> None:
    pointer = guest.new("int *", 5)
    pointer.free()
    pointer[0]


@typed(PointerError, "was freed")
def freeing_twice_from_python(guest: Any) -> None:
    pointer = guest.new("int *", 5)
    pointer.free()
    pointer.free()


@typed(PointerError, "another instance")
def another_instance_s_pointer(guest: Any) -> None:
    with Library(compiled(T).read_bytes(), types=TYPES).open(LIMITS) as other:
        guest.lib.length(other.new("char[10]", b"x"))


@typed(LinkError, "declared as")
def a_declaration_that_lies(guest: Any) -> None:
    guest.lib.free(5)


@typed(ArgumentTypeError, "'n': int takes an int, not str")
def text_as_a_number(guest: Any) -> None:
    guest.lib.spin("1")


@typed(ArgumentRangeError, "outside the range of int")
def a_number_that_is_too_large(guest: Any) -> None:
    guest.lib.spin(1 << 40)


@typed((Trap, DeadlineExceeded, MemoryError, type(None)))
def a_heap_that_the_guest_destroyed(guest: Any) -> None:
    pointer = guest.new("char[100]")
    guest.lib.scribble_over(pointer, 5000)
    for _ in range(100):
        guest.new("char[1000]")


@typed((Trap, DeadlineExceeded, type(None)))
def what_python_owns_freed_by_the_guest(guest: Any) -> None:
    pointer = guest.new("char[100]")
    guest.lib.release(pointer)
    pointer.free()


@typed(MemoryError, "no 1073741824 bytes left")
def more_than_the_policy_gives(guest: Any) -> None:
    guest.new(f"char[{1 << 30}]")


@typed(BridgeError, "full")
def more_callbacks_than_the_policy_gives(guest: Any) -> None:
    for _ in range(2000):
        guest.callback("binary", max)


for at in (0, 0xFFFF_FFFF, 0xFFFF_FFF0, 0x8000_0000):
    for what, declared, look in (
        ("pointer", "int (int *)", lambda pointer: pointer[0]),
        ("text", "int (const char *)", lambda pointer: len(pointer.string())),
        ("bytes", "int (const char *)", lambda pointer: len(pointer.bytes(10))),
        ("field", "int (struct large *)", lambda pointer: pointer.x[99]),
        ("struct", "int (struct large)", lambda record: record.x[99]),
    ):
        if at or what != "struct":  # by value it comes in memory, and the address 0 is memory

            def looking(guest: Any, at: int = at, declared: str = declared, look: Any = look) -> None:
                guest.lib.lie(guest.callback(declared, look), at)

            looking.__name__ = f"a callback's {what} at {at:#x}"
            error = MemoryAccessError if what == "struct" else PointerError
            typed(error, "outside" if at else "a NULL pointer")(looking)


@typed(MemoryAccessError, "outside")
def a_callback_s_result_that_goes_nowhere(guest: Any) -> None:
    large = guest.new("struct large *")
    guest.lib.lie_about_a_result(guest.callback("struct large (void)", lambda: large[0]), 0xFFFF_FF00)


# -- lies to every function of WASI, and of the driver ----------------------------------------------------------------

VALUES = {
    "i": [0, 1, 2, 3, 4, 5, 4096, 65528, 65535, 65536, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFF8, 0xFFFF_FFFF],
    "I": [0, 1, 65535, 1 << 31, (1 << 63) - 1, -1, -(1 << 63)],
}
MOST_CALLS = 3000
FILLINGS = b"\x00\x01\xffA."
"""What memory is full of: nothing, ones, the largest numbers, a name of files, the way out of a directory."""
LARGEST_FILE = 1 << 26


def lies(params: str) -> list[tuple[int, ...]]:
    """Every combination where there are few; where there are many, each is sampled evenly, always the same ones."""
    kinds = [VALUES[letter] for letter in params]
    total = 1
    for values in kinds:
        total *= len(values)
    if total <= MOST_CALLS:
        return list(itertools.product(*kinds))
    found = []
    for number in range(MOST_CALLS):
        index = number * (total // MOST_CALLS) + number % 7
        choice = []
        for values in kinds:
            choice.append(values[index % len(values)])
            index //= len(values)
        found.append(tuple(choice))
    return found


def forwarding(module: str, name: str, params: str, result: str) -> str:
    types = {"i": "i32", "I": "i64"}
    declared = (f"(param {' '.join(types[p] for p in params)})" if params else "") + (
        f" (result {types[result]})" if result else ""
    )
    passed = " ".join(f"(local.get {n})" for n in range(len(params)))
    return (
        f'(module (import "{module}" "{name}" (func $it {declared}))'
        ' (import "wasi_snapshot_preview1" "path_open"'
        " (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))"
        f' (memory (export "memory") 1) (func (export "f") {declared} (call $it {passed}))'
        ' (func (export "fill") (param i32) (memory.fill (i32.const 0) (local.get 0) (i32.const 65536)))'
        ' (func (export "open_file") (result i32) (i32.store (i32.const 0) (i32.const 0x41414141))'
        " (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 1)"
        " (i64.const -1) (i64.const -1) (i32.const 0) (i32.const 8))))"
    )


def lie(module: str, function: HostFunction, open_one: Callable[[Library], Any], check: Callable[[int], None]) -> None:
    """Call one import with all lies, over memory full of ``FILLINGS``, while a file is open, if one can be had."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    library = Library.from_wat(forwarding(module, function.name, function.params, function.result))
    calls = lies(function.params)

    def begin(byte: int) -> Any:
        instance = open_one(library)
        instance.function("open_file")()
        instance.function("fill")(byte)
        return instance

    for number, byte in enumerate(FILLINGS):
        instance = begin(byte)
        call = instance.function("f")
        for arguments in calls[number % 4 :: 4] if len(calls) > 1000 else calls:
            try:
                answer = call(*arguments)
            except Exited:
                instance.close()
                instance = begin(byte)
                call = instance.function("f")
            else:
                check(answer)
                assert instance.dead is None, arguments
        assert instance.memory.size == 65536
        instance.close()


def wasi_functions() -> list[HostFunction]:
    from wasqlite.bridge.memory import Memory
    from wasqlite.bridge.state import State
    from wasqlite.bridge.wasi.system import System

    named = {f.name: f for f in System("evil", Memory(), Policy(), State()).functions()}
    return list(named.values())


def lie_to_wasi(function: HostFunction, policy: Policy) -> None:
    def check(answer: int | None) -> None:
        assert answer is None or 0 <= answer <= 76, answer

    lie("wasi_snapshot_preview1", function, lambda library: library.open(policy), check)


def denied_and_granted(function: HostFunction) -> None:
    lie_to_wasi(function, Policy(deadline=60))
    with tempfile.TemporaryDirectory() as outside:
        Path(outside, "AAAA").write_text("secret")
        folder = Path(outside, "granted")
        folder.mkdir()
        granted = Policy(
            files={"/data": Directory(folder, writable=True, links=True), "/more": folder},
            arguments=["a", "b"],
            environment={"A": "B"},
            stdin=b"input" * 100,
            stdout=io.BytesIO(),
            stderr="discard",
            clock="real" if function.name != "poll_oneoff" else SteppingClock(),  # which sleeps in no time
            random="real",
            deadline=60,
        )
        lie_to_wasi(function, granted)
        assert sorted(path.name for path in Path(outside).iterdir()) == ["AAAA", "granted"]
        assert Path(outside, "AAAA").read_text() == "secret"


for wasi_function in wasi_functions():
    add(f"lies to {wasi_function.name}", lambda f=wasi_function: denied_and_granted(f), None)


# d: a descriptor, p: a path (address and length), v: vectors (address and count), a: an address of the guest's, l: a
# length, n: flags, s: a size, t: a time or offset, r: rights.
SHAPES = {
    "fd_advise": "dttn", "fd_allocate": "dss", "fd_close": "d", "fd_datasync": "d", "fd_fdstat_get": "da",
    "fd_fdstat_set_flags": "dn", "fd_filestat_get": "da", "fd_filestat_set_size": "ds",
    "fd_filestat_set_times": "dttn", "fd_pread": "dvsa", "fd_prestat_get": "da", "fd_prestat_dir_name": "dal",
    "fd_pwrite": "dvsa", "fd_read": "dva", "fd_readdir": "dalsa", "fd_renumber": "dd", "fd_seek": "dtna",
    "fd_sync": "d", "fd_tell": "da", "fd_write": "dva", "path_create_directory": "dp", "path_filestat_get": "dnpa",
    "path_filestat_set_times": "dnpttn", "path_link": "dnpdp", "path_open": "dnpnrrna", "path_readlink": "dpala",
    "path_remove_directory": "dp", "path_rename": "dpdp", "path_symlink": "pdp", "path_unlink_file": "dp",
}  # fmt: skip
NAMES = [
    "a",
    "b",
    "a/b",
    "a/",
    "link",
    "out",
    "out/secret",
    ".",
    "..",
    "a/..",
    "../secret",
    "b/../a",
    "/etc/passwd",
    "",
]


def furnish(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    (folder / "a").write_text(folder.name)
    (folder / "out").symlink_to("..")


def walk(seed: int, outside: Path) -> set[str]:
    """20,000 calls of all functions of files, each sensible by itself, and what must hold meanwhile: what succeeded."""
    import random

    dice = random.Random(seed)
    imports = {f.name: f for f in wasi_functions() if f.name in SHAPES}
    assert len(imports) == len(SHAPES)
    types = {"i": "i32", "I": "i64"}
    forwards = []
    for name, function in imports.items():
        params = f"(param {' '.join(types[p] for p in function.params)}) (result i32)"
        passed = " ".join(f"(local.get {n})" for n in range(len(function.params)))
        forwards.append(f'(func (export "{name}") {params} (call ${name} {passed}))')
    linked = [wasi(name, " ".join(types[p] for p in function.params)) for name, function in imports.items()]
    body = f'(module {" ".join(linked)} (memory (export "memory") 1) {" ".join(forwards)})'
    files = {"/data": Directory(outside / "granted", writable=True, links=True), "/fixed": outside / "fixed"}
    policy = Policy(files=files, stdin=b"input" * 100, stdout=io.BytesIO(), deadline=60)
    descriptors = Path("/proc/self/fd")
    library = Library.from_wat(body)
    library.open(policy).close()
    before = len(list(descriptors.iterdir()))
    with library.open(policy) as instance:
        functions = {name: instance.function(name) for name in SHAPES}
        paths, at = [], 0
        for text in NAMES:
            instance.memory.write(at, text.encode())
            paths.append((at, len(text)))
            at += len(text)
        instance.memory.write(1024, b"\0\x40\0\0\x0a\0\0\0\0\x41\0\0\0\x10\0\0")  # 10 and 4096 bytes
        choices: dict[str, Callable[[], tuple[int, ...]]] = {
            "d": lambda: (dice.choice([1, 3, 3, 3, 3, 3, 4, 5, 5, 6]),),
            "p": lambda: dice.choice(paths),
            "v": lambda: (1024, dice.randrange(3)),
            "a": lambda: (dice.randrange(0x4000, 0x8000),),
            "l": lambda: (dice.choice([0, 10, 1000]),),
            "n": lambda: (dice.choice([0, 0, 1, 1, 1, 2, 4, 8, 9, 16]),),
            "s": lambda: (dice.choice([0, 1, 2, 10, 4096, 1 << 20]),),
            "t": lambda: (dice.choice([0, 1, 10**18, -1, (1 << 63) - 1, -(1 << 63)]),),
            "r": lambda: (dice.choice([-1, 1 << 1, 1 << 6]),),
        }
        done = set()
        table = instance.held[0]._files.table
        for number in range(20_000):
            if number % 250 == 0:  # what it has destroyed is there again
                table.reset()
                furnish(outside / "granted")
            if dice.random() < 0.05:
                functions["path_open"](3, 1, *paths[0], 1, -1, -1, 0, 0x4000)
            name = dice.choice(list(SHAPES))
            answer = functions[name](*itertools.chain.from_iterable(choices[kind]() for kind in SHAPES[name]))
            assert 0 <= answer <= 76, (name, answer)
            if answer == 0:
                done.add(name)
            opened = {fd: entry.host for fd, entry in table.entries.items() if entry.host >= 0}
            assert table.hosts == opened
            assert len(set(opened.values())) == len(opened)
            if len(table.entries) > 20 or not {3, 4} <= {*table.entries}:
                table.reset()
                assert sorted(table.entries) == [0, 1, 3, 4]
    assert len(list(descriptors.iterdir())) == before
    return done


@evil(None)
def random_walks_through_files() -> None:
    done = set()
    for seed in range(4):
        with tempfile.TemporaryDirectory() as folder:
            outside = Path(folder)
            furnish(outside / "granted")
            furnish(outside / "fixed")
            (outside / "secret").write_text("secret")
            done |= walk(seed, outside)
            assert sorted(path.name for path in outside.iterdir()) == ["fixed", "granted", "secret"]
            assert (outside / "secret").read_text() == "secret"
            assert sorted(path.name for path in (outside / "fixed").iterdir()) == ["a", "out"]
            assert (outside / "fixed" / "a").read_text() == "fixed"
    assert done == {*SHAPES}


def driver_functions() -> list[tuple[str, HostFunction]]:
    """All imports that SQLite's module has of the driver, apart from those without parameters."""
    from wasqlite.bridge.memory import Memory
    from wasqlite.vfs.host import HostFiles

    host = HostFiles()
    found = {f.name: f for f in host.functions(Memory()) if f.params}
    host.close()
    return [(f.module, f) for f in found.values()]


def lie_to_driver(module: str, function: HostFunction) -> None:
    from wasqlite.vfs.host import HostFiles

    with tempfile.TemporaryDirectory() as folder:
        hosts = []

        def open_one(library: Library) -> Any:
            # The directory, so that what succeeds does no harm: what is lied to is the driver, which may do anything.
            hosts.append(HostFiles({3: bytes(Path(folder))}))
            return library.open(hosts=[hosts[-1].functions])

        try:
            lie(module, function, open_one, lambda answer: None)
        finally:
            for host in hosts:
                host.close()


@evil(None)
def lies_in_the_driver_s_callback_block() -> None:
    import random

    import wasqlite
    from wasqlite.bridge import InstancePoisoned
    from wasqlite.capi.callback_block import ARGUMENTS, BYTES, COUNT, INSTANCE, KEY, LANE, SIZE, TYPES, VALUE

    class Sum:
        total = 0

        def step(self, *values: Any) -> None:
            self.total += len(values)

        inverse = step

        def finalize(self) -> Any:
            return self.total

        value = finalize

    dice = random.Random(7)
    survivor = wasqlite.connect(":memory:")
    survivor.execute("create table t as select 1 as x")
    con = wasqlite.connect(":memory:")
    for count in (-1, 0, 1, 2):
        con.create_function(f"f{count}", count, lambda *values: values[0] if values else "text" * 2000)
        con.create_aggregate(f"a{count}", count, Sum)
    con.create_window_function("w", 1, Sum)
    con.create_collation("k", lambda a, b: (a > b) - (a < b))
    con.set_authorizer(lambda *_: 0)
    con.set_progress_handler(lambda: 0, 10)
    con.set_trace_callback(lambda text: None)
    callbacks = con._database.sandbox.callbacks
    values = callbacks.values
    words, view = values.words, values.view
    numbers = [0, 1, -1, 255, 4096, 0x7FFF_FFFF, 0xFFFF_FFFF, 1 << 32, -(1 << 63), (1 << 63) - 1, 0x1_0000_0010]
    refused = 0
    for _ in range(20_000):
        for word in (COUNT, LANE, VALUE, INSTANCE, *range(ARGUMENTS, ARGUMENTS + 20)):
            words[word] = dice.choice(numbers) if dice.random() < 0.8 else dice.getrandbits(63)
        view[TYPES : TYPES + 20] = dice.randbytes(20)
        view[BYTES : BYTES + 100] = dice.randbytes(100)
        shape = dice.choice([0, 1, 2, 9, 255, dice.getrandbits(8)]) << 24 | dice.getrandbits(24)
        number = dice.randrange(-8, callbacks._next + 16)
        words[KEY] = number << 32 | shape if dice.random() < 0.9 else dice.getrandbits(64) - (1 << 63)
        try:
            callbacks.dispatch()
        except Exception:
            refused += 1
    assert refused > 1000
    assert len(view) == SIZE
    assert not isinstance(con._database.instance.dead, InstancePoisoned)
    assert survivor.execute("select x from t").fetchall() == [(1,)]
    another = wasqlite.connect(":memory:")
    assert another.execute("select 2").fetchall() == [(2,)]
    for connection in (survivor, con, another):
        connection.close()


# A guest that was taken over may sleep for as long as it likes: the driver's calls have no deadline.
for driver_module, driver_function in driver_functions():
    if driver_function.name != "poll_oneoff":
        add(
            f"lies to the driver's {driver_function.name}",
            lambda m=driver_module, f=driver_function: lie_to_driver(m, f),
            None,
        )
