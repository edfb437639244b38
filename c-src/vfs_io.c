/* Reading, writing, sizing and syncing of open files. */

#include "vfs.h"
#include "status.h"

#include <string.h>
#include <wasi/api.h>

enum { SECTOR_SIZE = 4096, READ_VERSION = 19, WAL_FORMAT = 2 };

static int failed(vfs_file *f, int e, int rc) {
  f->last_errno = e;
  vfs_failed(e);
  return rc;
}

static int close_file(sqlite3_file *file) {
  vfs_file *f = (vfs_file *)file;
  (void)vfs_settle(f);
  vfs_shm_unmap(file, 0); /* SQLite has done it, unless opening failed half-way */
  vfs_unlock(file, SQLITE_LOCK_NONE);
  vfs_begin_forget(f);
  int e = __wasi_fd_close((__wasi_fd_t)f->fd);
  memset(f, 0, sizeof *f);
  /* After a failed close the descriptor is gone all the same; there is nothing that SQLite could do. */
  if (e) vfs_failed(e);
  return SQLITE_OK;
}

/* Remembers whether the database is in WAL mode, where that explains the error that follows. The pager keeps page 1 in its cache, so that the header is not read again by
 * the calls that fail because of it: vfs_lock repeats the flag. */
static void note_header(vfs_file *f, const char *header) {
  f->is_wal = memcmp(header, "SQLite format 3", 16) == 0 && header[READ_VERSION] == WAL_FORMAT;
  if (f->is_wal) call_set_flag(WSQ_FLAG_WAL);
}

static int read_file(sqlite3_file *file, void *out, int size, sqlite3_int64 offset) {
  vfs_file *f = (vfs_file *)file;
  uint8_t *to = out;
  size_t left = (size_t)size;
  if (vfs_begin_read(f, out, size, offset)) return SQLITE_OK;
  int rc = vfs_settle(f);
  if (rc) return rc;
  f->reread_at = offset;
  while (left > 0) {
    __wasi_iovec_t vector = {.buf = to, .buf_len = left};
    __wasi_size_t got = 0;
    int e = __wasi_fd_pread((__wasi_fd_t)f->fd, &vector, 1, (__wasi_filesize_t)offset, &got);
    if (e == __WASI_ERRNO_INTR) continue;
    if (e) {
      int broken = e == __WASI_ERRNO_IO || e == __WASI_ERRNO_NXIO || e == __WASI_ERRNO_RANGE;
      return failed(f, e, broken ? SQLITE_IOERR_CORRUPTFS : SQLITE_IOERR_READ);
    }
    if (got == 0 || got > left) break;
    to += got;
    offset += got;
    left -= got;
  }
  if (left == 0) {
    if (f->is_main && size > READ_VERSION && offset == size && !vfs_shm_supported()) note_header(f, out);
    return SQLITE_OK;
  }
  f->last_errno = 0; /* the end of a file is no system error */
  memset(to, 0, left);
  return SQLITE_IOERR_SHORT_READ;
}

/* Changes the vectors. */
static int write_all(vfs_file *f, __wasi_ciovec_t *vector, size_t count, sqlite3_int64 offset) {
  while (count > 0) {
    size_t left = 0;
    for (size_t i = 0; i < count; i++) left += vector[i].buf_len;
    __wasi_size_t put = 0;
    int e = __wasi_fd_pwrite((__wasi_fd_t)f->fd, vector, count, (__wasi_filesize_t)offset, &put);
    if (e == __WASI_ERRNO_INTR) continue;
    if (e) return failed(f, e, e == __WASI_ERRNO_NOSPC ? SQLITE_FULL : SQLITE_IOERR_WRITE);
    if (put == 0 || put > left) {
      f->last_errno = 0;
      return SQLITE_FULL;
    }
    offset += put;
    while (count > 0 && put >= vector->buf_len) {
      put -= vector->buf_len;
      vector++;
      count--;
    }
    if (count > 0) {
      vector->buf += put;
      vector->buf_len -= put;
    }
  }
  return SQLITE_OK;
}

/* A frame of the WAL is written in two parts, header and page, one right after the other: the header waits here for its page, and
 * both go out in one host call. When SQLite corrects the headers of frames that are there, it has read each before: that is
 * written at once, as no page follows. */
static int hold(vfs_file *f, const void *in, int size, sqlite3_int64 offset) {
  if (!f->is_log || size != WAL_FRAME_HEADER || offset < WAL_HEADER || offset == f->reread_at) return 0;
  memcpy(f->header, in, WAL_FRAME_HEADER);
  f->held_at = offset;
  f->held = 1;
  return 1;
}

