"""Calls into the guest: numbers in and out, traps, the shadow stack, closing."""

from __future__ import annotations

import pytest

from wasqlite.bridge import (
    BridgeError,
    HostFunction,
    InstanceClosed,
    InstancePoisoned,
    Library,
    LinkError,
    LoadError,
    MemoryAccessError,
    Policy,
    ReentryError,
    Trap,
)

WAT = """
(module
  (import "host" "call" (func $call (param i32) (result i32)))
  (import "host" "wide" (func $wide (param i32 i64 f32 f64) (result f64)))
  (memory (export "memory") 1 3)
  (global $sp (export "__stack_pointer") (mut i32) (i32.const 60000))
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "add64") (param i64 i64) (result i64) (i64.add (local.get 0) (local.get 1)))
  (func (export "half") (param f64) (result f64) (f64.div (local.get 0) (f64.const 2)))
  (func (export "half32") (param f32) (result f32) (f32.div (local.get 0) (f32.const 2)))
  (func (export "nothing"))
  (func (export "top") (result i32) (i32.const 0xFFFFFFF0))
  (func (export "call") (param i32) (result i32)
    (global.set $sp (i32.sub (global.get $sp) (i32.const 64)))
    (call $call (local.get 0))
    (global.set $sp (i32.add (global.get $sp) (i32.const 64))))
  (func (export "twice") (param i32) (result i32)
    (drop (call $call (local.get 0)))
    (call $call (i32.add (local.get 0) (i32.const 1))))
  (func (export "wide") (param i32 i64 f32 f64) (result f64)
    (call $wide (local.get 0) (local.get 1) (local.get 2) (local.get 3)))
  (func (export "trap")
    (global.set $sp (i32.sub (global.get $sp) (i32.const 64)))
    unreachable)
  (func $deeper (export "recurse") (param i32) (result i32)
    (i32.add (i32.const 1) (call $deeper (i32.add (local.get 0) (i32.const 1)))))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "poke") (param i32) (i32.store8 (local.get 0) (i32.const 42)))
)
"""


@pytest.fixture(scope="module")
def library():
    return Library.from_wat(WAT)


@pytest.fixture
def serve(library):
    """Opens instances whose host function ``call`` is the given one."""
    opened = []

    def open_with(call=lambda n: n, *, on_error=None, wide=lambda a, b, c, d: a + b + c + d, reentrant=True):
        functions = [
            HostFunction("host", "call", "i", "i", call, on_error, reentrant=reentrant),
            HostFunction("host", "wide", "iIfF", "F", wide, on_error, reentrant=reentrant),
        ]
        instance = library.open(hosts=[lambda memory: functions])
        opened.append(instance)
        return instance

    yield open_with
    for instance in opened:
        instance.close()


def test_numbers_of_every_type_go_in_and_come_back(serve):
    instance = serve()
    assert instance.function("add")(2, 3) == 5
    assert instance.function("add64")(-(1 << 62), 5) == 5 - (1 << 62)
    assert instance.function("half")(-1.5) == -0.75
    assert instance.function("half32")(0.5) == 0.25
    assert instance.function("nothing")() is None


@pytest.mark.parametrize("hold_gil", [False, True])
def test_i32_results_are_unsigned(serve, hold_gil):
    instance = serve()
    assert instance.function("top", hold_gil=hold_gil)() == 0xFFFF_FFF0
    assert instance.function("add", hold_gil=hold_gil)(-1, 0) == 0xFFFF_FFFF


@pytest.mark.parametrize("reentrant", [False, True])
def test_pointers_arrive_unsigned_in_host_functions(serve, reentrant):
    seen = []
    instance = serve(lambda n: seen.append(n) or 7, reentrant=reentrant)
    assert instance.function("call")(0xFFFF_FFF0) == 7
    assert seen == [0xFFFF_FFF0]


@pytest.mark.parametrize("reentrant", [False, True])
def test_a_host_function_gets_every_type_of_number(serve, reentrant):
    seen = []
    instance = serve(wide=lambda *numbers: seen.append(numbers) or 0.5, reentrant=reentrant)
    assert instance.function("wide")(0xFFFF_FFFF, -2, 0.5, 1e300) == 0.5
    assert seen == [(0xFFFF_FFFF, -2, 0.5, 1e300)]


