"""Whole columns in and out: results as numpy arrays or Arrow data, and tables filled from them.

``Cursor`` and ``Connection`` import these modules when they are asked for columns. numpy is needed by all of them,
nanoarrow by ``arrow`` and those that build on it.
"""
