/* File controls: what SQLite tells and asks about an open file. */

#include "vfs.h"

#include <stdlib.h>
#include <string.h>
#include <wasi/api.h>

/* Writes *value (0 or 1) to the bit, or the bit to *value where that is negative. */
static int set_or_get(uint8_t *bit, int *value) {
  if (*value < 0) {
    *value = *bit;
  } else {
    *bit = *value != 0;
  }
  return SQLITE_OK;
}

/* With a chunk size the file grows by whole chunks. WASI's fd_allocate is not portable: the new end is sparse, and a full disk
 * shows when it is written. */
static int size_hint(vfs_file *f, sqlite3_int64 size) {
  if (f->chunk <= 0) return SQLITE_OK;
  __wasi_filestat_t stat;
  int e = __wasi_fd_filestat_get((__wasi_fd_t)f->fd, &stat);
  if (e == 0) {
    sqlite3_int64 rounded = (size + f->chunk - 1) / f->chunk * f->chunk;
    if (rounded <= (sqlite3_int64)stat.size) return SQLITE_OK;
    e = __wasi_fd_filestat_set_size((__wasi_fd_t)f->fd, (__wasi_filesize_t)rounded);
    if (e == 0) return SQLITE_OK;
  }
  f->last_errno = e;
  vfs_failed(e);
  return e == __WASI_ERRNO_NOSPC ? SQLITE_FULL : SQLITE_IOERR_WRITE;
}

/* Moved, replaced or deleted since it was opened: writing to it would not be seen by anybody. */
static int has_moved(const vfs_file *f) {
  uint64_t device, inode;
  if (!f->is_main) return 0;
  return vfs_path_identity(f->path, &device, &inode) != 0 || device != f->device || inode != f->inode;
}

static int temporary_name(char **out) {
  char *name = sqlite3_malloc(VFS_MAX_PATH + 1);
  if (!name) return SQLITE_NOMEM;
  int rc = vfs_temporary_name(name, VFS_MAX_PATH + 1);
  if (rc) {
    sqlite3_free(name);
    return rc;
  }
  *out = name;
  return SQLITE_OK;
}

/* Refuses WAL where the host has no shared memory: SQLite by itself would keep the old mode without a word. words: result, name of the pragma, its argument. SQLite takes every prefix of a mode's name for the mode; so "w" is WAL too. */
static int pragma(const vfs_file *f, char **words) {
  if (!f->is_main || !words[2] || !words[2][0] || vfs_shm_supported()) return SQLITE_NOTFOUND;
  if (sqlite3_stricmp(words[1], "journal_mode") != 0) return SQLITE_NOTFOUND;
  if (sqlite3_strnicmp(words[2], "wal", (int)strlen(words[2])) != 0) return SQLITE_NOTFOUND;
  words[0] = sqlite3_mprintf(
      "journal_mode=WAL needs memory shared with other processes, which wasqlite does not have on this platform; "
      "the journal mode was not changed");
  return words[0] ? SQLITE_ERROR : SQLITE_NOMEM;
}

int vfs_control(sqlite3_file *file, int operation, void *argument) {
  vfs_file *f = (vfs_file *)file;
  switch (operation) {
    case SQLITE_FCNTL_LOCKSTATE:
      *(int *)argument = f->level;
      return SQLITE_OK;
    case SQLITE_FCNTL_LAST_ERRNO:
      *(int *)argument = f->last_errno;
      return SQLITE_OK;
    case SQLITE_FCNTL_CHUNK_SIZE:
      f->chunk = *(int *)argument;
      return SQLITE_OK;
    case SQLITE_FCNTL_SIZE_HINT:
      return size_hint(f, *(sqlite3_int64 *)argument);
    case SQLITE_FCNTL_PERSIST_WAL:
      return set_or_get(&f->persist_wal, argument);
    case SQLITE_FCNTL_POWERSAFE_OVERWRITE:
      return set_or_get(&f->psow, argument);
    case SQLITE_FCNTL_VFSNAME:
      *(char **)argument = sqlite3_mprintf("%s", "wasqlite");
      return SQLITE_OK;
    case SQLITE_FCNTL_TEMPFILENAME:
      return temporary_name(argument);
    case SQLITE_FCNTL_HAS_MOVED:
      *(int *)argument = has_moved(f);
      return SQLITE_OK;
    case SQLITE_FCNTL_MMAP_SIZE: /* files are never mapped, whatever is asked for */
      *(sqlite3_int64 *)argument = 0;
      return SQLITE_OK;
    case SQLITE_FCNTL_EXTERNAL_READER:
      return vfs_shm_external_reader(f, argument);
    case SQLITE_FCNTL_PRAGMA:
      return pragma(f, argument);
    default:
      return SQLITE_NOTFOUND;
  }
}
