/* Opening and closing databases. */

#include "progress.h"
#include "status.h"

int wsq_open(const char *path, int flags, const char *vfs, int milliseconds);
int wsq_close(sqlite3 *db);

int wsq_open(const char *path, int flags, const char *vfs, int milliseconds) {
  wsq_call *call = call_begin();
  if (!call) return SQLITE_NOMEM;
  sqlite3 *db = NULL;
  int rc = sqlite3_open_v2(path, &db, flags, vfs);
  if (db) {
    sqlite3_extended_result_codes(db, 1);
    progress_install(db);
    sqlite3_busy_timeout(db, milliseconds);
  }
  wsq_block.handle = (uint32_t)(uintptr_t)db;
  return call_end(call, db, rc);
}

int wsq_close(sqlite3 *db) {
  wsq_call *call = call_begin();
  if (!call) return SQLITE_NOMEM;
  if (db) progress_remove(db);
  int rc = sqlite3_close_v2(db);
  return call_end(call, NULL, rc); /* db is gone, or about to be */
}
