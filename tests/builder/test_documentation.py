"""docs/bridge-builder.md: its configurations are right, and the one of Lua makes a Lua."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from wasqlite.bridge import Library, Policy
from wasqlite.bridge.builder import BuildError, Configuration, parse_configuration
from wasqlite.bridge.builder.features import FEATURES
from wasqlite.bridge.builder.sources import ARCHIVES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from conftest import Project

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "bridge-builder.md").read_text("utf-8")
BLOCKS = re.findall(r"^```toml\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_configurations_are_valid(block: str, tmp_path: Path) -> None:
    table = tomllib.loads(block)["tool"]["wasqlite-bridge"]
    assert parse_configuration(tmp_path, table, default_name="points").sources


def test_every_key_and_feature_is_described() -> None:
    described = set(re.findall(r"^\| `([\w-]+)`", TEXT, re.MULTILINE))
    keys = {item.name for item in fields(Configuration)} - {"root", "folders"}
    assert keys | set(FEATURES) <= described
    assert ARCHIVES in TEXT


@pytest.mark.slow
def test_the_configuration_of_lua_makes_a_lua(project: Project) -> None:
    project.write("pyproject.toml", BLOCKS[1] + '[project]\nname = "lua"\n')
    project.write("c/wasi.c", "#include <stdio.h>\nFILE *tmpfile(void) { return NULL; }\n")
    try:
        outputs = project.build()
    except BuildError as error:
        if "pip download" in str(error):
            pytest.skip(f"Lua's sources cannot be fetched: {error}")
        raise
    with Library.load(outputs.wasm).open(Policy(deadline=60.0)) as guest:
        lib = guest.lib
        state = lib.luaL_newstate()
        lib.luaL_openlibs(state)

        def run(script: str) -> tuple[int, bytes]:
            status = lib.luaL_loadstring(state, script)
            status = status or lib.lua_pcallk(state, 0, 1, 0, 0, None)
            text = lib.lua_tolstring(state, -1, None).string()
            lib.lua_settop(state, 0)
            return status, text

        assert run("return 6 * 7") == (lib.LUA_OK, b"42")
        assert run("return select(2, pcall(error, 'caught'))") == (lib.LUA_OK, b"caught")
        assert run("error('not caught', 0)") == (lib.LUA_ERRRUN, b"not caught")
        assert run("x =") == (lib.LUA_ERRSYNTAX, b'[string "x ="]:1: unexpected symbol near <eof>')
        status, message = run("local function f() return 1 + f() end return f()")
        assert status == lib.LUA_ERRRUN and b"stack overflow" in message
        assert run("local c = coroutine.wrap(function() coroutine.yield(1) return 2 end) return c() + c()")[1] == b"3"
        lib.lua_close(state)
