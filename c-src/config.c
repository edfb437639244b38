/* Switches of a connection. */

#include "status.h"

int wsq_config(sqlite3 *db, int op, int value);

int wsq_config(sqlite3 *db, int op, int value) {
  wsq_call *call = call_begin();
  if (!call) return SQLITE_NOMEM;
  int current = 0;
  int rc = sqlite3_db_config(db, op, value, &current);
  wsq_block.rows = (uint32_t)current;
  return call_end(call, db, rc);
}
