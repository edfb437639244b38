/* Locks of main database files: kept by the host, remembered here so that a level already held costs no crossing. */

#include "vfs.h"
#include "abi.h"
#include "status.h"

int vfs_lock(sqlite3_file *file, int level) {
  vfs_file *f = (vfs_file *)file;
  if (!f->is_main || f->level >= level) return SQLITE_OK;
  if (level > SQLITE_LOCK_SHARED && f->level >= SQLITE_LOCK_SHARED && vfs_shm_is_shared(f)) return SQLITE_BUSY;
  vfs_begin_forget(f);
  int rc = level == SQLITE_LOCK_SHARED ? vfs_begin(f) : wsq_host_file_lock(f->fd, level);
  if (rc == SQLITE_OK) {
    f->level = (uint8_t)level;
  } else if (level == SQLITE_LOCK_EXCLUSIVE && f->level >= SQLITE_LOCK_RESERVED) {
    /* From RESERVED the host takes PENDING on the way, and keeps it: the level must say so, or it would not be released. */
    f->level = SQLITE_LOCK_PENDING;
  }
  if (rc == SQLITE_OK && f->is_wal) call_set_flag(WSQ_FLAG_WAL);
  return rc;
}

int vfs_unlock(sqlite3_file *file, int level) {
  vfs_file *f = (vfs_file *)file;
  if (!f->is_main || f->level <= level) return SQLITE_OK;
  vfs_begin_forget(f);
  int rc = wsq_host_file_unlock(f->fd, level);
  /* SQLite takes a file for unlocked even after a failed unlock to NONE. */
  if (rc == SQLITE_OK || level == SQLITE_LOCK_NONE) f->level = (uint8_t)level;
  return rc;
}

int vfs_check_reserved_lock(sqlite3_file *file, int *result) {
  vfs_file *f = (vfs_file *)file;
  *result = 0;
  if (!f->is_main) return SQLITE_OK;
  if (f->level >= SQLITE_LOCK_RESERVED) {
    *result = 1;
    return SQLITE_OK;
  }
  uint32_t reserved = 0;
  int rc = wsq_host_file_check_reserved(f->fd, &reserved);
  *result = reserved != 0;
  return rc;
}
