"""What the driver has to know of SQL's text: where it starts, whether it is DML, whether anything follows."""

from __future__ import annotations

import re

_BLANK = r"(?:[ \t\f\n\r]+|--[^\n]*|/\*.*?(?:\*/|\Z))*+"
_SKIP = re.compile(_BLANK, re.DOTALL)
_DML = re.compile(_BLANK + "(?:insert|update|delete|replace)", re.DOTALL | re.IGNORECASE | re.ASCII)
_ATTACH = re.compile(_BLANK + "attach", re.DOTALL | re.IGNORECASE | re.ASCII)
_QUOTED = re.compile(r"'((?:[^']|'')*)'|\"((?:[^\"]|\"\")*)\"")
_NAMED = re.compile(r"[:@$#]|\?[0-9]")


def is_blank(text: str) -> bool:
    """Whether there is nothing but white space and comments; the last comment may be unclosed."""
    match = _SKIP.match(text)
    return match is not None and match.end() == len(text)


def is_dml(text: str) -> bool:
    """Whether the first word begins with INSERT, UPDATE, DELETE or REPLACE.

    That decides on implicit transactions and ``rowcount``: so ``WITH ... INSERT`` and ``EXPLAIN INSERT`` are not DML.
    """
    return _DML.match(text) is not None


def may_name_parameters(text: str) -> bool:
    """False only if no parameter in the text has a name or a number, which saves asking SQLite for the names."""
    return _NAMED.search(text) is not None


def is_attach(text: str) -> bool:
    """Whether the first word begins with ATTACH."""
    return _ATTACH.match(text) is not None


def string_literals(text: str) -> list[str]:
    """What stands in single or double quotes, which SQLite may take for a string."""
    return [
        (single or double).replace("''" if single else '""', "'" if single else '"')
        for single, double in _QUOTED.findall(text)
    ]
