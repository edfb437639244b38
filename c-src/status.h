/* The status block, and what one call owns: input buffer, output batch, error message. */

#ifndef WASQLITE_STATUS_H
#define WASQLITE_STATUS_H

#include "abi.h"
#include "batch.h"
#include "sqlite3.h"

/* A callback into the host may call in again (a user function that queries its own connection), so everything that a call
 * uses for its own is kept per nesting level. Levels are made when first needed and stay. */
typedef struct wsq_call {
  struct wsq_call *inner;
  void *buffer;          /* wsq_buffer: the input of the call at this level */
  uint32_t capacity;
  batch out;             /* its output; valid until the next call at this level */
  int32_t system_errno;
  uint32_t flags;
  int compare_failed;    /* a collation's callback failed: no more of them in this call */
  int captured;          /* the error below was captured: keep it, whatever reset does to the handle */
  int32_t extended;
  int32_t error_offset;
  const char *message;
  uint32_t message_size;
  char *long_message;    /* heap, for what does not fit below */
  char short_message[256];
} wsq_call;

extern wsq_quick_area wsq_area;
#define wsq_block wsq_area.status

/* Enters a call: a clean status block and an empty call level; NULL when out of memory (the status block says so). */
wsq_call *call_begin(void);

/* The level of the call that ended last, whose output the host reads now. */
wsq_call *call_level(void);

/* Captures error rc with its message, before a reset overwrites it. */
void call_capture(wsq_call *call, sqlite3 *db, int rc);

/* Publishes the level's state and db's counters (db may be NULL), leaves the call, returns rc. */
int call_end(wsq_call *call, sqlite3 *db, int rc);

/* The output batch and the statement's own fields. */
void call_batch(wsq_call *call, uint32_t rows);
void call_statement(sqlite3_stmt *stmt);

/* For the VFS, inside or outside of a call. */
void call_set_errno(int wasi_errno);
void call_set_flag(uint32_t flag);

/* For collations: whether one has failed in this call; `now` is added to it. */
int call_compare_failed(int now);

#endif
