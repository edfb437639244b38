"""A tiny generated wasm module that stands between a guest and its host functions.

A host function called by wasmtime gets a pointer to its arguments. Taking that pointer needs a Python function, and
a Python function has a first instruction outside of any ``try``: a pending signal handler that raises there (Ctrl-C)
makes ctypes return garbage to the runtime, which crashes the process. So a host function here takes no
arguments at all (see ``trampoline``), and the adapter carries them: for each import it exports a
function with the import's signature that stores the arguments into a frame in its own memory, calls the host, and
loads the result from the frame. wasm-to-wasm calls cost some nanoseconds.

Frame, in 8-byte slots: 0 i32 result, or ``UNSERVED``; 1 result of any other type; 2... the arguments (i32
zero-extended). The adapter writes ``UNSERVED`` before the call; finding it afterwards means that the host could not
answer, and the guest unwinds with a trap.

A *bare* function has no arguments and no result, and so nothing of this. But it has two ways into the host: the second
is taken while the first is under way, which a flag in the frame tells. So the first, which is all that most calls need,
does not have to be prepared for being called again.

*Lanes* are a function with one argument, the number of a generator that is resumed (see ``lanes``), and a result: 1, or
0 if that one is under way already. The generators' ways into the host stand in a table, twice: for the guest that runs
without the GIL, and ``LANES`` places further for the guest that holds it. What is to be added is in the frame.

Most programs use few of a module's imports. So what leads to the host can be made *late*, when a function is called for
the first time: each function but bare ones finds its way in the same table, and a flag in the frame tells whether it is
there. If not, one host function for all of them is called first, which makes it (``trampoline.Late``).
"""

from __future__ import annotations

from collections.abc import Sequence

UNSERVED = -(1 << 63)
ARGUMENTS = 16
"""Byte offset of the first argument in the frame."""

Signature = tuple[str, str, bool]
"""Letters of the parameters, letters of the result, whether bare. Bare with an argument and a result are lanes."""

LANES = 256
HELD = 4092
"""Byte offset in the frame of what is added to a lane's number: ``LANES`` if the guest holds the GIL, else 0."""
_FLAGS = 4096
"""Byte offset in the frame of the flags of bare functions, 4 bytes each."""
_BUSY = 8192
"""And of those of lanes, one byte each."""
READY = 12288
"""And of those of functions whose way into the host is made, one byte each."""
REQUEST = 4088
"""Byte offset in the frame of the number of the function whose way is to be made."""
MOST = 4096
"""How many functions an adapter has at most."""

_TYPES = {"i": 0x7F, "I": 0x7E, "f": 0x7D, "F": 0x7C}
_LOADS = {"i": 0x28, "I": 0x29, "f": 0x2A, "F": 0x2B}
_STORES = {"i": 0x36, "I": 0x37, "f": 0x38, "F": 0x39}
_ALIGN = {"i": 2, "I": 3, "f": 2, "F": 3}
_I64_CONST, _I32_CONST, _I64_EXTEND_I32_U, _I64_EQ = 0x42, 0x41, 0xAD, 0x51
_LOCAL_GET, _CALL, _IF, _VOID, _ELSE, _UNREACHABLE, _END = 0x20, 0x10, 0x04, 0x40, 0x05, 0x00, 0x0B
_LOCAL_TEE, _LOCAL_SET, _CALL_INDIRECT, _RETURN, _I32_AND, _I32_ADD = 0x22, 0x21, 0x11, 0x0F, 0x71, 0x6A
_I32_LOAD8_U, _I32_STORE8, _I32_EQZ = 0x2D, 0x3A, 0x45


def _unsigned(n: int) -> bytes:
    """LEB128."""
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def _signed(n: int) -> bytes:
    """Signed LEB128."""
    out = bytearray()
    while not -64 <= n < 64:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n & 0x7F)
    return bytes(out)


def _vector(items: list[bytes]) -> bytes:
    return _unsigned(len(items)) + b"".join(items)


def _section(number: int, items: list[bytes]) -> bytes:
    body = _vector(items)
    return bytes([number]) + _unsigned(len(body)) + body


def _name(text: str) -> bytes:
    encoded = text.encode()
    return _unsigned(len(encoded)) + encoded


def _access(opcode: int, letter: str, offset: int) -> bytes:
    return bytes([opcode, _ALIGN[letter]]) + _unsigned(offset)


def _late(number: int, slot: int) -> tuple[bytes, bytes]:
    """What comes first in a function whose way into the host may have to be made, and what calls it."""
    zero, index = bytes([_I32_CONST, 0]), bytes([_I32_CONST]) + _signed(number)
    code = zero + bytes([_I32_LOAD8_U, 0]) + _unsigned(READY + number) + bytes([_I32_EQZ, _IF, _VOID])
    code += zero + index + _access(_STORES["i"], "i", REQUEST) + bytes([_CALL, 0, _END])
    return code, bytes([_I32_CONST]) + _signed(slot) + bytes([_CALL_INDIRECT, 0, 0])


