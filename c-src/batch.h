/* Columnar batches: rows of a statement written out as one typed buffer per column. The same form read back: rows.h. */

#ifndef WASQLITE_BATCH_H
#define WASQLITE_BATCH_H

#include "abi.h"
#include "sqlite3.h"

/* Grows by doubling, is kept between batches, and is given back by batch_begin when it grew past a bound. */
typedef struct batch {
  wsq_column *columns;         /* what the host reads; payload addresses are set by batch_end */
  struct batch_store *stores;  /* capacities, one per column */
  uint32_t column_count;
  uint32_t column_capacity;
  uint32_t rows;
  uint32_t row_capacity;       /* rows that slots, nulls and tags of the first column_count columns have room for */
  uint64_t bytes;              /* what the batch holds: payload, and 9 bytes for every cell */
  uint32_t closing;            /* bytes between the values of a text column: 1, a NUL, or 0 for a packed batch */
  uint8_t *as_blobs;           /* a byte per column: not 0, and its values are read as blobs; a copy */
  uint32_t as_blobs_count;     /* columns from there on are read as what they are */
  uint32_t as_blobs_capacity;
} batch;

/* Every function returns SQLITE_OK or SQLITE_NOMEM, and leaves the batch as it was before the call that failed. */
int batch_as_blobs(batch *b, const uint8_t *mask, uint32_t count); /* holds until it is called again */
int batch_begin(batch *b, uint32_t columns, int packed);
int batch_row(batch *b, sqlite3_stmt *stmt);       /* appends the current row */
int batch_text(batch *b, const char *text);        /* appends a row of one text, or NULL, to a batch of one column */
void batch_end(batch *b);

/* The first row as one 8-byte value per column: int64, float64, address and size of text or blob, 0 for NULL. Returns the storage
 * classes, three bits each, first column lowest; 0 when there are too many columns. */
uint64_t batch_record(const batch *b, int64_t *record);

#endif
