"""Expat's errors: their messages by name, and both ways between messages and codes."""

from __future__ import annotations

from ._errors import message
from ._guest import Guest, library

codes: dict[str, int] = {}
"""Codes by message."""
messages: dict[int, str] = {}
"""Messages by code."""


def _fill() -> None:
    guest = Guest()
    for name in dir(library.enums.XML_Error):
        code = getattr(library.enums.XML_Error, name)
        text = message(guest, code) if name.startswith("XML_ERROR_") else None
        if text is not None:
            globals()[name] = text
            codes[text] = code
            messages[code] = text
    guest.instance.close()


_fill()
