"""Lua 5.4 for scripts that nobody trusts: in a sandbox, with limits, calling Python and called by it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from wasqlite.bridge import Handle, HostFunction, Library, Pointer, Policy, Snapshot

library = Library.load(Path(__file__).with_name("lua54.wasm"))
LIMITS = Policy(memory=64 << 20, deadline=10.0)


class LuaError(Exception):
    """What a script raised: ``args[0]``, mostly a message. The cause is Python's exception, if it was one."""


class LuaFunction:
    """A function of a script, callable from Python. It keeps the script's function alive."""

    def __init__(self, lua: Lua, reference: int) -> None:
        self._lua, self._kept = lua, (lua.guest.generation, reference)

    def __call__(self, *arguments: Any) -> Any:
        with self._lua._frame() as (L, top):
            self._lua._push(L, self)
            return self._lua._call(L, top, arguments)

    def __del__(self) -> None:
        self._lua._dropped.append(self._kept)  # no finaliser enters the guest


class Lua(AbstractContextManager["Lua"]):
    """An interpreter in a sandbox of its own; threads take turns. ``lua["name"]`` is a global variable.

    nil, booleans, numbers and strings (UTF-8; other bytes as surrogates) have their Python counterparts. Tables become
    lists if their keys are 1 to n, else dicts; both ways they are copies. Functions become callables.

    ``snapshot()`` is the state, suspended coroutines included: ``Lua(snapshot=...)`` is another interpreter in it, and
    ``restore(snapshot)`` goes back to it; functions that came from the script are to be fetched again then. With
    ``Policy(rollback=True)`` a script over its limits leaves the last snapshot's state, at first the fresh one.
    """

    def __init__(self, policy: Policy = LIMITS, *, snapshot: Snapshot | None = None) -> None:
        self._dropped: list[tuple[int, int]] = []
        self._handles: dict[int, Handle] = {}
        self._raised: tuple[str, Exception] | None = None
        host = HostFunction("python", "python_call", "ii", "i", self._called, -1, reentrant=True)
        self.guest = library.open(policy, hosts=[lambda memory: [host]], snapshot=snapshot)
        self.snapshot, self.restore = self.guest.snapshot, self.guest.restore
        self._lib, self._generation = self.guest.lib, self.guest.generation
        self._current = self._lib.glue_open()
        if not self._current:
            raise MemoryError("the interpreter does not fit into its memory")
        if snapshot is None and policy.rollback:
            self.guest.snapshot()

    def __exit__(self, *_: object) -> None:
        self.guest.close()

    def run(self, script: str, *arguments: Any, name: str = "script") -> Any:
        """Run a script, which finds the arguments as ``...``: what it returns, as a tuple if it is several values."""
        source = script.encode()
        with self._frame() as (L, top):
            self._check(L, self._lib.luaL_loadbufferx(L, source, len(source), f"={name}", "t"))
            return self._call(L, top, arguments)

    def __getitem__(self, name: str) -> Any:
        return self.run("return _ENV[...]", name)

    def __setitem__(self, name: str, value: Any) -> None:
        self.run("local name, value = ... _ENV[name] = value", name, value)

    @contextmanager
    def _frame(self) -> Iterator[tuple[Pointer, int]]:
        """The running coroutine, and the height of its stack, which it has again at the end."""
        with self.guest.lock:
            if self._generation != self.guest.generation:
                self._current, self._generation = self._lib.glue_open(), self.guest.generation
            L = self._current
            while self._dropped:
                generation, reference = self._dropped.pop()
                if generation == self._generation:
                    self._lib.luaL_unref(L, self._lib.LUA_REGISTRYINDEX, reference)
            top = self._lib.lua_gettop(L)
            try:
                yield L, top
            finally:
                if self.guest.dead is None and self.guest.generation == self._generation:
                    self._lib.lua_settop(L, top)

    def _call(self, L: Pointer, top: int, arguments: tuple[Any, ...]) -> Any:
        """Call the function above ``top``."""
        for argument in arguments:
            self._push(L, argument)
        self._check(L, self._lib.lua_pcallk(L, len(arguments), self._lib.LUA_MULTRET, 0, 0, None))
        values = self._values(L, top)
        return values if len(values) > 1 else values[0] if values else None

    def _called(self, address: int, handle: int) -> int:
        """A script calls a Python object with what is on the stack: the number of results there, or -2 for an error."""
        L = self.guest.cast("lua_State *", address)
        outer, self._current = self._current, L
        try:
            result = self.guest.from_handle(self.guest.cast("void *", handle))(*self._values(L, 0))
            results = result if isinstance(result, tuple) else (result,)
            for value in results:
                self._push(L, value)
            return len(results)
        except Exception as error:
            if self.guest.dead is not None:
                raise  # there is nobody to be told
            message = str(error) if isinstance(error, LuaError) else f"{type(error).__name__}: {error}"
            self._raised = message, error
            self._push(L, message)
            return int(self._lib.GLUE_RAISED)
        finally:
            self._current = outer

    def _check(self, L: Pointer, status: int) -> None:
        """Raise the error that is on the stack, if there is one."""
        if status != self._lib.LUA_OK:
            value = self._pull(L, -1, {})
            known, self._raised = self._raised, None
            raise LuaError(value) from (known[1] if known is not None and known[0] == value else None)

    def _room(self, L: Pointer) -> None:
        if not self._lib.lua_checkstack(L, 10):
            raise LuaError("stack overflow")

    def _push(self, L: Pointer, value: Any) -> None:
        lib = self._lib
        self._room(L)
        if value is None:
            lib.lua_pushnil(L)
        elif push := {bool: lib.lua_pushboolean, int: lib.lua_pushinteger, float: lib.lua_pushnumber}.get(type(value)):
            push(L, value)
        elif isinstance(value, str | bytes):
            data = value.encode(errors="surrogateescape") if isinstance(value, str) else value
            self._check(L, lib.glue_string(L, data, len(data)))
        elif isinstance(value, dict | list | tuple):
            self._check(L, lib.glue_table(L))
            for key, item in value.items() if isinstance(value, dict) else enumerate(value, 1):
                self._push(L, key)
                self._push(L, item)
                self._check(L, lib.glue_set(L))
        elif isinstance(value, LuaFunction):
            if value._lua is not self or value._kept[0] != self._generation:
                raise LuaError("a function of another interpreter, or from before its state was replaced")
            lib.lua_rawgeti(L, lib.LUA_REGISTRYINDEX, value._kept[1])
        elif callable(value):
            if id(value) not in self._handles:
                self._handles[id(value)] = self.guest.handle(value)
            self._check(L, lib.glue_function(L, self._handles[id(value)]))
        else:
            raise TypeError(f"Lua has no value for {type(value).__name__}")

    def _values(self, L: Pointer, top: int) -> tuple[Any, ...]:
        seen: dict[int, Any] = {}
        return tuple(self._pull(L, index, seen) for index in range(top + 1, self._lib.lua_gettop(L) + 1))

    def _pull(self, L: Pointer, index: int, seen: dict[int, Any]) -> Any:
        """The value at ``index``. What is there twice is converted once, so that nothing grows on the way."""
        lib = self._lib
        self._room(L)
        kind, index = lib.lua_type(L, index), lib.lua_absindex(L, index)
        if kind in (lib.LUA_TNIL, lib.LUA_TBOOLEAN):
            return bool(lib.lua_toboolean(L, index)) if kind == lib.LUA_TBOOLEAN else None
        if kind == lib.LUA_TNUMBER:
            return (lib.lua_tointegerx if lib.lua_isinteger(L, index) else lib.lua_tonumberx)(L, index, None)
        if (address := int(lib.lua_topointer(L, index))) not in seen:
            seen[address] = self  # as long as it is being converted
            if kind == lib.LUA_TSTRING:
                data = lib.lua_tolstring(L, index, None).bytes(lib.lua_rawlen(L, index))
                seen[address] = str(data, errors="surrogateescape")
            elif kind == lib.LUA_TTABLE:
                seen[address] = self._table(L, index, seen)
            elif kind != lib.LUA_TFUNCTION:
                raise TypeError(f"Python has no value for a {lib.lua_typename(L, kind).string().decode()} of Lua")
            elif handle := lib.glue_object(L, index):
                seen[address] = self.guest.from_handle(handle)
            else:
                reference = lib.glue_keep(L, index)
                self._check(L, -min(reference, 0))
                seen[address] = LuaFunction(self, reference)
        if seen[address] is self:
            raise LuaError("a table that contains itself")
        return seen[address]

    def _table(self, L: Pointer, index: int, seen: dict[int, Any]) -> dict[Any, Any] | list[Any]:
        found: dict[Any, Any] = {}
        self._lib.lua_pushnil(L)
        while self._lib.lua_next(L, index):
            key = self._pull(L, -2, seen)
            found[key] = self._pull(L, -1, seen)
            self._lib.lua_settop(L, -2)
        is_list = all(type(key) is int for key in found) and found.keys() == set(range(1, len(found) + 1))
        return [found[key] for key in sorted(found)] if found and is_list else found