int vfs_settle(vfs_file *f) {
  vfs_shm_settle();
  if (!f->held) return SQLITE_OK;
  f->held = 0;
  __wasi_ciovec_t vector = {.buf = f->header, .buf_len = WAL_FRAME_HEADER};
  return write_all(f, &vector, 1, f->held_at);
}

static int write_file(sqlite3_file *file, const void *in, int size, sqlite3_int64 offset) {
  vfs_file *f = (vfs_file *)file;
  __wasi_ciovec_t vector[] = {{.buf = f->header, .buf_len = WAL_FRAME_HEADER}, {.buf = in, .buf_len = (size_t)size}};
  if (f->held && offset == f->held_at + WAL_FRAME_HEADER) {
    f->held = 0;
    return write_all(f, vector, 2, f->held_at);
  }
  int rc = vfs_settle(f);
  if (rc || hold(f, in, size, offset)) return rc;
  return write_all(f, vector + 1, 1, offset);
}

static int truncate_file(sqlite3_file *file, sqlite3_int64 size) {
  vfs_file *f = (vfs_file *)file;
  int rc = vfs_settle(f);
  if (rc) return rc;
  if (f->chunk > 0) size = (size + f->chunk - 1) / f->chunk * f->chunk;
  int e = __wasi_fd_filestat_set_size((__wasi_fd_t)f->fd, (__wasi_filesize_t)size);
  return e ? failed(f, e, SQLITE_IOERR_TRUNCATE) : SQLITE_OK;
}

/* fd_datasync for every kind of sync, as the unix VFS does with fdatasync. WASI defines it as POSIX does: the data, and the
 * metadata that is needed to read it back (the size, not the times). SQLITE_SYNC_DATAONLY and SQLITE_SYNC_FULL therefore change
 * nothing here. A host whose fdatasync does not write the size must use its full sync for fd_datasync. */
static int sync_file(sqlite3_file *file, int flags) {
  (void)flags;
  vfs_file *f = (vfs_file *)file;
  int rc = vfs_settle(f);
  if (rc) return rc;
  int e = __wasi_fd_datasync((__wasi_fd_t)f->fd);
  if (e) return failed(f, e, SQLITE_IOERR_FSYNC);
  if (f->sync_parent) {
    /* Once, and its failure is not the file's: not every file system can sync a directory. */
    f->sync_parent = 0;
    (void)vfs_sync_parent(f->path);
  }
  return SQLITE_OK;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *out) {
  vfs_file *f = (vfs_file *)file;
  if (vfs_begin_size(f, out)) return SQLITE_OK;
  int rc = vfs_settle(f);
  if (rc) return rc;
  __wasi_filestat_t stat;
  int e = __wasi_fd_filestat_get((__wasi_fd_t)f->fd, &stat);
  if (e) return failed(f, e, SQLITE_IOERR_FSTAT);
  /* Native SQLite takes a file of one byte for an empty one (some of its ports write that byte); so do we. */
  *out = stat.size == 1 ? 0 : (sqlite3_int64)stat.size;
  return SQLITE_OK;
}

static int sector_size(sqlite3_file *file) {
  (void)file;
  return SECTOR_SIZE;
}

/* What the unix VFS promises, and no more: atomic writes are beyond what WASI can tell. */
static int device_characteristics(sqlite3_file *file) {
  const vfs_file *f = (const vfs_file *)file;
  return SQLITE_IOCAP_SUBPAGE_READ | (f->psow ? SQLITE_IOCAP_POWERSAFE_OVERWRITE : 0);
}

#define COMMON_METHODS                                                                                                        \
  .xClose = close_file, .xRead = read_file, .xWrite = write_file, .xTruncate = truncate_file, .xSync = sync_file,             \
  .xFileSize = file_size, .xLock = vfs_lock, .xUnlock = vfs_unlock, .xCheckReservedLock = vfs_check_reserved_lock,            \
  .xFileControl = vfs_control, .xSectorSize = sector_size, .xDeviceCharacteristics = device_characteristics

/* Version 1: without shared memory, so that SQLite itself refuses WAL outside of exclusive mode. */
const sqlite3_io_methods vfs_io_methods = {.iVersion = 1, COMMON_METHODS};

const sqlite3_io_methods vfs_io_methods_wal = {
    .iVersion = 2,
    COMMON_METHODS,
    .xShmMap = vfs_shm_map,
    .xShmLock = vfs_shm_lock,
    .xShmBarrier = vfs_shm_barrier,
    .xShmUnmap = vfs_shm_unmap,
};
