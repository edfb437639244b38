"""Scripts that nobody trusts, in a sandbox: ``python examples/lua/demo.py`` builds it when needed, and shows it."""

from __future__ import annotations

import sys
from pathlib import Path

from wasqlite.bridge import BridgeError, Policy
from wasqlite.bridge.builder import build

HERE = Path(__file__).resolve().parent
GAME = """
local fuel = 100
game = coroutine.wrap(function()
  for day = 1, 5 do
    fuel = fuel - 7 * day
    coroutine.yield {day = day, fuel = fuel}
  end
end)
"""
HOSTILE = {
    "an endless loop": "while true do pcall(error) end",
    "a memory bomb": "local t = {} while true do t[#t + 1] = ('x'):rep(1e6) .. #t end",
    "an endless recursion": "local function f() return 1 + f() end return f()",
    "a look at the host's files": "return assert(io.open('/etc/passwd')):read('a')",
    "a shell": "return assert(os.execute('ls') and 'it ran')",
    "an exit": "os.exit(1)",
    "forged bytecode": "load('\\27Lua' .. ('x'):rep(100))()",
}


def main() -> None:
    """Show values, functions, errors, limits and snapshots."""
    build(HERE)
    sys.path.insert(0, str(HERE))
    from sandboxed_lua import Lua, LuaError

    with Lua(Policy(memory=32 << 20, deadline=1.0, rollback=True, stdout=sys.stdout)) as lua:
        print(
            "values:",
            lua.run("local name, prices = ... return name:upper(), #prices, {prices[2], 2^53}", "tea", [3, 4]),
        )
        lua["discount"] = lambda price: price - 1
        total = lua.run(
            "return function(prices) local n = 0 for _, p in ipairs(prices) do n = n + discount(p) end return n end"
        )
        print("Python calls Lua, which calls Python:", total([10, 20, 30]))
        lua["lookup"] = {"a": 1}.__getitem__
        print("Lua catches Python's error:", lua.run("return pcall(lookup, 'b')"))
        try:
            lua.run("lookup('b')", name="shop.lua")
        except LuaError as error:
            print("or else Python does:", error, "from", repr(error.__cause__))

        lua.run(GAME)
        fork = lua.snapshot()
        print("a game:", [lua.run("return game()") for _ in range(3)])
        with Lua(snapshot=fork) as other:
            print("the same again, elsewhere:", other.run("return game()"))
        lua.restore(fork)
        print("and here, from before:", lua.run("return game()"))

        print("hostile scripts, each followed by a friendly one:")
        for what, script in HOSTILE.items():
            try:
                outcome = f"returned {lua.run(script)}"
            except (LuaError, BridgeError) as error:
                outcome = f"{type(error).__name__}: {error}"
            print(f"  {what}: {outcome.splitlines()[0][:90]}; {lua.run('return 6 * 7')}")


if __name__ == "__main__":
    main()
