/* SQLite's compile-time configuration: the defaults that users of Python's sqlite3 module expect, plus a superset of features.
 * Nothing here changes default behaviour (double-quoted strings on, foreign keys off, URI names off) or the file format. */

#ifndef WASQLITE_CONFIG_H
#define WASQLITE_CONFIG_H

/* Platform */
#define SQLITE_OS_OTHER 1                  /* the VFS is ours (vfs.c): SQLite's own for WASI has no usable locks */
#define SQLITE_THREADSAFE 0                /* the guest has one thread; the host holds one lock per instance */
#define SQLITE_OMIT_LOAD_EXTENSION 1       /* there is no dynamic linking inside the sandbox */
#define SQLITE_MAX_MMAP_SIZE 0             /* WASI cannot map files */
#define SQLITE_MAX_FUNCTION_ARG 1000       /* SQLite's default; the callback block has room for so many */
#define SQLITE_USE_URI 0                   /* as everywhere: URI names only where SQLITE_OPEN_URI asks for them */

/* What wasi-libc has (SQLite cannot probe for it) */
#define HAVE_INTTYPES_H 1                  /* exact-width types from the compiler's headers */
#define HAVE_STDINT_H 1                    /* the same */
#define HAVE_LOCALTIME_R 1                 /* 'localtime' goes to localtime.c, which asks the host */
#define HAVE_GMTIME_R 1                    /* re-entrant, in wasi-libc */
#define HAVE_STRCHRNUL 1                   /* in wasi-libc: faster scan of format strings */
#define HAVE_MALLOC_H 1                    /* with the next: heap.c knows how large a block is, so SQLite keeps no size of its own */
#define HAVE_MALLOC_USABLE_SIZE 1
#define SQLITE_HAVE_ISNAN 1                /* compiles to one instruction pair instead of a bit test */

/* Features: a superset of what the stdlib's builds carry */
#define SQLITE_ENABLE_FTS3 1               /* full-text search, old tables */
#define SQLITE_ENABLE_FTS3_PARENTHESIS 1   /* AND, NOT and parentheses in FTS3/4 queries, as distributions build it */
#define SQLITE_ENABLE_FTS4 1               /* full-text search, old tables */
#define SQLITE_ENABLE_FTS5 1               /* full-text search */
#define SQLITE_ENABLE_RTREE 1              /* range queries in several dimensions */
#define SQLITE_ENABLE_GEOPOLY 1            /* polygons on top of RTREE */
#define SQLITE_ENABLE_MATH_FUNCTIONS 1     /* sin(), log(), ... in SQL */
#define SQLITE_ENABLE_PERCENTILE 1         /* median() and percentile() */
#define SQLITE_ENABLE_CARRAY 1             /* carray(): a bound array as a table */
#define SQLITE_SOUNDEX 1                   /* soundex() */
#define SQLITE_ENABLE_STAT4 1              /* ANALYZE keeps histograms: better plans */
#define SQLITE_ENABLE_COLUMN_METADATA 1    /* origin table and column of a result column */
#define SQLITE_ENABLE_DBSTAT_VTAB 1        /* where a file's pages go */
#define SQLITE_ENABLE_PREUPDATE_HOOK 1     /* needed by SESSION */
#define SQLITE_ENABLE_SESSION 1            /* changesets */

#endif
