/* A database as one piece of memory: what SQLite can say without copying it, and the way back. */

#include "status.h"

int wsq_serialize(sqlite3 *db, const char *schema);
int wsq_deserialize(sqlite3 *db, const char *schema, unsigned char *data, int64_t size);

/* The host reads the pages itself, so that guest memory need not hold all of them, unless they lie there as one piece anyway. */
int wsq_serialize(sqlite3 *db, const char *schema) {
  wsq_call *call = call_begin();
  if (!call) return SQLITE_NOMEM;
  sqlite3_int64 size = -1;
  unsigned char *data = sqlite3_serialize(db, schema, &size, SQLITE_SERIALIZE_NOCOPY);
  int rc = SQLITE_OK;
  if (size < 0) {
    rc = sqlite3_errcode(db);
    if (rc == SQLITE_OK || rc == SQLITE_ROW || rc == SQLITE_DONE) rc = SQLITE_ERROR;
  }
  wsq_block.handle = (uint32_t)(uintptr_t)data;
  wsq_block.changes_sum = size;
  return call_end(call, db, rc);
}

/* data is SQLite's from now on, also after an error; it is from sqlite3_malloc64. */
int wsq_deserialize(sqlite3 *db, const char *schema, unsigned char *data, int64_t size) {
  wsq_call *call = call_begin();
  if (!call) {
    sqlite3_free(data);
    return SQLITE_NOMEM;
  }
  unsigned flags = SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_RESIZEABLE;
  return call_end(call, db, sqlite3_deserialize(db, schema, data, size, size, flags));
}
