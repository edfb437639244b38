"""An ``ArrowArrayStream`` whose batches are made when the consumer asks for them: C function pointers into Python.

https://arrow.apache.org/docs/format/CStreamInterface.html

ctypes must not call a Python function here: a signal handler may raise at its first instruction, before any ``try``,
and the consumer would take garbage for an answer (see ``bridge/trampoline.py``). So it calls C functions of the
interpreter, which resume a generator inside its ``try``, and what a handler raises is kept. The arguments must not get
lost then, either:

- ctypes makes an argument by calling its class. The class's ``__new__`` is the ``__getitem__`` of a dict and always
  returns the same object: the last argument stands in that object's memory, whatever happens to the call.
- For one argument the callable is the generator's ``send``. For two it is ``operator.getitem``, and the ``__getitem__``
  of the first one's class is the generator's ``send``.

The release function has to be C all through: consumers call it while they clean up after an exception, which is set
then, and no Python can run. It is that of a stream of nanoarrow's own, which has one array, whose buffer belongs to a
Python object: when nanoarrow lets go of that, its finaliser runs as finalisers do, with the exception put aside.
"""

from __future__ import annotations

import ctypes
import errno
import operator
from collections.abc import Callable, Generator
from typing import Any, Protocol

import nanoarrow as na
from nanoarrow.c_array_stream import CArrayStream


class _CStream(ctypes.Structure):
    _fields_ = [(n, ctypes.c_void_p) for n in ("get_schema", "get_next", "get_last_error", "release", "private_data")]


class _CSchema(ctypes.Structure):
    _fields_ = [
        *[(name, ctypes.c_void_p) for name in ("format", "name", "metadata")],
        *[(name, ctypes.c_int64) for name in ("flags", "n_children")],
        *[(name, ctypes.c_void_p) for name in ("children", "dictionary", "release", "private_data")],
    ]


class _CArray(ctypes.Structure):
    _fields_ = [
        *[(name, ctypes.c_int64) for name in ("length", "null_count", "offset", "n_buffers", "n_children")],
        *[(name, ctypes.c_void_p) for name in ("buffers", "children", "dictionary", "release", "private_data")],
    ]


class Reader(Protocol):
    """What a stream reads from. Exceptions of its methods, and of signal handlers meanwhile, end up in ``errors``."""

    errors: list[BaseException]

    def schema(self) -> Any:
        """A fresh ``nanoarrow.c_schema``."""

    def next(self) -> Any:
        """The next ``nanoarrow.c_array``, which nobody else has; None at the end."""

    def close(self, *, quietly: bool) -> None:
        """No more will be read. Where this is called from, the guest must not be entered."""


_FAILED = errno.EIO
_OFTEN = 100


class _Functions:
    """The C functions of a stream. After its release they serve the next one: ctypes would never free their types."""

    def __init__(self) -> None:
        self.reader: Reader | None = None
        self.errors: list[BaseException] = []
        self.message = ctypes.create_string_buffer(b"")
        self._keep: list[Any] = []
        self.get_schema = self._function(self._get_schema, ctypes.c_int, arguments=2)
        self.get_next = self._function(self._get_next, ctypes.c_int, arguments=2)
        self.get_last_error = self._function(self._get_last_error, ctypes.c_void_p, arguments=1)

    def _function(self, work: Callable[[int], Any], result: Any, *, arguments: int) -> int:
        """The address of a C function that calls ``work`` with its last argument, an address."""
        classes = [_argument_class() for _ in range(arguments)]
        last = classes[-1]()
        generator = _serve(self, work, last, 1 if arguments == 2 else _OFTEN, _FAILED if arguments == 2 else None)
        next(generator)
        if arguments == 2:
            classes[0].__getitem__ = generator.send
        callback = ctypes.CFUNCTYPE(result, *classes)(operator.getitem if arguments == 2 else generator.send)
        self._keep.append((generator, callback))
        address = ctypes.cast(callback, ctypes.c_void_p).value
        assert address is not None
        return address

    def _get_schema(self, out: int) -> int:
        if self.errors or self.reader is None:
            return _FAILED
        schema = self.reader.schema()
        return _move(_CSchema, schema._addr(), out)

    def _get_next(self, out: int) -> int:
        if self.errors or self.reader is None:
            return _FAILED
        array = self.reader.next()
        if array is None:
            ctypes.memset(out, 0, ctypes.sizeof(_CArray))
            return 0
        return _move(_CArray, array._addr(), out)

    def _get_last_error(self, stream: int) -> int | None:
        if not self.errors:
            return None
        error = self.errors[0]
        text = f"{type(error).__module__}.{type(error).__qualname__}: {error}".removeprefix("builtins.")
        self.message = ctypes.create_string_buffer(text.encode("utf-8", "replace").replace(b"\0", b"?"))
        return ctypes.addressof(self.message)


def _move(structure: type[_CSchema] | type[_CArray], source: int, out: int) -> int:
    """Move a structure to ``out``. Whenever an exception strikes, at most one of the two will be released."""
    moved = structure.from_buffer_copy(structure.from_address(source))
    structure.from_address(source).release = None
    ctypes.memmove(out, ctypes.addressof(moved), ctypes.sizeof(structure))
    return 0


def _argument_class() -> Any:
    """A class of pointers with one instance, which holds the latest argument."""
    cls: Any = type("Argument", (ctypes.c_void_p,), {})
    only = cls()
    cls.__new__ = {cls: only}.__getitem__
    return cls


def _serve(
    functions: _Functions, work: Callable[[int], Any], argument: Any, allowed: int, failed: int | None
) -> Generator[Any, Any, None]:
    # `attempts` is how often the call may still be tried for the consumer that waits, 0 if none waits. Three nets: an
    # exception that strikes in a net's handler lands in the next. More on both in bridge/trampoline.py.
    attempts = 0
    answer: Any = failed
    while True:
        try:
            while True:
                try:
                    while True:
                        try:
                            while True:
                                if attempts == 0:
                                    attempts = allowed
                                    try:
                                        yield answer
                                    except GeneratorExit:
                                        return
                                attempts -= 1
                                answer = failed
                                answer = work(argument.value)
                                attempts = 0
                        except BaseException as error:
                            functions.errors += [error]
                except BaseException as error:
                    functions.errors += [error]
        except BaseException as error:
            functions.errors += [error]


_idle: list[_Functions] = []


class _Ticket(bytearray):
    """What the stream's release function lets go of."""

    def __init__(self, reader: Reader, functions: _Functions) -> None:
        super().__init__(1)
        self._reader = reader
        self._functions = functions

    def __del__(self) -> None:
        # An exception that strikes here is lost, with the functions; the reader is given up in any case.
        self._functions.reader = None
        self._functions.errors = []
        _idle.append(self._functions)
        self._reader.close(quietly=True)


def export(reader: Reader) -> object:
    """A capsule with a stream over ``reader``, which is closed when the consumer releases the stream."""
    functions = _idle.pop() if _idle else _Functions()
    functions.reader = reader
    functions.errors = reader.errors
    array = na.c_array_from_buffers(na.uint8(), 1, [None, _Ticket(reader, functions)])
    stream = CArrayStream.from_c_arrays([array], na.c_schema(na.uint8()))
    found = _CStream.from_address(stream._addr())
    found.get_schema = functions.get_schema
    found.get_next = functions.get_next
    found.get_last_error = functions.get_last_error
    return stream.__arrow_c_stream__()
