"""The typed layer of the bridge: C types, pointers, calls and callbacks, from the layout table of a library.

The compiler computed every size, offset and constant (``<name>.types.json``); nothing is guessed at run time.
"""
