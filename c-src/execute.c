/* The fused calls: bind, step and encode a batch of rows, or bind and step a batch of parameter rows, in one crossing. */

#include "execute.h"
#include "bulk.h"
#include "callback.h"
#include "status.h"

#include <string.h>

int wsq_execute(sqlite3_stmt *stmt, const wsq_parameter *params, uint32_t nparams, uint32_t max_rows, uint32_t max_bytes);
void wsq_quick(sqlite3_stmt *stmt, uint32_t nparams, sqlite3_stmt *begin);
int wsq_fetch(sqlite3_stmt *stmt, uint32_t max_rows, uint32_t max_bytes);
int wsq_fetch_packed(sqlite3_stmt *stmt, uint32_t max_rows, uint32_t max_bytes);
int wsq_execute_as_blobs(sqlite3_stmt *stmt, const wsq_parameter *params, uint32_t nparams, uint32_t max_rows,
                         uint32_t max_bytes, const uint8_t *mask, uint32_t count, uint32_t reprepared);
int wsq_fetch_as_blobs(sqlite3_stmt *stmt, uint32_t max_rows, uint32_t max_bytes, const uint8_t *mask, uint32_t count);
int wsq_execute_many(sqlite3_stmt *stmt, const wsq_column *columns, uint32_t ncolumns, uint32_t rows);
int wsq_execute_rows(sqlite3_stmt *stmt, const uint8_t *data, uint32_t size, uint32_t readable);

/* The statement that execute_many left on a row nobody has read yet: the next fetch starts with that row. */
static sqlite3_stmt *left_on_row = NULL;

void execute_forget(sqlite3_stmt *stmt) {
  if (left_on_row == stmt) left_on_row = NULL;
}

static int reset(sqlite3_stmt *stmt) {
  execute_forget(stmt);
  return sqlite3_reset(stmt); /* repeats the error of the last step: callers have captured that one already */
}

static int reprepares(sqlite3_stmt *stmt) { return sqlite3_stmt_status(stmt, SQLITE_STMTSTATUS_REPREPARE, 0); }

static uint32_t steps_of(sqlite3_stmt *stmt) { return (uint32_t)sqlite3_stmt_status(stmt, SQLITE_STMTSTATUS_VM_STEP, 0); }

/* Whether the host had better be ready for lanes the next time, or no longer. Between the two it stays as it is. */
static void note_lanes(uint32_t calls, uint32_t steps) {
  enum { FEW = 16, STEPS_PER_CALL = 64, MANY_STEPS = 10000 };
  if (calls >= FEW && steps / calls <= STEPS_PER_CALL) {
    call_set_flag(WSQ_FLAG_LANES);
  } else if (steps >= MANY_STEPS) {
    call_set_flag(WSQ_FLAG_NO_LANES);
  }
}

/* Steps and encodes until a limit, the end, or an error; always at least one row, so that every call gets on. Anything but
 * SQLITE_ROW leaves the statement reset. With `reprepared` (not negative) the first row is left unread if the statement has
 * been prepared again since: the caller's mask may be for other columns. */
static int fetch(wsq_call *call, sqlite3 *db, sqlite3_stmt *stmt, uint32_t max_rows, uint32_t max_bytes, int packed,
                 int reprepared) {
  batch *out = &call->out;
  int rc = SQLITE_ROW;
  int begun = 0;
  int unread = left_on_row == stmt;
  uint32_t lane_calls = callback_lane_calls, steps = steps_of(stmt);
  execute_forget(stmt);
  for (;;) {
    if (begun && (out->rows >= max_rows || out->bytes >= max_bytes || call->compare_failed)) break;
    if (unread) {
      unread = 0;
    } else {
      rc = sqlite3_step(stmt);
    }
    /* Only now: the first step may have prepared the statement again, with other columns. */
    if (!begun) {
      int rc2 = batch_begin(out, (uint32_t)sqlite3_column_count(stmt), packed);
      begun = 1;
      if (rc2 && (rc == SQLITE_ROW || rc == SQLITE_DONE)) rc = rc2;
    }
    if (rc != SQLITE_ROW) break;
    if (reprepared >= 0 && reprepares(stmt) != reprepared) {
      left_on_row = stmt;
      break;
    }
    reprepared = -1;
    if (out->column_count == 0) continue;
    int rc2 = batch_row(out, stmt);
    if (rc2) {
      rc = rc2;
      break;
    }
  }
  batch_end(out);
  note_lanes(callback_lane_calls - lane_calls, steps_of(stmt) - steps);
  if (rc != SQLITE_ROW) {
    call_capture(call, db, rc);
    reset(stmt);
  }
  return rc;
}

static int finish(wsq_call *call, sqlite3 *db, sqlite3_stmt *stmt, int rc) {
  call_statement(stmt);
  call_batch(call, call->out.rows);
  return call_end(call, db, rc);
}

