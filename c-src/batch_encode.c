/* The output side of batches: rows in, one typed buffer per column out. */

#include "batch.h"
#include "row.h"

#include <stdlib.h>
#include <string.h>

typedef struct batch_store {
  char *rows;        /* one block: slots (8 bytes a row), nulls (4), tags (1) */
  int64_t *slots;
  uint32_t *nulls;
  uint8_t *tags;
  uint32_t row_capacity;
  char *payload;
  uint32_t payload_capacity;
} batch_store;

enum {
  ROW_BYTES = 13,           /* 8 + 4 + 1 */
  CELL_BYTES = 9,           /* what a cell counts against the caller's limit: slot and tag */
  FIRST_ROWS = 16,
  FIRST_PAYLOAD = 256,
  KEEP_BYTES = 8 << 20,     /* between batches, over all columns */
  KEEP_COLUMNS = 64
};

static uint32_t address(const void *p) { return (uint32_t)(uintptr_t)p; }

static void drop_rows(batch_store *s) {
  free(s->rows);
  s->rows = NULL;
  s->row_capacity = 0;
}

static void drop_payload(batch_store *s) {
  free(s->payload);
  s->payload = NULL;
  s->payload_capacity = 0;
}

/* Memory stays bounded: what one huge or very wide batch blew up goes back to the heap before the next one. */
static void shrink(batch *b, uint32_t columns) {
  size_t kept = 0;
  uint32_t used = columns > KEEP_COLUMNS ? columns : KEEP_COLUMNS;
  for (uint32_t i = 0; i < b->column_capacity; i++) {
    batch_store *s = &b->stores[i];
    size_t size = (size_t)s->row_capacity * ROW_BYTES + s->payload_capacity;
    if (i < used && kept + size <= KEEP_BYTES) {
      kept += size;
    } else {
      drop_rows(s);
      drop_payload(s);
    }
  }
  if (b->column_capacity > used) {
    /* Shrinking in place may fail without harm: the larger block stays. */
    wsq_column *descriptors = realloc(b->columns, used * sizeof *descriptors);
    if (descriptors) b->columns = descriptors;
    batch_store *stores = realloc(b->stores, used * sizeof *stores);
    if (stores) b->stores = stores;
    b->column_capacity = used;
  }
}

static int grow_rows(batch_store *s, uint32_t capacity, uint32_t used, uint32_t null_count) {
  if (capacity > (UINT32_MAX >> 1) / ROW_BYTES) return SQLITE_NOMEM;
  char *block = malloc((size_t)capacity * ROW_BYTES);
  if (!block) return SQLITE_NOMEM;
  int64_t *slots = (int64_t *)block;
  uint32_t *nulls = (uint32_t *)(block + (size_t)capacity * 8);
  uint8_t *tags = (uint8_t *)(block + (size_t)capacity * 12);
  if (used) {
    memcpy(slots, s->slots, (size_t)used * 8);
    memcpy(nulls, s->nulls, (size_t)null_count * 4);
    memcpy(tags, s->tags, used);
  }
  free(s->rows);
  s->rows = block;
  s->slots = slots;
  s->nulls = nulls;
  s->tags = tags;
  s->row_capacity = capacity;
  return SQLITE_OK;
}

/* Makes room for one more row in every column. */
static int reserve_row(batch *b) {
  uint32_t capacity = b->row_capacity ? b->row_capacity * 2 : FIRST_ROWS;
  uint32_t smallest = UINT32_MAX;
  for (uint32_t i = 0; i < b->column_count; i++) {
    batch_store *s = &b->stores[i];
    if (s->row_capacity <= b->rows) {
      int rc = grow_rows(s, capacity, b->rows, b->columns[i].null_count);
      if (rc) return rc;
    }
    if (s->row_capacity < smallest) smallest = s->row_capacity;
  }
  b->row_capacity = smallest;
  return SQLITE_OK;
}

