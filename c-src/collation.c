/* Collations whose code is the host's. */

#include "callback.h"
#include "status.h"

int wsq_create_collation(sqlite3 *db, const char *name, uint32_t callback);

static int compare(void *argument, int size1, const void *text1, int size2, const void *text2) {
  /* A comparison has no way to fail. The host raises what its code raised when the statement has come to its end; until
   * then everything is equal. */
  if (call_compare_failed(0)) return 0;
  const callback_kept *kept = argument;
  callback_begin();
  callback_text(size1 ? text1 : "", (uint32_t)size1);
  callback_text(size2 ? text2 : "", (uint32_t)size2);
  int kind = callback_call(kept->callback);
  int result = kind == SQLITE_INTEGER ? (int)wsq_block_of_callback.value : 0;
  callback_end();
  if (kind != SQLITE_INTEGER) call_compare_failed(1);
  return result;
}

int wsq_create_collation(sqlite3 *db, const char *name, uint32_t callback) {
  wsq_call *call = call_begin();
  if (!call) return SQLITE_NOMEM;
  int rc = SQLITE_NOMEM;
  callback_kept *kept = callback ? callback_keep(callback) : NULL;
  if (kept) {
    rc = sqlite3_create_collation_v2(db, name, SQLITE_UTF8, kept, compare, callback_drop);
    if (rc) callback_drop(kept); /* SQLite does so for functions, but not for collations */
  } else if (!callback) {
    rc = sqlite3_create_collation_v2(db, name, SQLITE_UTF8, NULL, NULL, NULL);
  }
  return call_end(call, db, rc);
}
