"""Where signal handlers can run in the generators that serve host functions: always inside a net.

The storms of ``test_signals`` try it out; here the compiled code is looked at, instruction by instruction.
"""

from __future__ import annotations

import dis
import sys

import pytest

from wasqlite.bridge import interruption, trampoline
from wasqlite.capi import callback_server

GENERATORS = [trampoline._serve, trampoline._serve_bare, trampoline._serve_reentrant]
GENERATORS += [interruption._watch, callback_server.serve, callback_server.serve_lane]


def unprotected(function):
    """The instructions of the loops where a pending signal is looked for, and no ``except BaseException`` is found."""
    code = dis.Bytecode(function)
    entries = code.exception_entries
    instructions = list(code)
    at = {instruction.offset: index for index, instruction in enumerate(instructions)}

    def is_safe(offset):
        for entry in entries:
            if entry.start <= offset < entry.end:
                return leads_to_net(at[entry.target])
        return False

    def leads_to_net(index):
        first = instructions[index]
        if first.opname == "PUSH_EXC_INFO" and instructions[index + 1].argval == "BaseException":
            return True
        if first.opname == "CALL_INTRINSIC_1":
            return False  # what 3.12 puts around every generator
        # Another exception's handler, or the end of one: it raises again.
        again = next(i for i in instructions[index:] if i.opname == "RERAISE")
        return is_safe(again.offset)

    begin = min(entry.start for entry in entries if leads_to_net(at[entry.target]))
    found = []
    for instruction in instructions:
        if instruction.offset < begin:
            continue
        if instruction.opname in ("RESUME", "CALL", "CALL_KW", "CALL_FUNCTION_EX"):
            place = instruction.offset
        elif instruction.opname == "JUMP_BACKWARD":
            # 3.11 has already jumped when it looks, and takes the instruction before for the one that failed.
            place = instruction.offset if sys.version_info >= (3, 12) else instruction.argval - 2
        else:
            continue
        if not is_safe(place):
            found.append(instruction)
    return found


@pytest.mark.parametrize("generator", GENERATORS, ids=lambda f: f.__name__)
def test_every_place_has_a_net(generator):
    # Save one, the outermost jump: to get there, exceptions must have struck in three nets, one after the other.
    (last,) = unprotected(generator)
    assert last.opname == "JUMP_BACKWARD"
    assert last.argval == min(i.argval for i in dis.Bytecode(generator) if i.opname == "JUMP_BACKWARD")


def continued():
    while True:
        try:
            while True:
                try:
                    while True:
                        try:
                            yield
                        except GeneratorExit:
                            return
                        if not len(""):
                            continue
                        len("")
                except BaseException:
                    pass
        except BaseException:
            pass


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="3.11 jumps before it looks for signals")
def test_a_continue_would_tear_them():
    assert len(unprotected(continued)) > 1
