/* Backups into a database of this instance: from another of its databases, or from one that lives elsewhere, whose pages the host
 * brings. For the latter SQLite's own backup reads from a "peer": a connection whose file is made of what was brought. */

#include "pages.h"
#include "status.h"

#include <string.h>

enum {
  PENDING_BYTE_OFFSET = 0x40000000,
  MAX_PAGE = 65536,
};

typedef struct wsq_backup {
  sqlite3_backup *backup;
  sqlite3 *peer; /* NULL: the source is in this instance */
  uint32_t page_size;
  uint32_t page_count;
  uint32_t first; /* the pages in the host's hands during a step */
  uint32_t count;
  const unsigned char *window;
  /* Two pieces that SQLite reads again, after it has gone on to other pages: page 1, and, if the page sizes differ, what lies in the
   * target's page of the pending byte. */
  unsigned char first_page[MAX_PAGE];
  unsigned char pending[MAX_PAGE];
} wsq_backup;

int wsq_backup_open(sqlite3 *target, const char *schema, sqlite3 *source, const char *source_schema);
int wsq_backup_step(sqlite3 *target, wsq_backup *b, int pages);
int wsq_backup_feed(sqlite3 *target, wsq_backup *b, uint32_t page_size, uint32_t page_count, uint32_t first, uint32_t count,
                    const unsigned char *window);
int wsq_backup_restart(sqlite3 *target, wsq_backup *b);
int wsq_backup_finish(sqlite3 *target, wsq_backup *b);

/* The peer's file: read-only, and locks mean nothing, because the host holds a lock on the real one. */

typedef struct peer_file {
  sqlite3_file base;
  wsq_backup *backup;
} peer_file;

static sqlite3_int64 size_of(const wsq_backup *b) { return (sqlite3_int64)b->page_size * b->page_count; }

/* Copies what of [offset, offset + size) lies in a piece: how many bytes. */
static sqlite3_int64 take(unsigned char *out, sqlite3_int64 offset, sqlite3_int64 size, const unsigned char *piece,
                          sqlite3_int64 start, sqlite3_int64 length) {
  sqlite3_int64 from = offset > start ? offset : start;
  sqlite3_int64 to = offset + size < start + length ? offset + size : start + length;
  if (from >= to) return 0;
  memcpy(out + (from - offset), piece + (from - start), (size_t)(to - from));
  return to - from;
}

static int peer_read(sqlite3_file *file, void *out, int size, sqlite3_int64 offset) {
  const wsq_backup *b = ((peer_file *)file)->backup;
  sqlite3_int64 end = size_of(b);
  sqlite3_int64 there = offset >= end ? 0 : offset + size > end ? end - offset : size;
  sqlite3_int64 window_at = (sqlite3_int64)b->page_size * (b->first - 1);
  sqlite3_int64 window_size = b->window ? (sqlite3_int64)b->page_size * b->count : 0;
  memset(out, 0, (size_t)size);
  if (take(out, offset, there, b->window, window_at, window_size) < there &&
      take(out, offset, there, b->first_page, 0, b->page_size) < there &&
      take(out, offset, there, b->pending, PENDING_BYTE_OFFSET, MAX_PAGE) < there && offset > 0) {
    return SQLITE_IOERR_READ;
  }
  /* At offset 0 less is enough: the header is there, and SQLite reads again once it knows the page size. */
  return there < size ? SQLITE_IOERR_SHORT_READ : SQLITE_OK;
}

static int peer_size(sqlite3_file *file, sqlite3_int64 *size) {
  *size = size_of(((peer_file *)file)->backup);
  return SQLITE_OK;
}

static int peer_close(sqlite3_file *file) {
  (void)file;
  return SQLITE_OK;
}

static int peer_write(sqlite3_file *file, const void *data, int size, sqlite3_int64 offset) {
  (void)file, (void)data, (void)size, (void)offset;
  return SQLITE_READONLY;
}

static int peer_truncate(sqlite3_file *file, sqlite3_int64 size) {
  (void)file, (void)size;
  return SQLITE_READONLY;
}

static int peer_ok(sqlite3_file *file, int level) {
  (void)file, (void)level;
  return SQLITE_OK;
}

static int peer_reserved(sqlite3_file *file, int *result) {
  (void)file;
  *result = 0;
  return SQLITE_OK;
}

static int peer_control(sqlite3_file *file, int op, void *argument) {
  (void)file, (void)op, (void)argument;
  return SQLITE_NOTFOUND;
}

static int peer_zero(sqlite3_file *file) {
  (void)file;
  return 0;
}

static const sqlite3_io_methods peer_methods = {
    .iVersion = 1,
    .xClose = peer_close,
    .xRead = peer_read,
    .xWrite = peer_write,
    .xTruncate = peer_truncate,
    .xSync = peer_ok,
    .xFileSize = peer_size,
    .xLock = peer_ok,
    .xUnlock = peer_ok,
    .xCheckReservedLock = peer_reserved,
    .xFileControl = peer_control,
    .xSectorSize = peer_zero,
    .xDeviceCharacteristics = peer_zero,
};

static wsq_backup *opening = NULL; /* whose peer is being opened */

