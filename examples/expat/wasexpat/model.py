"""What the numbers in content models mean."""

from ._guest import library

globals().update(
    {name: getattr(library.constants, name) for name in dir(library.constants) if name[:6] in ("XML_CT", "XML_CQ")}
)
