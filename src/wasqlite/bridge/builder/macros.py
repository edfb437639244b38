"""Which macros headers define, as clang's preprocessor says."""

from __future__ import annotations

import re

# "# 12 "/usr/include/stdio.h" 2 3": the last number is 3 in what the compiler takes for a header of the system.
_MARKER = re.compile(r'^# \d+ "((?:[^"\\]|\\.)*)"([ 1-4]*)$')
_DEFINE = re.compile(r"^#define (\w+)(\(?)(.*)$")
_UNDEFINE = re.compile(r"^#undef (\w+)")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'')
_PAIRS = {")": "(", "]": "[", "}": "{"}


def read_macros(preprocessed: str) -> tuple[dict[str, str], set[str]]:
    """Read what ``clang -E -dD`` wrote: the macros that may stand for a constant, with the file that defines each; and
    the files that are not the C library's."""
    file = ""
    found: dict[str, str] = {}
    ours: set[str] = set()
    for line in preprocessed.splitlines():
        if match := _MARKER.match(line):
            file = re.sub(r"\\(.)", r"\1", match[1])
            if "3" not in match[2].split() and not file.startswith("<"):
                ours.add(file)
        elif match := _DEFINE.match(line):
            found.pop(match[1], None)
            # Macros with parameters stand for no constant, and halves of a bracket would confuse the compiler.
            if match[2] != "(" and match[3].strip() and _is_balanced(match[3]):
                found[match[1]] = file
        elif match := _UNDEFINE.match(line):
            found.pop(match[1], None)
    return found, ours


def _is_balanced(text: str) -> bool:
    open_: list[str] = []
    for character in _STRING.sub("", text):
        if character in "([{":
            open_.append(character)
        elif character in _PAIRS and (not open_ or open_.pop() != _PAIRS[character]):
            return False
    return not open_ and ";" not in _STRING.sub("", text)
