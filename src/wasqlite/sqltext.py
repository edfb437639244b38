"""What the driver has to know of SQL's text: where it starts, whether it is DML, whether anything follows."""

from __future__ import annotations

_SPACE = " \t\f\n\r"
_DML = ("insert", "update", "delete", "replace")
_DIGITS = tuple("0123456789")


def _after_blank(text: str) -> int:
    """Where white space and comments at the start end."""
    at, end = 0, len(text)
    while at < end:
        if text[at] in _SPACE:
            at += 1
        elif text.startswith("--", at):
            at = text.find("\n", at)
            if at < 0:
                return end
        elif text.startswith("/*", at):
            at = text.find("*/", at + 2) + 2
            if at < 2:
                return end
        else:
            break
    return at


def is_blank(text: str) -> bool:
    """Whether there is nothing but white space and comments; the last comment may be unclosed."""
    return _after_blank(text) == len(text)


def is_dml(text: str) -> bool:
    """Whether the first word begins with INSERT, UPDATE, DELETE or REPLACE.

    That decides on implicit transactions and ``rowcount``: so ``WITH ... INSERT`` and ``EXPLAIN INSERT`` are not DML.
    """
    at = _after_blank(text)
    return text[at : at + 7].lower().startswith(_DML)


def may_name_parameters(text: str) -> bool:
    """False only if no parameter in the text has a name or a number, which saves asking SQLite for the names."""
    if ":" in text or "@" in text or "$" in text or "#" in text:
        return True
    return "?" in text and any(rest.startswith(_DIGITS) for rest in text.split("?")[1:])


def is_attach(text: str) -> bool:
    """Whether the first word begins with ATTACH."""
    at = _after_blank(text)
    return text[at : at + 6].lower() == "attach"


def string_literals(text: str) -> list[str]:
    """What stands in single or double quotes, which SQLite may take for a string."""
    import re  # here, because it would be a twentieth of a warm start, and this is rare

    quoted = re.compile(r"'((?:[^']|'')*)'|\"((?:[^\"]|\"\")*)\"")
    return [
        (single or double).replace("''" if single else '""', "'" if single else '"')
        for single, double in quoted.findall(text)
    ]
