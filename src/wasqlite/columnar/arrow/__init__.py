"""The Arrow side of whole columns, through nanoarrow, which nothing else imports."""

try:
    import nanoarrow as _  # noqa: F401
except ImportError as error:
    raise ImportError(
        f"Arrow data needs nanoarrow ({error}): pip install 'wasqlite[arrow]'", name="nanoarrow"
    ) from error
