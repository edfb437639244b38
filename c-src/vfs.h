/* The VFS "wasqlite": what its files share. */

#ifndef WASQLITE_VFS_H
#define WASQLITE_VFS_H

#include <stdint.h>

#include "sqlite3.h"

enum { VFS_MAX_PATH = 4096, WAL_HEADER = 32, WAL_FRAME_HEADER = 24 };

/* An open file. */
typedef struct vfs_file {
  sqlite3_file base;
  uint32_t fd;
  uint8_t level;       /* lock held, as far as the guest knows: an SQLITE_LOCK_ value */
  uint8_t is_main;     /* a main database: the only kind that is locked */
  uint8_t sync_parent; /* a journal that may be new: its directory entry is synced at the first xSync */
  uint8_t psow;        /* powersafe overwrite */
  uint8_t persist_wal;
  uint8_t is_wal;      /* the header was last seen in WAL format, and the host has no shared memory */
  uint8_t is_log;      /* a WAL */
  uint8_t held;        /* a frame's header waits for its page: see vfs_io.c */
  uint8_t header[WAL_FRAME_HEADER];
  int64_t held_at;
  int64_t reread_at;   /* where the last read of a WAL began */
  int chunk;           /* SQLITE_FCNTL_CHUNK_SIZE, 0 for none */
  int last_errno;      /* WASI errno */
  uint64_t device;     /* identity at open, of a main database */
  uint64_t inode;
  struct vfs_shm *shm; /* the wal-index, while it is open */
  const char *path;    /* SQLite's, alive as long as the file; NULL for a temporary file */
} vfs_file;

/* vfs_path.c */
int vfs_path_open(const char *path, int flags, int create, int exclusive, uint32_t *fd); /* WASI errno; flags READONLY or READWRITE */
int vfs_path_identity(const char *path, uint64_t *device, uint64_t *inode);             /* WASI errno */
int vfs_sync_parent(const char *path);   /* SQLITE_OK also where the directory cannot be opened, or SQLITE_IOERR_DIR_FSYNC */
int vfs_unlink(const char *path);        /* WASI errno */
int vfs_temporary_name(char *out, int capacity);
int vfs_delete(sqlite3_vfs *vfs, const char *path, int sync);
int vfs_access(sqlite3_vfs *vfs, const char *path, int flags, int *result);
int vfs_full_pathname(sqlite3_vfs *vfs, const char *path, int capacity, char *out);

const char *vfs_relative(const char *path); /* to the root: without leading slashes */

/* vfs_begin.c: answers that came with the SHARED lock; what returns an int tells whether there was one */
int vfs_begin(vfs_file *f); /* takes the SHARED lock: a result code */
void vfs_begin_forget(const vfs_file *f);
int vfs_begin_absent(const char *path);
int vfs_begin_read(const vfs_file *f, void *out, int size, sqlite3_int64 offset);
int vfs_begin_size(const vfs_file *f, sqlite3_int64 *out);

/* vfs_open.c */
int vfs_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags, int *out_flags);

/* vfs_io.c */
extern const sqlite3_io_methods vfs_io_methods;
extern const sqlite3_io_methods vfs_io_methods_wal; /* with shared memory */
int vfs_settle(vfs_file *f); /* before anything else is done with a file: a result code */

/* vfs_lock.c */
int vfs_lock(sqlite3_file *file, int level);
int vfs_unlock(sqlite3_file *file, int level);
int vfs_check_reserved_lock(sqlite3_file *file, int *result);

/* vfs_shm.c: shared memory of databases in WAL mode */
int vfs_shm_supported(void); /* by the host */
int vfs_shm_map(sqlite3_file *file, int region, int size, int extend, void volatile **out);
int vfs_shm_lock(sqlite3_file *file, int offset, int n, int flags);
void vfs_shm_barrier(sqlite3_file *file);
int vfs_shm_unmap(sqlite3_file *file, int delete);
int vfs_shm_is_shared(vfs_file *f);
int vfs_shm_external_reader(vfs_file *f, int *out);
void vfs_shm_settle(void); /* a lock that was given up and is still held: see there */

/* vfs_control.c */
int vfs_control(sqlite3_file *file, int operation, void *argument);

/* vfs.c: the errno of the VFS as a whole, for xGetLastError, and of the running call. */
void vfs_failed(int wasi_errno);

#endif
