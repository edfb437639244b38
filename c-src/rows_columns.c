/* Rows out of a columnar batch, docs/abi.md. A malformed one is the host's fault: its row is unsuitable. */

#include "rows.h"

#include <stdlib.h>
#include <string.h>

/* Without tags the column has one class only, the one bit of its mask. */
static uint32_t class_of(const wsq_column *c, uint32_t row) {
  if (c->tags) return ((const uint8_t *)(uintptr_t)c->tags)[row];
  return c->seen && (c->seen & (c->seen - 1)) == 0 ? (uint32_t)__builtin_ctz(c->seen) : 0;
}

static int next(row_source *s) {
  if (s->row >= s->rows) return ROWS_END;
  s->row_bytes = 4 + 14 * s->width; /* header and numbers of a record */
  for (uint32_t i = 0; i < s->width; i++) {
    const wsq_column *c = &s->columns[i];
    row_value *cell = &s->cells[i];
    uint32_t class = class_of(c, s->row);
    if (class == SQLITE_NULL) {
      row_set_null(cell);
      continue;
    }
    if (!c->slots) return ROWS_UNSUITABLE;
    const int64_t slot = ((const int64_t *)(uintptr_t)c->slots)[s->row];
    switch (class) {
      case SQLITE_INTEGER:
        row_set_integer(cell, slot);
        break;
      case SQLITE_FLOAT: {
        double real;
        memcpy(&real, &slot, 8);
        row_set_real(cell, real);
        break;
      }
      case SQLITE_TEXT:
      case SQLITE_BLOB: {
        uint32_t at = s->cursors[i];
        if (slot < 0 || slot > (int64_t)(c->payload_size - at)) return ROWS_UNSUITABLE;
        const char *bytes = c->payload ? (const char *)(uintptr_t)c->payload + at : "";
        row_set_bytes(cell, bytes, (uint32_t)slot, class == SQLITE_TEXT ? ROW_TEXT : ROW_BLOB);
        s->row_bytes += (uint32_t)slot;
        s->cursors[i] = at + (uint32_t)slot;
        break;
      }
      default:
        return ROWS_UNSUITABLE;
    }
  }
  s->row++;
  return ROWS_NEXT;
}

int rows_from_columns(row_source *s, const wsq_column *columns, uint32_t width, uint32_t rows) {
  memset(s, 0, sizeof *s);
  s->next = next;
  s->columns = columns;
  s->width = width;
  s->rows = rows;
  s->cells = s->own_cells = calloc(width ? width : 1, sizeof *s->cells);
  s->cursors = calloc(width ? width : 1, sizeof *s->cursors);
  return s->cells && s->cursors ? SQLITE_OK : SQLITE_NOMEM;
}

void rows_end(row_source *s) {
  free(s->own_cells);
  free(s->cursors);
  s->cells = s->own_cells = NULL;
  s->cursors = NULL;
}
