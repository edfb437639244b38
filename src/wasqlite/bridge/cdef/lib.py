"""``guest.lib``: a library's functions, variables and constants as attributes, made when first used."""

from __future__ import annotations

from wasqlite.bridge._wasmtime import FUNC
from wasqlite.bridge.cdef import calls
from wasqlite.bridge.cdef.pointer import TOP, Pointer
from wasqlite.bridge.cdef.pointertype import pointer_to
from wasqlite.bridge.errors import LinkError, UndeclaredName

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wasqlite.bridge.cdef.typed import Typed


class Lib:
    """What the header declares. Functions become plain attributes; variables are read and written in the guest."""

    def __init__(self, typed: Typed) -> None:
        self.__dict__["_typed"] = typed
        self.__dict__["_addresses"] = {}

    def __getattr__(self, name: str) -> Any:
        typed: Typed = self.__dict__["_typed"]
        layout, instance = typed.layout, typed.instance
        if name in layout.functions:
            with instance.lock:
                typed.living()
                extern = instance.find(name, FUNC)
                if extern is None:
                    raise LinkError(f"{instance.name} declares the function {name}, but does not export it")
                names = layout.functions[name].get("params", ())
                call = self.__dict__[name] = calls.bind(typed, name, layout.function(name), extern, names)
            return call
        if name in layout.variables:
            pointer = self._variable(name)
            return pointer._type.target.load(pointer, pointer._address)
        if name in layout.constants:
            return layout.constants[name]
        raise UndeclaredName(f"{instance.name} declares no {name}")

    def __setattr__(self, name: str, value: Any) -> None:
        pointer = self._variable(name)
        pointer._type.target.extent()
        pointer._type.target.store(pointer, pointer._address, value)

    def _variable(self, name: str) -> Pointer:
        """A Pointer to a variable, which an exported global of its name tells the address of."""
        typed: Typed = self.__dict__["_typed"]
        instance = typed.instance
        if name not in typed.layout.variables:
            raise UndeclaredName(f"{instance.name} declares no variable {name}")
        typed.living()
        # Asked for once, so that what C counts can be read while it counts.
        addresses: dict[str, int] = self.__dict__["_addresses"]
        address = addresses.get(name)
        if address is None:
            with instance.lock:
                typed.living()
                address = instance.global_value(name)
            if address is None:
                raise LinkError(f"{instance.name} declares the variable {name}, but does not export it")
            addresses[name] = address
        ctype = typed.layout.type(typed.layout.variables[name]["type"])
        # Of an array that is declared without its length, nobody knows the end.
        end = TOP if ctype.size is None else address + ctype.size
        pointer = pointer_to(ctype).make(instance, address, address, end)
        pointer._reach(address, ctype.size or 0)
        return pointer

    def __dir__(self) -> list[str]:
        layout = self.__dict__["_typed"].layout
        return sorted({*layout.functions, *layout.variables, *layout.constants})
