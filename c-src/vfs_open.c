/* Opening of files. */

#include "vfs.h"

#include <string.h>
#include <wasi/api.h>

enum { TYPE_MASK = 0x0FFF00, TEMPORARY_TRIES = 11 };

/* Opens a new file under a random name. A name that exists is no error: another one is tried. */
static int open_temporary(char *name, int flags, uint32_t *fd) {
  int e = 0;
  for (int i = 0; i < TEMPORARY_TRIES; i++) {
    int rc = vfs_temporary_name(name, VFS_MAX_PATH + 1);
    if (rc) return rc;
    e = vfs_path_open(name, flags, 1, 1, fd);
    if (e != __WASI_ERRNO_EXIST) break;
  }
  if (e == 0) return SQLITE_OK;
  vfs_failed(e);
  return SQLITE_CANTOPEN;
}

/* Opens a named file; *flags loses READWRITE when only reading was possible. */
static int open_named(const char *path, int *flags, int is_journal, uint32_t *fd) {
  int e = vfs_path_open(path, *flags, *flags & SQLITE_OPEN_CREATE, *flags & SQLITE_OPEN_EXCLUSIVE, fd);
  if (e == 0) return SQLITE_OK;
  if (is_journal && e == __WASI_ERRNO_ACCES) {
    uint64_t device, inode;
    if (vfs_path_identity(path, &device, &inode)) {
      vfs_failed(e);
      return SQLITE_READONLY_DIRECTORY;
    }
  }
  int forbidden = e == __WASI_ERRNO_ACCES || e == __WASI_ERRNO_PERM || e == __WASI_ERRNO_ROFS ||
                  e == __WASI_ERRNO_TXTBSY || e == __WASI_ERRNO_NOTCAPABLE;
  if (forbidden && *flags & SQLITE_OPEN_READWRITE) {
    *flags = (*flags & ~(SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE)) | SQLITE_OPEN_READONLY;
    if (vfs_path_open(path, *flags, 0, 0, fd) == 0) return SQLITE_OK;
    /* The first error says what is wrong: that the second one differs only means that the file is not there. */
  }
  vfs_failed(e);
  return SQLITE_CANTOPEN;
}

int vfs_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags, int *out_flags) {
  (void)vfs;
  vfs_file *f = (vfs_file *)file;
  int type = flags & TYPE_MASK;
  int is_main = type & SQLITE_OPEN_MAIN_DB ? 1 : 0;
  int is_journal = flags & SQLITE_OPEN_CREATE &&
                   type & (SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL | SQLITE_OPEN_WAL);
  char name[VFS_MAX_PATH + 1];
  const char *opened = path ? path : name;
  uint32_t fd = 0;
  memset(f, 0, sizeof *f); /* base.pMethods stays NULL on failure: there is nothing to close */
  int rc = path ? open_named(path, &flags, is_journal, &fd) : open_temporary(name, flags, &fd);
  if (rc) return rc;

  /* Gone from the directory at once: nobody else can open it, and a crash leaves nothing behind. */
  if (flags & SQLITE_OPEN_DELETEONCLOSE) vfs_unlink(opened);

  if (is_main) {
    __wasi_filestat_t stat;
    int e = __wasi_fd_filestat_get((__wasi_fd_t)fd, &stat);
    if (e) {
      vfs_failed(e);
      (void)!__wasi_fd_close((__wasi_fd_t)fd);
      return SQLITE_IOERR_FSTAT;
    }
    f->device = stat.dev;
    f->inode = stat.ino;
  }
  f->fd = fd;
  f->path = path;
  f->is_main = (uint8_t)is_main;
  f->is_log = type & SQLITE_OPEN_WAL ? 1 : 0;
  f->reread_at = -1;
  f->sync_parent = is_journal ? 1 : 0;
  f->psow = sqlite3_uri_boolean(flags & SQLITE_OPEN_URI ? path : NULL, "psow", 1) ? 1 : 0;
  f->base.pMethods = is_main && vfs_shm_supported() ? &vfs_io_methods_wal : &vfs_io_methods;
  if (out_flags) *out_flags = flags;
  return SQLITE_OK;
}
