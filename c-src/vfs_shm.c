/* Shared memory of WAL databases: the unix VFS's protocol on the -shm file, whose pages the host maps over pieces of our heap. */

#include "vfs.h"
#include "abi.h"

#include <stdlib.h>
#include <string.h>
#include <wasi/api.h>

/* Native's lock bytes: one per WAL lock, and the "deadman switch", which every connection holds for reading while it has the
 * file open. Whoever finds it free is the first one since the last crash, and must not believe what the file says. */
enum { LOCK_FIRST = (22 + SQLITE_SHM_NLOCK) * 4, DEADMAN = LOCK_FIRST + SQLITE_SHM_NLOCK };

/* Heap blocks that regions are mapped over: aligned to the largest page size of any host, two of SQLite's regions each. */
enum { REGION = 32768, BLOCK = 65536, PAGE = 4096, TRUNCATED = 3 };

struct vfs_shm {
  uint32_t fd;
  uint8_t readonly;
  uint8_t unlocked; /* read-only, and nobody holds the deadman switch: nothing may be mapped yet */
  uint16_t shared;  /* locks held, a bit for each */
  uint16_t exclusive;
  int regions;      /* mapped, from the first on */
  int blocks;       /* allocated */
  char **block;
  char path[];
};

static uint32_t host_page = 0;

/* Asked once: the answer belongs to the platform. */
int vfs_shm_supported(void) {
  static int asked = 0;
  if (!asked) {
    asked = 1;
    host_page = wsq_host_shm_page_size();
    if (host_page > BLOCK || (host_page & (host_page - 1)) != 0) host_page = 0;
  }
  return host_page != 0;
}

static int failed(vfs_file *f, int e, int rc) {
  f->last_errno = e;
  vfs_failed(e);
  return rc;
}

/* The truncation to 3 bytes instead of 0 is native's: a sign that it was done on purpose. */
static int take_deadman(vfs_file *f, struct vfs_shm *shm) {
  uint32_t held = SHM_NONE;
  shm->unlocked = 0;
  if (wsq_host_shm_probe(shm->fd, DEADMAN, 1, &held) != SQLITE_OK) return SQLITE_IOERR_LOCK;
  /* Somebody is about to truncate the file. To wait for a shared lock would be wrong: he may die before he has done it. */
  if (held == SHM_WRITE) return SQLITE_BUSY;
  if (held == SHM_NONE) {
    if (shm->readonly) {
      shm->unlocked = 1;
      return SQLITE_READONLY_CANTINIT;
    }
    int rc = wsq_host_shm_lock(shm->fd, SHM_WRITE, DEADMAN, 1);
    if (rc) return rc;
    int e = __wasi_fd_filestat_set_size((__wasi_fd_t)shm->fd, TRUNCATED);
    if (e) return failed(f, e, SQLITE_IOERR_SHMOPEN);
  }
  return wsq_host_shm_lock(shm->fd, SHM_READ, DEADMAN, 1);
}

static int open_shm(vfs_file *f) {
  size_t size = strlen(f->path);
  struct vfs_shm *shm = calloc(1, sizeof *shm + size + sizeof "-shm");
  if (!shm) return SQLITE_NOMEM;
  memcpy(shm->path, f->path, size);
  memcpy(shm->path + size, "-shm", sizeof "-shm");
  int e = -1;
  if (!sqlite3_uri_boolean(f->path, "readonly_shm", 0)) e = vfs_path_open(shm->path, SQLITE_OPEN_READWRITE, 1, 0, &shm->fd);
  if (e) {
    shm->readonly = 1;
    e = vfs_path_open(shm->path, SQLITE_OPEN_READONLY, 0, 0, &shm->fd);
  }
  if (e) {
    free(shm);
    return failed(f, e, SQLITE_CANTOPEN);
  }
  int rc = take_deadman(f, shm);
  if (rc != SQLITE_OK && rc != SQLITE_READONLY_CANTINIT) {
    (void)!__wasi_fd_close((__wasi_fd_t)shm->fd);
    free(shm);
    return rc;
  }
  f->shm = shm;
  return rc;
}

/* Makes the file at least `size` bytes long. One byte is written per page, so that the disk space is there: later on, a full
 * disk would be a SIGBUS. Only the holder of WAL's write lock extends, so nobody else writes there. */
