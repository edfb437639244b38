"""One evil module in a process of its own: ``worker.py <case>`` says how it ended; ``worker.py`` lists the cases.

An innocent instance is open all the while, and is called before and after.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent))
from corpus import EVIL

from wasqlite.bridge import Library

INNOCENT = """(module (memory (export "memory") 1)
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))"""


def main(name: str) -> int:
    """Run the case; 0 if it ended as it must."""
    case = EVIL[name]
    innocent = Library.from_wat(INNOCENT).open()
    add = innocent.function("add")
    innocent.memory.write(0, b"untouched")
    assert add(1, 2) == 3
    outcome: BaseException | None = None
    try:
        case.run()
    except BaseException as error:
        outcome = error
    wanted = case.expected if isinstance(case.expected, tuple) else (case.expected or type(None),)
    fits = type(outcome) in wanted and case.match in str(outcome)
    description = f"{type(outcome).__name__}: {outcome}" if outcome is not None else "returned"
    if not fits:
        print(f"expected {wanted} with {case.match!r}, and it ended in {description}", file=sys.stderr)
        if outcome is not None:
            raise outcome
        return 1
    del outcome
    gc.collect()
    assert add(3, 4) == 7
    assert innocent.memory.read(0, 9) == b"untouched"
    assert innocent.dead is None
    with Library.from_wat(INNOCENT).open() as another:
        assert another.function("add")(5, 6) == 11
    print(description.splitlines()[0])
    return 0


if __name__ == "__main__":
    if len(sys.argv) == 1:
        print(*EVIL, sep="\n")
    else:
        sys.exit(main(sys.argv[1]))
