/* The block through which callbacks get to the host and back. */

#include "callback.h"

#include <stdlib.h>
#include <string.h>

wsq_callback_block wsq_block_of_callback;
uint32_t callback_lane_calls = 0;

wsq_callback_block *wsq_callback(void);
uint32_t wsq_forgotten(void);

/* SQLite drops what it kept in the middle of its own work: only note it down, and without memory that there might not be. */
static callback_kept *forgotten = NULL;

callback_kept *callback_keep(uint32_t callback) {
  callback_kept *made = calloc(1, sizeof *made);
  if (made) made->callback = callback;
  return made;
}

void callback_drop(void *kept) {
  callback_kept *dropped = kept;
  dropped->next = forgotten;
  forgotten = dropped;
}

uint32_t wsq_forgotten(void) {
  callback_kept *dropped = forgotten;
  if (!dropped) return 0;
  uint32_t callback = dropped->callback;
  forgotten = dropped->next;
  free(dropped);
  return callback;
}

wsq_callback_block *wsq_callback(void) { return &wsq_block_of_callback; }

void callback_begin(void) {
  wsq_block_of_callback.shape = 0;
  wsq_block_of_callback.count = 0;
}

static void append(int type, int64_t bits) {
  wsq_callback_block *block = &wsq_block_of_callback;
  int64_t at = block->count++;
  if (at < WSQ_KEY_TYPES) block->shape |= (uint32_t)type << 3 * at;
  block->types[at] = (uint8_t)type;
  block->arguments[at] = bits;
}

void callback_integer(int64_t value) { append(SQLITE_INTEGER, value); }

void callback_text(const char *text, uint32_t size) {
  append(text ? SQLITE_TEXT : SQLITE_NULL, (int64_t)((uint64_t)size << 32 | (uint32_t)(uintptr_t)text));
}

void callback_string(const char *text) { callback_text(text, text ? (uint32_t)strlen(text) : 0); }

int callback_call(uint32_t callback) {
  wsq_callback_block *block = &wsq_block_of_callback;
  block->shape |= (block->count < 255 ? (uint32_t)block->count : 255) << 24;
  block->callback = callback;
  block->result = RESULT_ERROR;
  block->lane = 0;
  wsq_host_callback();
  return (int)(block->result & 0xFF);
}

void callback_end(void) {
  wsq_block_of_callback.result = RESULT_ERROR;
  wsq_block_of_callback.lane = 0;
}