@pytest.mark.parametrize("reentrant", [False, True])
def test_a_wide_result_survives_an_error_value(serve, reentrant):
    instance = serve(wide=lambda *numbers: 1 // 0, on_error=-1.0, reentrant=reentrant)
    with pytest.raises(ZeroDivisionError):
        instance.function("wide")(0, 0, 0.0, 0.0)
    assert instance.dead is None


def test_wrong_number_of_arguments_is_a_type_error_and_harmless(serve):
    instance = serve()
    add = instance.function("add")
    with pytest.raises(TypeError, match=r"add\(\)"):
        add(1)
    assert add(1, 1) == 2


def test_unknown_function_is_named(serve):
    with pytest.raises(BridgeError, match="exports no function nope"):
        serve().function("nope")


def test_a_trap_is_an_exception_and_poisons_the_instance(serve):
    instance, other = serve(), serve()
    add = instance.function("add")
    with pytest.raises(Trap, match="unreachable"):
        instance.function("trap")()
    with pytest.raises(InstancePoisoned, match="unreachable") as caught:
        add(1, 1)
    assert isinstance(caught.value.__cause__, Trap)
    with pytest.raises(InstancePoisoned):
        instance.function("add")
    assert other.function("add")(1, 1) == 2
    instance.close()


def test_endless_recursion_is_a_trap(serve):
    with pytest.raises(Trap, match="stack exhausted"):
        serve().function("recurse")(0)


def test_an_access_out_of_bounds_inside_the_guest_is_a_trap(serve):
    with pytest.raises(Trap, match="out of bounds"):
        serve().function("poke")(0x7FFF_FFFF)


def test_the_shadow_stack_is_restored_after_a_trap(serve):
    instance = serve()
    assert instance.stack_pointer() == 60000
    with pytest.raises(Trap):
        instance.function("trap")()
    assert instance.stack_pointer() == 60000


@pytest.mark.parametrize("reentrant", [False, True])
def test_the_shadow_stack_is_restored_after_an_exception_through_c_frames(serve, reentrant):
    instance = serve(lambda n: 1 // 0, reentrant=reentrant)
    with pytest.raises(ZeroDivisionError):
        instance.function("call")(1)
    assert instance.stack_pointer() == 60000


def test_a_nested_trap_restores_the_shadow_stack_of_the_callback(serve):
    seen = []

    def call(n):
        with pytest.raises(Trap):
            trap()
        seen.append(instance.stack_pointer())
        return n + 1

    instance = serve(call)
    trap = instance.function("trap")
    assert instance.function("call")(4) == 5  # the outer C frames run to their end
    assert seen == [60000 - 64]
    assert instance.stack_pointer() == 60000
    assert isinstance(instance.dead, InstancePoisoned)


def test_a_callback_may_call_back_in(serve):
    def call(n):
        return n if n == 0 else enter(n - 1) + add(1, 1)

    instance = serve(call)
    add, enter = instance.function("add"), instance.function("call")
    assert enter(10) == 20


@pytest.mark.parametrize("reentrant", [False, True])
def test_an_exception_unwinds_the_guest_and_keeps_its_traceback(serve, reentrant):
    def call(n):
        raise KeyError(n)

    instance = serve(call, reentrant=reentrant)
    with pytest.raises(KeyError) as caught:
        instance.function("call")(3)
    assert any(entry.name == "call" for entry in caught.traceback)
    assert isinstance(instance.dead, InstancePoisoned)
    assert isinstance(instance.dead.__cause__, KeyError)


@pytest.mark.parametrize("reentrant", [False, True])
def test_with_an_error_value_the_guest_goes_on_and_the_exception_is_raised(serve, reentrant):
    def call(n):
        raise KeyError(n)

    instance = serve(call, on_error=-1, reentrant=reentrant)
    with pytest.raises(KeyError):
        instance.function("call")(3)
    assert instance.dead is None
    assert instance.stack_pointer() == 60000
    assert instance.function("add")(1, 1) == 2  # and is not raised again


@pytest.mark.parametrize("reentrant", [False, True])
def test_a_callback_that_answers_nonsense_is_an_exception(serve, reentrant):
    instance = serve(lambda n: "text", on_error=0, reentrant=reentrant)
    with pytest.raises(TypeError):
        instance.function("call")(3)
    assert instance.function("add")(1, 1) == 2


def test_calling_back_in_needs_a_function_that_is_declared_so(serve):
    instance = serve(lambda n: add(n, 1), on_error=-1, reentrant=False)
    add = instance.function("add")
    with pytest.raises(ReentryError, match="not declared reentrant"):
        instance.function("call")(1)
    assert add(1, 1) == 2


def test_a_callback_under_way_can_be_called_again_many_times_over(serve):
    instance = serve(lambda n: sum(enter(m) for m in range(n)) + 1)
    enter = instance.function("call")
    assert [enter(n) for n in (6, 6, 0, 6)] == [64, 64, 1, 64]


def test_an_exception_caught_inside_a_callback_stays_there(serve):
    def call(n):
        if n == 0:
            raise KeyError(n)
        with pytest.raises(KeyError):
            enter(n - 1)
        return n

    instance = serve(call, on_error=0)
    enter = instance.function("call")
    assert enter(1) == 1


@pytest.mark.parametrize("kind", [GeneratorExit, StopIteration, SystemExit, StopAsyncIteration])
@pytest.mark.parametrize("reentrant", [False, True])
def test_exceptions_that_mean_something_to_generators_are_like_any_other(serve, reentrant, kind):
    def call(n):
        raise kind(n)

    instance = serve(call, on_error=-1, reentrant=reentrant)
    for n in range(3):
        with pytest.raises(kind) as caught:
            instance.function("call")(n)
        assert caught.value.args == (n,)
    assert instance.function("add")(1, 1) == 2


@pytest.mark.parametrize("reentrant", [False, True])
def test_what_was_raised_before_a_nested_call_is_not_raised_by_that(serve, reentrant):
    seen = []

    def call(n):
        if n == 0:
            raise KeyError("first")
        try:
            seen.append(add(n, 1))
        except ReentryError as error:
            seen.append(type(error))
        return n

    instance = serve(call, on_error=-1, reentrant=reentrant)
    add, twice = instance.function("add"), instance.function("twice")
    with pytest.raises(KeyError, match="first"):
        twice(0)
    assert seen == ([2] if reentrant else [ReentryError])
    assert add(1, 1) == 2


@pytest.mark.parametrize("on_error", [None, 0])
@pytest.mark.parametrize("policy", [None, Policy()], ids=["trusted", "policy"])
def test_what_a_start_function_s_callbacks_raise_is_raised_by_open(policy, on_error):
    def call():
        raise KeyError("mine")

    library = Library.from_wat(
        '(module (import "host" "call" (func $f (result i32))) (func $s (drop (call $f))) (start $s))'
    )
    with pytest.raises(KeyError, match="mine"):
        library.open(policy, hosts=[lambda memory: [HostFunction("host", "call", "", "i", call, on_error)]])


def test_a_closed_instance_says_so(serve):
    instance = serve()
    add = instance.function("add")
    instance.close()
    instance.close()
    assert instance.closed
    with pytest.raises(InstanceClosed):
        add(1, 1)
    with pytest.raises(InstanceClosed):
        instance.function("add")
    with pytest.raises(MemoryAccessError):
        instance.memory.read(0, 1)
    for look in (instance.stack_pointer, lambda: instance.global_value("__stack_pointer")):
        with pytest.raises(InstanceClosed):
            look()
    with pytest.raises(InstanceClosed):
        instance.host_functions([HostFunction("host", "late", "", "i", lambda: 1)])


def test_closing_from_inside_a_callback_is_refused(serve):
    instance = serve(lambda n: instance.close(), on_error=0)
    with pytest.raises(BridgeError, match="from inside"):
        instance.function("call")(1)
    assert instance.function("add")(1, 1) == 2


def test_memory_growth_is_seen(serve):
    instance = serve()
    assert instance.memory.size == 65536
    with pytest.raises(MemoryAccessError):
        instance.memory.read(65536, 1)
    assert instance.function("grow")(1) == 1
    assert instance.memory.read(65536, 1) == b"\0"


def test_a_memory_limit_makes_growth_fail(library):
    functions = [
        HostFunction("host", "call", "i", "i", lambda n: n),
        HostFunction("host", "wide", "iIfF", "F", lambda *n: 0.0),
    ]
    with library.open(hosts=[lambda memory: functions], memory_limit=100_000) as instance:
        assert instance.function("grow")(1) == 0xFFFF_FFFF


def test_a_missing_import_is_named(library):
    with pytest.raises(LinkError, match=r"host\.call"):
        library.open()


def test_an_import_of_another_signature_is_refused(library):
    with pytest.raises(LinkError, match=r"host\.call as \('i', 'i'\)"):
        library.open(hosts=[lambda memory: [HostFunction("host", "call", "I", "i", lambda n: n)]])


def test_an_abi_mismatch_is_a_clear_error():
    wat = '(module (func (export "abi") (result i32) (i32.const 7)))'
    Library.from_wat(wat, abi=("abi", 7)).open().close()
    with pytest.raises(LoadError, match="has ABI 7, and this bridge needs 8"):
        Library.from_wat(wat, abi=("abi", 8)).open()
    with pytest.raises(LoadError, match="does not export version"):
        Library.from_wat(wat, abi=("version", 1))


@pytest.mark.parametrize("kind", ["global {} i32 (i32.const 1)", "func {} (param i32)"])
def test_an_initializer_that_is_none_is_refused(kind):
    name = '(export "_initialize")'
    with pytest.raises(LinkError, match="_initialize that is no function"):
        Library.from_wat(f"(module ({kind.format(name)}))").open()


def test_what_is_not_wasm_is_refused(tmp_path):
    (tmp_path / "bad.wasm").write_bytes(b"hello")
    with pytest.raises(LoadError, match="does not compile"):
        Library.load(tmp_path / "bad.wasm")
    with pytest.raises(LoadError, match=r"cannot read the wasm module .*none\.wasm"):
        Library.load(tmp_path / "none.wasm")
