"""SQLite's C API over the bridge: one module per C object, result codes and plain values, no DB-API words."""
