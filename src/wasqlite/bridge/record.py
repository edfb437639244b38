"""Named tuples declared like those of ``typing``, without its import, which would be a tenth of a warm start."""

from __future__ import annotations

from collections import namedtuple

__all__ = ["Record"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any
    from typing import NamedTuple as Record
else:

    class _Maker(type):
        def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> type:
            fields = body["__annotations__"]
            defaults = [body[field] for field in fields if field in body]
            made = namedtuple(name, fields, defaults=defaults, module=body["__module__"])
            made.__doc__ = body["__doc__"]
            return made

    # The name alone, so that subclasses are made by _Maker; there are no methods besides a named tuple's own.
    Record = type.__new__(_Maker, "Record", (), {})
