/* Rows of parameters that the host sends, read one by one: columnar batches, and what Python's marshal makes of a list of rows. */

#ifndef WASQLITE_ROWS_H
#define WASQLITE_ROWS_H

#include "abi.h"
#include "row.h"

enum { ROWS_NEXT = 1, ROWS_END = 0, ROWS_UNSUITABLE = -1 };

/* Whether what marshal writes as bytes is of just that class, and whether bools are the integers 0 and 1. */
enum { READ_BYTES = 1, READ_BOOLS = 2 };

typedef struct row_source {
  /* Reads the next row into `cells`: one of the values above. UNSUITABLE: the host has to send this row in another way. */
  int (*next)(struct row_source *source);
  /* As values of SQLite's, which may be the registers of a program: integers, reals that are numbers, NULLs, and text and blobs
   * that are in the host's input, which stays in place during the call. Nothing that was there is released. */
  row_value *cells;
  row_value *own_cells; /* to be freed */
  uint32_t width;
  uint32_t row_bytes; /* neither the row's text and blobs nor its record are larger */
  const uint8_t *at, *end; /* marshalled: what is left to read */
  uint32_t readable;       /* marshalled: READ_BYTES, READ_BOOLS */
  const wsq_column *columns; /* columnar */
  uint32_t *cursors;         /* columnar, per column: how much of its payload was read */
  uint32_t row, rows;
} row_source;

/* SQLITE_OK or SQLITE_NOMEM; to be ended in both cases. */
int rows_from_columns(row_source *source, const wsq_column *columns, uint32_t width, uint32_t rows);
int rows_from_marshal(row_source *source, const uint8_t *data, uint32_t size, uint32_t width, uint32_t readable);
void rows_end(row_source *source);

#endif
