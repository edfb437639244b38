"""The names of the package once more, as ``sqlite3.dbapi2`` has those of ``sqlite3``."""

from wasqlite import *  # noqa: F403
from wasqlite import __all__ as __all__
from wasqlite.obsolete import attribute as __getattr__  # noqa: F401
