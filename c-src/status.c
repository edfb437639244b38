/* Fills the status block that every wsq_ call leaves behind, and keeps what belongs to one call. */

#include "status.h"
#include "vfs.h"

#include <stdlib.h>
#include <string.h>

wsq_quick_area wsq_area;

static wsq_call first;           /* static: the outermost call needs no allocation */
static wsq_call *current = NULL; /* the innermost running call */
static wsq_call *next = &first;  /* the level that the next call will use; NULL when it could not be allocated */

uint32_t wsq_abi(void);
wsq_status_block *wsq_status(void);
void *wsq_buffer(uint32_t size);

uint32_t wsq_abi(void) { return WSQ_ABI; }

wsq_status_block *wsq_status(void) { return &wsq_block; }

static wsq_call *next_level(void) {
  if (!next) {
    next = calloc(1, sizeof *next);
    if (next && current) current->inner = next;
  }
  return next;
}

void *wsq_buffer(uint32_t size) {
  wsq_call *level = next_level();
  if (!level) return NULL;
  if (!level->buffer || size > level->capacity) {
    uint32_t capacity = size < 4096 ? 4096 : size;
    /* What the old buffer held is of no interest: free first, so that the peak is one buffer. */
    free(level->buffer);
    level->buffer = malloc(capacity);
    level->capacity = level->buffer ? capacity : 0;
  }
  return level->buffer;
}

wsq_call *call_begin(void) {
  wsq_call *call = next_level();
  memset(&wsq_block, 0, sizeof wsq_block);
  wsq_block.error_offset = -1;
  if (!call) {
    wsq_block.rc = wsq_block.extended = SQLITE_NOMEM;
    return NULL;
  }
  if (call->long_message) {
    free(call->long_message);
    call->long_message = NULL;
  }
  call->system_errno = 0;
  call->flags = 0;
  call->compare_failed = 0;
  call->captured = 0;
  call->extended = 0;
  call->error_offset = -1;
  call->message = NULL;
  call->message_size = 0;
  current = call;
  next = call->inner;
  return call;
}

wsq_call *call_level(void) { return next; }

static void set_message(wsq_call *call, const char *text) {
  size_t size = strlen(text);
  char *copy = call->short_message;
  if (size >= sizeof call->short_message) {
    copy = malloc(size + 1);
    if (!copy) {
      /* The start of a message is better than none. */
      copy = call->short_message;
      size = sizeof call->short_message - 1;
      while (size > 0 && ((unsigned char)text[size] & 0xC0) == 0x80) size--;
    } else {
      call->long_message = copy;
    }
  }
  memcpy(copy, text, size);
  copy[size] = 0;
  call->message = copy;
  call->message_size = (uint32_t)size;
}

static int is_error(int rc) { return rc != SQLITE_OK && rc != SQLITE_ROW && rc != SQLITE_DONE; }

void call_capture(wsq_call *call, sqlite3 *db, int rc) {
  if (call->captured || !is_error(rc)) return;
  call->captured = 1;
  int extended = db ? sqlite3_extended_errcode(db) : rc;
  /* The handle's message belongs to another error when the codes disagree (the error was ours, or an API misuse). */
  if (db && (extended & 0xFF) == (rc & 0xFF)) {
    call->error_offset = sqlite3_error_offset(db);
    set_message(call, sqlite3_errmsg(db));
  } else {
    extended = rc;
    set_message(call, sqlite3_errstr(rc));
  }
  call->extended = extended;
}

int call_end(wsq_call *call, sqlite3 *db, int rc) {
  vfs_shm_settle();
  call_capture(call, db, rc);
  wsq_block.rc = rc;
  if (is_error(rc)) {
    wsq_block.extended = call->extended;
    wsq_block.error_offset = call->error_offset;
    wsq_block.message = (uint32_t)(uintptr_t)call->message;
    wsq_block.message_size = call->message_size;
  } else {
    wsq_block.extended = 0;
    wsq_block.error_offset = -1;
    wsq_block.message = 0;
    wsq_block.message_size = 0;
  }
  wsq_block.system_errno = call->system_errno;
  wsq_block.flags = call->flags;
  if (db) {
    wsq_block.changes = sqlite3_changes64(db);
    wsq_block.total_changes = sqlite3_total_changes64(db);
    wsq_block.last_rowid = sqlite3_last_insert_rowid(db);
    wsq_block.autocommit = sqlite3_get_autocommit(db);
  }
  wsq_call *outer = NULL;
  if (call != &first) {
    outer = &first;
    while (outer->inner != call) outer = outer->inner;
  }
  current = outer;
  next = call;
  return rc;
}

void call_batch(wsq_call *call, uint32_t rows) {
  wsq_block.rows = rows;
  wsq_block.batch = call->out.column_count ? (uint32_t)(uintptr_t)call->out.columns : 0;
}

void call_statement(sqlite3_stmt *stmt) {
  wsq_block.stmt = (uint32_t)(uintptr_t)stmt;
  if (!stmt) {
    wsq_block.columns = 0;
    wsq_block.parameters = 0;
    wsq_block.readonly = 1;
    wsq_block.reprepared = 0;
    return;
  }
  wsq_block.columns = (uint32_t)sqlite3_column_count(stmt);
  wsq_block.parameters = sqlite3_bind_parameter_count(stmt);
  wsq_block.readonly = sqlite3_stmt_readonly(stmt);
  wsq_block.reprepared = (uint32_t)sqlite3_stmt_status(stmt, SQLITE_STMTSTATUS_REPREPARE, 0);
}

void call_set_errno(int wasi_errno) {
  /* The first: what SQLite tries after it, to clean up, often fails too, and is not what it reports. */
  if (current && !current->system_errno) current->system_errno = wasi_errno;
}

void call_set_flag(uint32_t flag) {
  if (current) current->flags |= flag;
}

int call_compare_failed(int now) {
  if (!current) return 0;
  current->compare_failed |= now;
  return current->compare_failed;
}
