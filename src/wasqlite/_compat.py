"""Where the stdlib's behaviour depends on the Python version, ours follows the running interpreter."""

from __future__ import annotations

import os
import sys
import warnings

NAMED_WITH_SEQUENCE = "accept" if sys.version_info < (3, 12) else "warn" if sys.version_info < (3, 14) else "refuse"
"""What happens when a sequence is passed for named parameters."""

NUMBERED_IS_NAMED = sys.version_info < (3, 13)
"""Whether ``?1`` counts as a named parameter there."""

WARN_UNCLOSED = sys.version_info >= (3, 13)
"""Whether a connection that is collected without ``close()`` gives a ResourceWarning."""

POSITIONAL_CONNECT = "accept" if sys.version_info < (3, 13) else "warn" if sys.version_info < (3, 15) else "refuse"
"""What happens when more than the database is passed to ``connect()`` by position."""

DEFAULT_ADAPTERS_WARN = sys.version_info >= (3, 12)
"""Whether the adapters and converters of dates that are there from the start give a DeprecationWarning."""

DUMP_CHECKS_FOREIGN_KEYS = sys.version_info >= (3, 13)
"""Whether a dump switches foreign keys off if the database violates them."""

CLI_TAKES_READLINE = sys.version_info >= (3, 13)
"""Whether the shell has line editing."""

CLI_UNKNOWN_COMMAND = (
    ""
    if sys.version_info < (3, 14)
    else 'Error: unknown command or invalid arguments:  "{}".'
    if sys.version_info < (3, 15)
    else 'Error: unknown command: "{}"'
)
"""What the shell says to a dot and an unknown word. Empty: it knows only the exact commands and takes what else begins
with a dot for SQL, and blank lines too."""
MODULE_VERSION = "present" if sys.version_info < (3, 12) else "warn" if sys.version_info < (3, 14) else "absent"
"""Whether the module has ``version`` and ``version_info``."""

SHARED_CACHE_SWITCH = sys.version_info < (3, 12)
"""Whether the module has ``enable_shared_cache()``."""

OLD_NAMES = ("version", "version_info", "enable_shared_cache") if sys.version_info < (3, 12) else ()
"""Names of the module that newer Pythons do not have, and that come without a warning."""

TEXT_FACTORY_ALIAS = sys.version_info < (3, 12)
"""Whether the module has ``OptimizedUnicode``."""
CALLBACK_KEYWORDS = "accept" if sys.version_info < (3, 13) else "warn" if sys.version_info < (3, 15) else "refuse"
"""What happens when the functions that register callbacks get by name what will be positional-only."""

CHECK_FUNCTION_ARITY = sys.version_info >= (3, 14)
"""Whether a number of arguments that SQLite does not allow has an error of its own."""

UNRAISABLE_NAMES_CALLBACK = sys.version_info >= (3, 14)
"""Whether a callback's exception is reported with the callable in the message, or with it as the object."""

_PACKAGE = os.path.dirname(__file__) + os.sep  # noqa: PTH120 - pathlib would be a tenth of a warm start

if sys.version_info >= (3, 12):

    def warn_deprecated(message: str) -> None:
        """A DeprecationWarning that points at the caller's file, as one from a C function does."""
        warnings.warn(message, DeprecationWarning, skip_file_prefixes=(_PACKAGE,))

else:

    def warn_deprecated(message: str) -> None:
        """A DeprecationWarning that points at the caller's file, as one from a C function does."""
        level = 2
        frame = sys._getframe(1)
        while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
            frame = frame.f_back
            level += 1
        warnings.warn(message, DeprecationWarning, stacklevel=level)


def in_package(filename: str) -> bool:
    """Whether a source file, or generated code, is ours."""
    return filename.startswith((_PACKAGE, "<wasqlite "))
