"""Generate `src/wasqlite/capi/constants.py` from `sqlite3.h`.

The result is checked in; `make check` generates it again and compares.
"""

from __future__ import annotations

import argparse
import ast
import operator
import re
from collections.abc import Callable
from pathlib import Path

from fetch_sqlite import SQLITE_VERSION, fetch
from source_tree import ROOT
from wasqlite.bridge.builder.cache import write_atomically
from wasqlite.bridge.builder.report import BuildError, run_command

OUTPUT = ROOT / "src" / "wasqlite" / "capi" / "constants.py"
RESULT_SECTIONS = ("Result Codes", "Extended Result Codes")
# Titles of the header's chapters. A title that vanishes from the header is an error.
SECTIONS = (
    *RESULT_SECTIONS,
    "Flags For File Open Operations",
    "Database Connection Configuration Options",
    "Authorizer Return Codes",
    "Authorizer Action Codes",
    "Run-Time Limit Categories",
    "Prepare Flags",
    "Fundamental Datatypes",
    "Text Encodings",
    "Function Flags",
)

_TITLE = re.compile(r"^\*\* CAPI3REF: (.+?)\s*$", re.MULTILINE)
_DEFINE = re.compile(r"^#\s*define[ \t]+(SQLITE_\w+)[ \t]+(.+)$", re.MULTILINE)
_COMMENT = re.compile(r"/\*.*?(\*/|$)", re.DOTALL)
_OPERATORS: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.BitOr: operator.or_,
    ast.LShift: operator.lshift,
    ast.Add: operator.add,
}


def evaluate(expression: str, known: dict[str, int]) -> int:
    """Return the value of a constant C expression of the few forms that the header uses."""

    def value(node: ast.expr) -> int:
        match node:
            case ast.Constant(value=int(number)):
                return number
            case ast.Name(id=name) if name in known:
                return known[name]
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -value(operand)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
                return _OPERATORS[type(op)](value(left), value(right))
            case _:
                raise BuildError(f"sqlite3.h: cannot evaluate '{expression}': extend build/constants.py")

    try:
        return value(ast.parse(expression, mode="eval").body)
    except SyntaxError:
        raise BuildError(f"sqlite3.h: cannot parse '{expression}': extend build/constants.py") from None


def read_sections(header: str) -> dict[str, dict[str, int]]:
    """Return the integer macros of the wanted chapters of the header, in its order."""
    parts = _TITLE.split(header)
    chapters = dict(zip(parts[1::2], parts[2::2], strict=True))
    known: dict[str, int] = {}
    sections: dict[str, dict[str, int]] = {}
    for title in SECTIONS:
        if title not in chapters:
            raise BuildError(f"sqlite3.h has no chapter '{title}': adapt build/constants.py")
        section = sections[title] = {}
        for name, text in _DEFINE.findall(chapters[title]):
            expression = _COMMENT.sub("", text).strip()
            section[name] = known[name] = evaluate(expression, known)
        if not section:
            raise BuildError(f"sqlite3.h: chapter '{title}' defines nothing: adapt build/constants.py")
    return sections


def render(header: str) -> str:
    """Return the text of the generated module."""
    sections = read_sections(header)
    lines = [
        "# Generated from sqlite3.h by `python build/constants.py`; do not edit.",
        f'"""The constants of SQLite {SQLITE_VERSION}, under their C names (https://sqlite.org/c3ref/constlist.html)."""',
        "",
        "from __future__ import annotations",
        "",
        f'SQLITE_VERSION = "{SQLITE_VERSION}"',
    ]
    for title, section in sections.items():
        lines += ["", f"# {title}"]
        lines += [f"{name} = {value}" for name, value in section.items()]
    lines += ["", "# A primary or extended result code's name.", "RESULT_CODE_NAMES = {"]
    names: dict[int, str] = {}
    for title in RESULT_SECTIONS:
        for name, value in sections[title].items():
            names.setdefault(value, name)
    lines += [f'    {value}: "{name}",' for value, name in names.items()]
    lines += ["}", ""]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    arguments = parser.parse_args()
    text = render((fetch() / "sqlite3.h").read_text("utf-8")).encode()
    output: Path = arguments.output
    # Unchanged: leave the file's time stamp alone.
    if not output.is_file() or output.read_bytes() != text:
        write_atomically(output, text)


if __name__ == "__main__":
    run_command(main)