static int allocate(vfs_file *f, struct vfs_shm *shm, uint64_t from, uint64_t size) {
  static const uint8_t zero[1] = {0};
  for (uint64_t page = from / PAGE; page < size / PAGE; page++) {
    __wasi_ciovec_t vector = {.buf = zero, .buf_len = 1};
    __wasi_size_t put = 0;
    int e;
    do {
      e = __wasi_fd_pwrite((__wasi_fd_t)shm->fd, &vector, 1, page * PAGE + PAGE - 1, &put);
    } while (e == __WASI_ERRNO_INTR);
    if (e || put != 1) return failed(f, e, SQLITE_IOERR_SHMSIZE);
  }
  return SQLITE_OK;
}

static char *region_at(const struct vfs_shm *shm, int region) {
  return shm->block[region / (BLOCK / REGION)] + region % (BLOCK / REGION) * REGION;
}

/* Room for regions below `count`. */
static int make_blocks(struct vfs_shm *shm, int count) {
  int wanted = (count + BLOCK / REGION - 1) / (BLOCK / REGION);
  if (shm->blocks >= wanted) return SQLITE_OK;
  char **block = realloc(shm->block, (size_t)wanted * sizeof *block);
  if (!block) return SQLITE_NOMEM;
  shm->block = block;
  while (shm->blocks < wanted) {
    char *memory = aligned_alloc(BLOCK, BLOCK);
    if (!memory) return SQLITE_NOMEM;
    block[shm->blocks++] = memory;
  }
  return SQLITE_OK;
}

/* Regions below `count`, which must be a multiple of what one host page holds. */
static int map_regions(vfs_file *f, struct vfs_shm *shm, int count, int extend) {
  uint64_t bytes = (uint64_t)count * REGION;
  __wasi_filestat_t stat;
  int e = __wasi_fd_filestat_get((__wasi_fd_t)shm->fd, &stat);
  if (e) return failed(f, e, SQLITE_IOERR_SHMSIZE);
  if (stat.size < bytes) {
    if (!extend) return SQLITE_OK;
    int rc = allocate(f, shm, stat.size, bytes);
    if (rc) return rc;
  }
  int rc = make_blocks(shm, count);
  if (rc) return rc;
  int step = host_page > REGION ? (int)(host_page / REGION) : 1;
  while (shm->regions < count) {
    uint64_t offset = (uint64_t)shm->regions * REGION;
    e = wsq_host_shm_map(shm->fd, offset, (uint32_t)(step * REGION), region_at(shm, shm->regions), shm->readonly);
    if (e) return failed(f, e, SQLITE_IOERR_SHMMAP);
    shm->regions += step;
  }
  return SQLITE_OK;
}

int vfs_shm_map(sqlite3_file *file, int region, int size, int extend, void volatile **out) {
  vfs_file *f = (vfs_file *)file;
  *out = NULL;
  if (size != REGION || region < 0 || region >= INT32_MAX / REGION) return SQLITE_IOERR_SHMMAP;
  if (!f->shm) {
    int rc = open_shm(f);
    if (rc) return rc;
  }
  struct vfs_shm *shm = f->shm;
  if (shm->unlocked) {
    int rc = take_deadman(f, shm);
    if (rc) return rc;
  }
  int rc = SQLITE_OK;
  if (shm->regions <= region) {
    int step = host_page > REGION ? (int)(host_page / REGION) : 1;
    rc = map_regions(f, shm, (region + step) / step * step, extend);
  }
  if (shm->regions > region) *out = region_at(shm, region);
  return rc == SQLITE_OK && shm->readonly ? SQLITE_READONLY : rc;
}

/* A lock that SQLite has given up and the host still holds, so that one host call does two things. A writer ends by dropping WRITE
 * and then its read lock; a reader whose mark is out of date takes that mark's lock for writing, drops it and takes it for
 * reading at once, which becomes a downgrade. Nothing else may happen in between: other uses of locks and files, sleeping,
 * and the end of the call into this module settle it. */
static struct {
  struct vfs_shm *shm; /* NULL: nothing is late */
  int offset;
} late;

enum { WRITE_LOCK = 0, FIRST_MARK = 4 }; /* WAL's read marks that can be out of date: SQLite's WAL_READ_LOCK(1) and up */

static int host_lock(const struct vfs_shm *shm, int kind, int offset, int n) {
  return wsq_host_shm_lock(shm->fd, kind, (uint32_t)(LOCK_FIRST + offset), (uint32_t)n);
}

void vfs_shm_settle(void) {
  struct vfs_shm *shm = late.shm;
  if (!shm) return;
  late.shm = NULL;
  /* As if it had not been given up: SQLite does not look at what becomes of unlocking, and asks for the lock again some day. */
  if (host_lock(shm, SHM_NONE, late.offset, 1)) shm->exclusive |= (uint16_t)(1u << late.offset);
}