/* lifetime: SQLITE_TRANSIENT, or SQLITE_STATIC if the parameters stay where they are until the statement is done. */
static int bind(sqlite3_stmt *stmt, const wsq_parameter *params, uint32_t nparams, sqlite3_destructor_type lifetime) {
  const char *base = (const char *)params;
  for (uint32_t i = 0; i < nparams; i++) {
    const wsq_parameter *p = &params[i];
    int index = (int)i + 1;
    int rc;
    switch (p->type) {
      case SQLITE_INTEGER:
        rc = sqlite3_bind_int64(stmt, index, p->value);
        break;
      case SQLITE_FLOAT: {
        double value;
        memcpy(&value, &p->value, 8);
        rc = sqlite3_bind_double(stmt, index, value);
        break;
      }
      case SQLITE_TEXT:
        rc = sqlite3_bind_text64(stmt, index, base + (uint32_t)p->value, p->size, lifetime, SQLITE_UTF8);
        break;
      case SQLITE_BLOB:
        rc = sqlite3_bind_blob64(stmt, index, base + (uint32_t)p->value, p->size, lifetime);
        break;
      case SQLITE_NULL:
        rc = sqlite3_bind_null(stmt, index);
        break;
      default:
        rc = SQLITE_MISUSE;
    }
    if (rc) return rc;
  }
  return SQLITE_OK;
}

int wsq_execute_as_blobs(sqlite3_stmt *stmt, const wsq_parameter *params, uint32_t nparams, uint32_t max_rows,
                         uint32_t max_bytes, const uint8_t *mask, uint32_t count, uint32_t reprepared) {
  wsq_call *call = call_begin();
  if (!call) return SQLITE_NOMEM;
  sqlite3 *db = sqlite3_db_handle(stmt);
  call->out.rows = call->out.column_count = 0;
  reset(stmt);
  /* The mask is copied before anything can call back and so write to the input buffer. */
  int rc = batch_as_blobs(&call->out, mask, count);
  if (rc == SQLITE_OK) rc = bind(stmt, params, nparams, SQLITE_TRANSIENT);
  if (rc == SQLITE_OK) rc = fetch(call, db, stmt, max_rows, max_bytes, 0, (int)reprepared);
  return finish(call, db, stmt, rc);
}

int wsq_execute(sqlite3_stmt *stmt, const wsq_parameter *params, uint32_t nparams, uint32_t max_rows, uint32_t max_bytes) {
  return wsq_execute_as_blobs(stmt, params, nparams, max_rows, max_bytes, NULL, 0, (uint32_t)-1);
}

/* wsq_execute with everything where the host expects it: no address, and no result but the status block. Look-ups and single writes
 * spend their time around SQLite, not in it. Two rows, so that the end of one row is known. `begin`, if there is one, is executed
 * first; if it fails, that is the outcome.
 *
 * What is written here next may be for another statement: one that can stay on a row has copies of its parameters. */
void wsq_quick(sqlite3_stmt *stmt, uint32_t nparams, sqlite3_stmt *begin) {
  enum { ROWS = 2, BYTES = 256 << 10 };
  wsq_call *call = call_begin();
  if (!call) return;
  sqlite3 *db = sqlite3_db_handle(stmt);
  call->out.rows = call->out.column_count = call->out.as_blobs_count = 0;
  int rc = SQLITE_OK;
  if (begin) {
    rc = sqlite3_step(begin);
    rc = rc == SQLITE_DONE ? SQLITE_OK : rc;
    call_capture(call, db, rc);
    sqlite3_reset(begin);
  }
  if (rc == SQLITE_OK) {
    reset(stmt);
    rc = bind(stmt, (const wsq_parameter *)wsq_area.input, nparams,
              sqlite3_column_count(stmt) > 0 ? SQLITE_TRANSIENT : SQLITE_STATIC);
  }
  if (rc == SQLITE_OK) rc = fetch(call, db, stmt, ROWS, BYTES, 0, -1);
  finish(call, db, stmt, rc);
  /* Flags are for the general form. */
  if (wsq_block.rows == 1 && !wsq_block.flags) wsq_block.kinds = batch_record(&call->out, wsq_area.record);
}

static int fetch_more(sqlite3_stmt *stmt, uint32_t max_rows, uint32_t max_bytes, int packed, const uint8_t *mask,
                      uint32_t count) {
  wsq_call *call = call_begin();
  if (!call) return SQLITE_NOMEM;
  sqlite3 *db = sqlite3_db_handle(stmt);
  call->out.rows = call->out.column_count = 0;
  int rc = batch_as_blobs(&call->out, mask, count);
  /* To step a statement that has ended would execute it once more. */
  if (rc == SQLITE_OK) {
    rc = sqlite3_stmt_busy(stmt) ? fetch(call, db, stmt, max_rows, max_bytes, packed, -1) : SQLITE_DONE;
  }
  return finish(call, db, stmt, rc);
}