static char *reserve_payload(batch_store *s, uint32_t used, uint32_t more) {
  if (more > s->payload_capacity - used) {
    uint64_t wanted = (uint64_t)used + more;
    uint64_t capacity = s->payload_capacity ? (uint64_t)s->payload_capacity * 2 : FIRST_PAYLOAD;
    if (capacity < wanted) capacity = wanted;
    if (capacity > INT32_MAX) capacity = wanted;
    if (capacity > INT32_MAX) return NULL;
    char *payload = realloc(s->payload, (size_t)capacity);
    if (!payload && capacity > wanted) {
      capacity = wanted;
      payload = realloc(s->payload, (size_t)capacity);
    }
    if (!payload) return NULL;
    s->payload = payload;
    s->payload_capacity = (uint32_t)capacity;
  }
  return s->payload + used;
}

/* Copies text and its closing NUL, and reports NULs and non-ASCII bytes on the way: eight bytes at a time, since text is the
 * bulk of most batches. (w - 01..01) & ~w has the top bit of some byte set exactly when one of w's bytes is zero. */
static uint32_t copy_text(char *out, const char *in, uint32_t size) {
  const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
  uint64_t high = 0, zero = 0;
  while (size >= 8) {
    uint64_t w;
    memcpy(&w, in, 8);
    memcpy(out, &w, 8);
    high |= w;
    zero |= (w - ones) & ~w;
    in += 8;
    out += 8;
    size -= 8;
  }
  uint32_t flags = (high & tops ? WSQ_TEXT_NON_ASCII : 0) | (zero & tops ? WSQ_TEXT_NUL : 0);
  while (size > 0) {
    unsigned char c = (unsigned char)*in++;
    if (c == 0) flags |= WSQ_TEXT_NUL;
    if (c >= 0x80) flags |= WSQ_TEXT_NON_ASCII;
    *out++ = (char)c;
    size--;
  }
  *out = 0;
  return flags;
}

int batch_as_blobs(batch *b, const uint8_t *mask, uint32_t count) {
  b->as_blobs_count = 0;
  if (count > b->as_blobs_capacity) {
    uint8_t *copy = realloc(b->as_blobs, count);
    if (!copy) return SQLITE_NOMEM;
    b->as_blobs = copy;
    b->as_blobs_capacity = count;
  }
  if (count) memcpy(b->as_blobs, mask, count);
  b->as_blobs_count = count;
  return SQLITE_OK;
}

int batch_begin(batch *b, uint32_t columns, int packed) {
  shrink(b, columns);
  b->closing = packed ? 0 : 1;
  b->rows = 0;
  b->bytes = 0;
  b->column_count = 0;
  b->row_capacity = 0;
  if (columns > b->column_capacity) {
    wsq_column *descriptors = realloc(b->columns, (size_t)columns * sizeof *descriptors);
    if (!descriptors) return SQLITE_NOMEM;
    b->columns = descriptors;
    batch_store *stores = realloc(b->stores, (size_t)columns * sizeof *stores);
    if (!stores) return SQLITE_NOMEM;
    memset(stores + b->column_capacity, 0, (size_t)(columns - b->column_capacity) * sizeof *stores);
    b->stores = stores;
    b->column_capacity = columns;
  }
  if (columns) memset(b->columns, 0, (size_t)columns * sizeof *b->columns);
  b->column_count = columns;
  uint32_t smallest = columns ? UINT32_MAX : 0;
  for (uint32_t i = 0; i < columns; i++) {
    if (b->stores[i].row_capacity < smallest) smallest = b->stores[i].row_capacity;
  }
  b->row_capacity = smallest;
  return SQLITE_OK;
}

static int put_null(batch_store *s, wsq_column *c, uint32_t row, uint32_t closing) {
  if (closing) {
    char *out = reserve_payload(s, c->payload_size, 1);
    if (!out) return SQLITE_NOMEM;
    *out = 0;
    c->payload_size++;
  }
  s->nulls[c->null_count++] = row;
  s->slots[row] = 0;
  s->tags[row] = SQLITE_NULL;
  c->seen |= 1u << SQLITE_NULL;
  return SQLITE_OK;
}