/* Whether dropping `mask` can wait for what SQLite does next. */
static int can_be_late(const struct vfs_shm *shm, int offset, uint16_t mask) {
  return shm->exclusive & mask && (mask & (mask - 1)) == 0 && (offset == WRITE_LOCK || offset >= FIRST_MARK);
}

int vfs_shm_lock(sqlite3_file *file, int offset, int n, int flags) {
  struct vfs_shm *shm = ((vfs_file *)file)->shm;
  if (!shm || offset < 0 || n < 1 || offset + n > SQLITE_SHM_NLOCK) return SQLITE_IOERR_SHMLOCK;
  uint16_t mask = (uint16_t)((1u << (offset + n)) - (1u << offset));
  int kind, first = offset, count = n;
  uint16_t with_it = 0; /* the late lock, if this call settles it */
  if (flags & SQLITE_SHM_UNLOCK) {
    if (!((shm->shared | shm->exclusive) & mask)) return SQLITE_OK;
    kind = SHM_NONE;
    if (late.shm == shm && late.offset == WRITE_LOCK && !shm->exclusive && shm->shared == mask) {
      /* Nothing else is held: to unlock all from the one to the other unlocks these two. */
      first = WRITE_LOCK;
      count = offset + n;
      with_it = 1u << WRITE_LOCK;
    }
  } else if (flags & SQLITE_SHM_SHARED) {
    if (shm->shared & mask) return SQLITE_OK;
    kind = SHM_READ;
    if (late.shm == shm && n == 1 && late.offset == offset) with_it = mask;
  } else {
    kind = SHM_WRITE;
  }
  if (with_it) {
    late.shm = NULL;
  } else {
    vfs_shm_settle();
    if (kind == SHM_NONE && can_be_late(shm, offset, mask)) {
      late.shm = shm;
      late.offset = offset;
      shm->exclusive &= (uint16_t)~mask;
      return SQLITE_OK;
    }
  }
  int rc = host_lock(shm, kind, first, count);
  if (rc) {
    shm->exclusive |= with_it;
    return rc;
  }
  shm->shared &= (uint16_t)~mask;
  shm->exclusive &= (uint16_t)~mask;
  if (kind == SHM_READ) shm->shared |= mask;
  if (kind == SHM_WRITE) shm->exclusive |= mask;
  return SQLITE_OK;
}

/* A fence instruction of the processor: other processes look at the same memory. Not a crossing into the host. The compiler, for
 * its part, cannot move memory accesses over the call of a function that it does not see. */
__attribute__((target("atomics"))) void vfs_shm_barrier(sqlite3_file *file) {
  (void)file;
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

int vfs_shm_unmap(sqlite3_file *file, int delete) {
  vfs_file *f = (vfs_file *)file;
  struct vfs_shm *shm = f->shm;
  if (!shm) return SQLITE_OK;
  vfs_shm_settle();
  f->shm = NULL;
  if (delete) (void)vfs_unlink(shm->path);
  /* What could not be unmapped is still the file: such blocks must never be used as heap again. */
  if (wsq_host_shm_unmap(shm->fd) == 0) {
    for (int i = 0; i < shm->blocks; i++) free(shm->block[i]);
  }
  int e = __wasi_fd_close((__wasi_fd_t)shm->fd);
  if (e) vfs_failed(e);
  free(shm->block);
  free(shm);
  return SQLITE_OK;
}

/* Whether other connections have the file open, although the locks on the database said that there are none: those locks were
 * lost then (a close() of some other descriptor of the file drops a process's POSIX locks), and the WAL must stay. */
int vfs_shm_is_shared(vfs_file *f) {
  uint32_t held = SHM_NONE;
  if (!f->shm) return 0;
  return wsq_host_shm_probe(f->shm->fd, DEADMAN, 1, &held) == SQLITE_OK && held != SHM_NONE;
}

int vfs_shm_external_reader(vfs_file *f, int *out) {
  uint32_t held = SHM_NONE;
  *out = 0;
  if (!f->shm) return SQLITE_OK;
  if (wsq_host_shm_probe(f->shm->fd, LOCK_FIRST + 3, SQLITE_SHM_NLOCK - 3, &held) != SQLITE_OK) return SQLITE_IOERR_LOCK;
  *out = held != SHM_NONE;
  return SQLITE_OK;
}
