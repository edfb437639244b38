/* INSERT of many rows by one statement that loops, in place of one that is run for each. */

#ifndef WASQLITE_BULK_H
#define WASQLITE_BULK_H

#include "rows.h"

typedef struct bulk_outcome {
  int rc;          /* SQLITE_DONE, or the error of the row after those that are done */
  uint32_t done;   /* rows that were inserted */
  int unsuitable;  /* the source has a row left that it cannot read */
} bulk_outcome;

/* Whether the rest of the source was inserted, or as much of it as an error or an unsuitable row has let. 0: stmt is not fit for it,
 * and nothing has happened. */
int bulk_insert(sqlite3_stmt *stmt, row_source *source, bulk_outcome *outcome);

/* stmt is about to be finalized. */
void bulk_forget(sqlite3_stmt *stmt);

/* By sqlite_bulk.h, which knows SQLite's insides. */

/* The statement again, with its rows from `table`; what is inserted when one fails stays. NULL: not possible. */
sqlite3_stmt *bulk_prepare(sqlite3_stmt *stmt, const char *table, const sqlite3_module *module);

/* Whether the connection knows a virtual table of that name. */
int bulk_has_module(sqlite3 *db, const char *table);

/* Whether the connection is in a state in which nobody can tell the two ways apart. */
int bulk_allowed(sqlite3 *db);

/* The counters, as if `done` statements had inserted a row each. */
void bulk_count(sqlite3 *db, sqlite3_int64 changes_before, sqlite3_int64 total_before, uint32_t done, int failed);

#endif