static int peer_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags, int *out_flags) {
  (void)vfs, (void)path;
  file->pMethods = NULL;
  if (!opening || !(flags & SQLITE_OPEN_MAIN_DB)) return SQLITE_CANTOPEN;
  ((peer_file *)file)->backup = opening;
  file->pMethods = &peer_methods;
  if (out_flags) *out_flags = flags;
  return SQLITE_OK;
}

static int peer_access(sqlite3_vfs *vfs, const char *path, int flags, int *result) {
  (void)vfs, (void)path, (void)flags;
  *result = 0; /* no journal */
  return SQLITE_OK;
}

static int peer_full_pathname(sqlite3_vfs *vfs, const char *path, int capacity, char *out) {
  (void)vfs;
  sqlite3_snprintf(capacity, out, "%s", path);
  return SQLITE_OK;
}

static int open_peer(wsq_backup *b) {
  static sqlite3_vfs vfs;
  if (!vfs.zName) {
    vfs = *sqlite3_vfs_find(NULL); /* for clock and randomness */
    vfs.zName = "wasqlite-peer";
    vfs.pNext = NULL;
    vfs.szOsFile = sizeof(peer_file);
    vfs.xOpen = peer_open;
    vfs.xAccess = peer_access;
    vfs.xFullPathname = peer_full_pathname;
  }
  int rc = sqlite3_vfs_register(&vfs, 0);
  opening = b;
  if (rc == SQLITE_OK) {
    rc = sqlite3_open_v2("peer", &b->peer, SQLITE_OPEN_READONLY | SQLITE_OPEN_PRIVATECACHE, vfs.zName);
  }
  opening = NULL;
  return rc;
}

int wsq_backup_open(sqlite3 *target, const char *schema, sqlite3 *source, const char *source_schema) {
  wsq_call *call = call_begin();
  if (!call) return SQLITE_NOMEM;
  wsq_backup *b = sqlite3_malloc(sizeof *b);
  int rc = b ? SQLITE_OK : SQLITE_NOMEM;
  if (b) {
    memset(b, 0, offsetof(wsq_backup, first_page));
    b->first = 1;
    if (!source) rc = open_peer(b);
    if (rc == SQLITE_OK) {
      b->backup = sqlite3_backup_init(target, schema, source ? source : b->peer, source ? source_schema : "main");
      if (!b->backup) rc = sqlite3_errcode(target);
    }
    call_capture(call, target, rc);
    if (rc != SQLITE_OK) {
      sqlite3_close(b->peer);
      sqlite3_free(b);
      b = NULL;
    }
  }
  wsq_block.handle = (uint32_t)(uintptr_t)b;
  return call_end(call, target, rc);
}

int wsq_backup_step(sqlite3 *target, wsq_backup *b, int pages) {
  wsq_call *call = call_begin();
  if (!call) return SQLITE_NOMEM;
  int rc = sqlite3_backup_step(b->backup, pages);
  wsq_block.rows = (uint32_t)sqlite3_backup_remaining(b->backup);
  wsq_block.columns = (uint32_t)sqlite3_backup_pagecount(b->backup);
  call_capture(call, NULL, rc); /* the target gets the error when the backup is finished, and no message then either */
  return call_end(call, target, rc);
}

static int feed_misuse(sqlite3 *target) {
  wsq_call *call = call_begin();
  return call ? call_end(call, target, SQLITE_MISUSE) : SQLITE_NOMEM;
}

/* A step over the pages in the window, which follow those of the step before. */
int wsq_backup_feed(sqlite3 *target, wsq_backup *b, uint32_t page_size, uint32_t page_count, uint32_t first, uint32_t count,
                    const unsigned char *window) {
  if (page_size < 512 || page_size > MAX_PAGE || first < 1 || count > page_count) return feed_misuse(target);
  sqlite3_int64 at = (sqlite3_int64)page_size * (first - 1);
  sqlite3_int64 size = (sqlite3_int64)page_size * count;
  b->page_size = page_size;
  b->page_count = page_count;
  b->first = first;
  b->count = count;
  b->window = window;
  take(b->first_page, 0, page_size, window, at, size);
  take(b->pending, PENDING_BYTE_OFFSET, MAX_PAGE, window, at, size);
  pages_prepare_peer(b->peer, (int)page_size);
  int rc = wsq_backup_step(target, b, (int)count);
  b->window = NULL;
  return rc;
}

int wsq_backup_restart(sqlite3 *target, wsq_backup *b) {
  wsq_call *call = call_begin();
  if (!call) return SQLITE_NOMEM;
  pages_restart_peer(b->peer, b->backup);
  return call_end(call, target, SQLITE_OK);
}

/* Rolls the target back, unless the backup is complete: the error that it ended with. */
int wsq_backup_finish(sqlite3 *target, wsq_backup *b) {
  wsq_call *call = call_begin();
  if (!call) return SQLITE_NOMEM;
  int rc = sqlite3_backup_finish(b->backup);
  call_capture(call, target, rc);
  sqlite3_close(b->peer);
  sqlite3_free(b);
  return call_end(call, target, rc);
}
