/* Runs every statement of a script. */

#include "status.h"
#include "vfs.h"

int wsq_script(sqlite3 *db, const char *sql, int nbytes);

int wsq_script(sqlite3 *db, const char *sql, int nbytes) {
  wsq_call *call = call_begin();
  if (!call) return SQLITE_NOMEM;
  const char *rest = sql;
  const char *end = sql + nbytes;
  int rc = SQLITE_OK;
  while (rc == SQLITE_OK && rest < end && *rest && !call->compare_failed) {
    sqlite3_stmt *stmt = NULL;
    const char *tail = end;
    rc = sqlite3_prepare_v3(db, rest, (int)(end - rest), 0, &stmt, &tail);
    if (rc == SQLITE_OK && stmt) {
      do {
        rc = sqlite3_step(stmt);
      } while (rc == SQLITE_ROW);
      if (rc == SQLITE_DONE) rc = SQLITE_OK;
      call_capture(call, db, rc);
    }
    sqlite3_finalize(stmt);
    vfs_shm_settle();
    if (rc == SQLITE_OK) rest = tail; /* after an error: the statement that failed, so that it can be tried again */
  }
  wsq_block.tail = (uint32_t)(rest - sql);
  return call_end(call, db, rc);
}
