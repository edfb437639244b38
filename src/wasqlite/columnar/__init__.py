"""Whole columns in and out: results as numpy arrays or Arrow data, and tables filled from them.

``Cursor`` and ``Connection`` import these modules when they are asked for columns; all of them need numpy.
"""

try:
    import numpy as _  # noqa: F401
except ImportError as error:
    raise ImportError(f"whole columns need numpy ({error}): pip install 'wasqlite[numpy]'", name="numpy") from error
