/* The rows that the host sent as a table, from which one INSERT ... SELECT takes them. A statement that is run for each row spends
 * most of its time on its beginning and end: cursors, the way down the B-tree, transactions. Which statements may go this way, and
 * why nobody can tell: sqlite_bulk.h. */

#include "bulk.h"
#include "status.h"

#include <stdlib.h>
#include <string.h>

static const char TABLE[] = "wasqlite_parameters";

/* -- the table: no arguments, no constraints, one pass ------------------------------------------------------------ */

/* Of the insert that runs; there is one, for it calls nobody back that may run another. */
static row_source *source;
static bulk_loop *loop;
static int appends; /* without the program */
static int state;   /* what the source's `next` said last */

static int connect(sqlite3 *db, void *unused, int argc, const char *const *argv, sqlite3_vtab **out, char **message) {
  (void)unused, (void)argc, (void)argv, (void)message;
  char sql[32 + 5 * BULK_COLUMNS] = "CREATE TABLE x(";
  char *at = sql + strlen(sql);
  for (int i = 0; i < BULK_COLUMNS; i++) at += strlen(sqlite3_snprintf(8, at, i ? ",c%d" : "c%d", i));
  memcpy(at, ")", 2);
  int rc = sqlite3_declare_vtab(db, sql);
  if (rc) return rc;
  sqlite3_vtab_config(db, SQLITE_VTAB_DIRECTONLY);
  *out = sqlite3_malloc(sizeof **out);
  if (!*out) return SQLITE_NOMEM;
  memset(*out, 0, sizeof **out);
  return SQLITE_OK;
}

static int disconnect(sqlite3_vtab *table) {
  sqlite3_free(table);
  return SQLITE_OK;
}

static int best_index(sqlite3_vtab *table, sqlite3_index_info *info) {
  (void)table;
  info->estimatedCost = 1e6;
  info->estimatedRows = 100000;
  return SQLITE_OK;
}

static int open(sqlite3_vtab *table, sqlite3_vtab_cursor **out) {
  (void)table;
  *out = sqlite3_malloc(sizeof **out); /* it has no state of its own */
  if (!*out) return SQLITE_NOMEM;
  memset(*out, 0, sizeof **out);
  return SQLITE_OK;
}

static int close(sqlite3_vtab_cursor *cursor) {
  sqlite3_free(cursor);
  return SQLITE_OK;
}

/* Puts the next row into the registers of the program; rows that can be appended without it have gone on by then. */
static int next(sqlite3_vtab_cursor *cursor) {
  (void)cursor;
  state = ROWS_END;
  if (!source) return SQLITE_OK; /* who asks outside of an insert finds an empty table */
  for (;;) {
    bulk_next(loop);
    if (call_compare_failed(0) || (state = source->next(source)) != ROWS_NEXT) break;
    int rc = bulk_check(loop, source->row_bytes, source->width);
    if (rc || !appends) return rc;
    rc = bulk_append(loop);
    if (rc) return rc == BULK_DECLINED ? SQLITE_OK : rc;
    state = ROWS_END;
  }
  return SQLITE_OK;
}

static int filter(sqlite3_vtab_cursor *cursor, int number, const char *text, int argc, sqlite3_value **argv) {
  (void)number, (void)text, (void)argc, (void)argv;
  return next(cursor);
}

static int eof(sqlite3_vtab_cursor *cursor) {
  (void)cursor;
  return state != ROWS_NEXT;
}

static int column(sqlite3_vtab_cursor *cursor, sqlite3_context *context, int i) {
  (void)cursor, (void)context, (void)i;
  return SQLITE_OK; /* never asked: who finds rows finds their values in registers */
}

static int rowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *out) {
  (void)cursor;
  *out = source ? source->row : 0;
  return SQLITE_OK;
}

