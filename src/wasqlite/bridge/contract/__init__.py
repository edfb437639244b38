"""Host functions as a contract: a set of named imports with C types, which guests are checked against.

What an interface definition language is elsewhere is a Python class here. Its methods are the functions, each with its
C declaration; the C header for guests is made of it, and every guest must have been built against such a header.
"""

from __future__ import annotations

from wasqlite.bridge.contract.contract import Contract
from wasqlite.bridge.contract.provided import provides

__all__ = ["Contract", "provides"]
