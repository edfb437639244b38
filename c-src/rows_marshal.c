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

/* What UTF-8 forbids and marshal writes all the same: lone surrogates, U+D800 to U+DFFF, are ED A0 to ED BF. `end` is that of the
 * input: what follows the text may be looked at, as long as it is there. */
static int has_surrogate(const uint8_t *p, uint32_t n, const uint8_t *end) {
  const v128_t mark = wasm_u8x16_const_splat(0xED);
  while (n > 0) {
    uint32_t step = n < 16 ? n : 16;
    if (end - p >= 16) {
      uint32_t found = wasm_i8x16_bitmask(wasm_i8x16_eq(wasm_v128_load(p), mark)) & ((1u << step) - 1);
      if (!found) {
        p += step;
        n -= step;
        continue;
      }
      step = (uint32_t)__builtin_ctz(found);
      p += step;
      n -= step;
    }
    if (*p == 0xED && n > 1 && p[1] >= 0xA0) return 1;
    p++;
    n--;
  }
  return 0;
}

/* An int of several digits, the least significant first; its sign is that of their number. Where it ends, or NULL. */
static const uint8_t *wide_integer(const uint8_t *at, const uint8_t *end, row_value *cell) {
  if (end - at < 4) return NULL;
  int32_t count = (int32_t)load4(at);
  at += 4;
  int negative = count < 0;
  uint32_t digits = negative ? 0u - (uint32_t)count : (uint32_t)count;
  if (digits > 5 || (uint32_t)(end - at) < 2 * digits) return NULL;
  unsigned __int128 value = 0;
  for (uint32_t i = digits; i-- > 0;) value = value << DIGIT_BITS | (uint32_t)(at[2 * i] | at[2 * i + 1] << 8);
  if (value > (unsigned __int128)INT64_MAX + (uint32_t)negative) return NULL;
  row_set_integer(cell, (int64_t)(negative ? 0 - (uint64_t)value : (uint64_t)value));
  return at + 2 * digits;
}

/* Reads a value: where it ends, or NULL. */
static inline const uint8_t *value(const uint8_t *at, const uint8_t *end, uint32_t readable, row_value *cell) {
  if (at >= end) return NULL;
  uint32_t left = (uint32_t)(end - at) - 1;
  uint8_t kind = *at++;
  switch (kind) {
    case 'i':
      if (left < 4) return NULL;
      row_set_integer(cell, (int32_t)load4(at));
      return at + 4;
    case 'g': {
      if (left < 8) return NULL;
      double real;
      memcpy(&real, at, 8);
      row_set_real(cell, real);
      return at + 8;
    }
    case 'N':
      row_set_null(cell);
      return at;
    case 'T':
    case 'F':
      if (!(readable & READ_BOOLS)) return NULL;
      row_set_integer(cell, kind == 'T');
      return at;
    case 'u':
    case 's': {
      if (left < 4) return NULL;
      uint32_t size = load4(at);
      if (size > left - 4) return NULL;
      at += 4;
      if (kind == 'u' ? has_surrogate(at, size, end) : !(readable & READ_BYTES)) return NULL;
      row_set_bytes(cell, at, size, kind == 'u' ? ROW_TEXT : ROW_BLOB);
      return at + size;
    }
    case 'l':
      return wide_integer(at, end, cell);
    default:
      return NULL;
  }
}

static int next(row_source *s) {
  if (s->row >= s->rows) return ROWS_END;
  const uint8_t *at = s->at, *end = s->end;
  if (end - at < 5 || (*at != '(' && *at != '[') || load4(at + 1) != s->width) return ROWS_UNSUITABLE;
  at += 5;
  row_value *cell = s->cells;
  const uint32_t readable = s->readable;
  for (uint32_t i = s->width; i > 0; i--) {
    at = value(at, end, readable, cell++);
    if (!at) return ROWS_UNSUITABLE;
  }
  s->row_bytes = (uint32_t)(at - s->at) + s->width; /* 1 byte of a bool can be 2 of a record */
  s->at = at;
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
  s->cells = s->own_cells = calloc(width ? width : 1, sizeof *s->cells);
  return s->cells ? SQLITE_OK : SQLITE_NOMEM;
}
