/* INSERT of many rows by one statement that loops, in place of one that is run for each. */

#ifndef WASQLITE_BULK_H
#define WASQLITE_BULK_H

#include "rows.h"

typedef struct bulk_outcome {
  int rc;          /* SQLITE_DONE, or the error of the row after those that are done */
  uint32_t done;   /* rows for which the statement has run */
  sqlite3_int64 changes; /* of these together */
  int unsuitable;  /* the source has a row left that it cannot read */
} bulk_outcome;

/* Whether the rest of the source was inserted, or as much of it as an error or an unsuitable row has let. 0: stmt is not fit for it,
 * and nothing has happened. */
int bulk_insert(sqlite3_stmt *stmt, row_source *source, bulk_outcome *outcome);

/* stmt is about to be finalized. */
void bulk_forget(sqlite3_stmt *stmt);

/* By sqlite_bulk.h and sqlite_append.h, which know SQLite's insides. */

enum { BULK_COLUMNS = 64 };

/* A program that does for each row what appends it to a table: a new rowid or an INTEGER PRIMARY KEY, NOT NULL, a record, an insert. */
typedef struct append_program {
  int cursor;             /* of the table */
  int columns;            /* of the table's record */
  int sources[BULK_COLUMNS]; /* the registers where their values are: of the row, constants; 0: NULL */
  int key;                /* the register with the value of the column that is the rowid; 0: there is none */
  int not_null[BULK_COLUMNS], not_nulls; /* registers that hold no NULL */
  int sequence;           /* the register with the largest rowid that AUTOINCREMENT has given; 0: there is none */
  int counts, sets_rowid; /* whether OP_Insert counts the row, and whether it is the connection's last rowid */
  int steps;              /* of the program, per row */
  const char *affinity;   /* of columns, as OP_MakeRecord has it: may end early */
} append_program;

/* A statement that loops. */
typedef struct bulk_loop {
  sqlite3_stmt *stmt;
  row_value *registers;  /* in which the program finds the values of a row */
  int appends;           /* whether there is an append_program */
  append_program append;
  int at_end;            /* the cursor is on the last row, whose rowid is `last`; else nothing is known */
  sqlite3_int64 last;
  int patience;          /* with tries that come to nothing */
  unsigned steps;        /* since the last progress callback */
  sqlite3_int64 changes, changes_before; /* when the last row was asked for, and when the one before it was */
  /* AUTOINCREMENT: the register (0: it has none), schema and table; the counter at the last row that was asked for, and at the first, where
   * it comes from a row of sqlite_sequence. */
  int sequence_register, sequence_schema;
  const char *sequence_table;
  int begun, sequence_is_known;
  sqlite3_int64 sequence, sequence_before, sequence_rowid;
} bulk_loop;

/* The statement again, with its rows from `table`; what is inserted when one fails stays. 0: not possible. */
int bulk_prepare(bulk_loop *loop, sqlite3_stmt *stmt, const char *table, const sqlite3_module *module);

/* A row is in the registers: what SQLite has to say about its size and encoding. SQLITE_OK or an error. */
int bulk_check(bulk_loop *loop, uint32_t row_bytes, uint32_t width);

/* To be called before each run: whether rows may be appended without the program. */
int bulk_begin(bulk_loop *loop);

enum { BULK_DECLINED = -1 };

/* Inserts the row that is in the registers, as the program would: SQLITE_OK or an error. BULK_DECLINED: this row is for the program, and
 * nothing has happened. */
int bulk_append(bulk_loop *loop);

/* Whether the connection knows a virtual table of that name. */
int bulk_has_module(sqlite3 *db, const char *table);

/* Whether the connection is in a state in which nobody can tell the two ways apart. */
int bulk_allowed(sqlite3 *db);

/* To be called before each row. */
void bulk_next(bulk_loop *loop);

/* The statement has failed after some rows, and not come to where it would have written AUTOINCREMENT's counter. SQLITE_OK or an error. */
int bulk_keep_sequence(bulk_loop *loop);

/* Sets what changes() and total_changes() say. */
void bulk_count(sqlite3 *db, sqlite3_int64 changes, sqlite3_int64 total);

#endif
