/* Rows out of what Python's marshal.dumps(rows, 2) makes of a list of tuples or lists: in that version of the format no value refers
 * to another. Only what can be one thing is read; whatever else there is makes its row unsuitable, and the host then sends it in
 * the general way. In particular marshal writes everything that has a buffer as if it were of the class bytes.
 * Facts about the format: Python/marshal.c of CPython; a test compares on every Python that is there. */

#include "rows.h"

#include <stdlib.h>
#include <string.h>
#include <wasm_simd128.h>

enum { DIGIT_BITS = 15 }; /* of an int that does not fit 32 bits */

static uint32_t load4(const uint8_t *p) {
  uint32_t value;
  memcpy(&value, p, 4);
  return value;
}

/* What UTF-8 forbids and marshal writes all the same: lone surrogates, U+D800 to U+DFFF, are ED A0 to ED BF. */
static int has_surrogate(const uint8_t *p, uint32_t n) {
  const uint8_t *end = p + n;
  const v128_t mark = wasm_u8x16_const_splat(0xED);
  while (p < end) {
    if (end - p >= 16) {
      v128_t found = wasm_i8x16_eq(wasm_v128_load(p), mark);
      if (!wasm_v128_any_true(found)) {
        p += 16;
        continue;
      }
      p += __builtin_ctz(wasm_i8x16_bitmask(found));
    } else if (*p != 0xED) {
      p++;
      continue;
    }
    if (end - p > 1 && p[1] >= 0xA0) return 1;
    p++;
  }
  return 0;
}

/* An int of several digits, the least significant first; its sign is that of their number. */
static int wide_integer(row_source *s, row_cell *cell) {
  if (s->end - s->at < 4) return 0;
  int32_t count = (int32_t)load4(s->at);
  s->at += 4;
  int negative = count < 0;
  uint32_t digits = negative ? 0u - (uint32_t)count : (uint32_t)count;
  if (digits > 5 || (uint32_t)(s->end - s->at) < 2 * digits) return 0;
  unsigned __int128 value = 0;
  for (uint32_t i = digits; i-- > 0;) {
    value = value << DIGIT_BITS | (uint32_t)(s->at[2 * i] | s->at[2 * i + 1] << 8);
  }
  s->at += 2 * digits;
  if (value > (unsigned __int128)INT64_MAX + (uint32_t)negative) return 0;
  cell->type = SQLITE_INTEGER;
  cell->value.integer = (int64_t)(negative ? 0 - (uint64_t)value : (uint64_t)value);
  return 1;
}

static int value(row_source *s, row_cell *cell) {
  if (s->at >= s->end) return 0;
  uint32_t left = (uint32_t)(s->end - s->at) - 1;
  uint8_t kind = *s->at++;
  switch (kind) {
    case 'i':
      if (left < 4) return 0;
      cell->type = SQLITE_INTEGER;
      cell->value.integer = (int32_t)load4(s->at);
      s->at += 4;
      return 1;
    case 'g':
      if (left < 8) return 0;
      cell->type = SQLITE_FLOAT;
      memcpy(&cell->value.real, s->at, 8);
      s->at += 8;
      return 1;
    case 'N':
      cell->type = SQLITE_NULL;
      return 1;
    case 'T':
    case 'F':
      if (!(s->readable & READ_BOOLS)) return 0;
      cell->type = SQLITE_INTEGER;
      cell->value.integer = kind == 'T';
      return 1;
    case 'u':
    case 's': {
      if (left < 4) return 0;
      uint32_t size = load4(s->at);
      if (size > left - 4) return 0;
      const uint8_t *bytes = s->at + 4;
      if (kind == 'u' ? has_surrogate(bytes, size) : !(s->readable & READ_BYTES)) return 0;
      cell->type = kind == 'u' ? SQLITE_TEXT : SQLITE_BLOB;
      cell->size = size;
      cell->value.bytes = (const char *)bytes;
      s->at = bytes + size;
      return 1;
    }
    case 'l':
      return wide_integer(s, cell);
    default:
      return 0;
  }
}

static int next(row_source *s) {
  if (s->row >= s->rows) return ROWS_END;
  if (s->end - s->at < 5 || (*s->at != '(' && *s->at != '[') || load4(s->at + 1) != s->width) return ROWS_UNSUITABLE;
  s->at += 5;
  for (uint32_t i = 0; i < s->width; i++) {
    if (!value(s, &s->cells[i])) return ROWS_UNSUITABLE;
  }
  s->row++;
  return ROWS_NEXT;
}

int rows_from_marshal(row_source *s, const uint8_t *data, uint32_t size, uint32_t width, uint32_t readable) {
  memset(s, 0, sizeof *s);
  s->next = next;
  s->width = width;
  s->readable = readable;
  if (size >= 5 && *data == '[') {
    s->rows = load4(data + 1);
    s->at = data + 5;
    s->end = data + size;
  }
  s->cells = calloc(width ? width : 1, sizeof *s->cells);
  return s->cells ? SQLITE_OK : SQLITE_NOMEM;
}