static int put_text(batch_store *s, wsq_column *c, uint32_t row, const char *text, uint32_t size, uint32_t closing) {
  char *out = reserve_payload(s, c->payload_size, size + 1);
  if (!out) return SQLITE_NOMEM;
  c->flags |= copy_text(out, text, size);
  c->payload_size += size + closing;
  s->slots[row] = size;
  s->tags[row] = SQLITE_TEXT;
  c->seen |= 1u << SQLITE_TEXT;
  return SQLITE_OK;
}

static int put_blob(batch_store *s, wsq_column *c, uint32_t row, const void *blob, uint32_t size) {
  if (size) {
    char *out = reserve_payload(s, c->payload_size, size);
    if (!out) return SQLITE_NOMEM;
    memcpy(out, blob, size);
    c->payload_size += size;
  }
  s->slots[row] = size;
  s->tags[row] = SQLITE_BLOB;
  c->seen |= 1u << SQLITE_BLOB;
  return SQLITE_OK;
}

/* Type first, then the value, then its size: reading a value may convert it, and the size is that of the converted one. */
static int put_converted(batch_store *s, wsq_column *c, uint32_t row, sqlite3_stmt *stmt, int i, uint32_t closing) {
  switch (sqlite3_column_type(stmt, i)) {
    case SQLITE_INTEGER:
      s->slots[row] = sqlite3_column_int64(stmt, i);
      s->tags[row] = SQLITE_INTEGER;
      c->seen |= 1u << SQLITE_INTEGER;
      return SQLITE_OK;
    case SQLITE_FLOAT: {
      double value = sqlite3_column_double(stmt, i);
      memcpy(&s->slots[row], &value, 8);
      s->tags[row] = SQLITE_FLOAT;
      c->seen |= 1u << SQLITE_FLOAT;
      return SQLITE_OK;
    }
    case SQLITE_TEXT: {
      const unsigned char *text = sqlite3_column_text(stmt, i);
      if (!text) return SQLITE_NOMEM;
      return put_text(s, c, row, (const char *)text, (uint32_t)sqlite3_column_bytes(stmt, i), closing);
    }
    case SQLITE_BLOB: {
      /* NULL is right for an empty blob, and out of memory for any other. */
      const void *blob = sqlite3_column_blob(stmt, i);
      uint32_t size = (uint32_t)sqlite3_column_bytes(stmt, i);
      if (!blob && size) return SQLITE_NOMEM;
      return put_blob(s, c, row, blob, size);
    }
    default:
      return put_null(s, c, row, closing);
  }
}

/* A cell as it stands in SQLite's register, if it needs no conversion. */
static inline int put_cell(batch_store *s, wsq_column *c, uint32_t row, const row_value *v, sqlite3_stmt *stmt, int i,
                           uint32_t closing) {
  uint32_t flags = v->flags;
  if (flags & ROW_NULL) return put_null(s, c, row, closing);
  if (flags & ROW_INT_AS_REAL) return put_converted(s, c, row, stmt, i, closing);
  if (flags & (ROW_INTEGER | ROW_REAL)) {
    /* The bits of either, as they are. */
    uint32_t class = flags & ROW_INTEGER ? SQLITE_INTEGER : SQLITE_FLOAT;
    s->slots[row] = v->integer;
    s->tags[row] = (uint8_t)class;
    c->seen |= 1u << class;
    return SQLITE_OK;
  }
  if (flags & ROW_TEXT && v->encoding == SQLITE_UTF8) return put_text(s, c, row, v->bytes, (uint32_t)v->size, closing);
  if ((flags & (ROW_TEXT | ROW_BLOB | ROW_ZEROS)) == ROW_BLOB) return put_blob(s, c, row, v->bytes, (uint32_t)v->size);
  return put_converted(s, c, row, stmt, i, closing);
}

