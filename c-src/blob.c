/* Incremental I/O on one value: opening, reading, writing, closing. */

#include "status.h"

int wsq_blob_open(sqlite3 *db, const char *name, const char *table, const char *column, int64_t row, int writable);
int wsq_blob_read(sqlite3 *db, sqlite3_blob *blob, void *out, int size, int offset);
int wsq_blob_write(sqlite3 *db, sqlite3_blob *blob, const void *data, int size, int offset);
int wsq_blob_close(sqlite3 *db, sqlite3_blob *blob);

int wsq_blob_open(sqlite3 *db, const char *name, const char *table, const char *column, int64_t row, int writable) {
  wsq_call *call = call_begin();
  if (!call) return SQLITE_NOMEM;
  sqlite3_blob *blob = NULL;
  int rc = sqlite3_blob_open(db, name, table, column, row, writable, &blob);
  wsq_block.handle = (uint32_t)(uintptr_t)blob;
  return call_end(call, db, rc);
}

int wsq_blob_read(sqlite3 *db, sqlite3_blob *blob, void *out, int size, int offset) {
  wsq_call *call = call_begin();
  if (!call) return SQLITE_NOMEM;
  return call_end(call, db, sqlite3_blob_read(blob, out, size, offset));
}

int wsq_blob_write(sqlite3 *db, sqlite3_blob *blob, const void *data, int size, int offset) {
  wsq_call *call = call_begin();
  if (!call) return SQLITE_NOMEM;
  return call_end(call, db, sqlite3_blob_write(blob, data, size, offset));
}

/* In autocommit mode this commits what was written, so it may fail as a commit does; the blob is closed all the same. */
int wsq_blob_close(sqlite3 *db, sqlite3_blob *blob) {
  wsq_call *call = call_begin();
  if (!call) return SQLITE_NOMEM;
  return call_end(call, db, sqlite3_blob_close(blob));
}