static const sqlite3_module module = {
    .iVersion = 0,
    .xConnect = connect, /* without xCreate: it exists by its name alone */
    .xBestIndex = best_index,
    .xDisconnect = disconnect,
    .xOpen = open,
    .xClose = close,
    .xFilter = filter,
    .xNext = next,
    .xEof = eof,
    .xColumn = column,
    .xRowid = rowid,
};

/* -- which statements have one that loops ------------------------------------------------------------------------- */

typedef struct looping {
  struct looping *next;
  sqlite3_stmt *stmt;
  bulk_loop loop; /* without a statement: it was tried in vain */
} looping;

static looping *known;

static looping **find(sqlite3_stmt *stmt) {
  looping **at = &known;
  while (*at && (*at)->stmt != stmt) at = &(*at)->next;
  return at;
}

void bulk_forget(sqlite3_stmt *stmt) {
  looping **at = find(stmt), *entry = *at;
  if (!entry) return;
  *at = entry->next;
  sqlite3_finalize(entry->loop.stmt);
  free(entry);
}

static looping *lookup(sqlite3_stmt *stmt, uint32_t width) {
  looping *entry = *find(stmt);
  if (entry) return entry;
  entry = calloc(1, sizeof *entry);
  if (!entry) return NULL;
  sqlite3 *db = sqlite3_db_handle(stmt);
  entry->stmt = stmt;
  entry->next = known;
  known = entry;
  if (width == 0 || width > BULK_COLUMNS) return entry;
  if (!bulk_has_module(db, TABLE) && sqlite3_create_module_v2(db, TABLE, &module, NULL, NULL)) return entry;
  bulk_prepare(&entry->loop, stmt, TABLE, &module);
  return entry;
}

/* Whether the source has a row to begin with; it is not taken. */
static int peek(row_source *rows) {
  if (rows->columns) return ROWS_NEXT; /* what comes in columns was looked at by the host */
  const row_source before = *rows;
  int found = rows->next(rows);
  *rows = before;
  return found;
}

int bulk_insert(sqlite3_stmt *stmt, row_source *rows, bulk_outcome *out) {
  sqlite3 *db = sqlite3_db_handle(stmt);
  if (source || !bulk_allowed(db)) return 0;
  looping *entry = lookup(stmt, rows->width);
  if (!entry || !entry->loop.stmt) return 0;
  /* Without a row, AUTOINCREMENT would write its counter all the same. */
  int found = entry->loop.sequence_register ? peek(rows) : ROWS_NEXT;
  if (found != ROWS_NEXT) {
    *out = (bulk_outcome){.rc = SQLITE_DONE, .unsuitable = found == ROWS_UNSUITABLE};
    return 1;
  }
  sqlite3_int64 changes = sqlite3_changes64(db), total = sqlite3_total_changes64(db);
  uint32_t first = rows->row;
  source = rows;
  source->cells = entry->loop.registers;
  loop = &entry->loop;
  appends = bulk_begin(loop);
  state = ROWS_END;
  int rc = sqlite3_step(loop->stmt);
  source = NULL;
  /* The row that was being inserted when an error came is read, and not in. */
  out->done = rows->row - first - (rc != SQLITE_DONE && rows->row > first);
  int kept = rc != SQLITE_DONE && out->done > 0 ? bulk_keep_sequence(loop) : SQLITE_OK;
  int error = sqlite3_reset(loop->stmt); /* only now it says which one it was */
  if (kept) error = kept;
  if (rc != SQLITE_DONE) rc = error;
  rows->cells = rows->own_cells;
  if (rc == SQLITE_SCHEMA) { /* before the first row: the schema has changed, and it may not be fit for it any more */
    bulk_forget(stmt);
    return 0;
  }
  out->rc = rc;
  out->unsuitable = rc == SQLITE_DONE && state == ROWS_UNSUITABLE;
  out->changes = loop->changes;
  sqlite3_int64 last = rc != SQLITE_DONE ? 0 : out->done > 0 ? loop->changes - loop->changes_before : changes;
  bulk_count(db, last, total + loop->changes);
  return 1;
}