def _body(signature: Signature, before: bytes, call: bytes) -> bytes:
    params, result, _ = signature
    zero = bytes([_I32_CONST, 0])
    unserved = bytes([_I64_CONST]) + _signed(UNSERVED)
    code = before + zero + unserved + _access(_STORES["I"], "I", 0)
    for i, letter in enumerate(params):
        code += zero + bytes([_LOCAL_GET]) + _unsigned(i)
        if letter == "i":
            code += bytes([_I64_EXTEND_I32_U])
        code += _access(_STORES["I" if letter == "i" else letter], "I" if letter == "i" else letter, ARGUMENTS + 8 * i)
    code += call
    code += zero + _access(_LOADS["I"], "I", 0) + unserved
    code += bytes([_I64_EQ, _IF, _VOID, _UNREACHABLE, _END])
    if result:
        code += zero + _access(_LOADS[result], result, 0 if result == "i" else 8)
    return _function(code)


def _bare_body(index: int, second: int) -> bytes:
    zero, one = bytes([_I32_CONST, 0]), bytes([_I32_CONST, 1])
    code = zero + _access(_LOADS["i"], "i", _FLAGS + 4 * index) + bytes([_IF, _VOID])
    code += bytes([_CALL]) + _unsigned(second) + bytes([_ELSE])
    code += zero + one + _access(_STORES["i"], "i", _FLAGS + 4 * index)
    code += bytes([_CALL]) + _unsigned(index)
    code += zero + zero + _access(_STORES["i"], "i", _FLAGS + 4 * index) + bytes([_END])
    return _function(code)


def _lanes_body() -> bytes:
    zero, one, lane = bytes([_I32_CONST, 0]), bytes([_I32_CONST, 1]), bytes([_LOCAL_GET, 0])
    busy = bytes([_I32_STORE8, 0]) + _unsigned(_BUSY)
    # Whatever number the guest gives, it is one of LANES.
    code = lane + bytes([_I32_CONST]) + _signed(LANES - 1) + bytes([_I32_AND, _LOCAL_TEE, 0])
    code += bytes([_I32_LOAD8_U, 0]) + _unsigned(_BUSY) + bytes([_IF, _VOID]) + zero + bytes([_RETURN, _END])
    code += lane + one + busy
    code += lane + zero + _access(_LOADS["i"], "i", HELD) + bytes([_I32_ADD, _CALL_INDIRECT, 0, 0])
    code += lane + zero + busy + one
    return _function(code)


def _function(code: bytes) -> bytes:
    body = _unsigned(0) + code + bytes([_END])  # no locals
    return _unsigned(len(body)) + body


def first_slot(signatures: Sequence[Signature]) -> int:
    """Where in the table the functions' ways into the host begin, in order."""
    return 2 * LANES if any(map(is_lanes, signatures)) else 0


def is_lanes(signature: Signature) -> bool:
    """Whether a function of this signature resumes lanes; an adapter has one such function at most."""
    return signature[2] and signature[0] != ""


def build(signatures: list[Signature], *, further: bool = False, late: bool = False) -> bytes:
    """The adapter module for imports of these signatures: it imports ``host.N`` and exports ``N``, and ``frame``.

    There is one import for each signature, and two for bare ones, in order; and at the end of a ``further`` adapter of
    a store the frame of the first: each memory of its own would take 4 GiB of address space. ``late``: it imports what
    makes the ways into the host and then those of bare functions only, and exports the ``table``.
    """
    assert not further or not any(signature[2] for signature in signatures)
    assert late or not any(map(is_lanes, signatures))
    assert not late or (not further and len(signatures) <= MOST)
    slots = first_slot(signatures)
    size = slots + len(signatures)
    kinds = sorted({signature[:2] for signature in signatures})
    types = [bytes([0x60, 0, 0])]
    for params, result in kinds:
        types.append(
            bytes([0x60])
            + _vector([bytes([_TYPES[letter]]) for letter in params])
            + _vector([bytes([_TYPES[letter]]) for letter in result])
        )
    count = len(signatures)
    bodies = []
    imported = 1 if late else 0
    for number, signature in enumerate(signatures):
        if is_lanes(signature):
            bodies.append(_lanes_body())
        elif signature[2]:
            bodies.append(_bare_body(imported, imported + 1))
            imported += 2
        elif not late:
            bodies.append(_body(signature, b"", bytes([_CALL]) + _unsigned(imported)))
            imported += 1
        else:
            bodies.append(_body(signature, *_late(number, slots + number)))
    imports = [_name("host") + _name(str(i)) + b"\x00" + _unsigned(0) for i in range(imported)]
    functions = [_unsigned(1 + kinds.index(signature[:2])) for signature in signatures]
    memory = b"\x01\x01\x01"  # one page, and never more
    if further:
        imports.append(_name("host") + _name("frame") + b"\x02" + memory)
    exports = [_name(str(i)) + b"\x00" + _unsigned(imported + i) for i in range(count)]
    if not further:
        exports.append(_name("frame") + b"\x02\x00")
    if late:
        exports.append(_name("table") + b"\x01\x00")
    return (
        b"\0asm\x01\0\0\0"
        + _section(1, types)
        + _section(2, imports)
        + _section(3, functions)
        + (_section(4, [b"\x70\x01" + 2 * _unsigned(size)]) if late else b"")
        + _section(5, [] if further else [memory])
        + _section(7, exports)
        + _section(10, bodies)
    )