int wsq_fetch(sqlite3_stmt *stmt, uint32_t max_rows, uint32_t max_bytes) {
  return fetch_more(stmt, max_rows, max_bytes, 0, NULL, 0);
}

int wsq_fetch_packed(sqlite3_stmt *stmt, uint32_t max_rows, uint32_t max_bytes) {
  return fetch_more(stmt, max_rows, max_bytes, 1, NULL, 0);
}

int wsq_fetch_as_blobs(sqlite3_stmt *stmt, uint32_t max_rows, uint32_t max_bytes, const uint8_t *mask, uint32_t count) {
  return fetch_more(stmt, max_rows, max_bytes, 0, mask, count);
}

/* copy: SQLite makes its own copies; else the input must stay in place while the statement holds the bindings. */
static int bind_row(const row_source *source, sqlite3_stmt *stmt, int copy) {
  sqlite3_destructor_type lifetime = copy ? SQLITE_TRANSIENT : SQLITE_STATIC;
  for (uint32_t i = 0; i < source->width; i++) {
    const row_value *cell = &source->cells[i];
    int index = (int)i + 1;
    int rc;
    if (cell->flags & ROW_NULL) rc = sqlite3_bind_null(stmt, index);
    else if (cell->flags & ROW_INTEGER) rc = sqlite3_bind_int64(stmt, index, cell->integer);
    else if (cell->flags & ROW_REAL) rc = sqlite3_bind_double(stmt, index, cell->real);
    else if (cell->flags & ROW_TEXT) rc = sqlite3_bind_text64(stmt, index, cell->bytes, (uint32_t)cell->size, lifetime, SQLITE_UTF8);
    else rc = sqlite3_bind_blob64(stmt, index, cell->bytes, (uint32_t)cell->size, lifetime);
    if (rc) return rc;
  }
  return SQLITE_OK;
}

/* Every row of the source, until one fails or cannot be read. */
static int execute_rows(wsq_call *call, sqlite3_stmt *stmt, row_source *source, int rc) {
  sqlite3 *db = sqlite3_db_handle(stmt);
  /* A statement without columns never stays on a row, so its bindings may point into the input while it runs; they
   * are cleared before the host can overwrite that. A statement with columns needs SQLite's own copies. */
  int copy = sqlite3_column_count(stmt) > 0;
  int64_t changes = 0;
  uint32_t done = 0;
  int found = ROWS_NEXT;
  bulk_outcome bulk;
  call->out.rows = call->out.column_count = 0;
  reset(stmt);
  if (rc == SQLITE_OK && !copy && bulk_insert(stmt, source, &bulk)) {
    rc = bulk.rc;
    changes = bulk.changes;
    done = bulk.done;
    found = bulk.unsuitable ? ROWS_UNSUITABLE : ROWS_END;
  } else if (rc == SQLITE_OK) {
    rc = SQLITE_DONE;
    while (rc == SQLITE_DONE && !call->compare_failed && (found = source->next(source)) == ROWS_NEXT) {
      rc = bind_row(source, stmt, copy);
      if (rc) break;
      execute_forget(stmt);
      rc = sqlite3_step(stmt);
      if (rc == SQLITE_DONE) {
        changes += sqlite3_changes64(db);
        sqlite3_reset(stmt);
        done++;
      } else if (rc == SQLITE_ROW) {
        /* Not reset, so that the next bind is a misuse, as in the stdlib module; the row waits for a fetch. */
        left_on_row = stmt;
        rc = SQLITE_DONE;
        done++;
      }
    }
  }
  if (found == ROWS_UNSUITABLE) {
    if (source->columns) rc = SQLITE_MISUSE;
    else call_set_flag(WSQ_FLAG_UNSUITABLE);
  }
  if (rc != SQLITE_DONE) {
    call_capture(call, db, rc);
    reset(stmt);
  }
  if (!copy) sqlite3_clear_bindings(stmt);
  rows_end(source);
  call_statement(stmt);
  wsq_block.rows = done;
  wsq_block.changes_sum = changes;
  return call_end(call, db, rc);
}

int wsq_execute_many(sqlite3_stmt *stmt, const wsq_column *columns, uint32_t ncolumns, uint32_t rows) {
  wsq_call *call = call_begin();
  if (!call) return SQLITE_NOMEM;
  row_source source;
  return execute_rows(call, stmt, &source, rows_from_columns(&source, columns, ncolumns, rows));
}

int wsq_execute_rows(sqlite3_stmt *stmt, const uint8_t *data, uint32_t size, uint32_t readable) {
  wsq_call *call = call_begin();
  if (!call) return SQLITE_NOMEM;
  row_source source;
  uint32_t width = (uint32_t)sqlite3_bind_parameter_count(stmt);
  return execute_rows(call, stmt, &source, rows_from_marshal(&source, data, size, width, readable));
}
