/* What the VFS does with names: opening, deleting, looking up, and syncing of directories. */

#include "vfs.h"
#include "abi.h"
#include "status.h"

#include <string.h>
#include <wasi/api.h>

/* Every path is relative to this preopened descriptor, which is the root directory. */
enum { ROOT = 3 };

const char *vfs_relative(const char *path) {
  while (*path == '/') path++;
  return *path ? path : ".";
}

static const __wasi_rights_t read_rights = __WASI_RIGHTS_FD_READ | __WASI_RIGHTS_FD_SEEK | __WASI_RIGHTS_FD_TELL |
                                           __WASI_RIGHTS_FD_FILESTAT_GET | __WASI_RIGHTS_FD_SYNC |
                                           __WASI_RIGHTS_FD_DATASYNC;
static const __wasi_rights_t write_rights = __WASI_RIGHTS_FD_WRITE | __WASI_RIGHTS_FD_FILESTAT_SET_SIZE;

/* Symbolic links are not followed: names come resolved from path_full, so a link in the last place was put there since. */
int vfs_path_open(const char *path, int flags, int create, int exclusive, uint32_t *fd) {
  __wasi_oflags_t oflags = (create ? __WASI_OFLAGS_CREAT : 0) | (exclusive ? __WASI_OFLAGS_EXCL : 0);
  __wasi_rights_t rights = read_rights | (flags & SQLITE_OPEN_READWRITE ? write_rights : 0);
  __wasi_fd_t opened = 0;
  int e = __wasi_path_open(ROOT, 0, vfs_relative(path), oflags, rights, 0, 0, &opened);
  *fd = (uint32_t)opened;
  return e;
}

int vfs_path_identity(const char *path, uint64_t *device, uint64_t *inode) {
  __wasi_filestat_t stat;
  int e = __wasi_path_filestat_get(ROOT, __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, vfs_relative(path), &stat);
  if (e) return e;
  *device = stat.dev;
  *inode = stat.ino;
  return 0;
}

static int open_directory(const char *path, __wasi_fd_t *fd) {
  return __wasi_path_open(ROOT, __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, vfs_relative(path), __WASI_OFLAGS_DIRECTORY, read_rights, 0, 0,
                          fd);
}

int vfs_sync_parent(const char *path) {
  char parent[VFS_MAX_PATH + 1];
  const char *slash = strrchr(path, '/');
  size_t size = slash ? (size_t)(slash - path) : 0;
  if (size > VFS_MAX_PATH) return SQLITE_OK;
  memcpy(parent, path, size);
  parent[size] = 0;
  __wasi_fd_t fd;
  if (open_directory(parent, &fd)) return SQLITE_OK;
  int e = __wasi_fd_sync(fd);
  (void)!__wasi_fd_close(fd);
  if (e == 0) return SQLITE_OK;
  vfs_failed(e);
  return SQLITE_IOERR_DIR_FSYNC;
}

int vfs_unlink(const char *path) { return __wasi_path_unlink_file(ROOT, vfs_relative(path)); }

int vfs_temporary_name(char *out, int capacity) {
  static const char prefix[] = "/etilqs_";
  int size;
  if (sqlite3_temp_directory) { /* PRAGMA temp_store_directory */
    size = (int)strlen(sqlite3_temp_directory);
    if (size < capacity) memcpy(out, sqlite3_temp_directory, (size_t)size);
  } else {
    size = wsq_host_path_temporary(out, (uint32_t)capacity);
    if (size < 0) {
      vfs_failed(-size);
      return SQLITE_IOERR_GETTEMPPATH;
    }
  }
  /* 16 hexadecimal digits, and two NULs, which URI parameter lookups expect after a name. */
  if (size > capacity - (int)sizeof prefix - 18) return SQLITE_ERROR;
  sqlite3_uint64 random;
  sqlite3_randomness(sizeof random, &random);
  sqlite3_snprintf(capacity - size, out + size, "%s%016llx", prefix, random);
  out[strlen(out) + 1] = 0;
  return SQLITE_OK;
}

int vfs_delete(sqlite3_vfs *vfs, const char *path, int sync) {
  (void)vfs;
  int e = vfs_unlink(path);
  if (e == __WASI_ERRNO_NOENT) return SQLITE_IOERR_DELETE_NOENT;
  if (e) {
    vfs_failed(e);
    return SQLITE_IOERR_DELETE;
  }
  return sync & 1 ? vfs_sync_parent(path) : SQLITE_OK;
}

static int ends_with(const char *text, const char *end) {
  size_t size = strlen(text), end_size = strlen(end);
  return size >= end_size && memcmp(text + size - end_size, end, end_size) == 0;
}

/* WASI has no access(2): whether a file may be written is found out by opening it. SQLite asks only for
 * PRAGMA temp_store_directory, where opening as a directory is all that can be tried. */
static int can_write(const char *path) {
  uint32_t fd;
  __wasi_fd_t directory;
  int e = vfs_path_open(path, SQLITE_OPEN_READWRITE, 0, 0, &fd);
  if (e == 0) {
    (void)!__wasi_fd_close((__wasi_fd_t)fd);
    return 1;
  }
  if (e != __WASI_ERRNO_ISDIR || open_directory(path, &directory)) return 0;
  (void)!__wasi_fd_close(directory);
  return 1;
}

int vfs_access(sqlite3_vfs *vfs, const char *path, int flags, int *result) {
  (void)vfs;
  if (flags != SQLITE_ACCESS_EXISTS) {
    *result = can_write(path);
    return SQLITE_OK;
  }
  if (vfs_begin_absent(path)) {
    *result = 0;
    return SQLITE_OK;
  }
  /* An empty regular file counts as missing: an empty journal or WAL has nothing to say. That a file is not there must be
   * certain, since it may be the hot journal: any other failure is an error, and not taken for an absent file. */
  __wasi_filestat_t stat;
  int e = __wasi_path_filestat_get(ROOT, __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, vfs_relative(path), &stat);
  if (e == __WASI_ERRNO_IO || e == __WASI_ERRNO_FAULT || e == __WASI_ERRNO_NOMEM || e == __WASI_ERRNO_BADF) {
    vfs_failed(e);
    return SQLITE_IOERR_ACCESS;
  }
  *result = e == 0 && (stat.filetype != __WASI_FILETYPE_REGULAR_FILE || stat.size > 0);
  /* With a WAL file present SQLite fails before it reads the header. */
  if (*result && !vfs_shm_supported() && ends_with(path, "-wal")) call_set_flag(WSQ_FLAG_WAL);
  return SQLITE_OK;
}

int vfs_full_pathname(sqlite3_vfs *vfs, const char *path, int capacity, char *out) {
  (void)vfs;
  int size = wsq_host_path_full(path, (uint32_t)strlen(path), out, (uint32_t)capacity);
  if (size >= 0 && size < capacity) return SQLITE_OK;
  vfs_failed(size < 0 ? -size : __WASI_ERRNO_NAMETOOLONG);
  out[0] = 0;
  return SQLITE_CANTOPEN;
}