/* Whatever the value is, its bytes as sqlite3_column_blob has them: numbers as text. What that has no address for, as for an empty
 * text, is NULL. */
static int put_as_blob(batch_store *s, wsq_column *c, uint32_t row, sqlite3_stmt *stmt, int i, uint32_t closing) {
  const void *blob = sqlite3_column_blob(stmt, i);
  if (blob) return put_blob(s, c, row, blob, (uint32_t)sqlite3_column_bytes(stmt, i));
  if (sqlite3_errcode(sqlite3_db_handle(stmt)) == SQLITE_NOMEM) return SQLITE_NOMEM;
  return put_null(s, c, row, closing);
}

/* Takes back the cell of an unfinished row. `seen` and `flags` may keep a bit too many: that only costs the host speed. */
static void undo_cell(batch_store *s, wsq_column *c, uint32_t row, uint32_t closing) {
  switch (s->tags[row]) {
    case SQLITE_NULL:
      c->null_count--;
      c->payload_size -= closing;
      break;
    case SQLITE_TEXT:
      c->payload_size -= (uint32_t)s->slots[row] + closing;
      break;
    case SQLITE_BLOB:
      c->payload_size -= (uint32_t)s->slots[row];
      break;
  }
}

int batch_row(batch *b, sqlite3_stmt *stmt) {
  if (b->rows >= b->row_capacity) {
    int rc = reserve_row(b);
    if (rc) return rc;
  }
  uint32_t row = b->rows;
  uint64_t bytes = 0;
  const row_value *values = row_values(stmt);
  for (uint32_t i = 0; i < b->column_count; i++) {
    wsq_column *c = &b->columns[i];
    uint32_t before = c->payload_size;
    int rc = i < b->as_blobs_count && b->as_blobs[i]
                 ? put_as_blob(&b->stores[i], c, row, stmt, (int)i, b->closing)
                 : put_cell(&b->stores[i], c, row, &values[i], stmt, (int)i, b->closing);
    if (rc) {
      while (i > 0) {
        i--;
        undo_cell(&b->stores[i], &b->columns[i], row, b->closing);
      }
      return rc;
    }
    bytes += c->payload_size - before + CELL_BYTES;
  }
  b->bytes += bytes;
  b->rows++;
  return SQLITE_OK;
}

int batch_text(batch *b, const char *text) {
  if (b->rows >= b->row_capacity) {
    int rc = reserve_row(b);
    if (rc) return rc;
  }
  int rc = text ? put_text(&b->stores[0], &b->columns[0], b->rows, text, (uint32_t)strlen(text), b->closing)
                : put_null(&b->stores[0], &b->columns[0], b->rows, b->closing);
  if (rc == SQLITE_OK) b->rows++;
  return rc;
}

void batch_end(batch *b) {
  for (uint32_t i = 0; i < b->column_count; i++) {
    wsq_column *c = &b->columns[i];
    batch_store *s = &b->stores[i];
    c->tags = s->rows ? address(s->tags) : 0;
    c->slots = s->rows ? address(s->slots) : 0;
    c->nulls = s->rows ? address(s->nulls) : 0;
    c->payload = address(s->payload);
  }
}

uint64_t batch_record(const batch *b, int64_t *record) {
  uint64_t kinds = 0;
  if (b->column_count > WSQ_RECORD_VALUES) return 0;
  for (uint32_t i = 0; i < b->column_count; i++) {
    const batch_store *s = &b->stores[i];
    uint64_t kind = s->tags[0];
    uint64_t value = (uint64_t)s->slots[0];
    if (kind == SQLITE_TEXT || kind == SQLITE_BLOB) value = value << 32 | address(s->payload);
    record[i] = (int64_t)value;
    kinds |= kind << (3 * i);
  }
  return kinds;
}
