"""``xml.parsers.expat``, with Expat in a sandbox: the same names as the stdlib's ``pyexpat``."""

from __future__ import annotations

from . import errors, model
from ._errors import ExpatError, message
from ._guest import Guest, library
from ._parser import ParserCreate
from ._parser import xmlparser as XMLParserType

error = ExpatError
native_encoding = "UTF-8"
XML_PARAM_ENTITY_PARSING_NEVER: int = library.constants.XML_PARAM_ENTITY_PARSING_NEVER
XML_PARAM_ENTITY_PARSING_UNLESS_STANDALONE: int = library.constants.XML_PARAM_ENTITY_PARSING_UNLESS_STANDALONE
XML_PARAM_ENTITY_PARSING_ALWAYS: int = library.constants.XML_PARAM_ENTITY_PARSING_ALWAYS


def ErrorString(code: int, /) -> str | None:
    """Expat's message for an error code."""
    return message(_spare, code)


def _features() -> list[tuple[str, int]]:
    at = _spare.lib.XML_GetFeatureList()
    found = []
    while at[0].feature:
        found.append((at[0].name.string().decode(), at[0].value))
        at += 1
    return found


_spare = Guest()  # for what needs no parser
_version = _spare.lib.XML_ExpatVersionInfo()
version_info: tuple[int, int, int] = (_version.major, _version.minor, _version.micro)
EXPAT_VERSION: str = _spare.lib.XML_ExpatVersion().string().decode()
features = _features()

__all__ = [
    "EXPAT_VERSION",
    "XML_PARAM_ENTITY_PARSING_ALWAYS",
    "XML_PARAM_ENTITY_PARSING_NEVER",
    "XML_PARAM_ENTITY_PARSING_UNLESS_STANDALONE",
    "ErrorString",
    "ExpatError",
    "ParserCreate",
    "XMLParserType",
    "error",
    "errors",
    "features",
    "model",
    "native_encoding",
    "version_info",
]
