/* Preparing, describing, resetting and finalizing statements. */

#include "bulk.h"
#include "execute.h"
#include "status.h"

int wsq_prepare(sqlite3 *db, const char *sql, int nbytes, uint32_t flags);
int wsq_columns(sqlite3_stmt *stmt);
int wsq_declared_types(sqlite3_stmt *stmt);
int wsq_parameters(sqlite3_stmt *stmt);
int wsq_reset(sqlite3_stmt *stmt);
int wsq_finalize(sqlite3_stmt *stmt);

static int column_names(wsq_call *call, sqlite3_stmt *stmt) {
  int columns = sqlite3_column_count(stmt);
  int rc = batch_begin(&call->out, columns > 0, 0);
  for (int i = 0; rc == SQLITE_OK && i < columns; i++) {
    const char *name = sqlite3_column_name(stmt, i);
    rc = name ? batch_text(&call->out, name) : SQLITE_NOMEM;
  }
  batch_end(&call->out);
  return rc;
}

static int declared_types(wsq_call *call, sqlite3_stmt *stmt) {
  int columns = sqlite3_column_count(stmt);
  int rc = batch_begin(&call->out, columns > 0, 0);
  for (int i = 0; rc == SQLITE_OK && i < columns; i++) rc = batch_text(&call->out, sqlite3_column_decltype(stmt, i));
  batch_end(&call->out);
  return rc;
}

static int parameter_names(wsq_call *call, sqlite3_stmt *stmt) {
  int parameters = sqlite3_bind_parameter_count(stmt);
  int rc = batch_begin(&call->out, parameters > 0, 0);
  for (int i = 1; rc == SQLITE_OK && i <= parameters; i++) {
    rc = batch_text(&call->out, sqlite3_bind_parameter_name(stmt, i));
  }
  batch_end(&call->out);
  return rc;
}

int wsq_prepare(sqlite3 *db, const char *sql, int nbytes, uint32_t flags) {
  wsq_call *call = call_begin();
  if (!call) return SQLITE_NOMEM;
  sqlite3_stmt *stmt = NULL;
  const char *tail = sql;
  int rc = sqlite3_prepare_v3(db, sql, nbytes, flags, &stmt, &tail);
  call->out.rows = call->out.column_count = 0;
  if (rc == SQLITE_OK && stmt) {
    rc = column_names(call, stmt);
    if (rc) {
      sqlite3_finalize(stmt);
      stmt = NULL;
    }
  }
  call_statement(stmt);
  wsq_block.tail = tail ? (uint32_t)(tail - sql) : 0;
  call_batch(call, call->out.rows);
  return call_end(call, db, rc);
}

static int describe(sqlite3_stmt *stmt, int (*names)(wsq_call *, sqlite3_stmt *)) {
  wsq_call *call = call_begin();
  if (!call) return SQLITE_NOMEM;
  int rc = names(call, stmt);
  call_statement(stmt);
  call_batch(call, call->out.rows);
  return call_end(call, sqlite3_db_handle(stmt), rc);
}

int wsq_columns(sqlite3_stmt *stmt) { return describe(stmt, column_names); }

int wsq_declared_types(sqlite3_stmt *stmt) { return describe(stmt, declared_types); }

int wsq_parameters(sqlite3_stmt *stmt) { return describe(stmt, parameter_names); }

int wsq_reset(sqlite3_stmt *stmt) {
  wsq_call *call = call_begin();
  if (!call) return SQLITE_NOMEM;
  if (!stmt) return call_end(call, NULL, SQLITE_OK);
  execute_forget(stmt);
  int rc = sqlite3_reset(stmt);
  call_statement(stmt);
  return call_end(call, sqlite3_db_handle(stmt), rc);
}

/* Finalizing the last statement of a closed connection frees the connection too. So the statement is reset first, the status
 * block filled while the handle is surely alive, and the rest, which cannot fail, comes last. */
int wsq_finalize(sqlite3_stmt *stmt) {
  wsq_call *call = call_begin();
  if (!call) return SQLITE_NOMEM;
  if (!stmt) return call_end(call, NULL, SQLITE_OK);
  execute_forget(stmt);
  bulk_forget(stmt);
  int rc = sqlite3_reset(stmt);
  call_end(call, sqlite3_db_handle(stmt), rc);
  sqlite3_finalize(stmt);
  return rc;
}
