/* The values of a statement's current row where SQLite has them, for the encoder: of its public functions every value costs three
 * calls, 10 ns of the 35 that a value of the flights table took altogether. */

#ifndef WASQLITE_ROW_H
#define WASQLITE_ROW_H

#include "sqlite3.h"
#include <stdint.h>

/* SQLite's struct sqlite3_value. sqlite_row.h, which knows that, asserts that this is the same. */
typedef struct row_value {
  union {
    double real;
    int64_t integer;
  };
  const char *bytes;
  int32_t size;
  uint16_t flags;
  uint8_t encoding;
  char rest[21];
} row_value;

/* Bits of row_value.flags. In this order the first that is set decides on the storage class; none: a blob. With ROW_STATIC text or blob
 * is not SQLite's to free. */
enum { ROW_NULL = 0x01, ROW_INT_AS_REAL = 0x20, ROW_INTEGER = 0x04, ROW_REAL = 0x08, ROW_TEXT = 0x02, ROW_BLOB = 0x10,
       ROW_ZEROS = 0x0400, ROW_STATIC = 0x2000 };

static inline void row_set_null(row_value *v) { v->flags = ROW_NULL; }

static inline void row_set_integer(row_value *v, int64_t integer) {
  v->integer = integer;
  v->flags = ROW_INTEGER;
}

/* No NaN is a value of SQLite's. */
static inline void row_set_real(row_value *v, double real) {
  v->real = real;
  v->flags = real == real ? ROW_REAL : ROW_NULL;
}

/* ROW_TEXT in UTF-8, or ROW_BLOB. It is not copied. */
static inline void row_set_bytes(row_value *v, const void *bytes, uint32_t size, uint16_t kind) {
  v->bytes = bytes;
  v->size = (int32_t)size;
  v->flags = kind | ROW_STATIC;
  v->encoding = SQLITE_UTF8;
}

/* The first column's value of a statement whose last step returned SQLITE_ROW. The others follow. */
const row_value *row_values(sqlite3_stmt *stmt);

#endif
