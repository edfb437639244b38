/* The input side of batches: binds the rows of a columnar batch to a statement, one row at a time. */

#include "batch.h"

#include <stdlib.h>
#include <string.h>

int reader_begin(batch_reader *r, const wsq_column *columns, uint32_t count) {
  r->columns = columns;
  r->column_count = count;
  r->cursors = NULL;
  if (count == 0) return SQLITE_OK;
  r->cursors = calloc(count, sizeof *r->cursors);
  return r->cursors ? SQLITE_OK : SQLITE_NOMEM;
}

void reader_end(batch_reader *r) {
  free(r->cursors);
  r->cursors = NULL;
}

/* Without tags the column has one class only, the one bit of its mask. */
static uint32_t class_of(const wsq_column *c, uint32_t row) {
  if (c->tags) return ((const uint8_t *)(uintptr_t)c->tags)[row];
  return c->seen && (c->seen & (c->seen - 1)) == 0 ? (uint32_t)__builtin_ctz(c->seen) : 0;
}

/* copy: SQLite makes its own copies; else the batch must stay in place while the statement holds the bindings.
 * A malformed batch is the host's fault: SQLITE_MISUSE. */
int reader_bind(batch_reader *r, sqlite3_stmt *stmt, uint32_t row, int copy) {
  sqlite3_destructor_type lifetime = copy ? SQLITE_TRANSIENT : SQLITE_STATIC;
  for (uint32_t i = 0; i < r->column_count; i++) {
    const wsq_column *c = &r->columns[i];
    uint32_t class = class_of(c, row);
    int index = (int)i + 1;
    int rc;
    if (class == SQLITE_NULL) {
      rc = sqlite3_bind_null(stmt, index);
      if (rc) return rc;
      continue;
    }
    if (!c->slots) return SQLITE_MISUSE;
    const int64_t slot = ((const int64_t *)(uintptr_t)c->slots)[row];
    switch (class) {
      case SQLITE_INTEGER:
        rc = sqlite3_bind_int64(stmt, index, slot);
        break;
      case SQLITE_FLOAT: {
        double value;
        memcpy(&value, &slot, 8);
        rc = sqlite3_bind_double(stmt, index, value);
        break;
      }
      case SQLITE_TEXT:
      case SQLITE_BLOB: {
        uint32_t at = r->cursors[i];
        if (slot < 0 || slot > (int64_t)(c->payload_size - at)) return SQLITE_MISUSE;
        /* A NULL pointer would bind NULL: an empty value of an empty payload still needs an address. */
        const char *bytes = c->payload ? (const char *)(uintptr_t)c->payload + at : "";
        rc = class == SQLITE_TEXT ? sqlite3_bind_text64(stmt, index, bytes, (uint64_t)slot, lifetime, SQLITE_UTF8)
                                  : sqlite3_bind_blob64(stmt, index, bytes, (uint64_t)slot, lifetime);
        r->cursors[i] = at + (uint32_t)slot;
        break;
      }
      default:
        rc = SQLITE_MISUSE;
    }
    if (rc) return rc;
  }
  return SQLITE_OK;
}
