"""Lua in a sandbox: values and calls both ways, errors, limits, snapshots, and the wheel."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from wasqlite.bridge import ArgumentRangeError, DeadlineExceeded, Exited, InstancePoisoned, Policy

pytestmark = pytest.mark.slow


@pytest.fixture
def lua(sandboxed_lua: Any) -> Iterator[Any]:
    with sandboxed_lua.Lua() as lua:
        yield lua


@pytest.fixture
def error(sandboxed_lua: Any) -> Any:
    return sandboxed_lua.LuaError


VALUES = [
    *(
        None,
        True,
        False,
        0,
        -1,
        2**63 - 1,
        -(2**63),
        0.5,
        float("inf"),
        1e300,
        "",
        "text",
        "nul \0 inside",
        "ünïcödé 🐍",
    ),
    *("\udcff\udc80", {}, [1], [[1, 2], [3, [4]]], ["a", None][:1], {"a": 1}, {1: "a", 3: "c"}, {1.5: True, False: 0}),
    *({"list": [1, 2], "dict": {"x": {"y": "z"}}}, list(range(1000)), "x" * 1_000_000),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:30])
def test_values_go_both_ways(lua: Any, value: Any) -> None:
    found = lua.run("return ...", value)
    assert found == value and type(found) is type(value)
    lua["value"] = value
    assert lua["value"] == value


def test_integers_and_floats_stay_what_they_are(lua: Any) -> None:
    assert lua.run("return math.type(...)", 1) == "integer"
    assert lua.run("return math.type(...)", 1.0) == "float"
    assert lua.run("return 7 // 2, 7 / 2") == (3, 3.5)


def test_tuples_and_empty_lists_become_tables(lua: Any) -> None:
    assert lua.run("local a, b = ... return #a, next(b)", (1, 2, 3), []) == (3, None)


def test_what_is_no_value_of_the_other_language_is_refused(lua: Any) -> None:
    for value in (object(), 1j, {"a": [object()]}):
        with pytest.raises(TypeError, match="Lua has no value for"):
            lua["x"] = value
    with pytest.raises(ArgumentRangeError):
        lua["x"] = 2**63
    with pytest.raises(TypeError, match="Python has no value for a thread"):
        lua.run("return coroutine.create(print)")
    assert lua.run("return 1") == 1
    assert lua._lib.lua_gettop(lua._current) == 0


def test_a_table_that_contains_itself_is_refused(lua: Any, error: Any) -> None:
    with pytest.raises(error, match="contains itself"):
        lua.run("local t = {} t[1] = {t} return t")


def test_what_is_shared_is_converted_once(lua: Any) -> None:
    found = lua.run("local t = {('x'):rep(1e6)} for i = 1, 60 do t = {t, t} end return t")
    assert found[0] is found[1]
    strings = lua.run("local t, s = {}, ('x'):rep(1e6) for i = 1, 1e4 do t[i] = s end return t")
    assert len({id(text) for text in strings}) == 1


def test_scripts_return_none_one_or_several_values(lua: Any) -> None:
    assert lua.run("local x = 1") is None
    assert lua.run("return 1") == 1
    assert lua.run("return 1, nil, 3") == (1, None, 3)


# -- functions -----------------------------------------------------------------------------------------------------


def test_functions_of_scripts_are_callable(lua: Any) -> None:
    add = lua.run("return function(a, b) return a + b end")
    assert add(1, 2) == 3
    assert lua.run("local f = ... return f(20, 22)", add) == 42
    assert lua["string"]["upper"]("x") == "X"


def test_functions_of_python_are_callable(lua: Any) -> None:
    lua["join"] = lambda *parts: "-".join(map(str, parts))
    assert lua.run("return join(1, 'b', 2.5)") == "1-b-2.5"
    lua["several"] = lambda: (1, [2], None)
    assert lua.run("return several()") == (1, [2], None)
    assert lua.run("local t = {3, 1, 2} table.sort(t, ...) return t", lambda a, b: a > b) == [3, 2, 1]


def test_a_function_of_python_comes_back_as_itself(lua: Any) -> None:
    def function() -> None: ...

    assert lua.run("return ...", function) is function
    assert lua.run("return {...}", function, function) == [function, function]
    assert lua.guest.stats().handles == 1


def test_calls_nest(lua: Any) -> None:
    def factorial(n: int) -> Any:
        return 1 if n == 0 else lua.run("local f, n = ... return n * f(n - 1)", factorial, n)

    assert factorial(20) == 2432902008176640000


def test_python_can_be_called_from_coroutines(lua: Any) -> None:
    lua["double"] = lambda n: lua.run("return 2 * ...", n)
    script = "local c = coroutine.wrap(function(n) while true do n = coroutine.yield(double(n)) end end) return c"
    step = lua.run(script)
    assert [step(n) for n in (1, 2, 3)] == [2, 4, 6]


def test_functions_that_python_drops_are_collected(lua: Any) -> None:
    make = lua.run("return function() local big = ('x'):rep(1e6) return function() return #big end end")
    for _ in range(300):
        assert make()() == 1_000_000
    gc.collect()
    lua.run("collectgarbage()")
    assert lua.run("return collectgarbage('count')") < 2000


# -- errors --------------------------------------------------------------------------------------------------------


def test_errors_of_scripts_are_raised(lua: Any, error: Any) -> None:
    with pytest.raises(error, match=r"^mine:2: no such thing$"):
        lua.run("\nerror('no such thing')", name="mine")
    with pytest.raises(error, match="unexpected symbol"):
        lua.run("x =")
    with pytest.raises(error) as caught:
        lua.run("error({code = 5})")
    assert caught.value.args == ({"code": 5},)
    with pytest.raises(error, match="attempt to index a nil value"):
        lua.run("return nothing.at.all")
    assert lua._lib.lua_gettop(lua._current) == 0


def test_errors_of_python_can_be_caught_by_scripts(lua: Any) -> None:
    lua["fail"] = lambda: {}["key"]
    assert lua.run("return pcall(fail)") == (False, "KeyError: 'key'")


def test_errors_of_python_that_nobody_caught_are_the_cause(lua: Any, error: Any) -> None:
    problem = KeyError("key")

    def fail() -> None:
        raise problem

    with pytest.raises(error, match="KeyError: 'key'") as caught:
        lua.run("local fail = ... fail()", fail)
    assert caught.value.__cause__ is problem
    with pytest.raises(error, match="other") as caught:
        lua.run("local fail = ... pcall(fail) error('other')", fail)
    assert caught.value.__cause__ is None


def test_errors_pass_both_languages(lua: Any, error: Any) -> None:
    lua["inner"] = lambda: lua.run("error('deep', 0)")
    with pytest.raises(error, match=r"^deep$"):
        lua.run("inner()")


def test_keyboard_interrupt_in_python_is_not_for_scripts_to_catch(lua: Any) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lua.run("local f = ... pcall(f) return 1", interrupted)
    assert lua.run("return 1") == 1


# -- limits --------------------------------------------------------------------------------------------------------


def test_a_script_without_end_is_stopped(sandboxed_lua: Any) -> None:
    with sandboxed_lua.Lua(Policy(deadline=0.2)) as lua:
        with pytest.raises(DeadlineExceeded):
            lua.run("while true do pcall(error) end")
        with pytest.raises(InstancePoisoned):
            lua.run("return 1")


def test_a_memory_bomb_is_an_error_like_others(sandboxed_lua: Any, error: Any) -> None:
    with sandboxed_lua.Lua(Policy(memory=8 << 20)) as lua:
        for bomb in ("local t = {} while true do t[#t + 1] = {} end", "return ('x'):rep(1e8)"):
            with pytest.raises(error, match="not enough memory"):
                lua.run(bomb)
        with pytest.raises(MemoryError):
            lua["big"] = "x" * 10_000_000
        assert lua.run("return 1") == 1
        assert lua.guest.stats().memory <= 8 << 20


def test_endless_recursion_is_an_error_like_others(sandboxed_lua: Any, error: Any) -> None:
    with sandboxed_lua.Lua(Policy()) as lua:
        with pytest.raises(error, match="stack overflow"):
            lua.run("local function f() return 1 + f() end return f()")
        with pytest.raises(error, match="overflow"):
            lua.run("return " + "(" * 1000)
        lua["again"] = lambda: lua.run("return again()")
        with pytest.raises(error, match=r"RecursionError|overflow"):
            lua.run("return again()")
        assert lua.run("return 1") == 1


def test_rollback_leaves_the_state_of_the_snapshot(sandboxed_lua: Any) -> None:
    with sandboxed_lua.Lua(Policy(deadline=0.2, rollback=True)) as lua:
        lua["x"] = 1
        kept = lua.snapshot()
        lua["x"] = 2
        with pytest.raises(DeadlineExceeded):
            lua.run("x = 3 while true do end")
        assert lua["x"] == 1
        with pytest.raises(Exited):
            lua.run("os.exit(3)")
        assert lua["x"] == 1
        del kept


def test_nothing_of_the_host_is_there(lua: Any) -> None:
    assert lua.run("return io.open('/etc/passwd')")[0] is None
    assert lua.run("return os.execute()") is False
    assert lua.run("return os.getenv('PATH')") is None
    assert lua.run("return pcall(os.tmpname)")[0] is False
    assert lua.run("return pcall(io.popen, 'ls')")[0] is False
    assert lua.run("return pcall(require, 'socket')")[0] is False


def test_a_policy_can_give_directories(sandboxed_lua: Any, tmp_path: Path) -> None:
    (tmp_path / "data.txt").write_text("content")
    with sandboxed_lua.Lua(Policy(files={"/data": tmp_path})) as lua:
        assert lua.run("return io.open('/data/data.txt'):read('a')") == "content"
        assert lua.run("return io.open('/data/new.txt', 'w')")[0] is None


def test_bytecode_is_not_loaded(lua: Any, error: Any) -> None:
    with pytest.raises(error, match="attempt to load a binary chunk"):
        lua.run("\x1bLua")


# -- snapshots -----------------------------------------------------------------------------------------------------

COUNTER = "next = coroutine.wrap(function() for i = 1, 10 do coroutine.yield(i) end end) return next(), next()"


def test_a_running_interpreter_is_restored(lua: Any, error: Any) -> None:
    assert lua.run(COUNTER) == (1, 2)
    middle = lua.snapshot()
    for _ in range(3):
        function = lua["next"]
        assert (function(), function()) == (3, 4)
        lua.restore(middle)
        with pytest.raises(error, match="before its state was replaced"):
            function()
    assert lua.run("return next()") == 3


def test_interpreters_begin_with_a_snapshot(sandboxed_lua: Any, lua: Any) -> None:
    calls: list[int] = []
    lua["note"] = calls.append
    lua.run(COUNTER)
    middle = lua.snapshot()
    with sandboxed_lua.Lua(snapshot=middle) as one, sandboxed_lua.Lua(snapshot=middle) as two:
        assert one.run("note(1) return next()") == 3
        assert one.run("return next()") == 4
        assert two.run("note(2) return next()") == 3
        assert one.run("return note") == calls.append
        one["only"] = 1
        assert two["only"] is None
    assert lua.run("return next()") == 3
    assert calls == [1, 2]


# -- the project ---------------------------------------------------------------------------------------------------


def test_the_demo_runs(project: Path) -> None:
    done = subprocess.run([sys.executable, project / "demo.py"], capture_output=True, text=True, check=True)
    hostile = done.stdout.split("hostile scripts")[1].splitlines()[1:]
    assert len(hostile) == 7
    assert all(line.endswith("; 42") for line in hostile)
    assert "DeadlineExceeded" in hostile[0] and "not enough memory" in hostile[1] and "Exited" in hostile[5]


def test_the_wheel_is_for_every_platform(project: Path, tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="the dependency group `build` is not installed")
    options = ["--no-build-isolation", "--no-deps", "--disable-pip-version-check", "--wheel-dir", str(tmp_path)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", "--quiet", *options, str(project)], check=True)
    (wheel,) = tmp_path.iterdir()
    assert wheel.name == "sandboxed_lua-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    program = "import sandboxed_lua as s; print(s.__file__); print(s.Lua().run('return _VERSION'))"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [str(tmp_path / "sandboxed_lua" / "__init__.py"), "Lua 5.4"]


def test_it_takes_at_most_200_lines_of_python(project: Path) -> None:
    assert sum(len(file.read_text().splitlines()) for file in (project / "sandboxed_lua").glob("*.py")) <= 200
