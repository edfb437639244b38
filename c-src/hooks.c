/* The host's authorizer and trace callbacks. Their numbers are the host's to forget: SQLite does not tell when it drops them. */

#include "callback.h"
#include "status.h"

#include <string.h>

int wsq_set_authorizer(sqlite3 *db, uint32_t callback);
int wsq_set_trace(sqlite3 *db, uint32_t callback);

static int authorize(void *callback, int action, const char *first, const char *second, const char *database,
                     const char *trigger) {
  callback_begin();
  callback_integer(action);
  callback_string(first);
  callback_string(second);
  callback_string(database);
  callback_string(trigger);
  int kind = callback_call((uint32_t)(uintptr_t)callback);
  int answer = kind == SQLITE_INTEGER ? (int)wsq_block_of_callback.value : SQLITE_DENY;
  callback_end();
  return answer;
}

int wsq_set_authorizer(sqlite3 *db, uint32_t callback) {
  wsq_call *call = call_begin();
  if (!call) return SQLITE_NOMEM;
  int rc = sqlite3_set_authorizer(db, callback ? authorize : NULL, (void *)(uintptr_t)callback);
  return call_end(call, db, rc);
}

static int trace(unsigned event, void *callback, void *stmt, void *unexpanded) {
  if (event != SQLITE_TRACE_STMT) return 0;
  uint32_t what = (uint32_t)(uintptr_t)callback;
  char *expanded = sqlite3_expanded_sql(stmt);
  const char *sql = expanded;
  if (!expanded) {
    /* Too long for the connection's limit, or no memory. */
    what += sqlite3_errcode(sqlite3_db_handle(stmt)) == SQLITE_NOMEM ? CALL_NO_MEMORY : CALL_UNEXPANDED;
    sql = unexpanded;
  }
  callback_begin();
  callback_string(sql);
  callback_call(what);
  callback_end();
  sqlite3_free(expanded);
  return 0;
}

int wsq_set_trace(sqlite3 *db, uint32_t callback) {
  wsq_call *call = call_begin();
  if (!call) return SQLITE_NOMEM;
  int rc = sqlite3_trace_v2(db, callback ? SQLITE_TRACE_STMT : 0, callback ? trace : NULL, (void *)(uintptr_t)callback);
  return call_end(call, db, rc);
}
