/* The begin of a read transaction in one crossing. Right after the SHARED lock SQLite asks four things, in this order: is there a
 * journal, what is the change counter, is there a WAL, how large is the file. The host answers all of them together with the
 * lock, when there is neither journal nor WAL; otherwise SQLite's questions go to the host one by one, as they always can.
 *
 * Why that is as good as asking later: the answers are found after the lock was taken, as they would be anyway. While it is held
 * nobody can write to the file, so size and counter stay; a journal that appears belongs to a writer that lives; a WAL cannot
 * appear, because that takes the EXCLUSIVE lock. Every answer is given once, and all are forgotten with the next change of the lock. */

#include "vfs.h"
#include "abi.h"

#include <string.h>

enum { COUNTER_OFFSET = 24 }; /* change counter, size in pages, freelist: what the pager compares */

static struct {
  const vfs_file *file; /* NULL: nothing is known */
  const char *journal;  /* NULL once asked for */
  const char *wal;
  int counter_known;
  wsq_begin_block answers;
} begun;

int vfs_begin(vfs_file *f) {
  const char *journal = f->path ? sqlite3_filename_journal(f->path) : NULL;
  const char *wal = f->path ? sqlite3_filename_wal(f->path) : NULL;
  begun.file = NULL;
  if (!journal || !wal || !journal[0] || !wal[0]) return wsq_host_file_lock(f->fd, SQLITE_LOCK_SHARED);
  memset(&begun.answers, 0, sizeof begun.answers); /* a host that only locks knows nothing */
  const char *j = vfs_relative(journal), *w = vfs_relative(wal);
  int rc = wsq_host_file_begin(f->fd, j, (uint32_t)strlen(j), w, (uint32_t)strlen(w), &begun.answers);
  if (rc || !begun.answers.known || begun.answers.size < 0) return rc;
  begun.file = f;
  begun.journal = journal;
  begun.wal = wal;
  begun.counter_known = 1;
  return rc;
}

void vfs_begin_forget(const vfs_file *f) {
  if (begun.file == f) begun.file = NULL;
}

/* By address: SQLite asks with the names that it made when it opened the file. */
int vfs_begin_absent(const char *path) {
  if (!begun.file) return 0;
  if (path == begun.journal) {
    begun.journal = NULL;
    return 1;
  }
  if (path == begun.wal) {
    begun.wal = NULL;
    return 1;
  }
  return 0;
}

int vfs_begin_read(const vfs_file *f, void *out, int size, sqlite3_int64 offset) {
  if (begun.file != f || !begun.counter_known) return 0;
  if (offset != COUNTER_OFFSET || size != (int)sizeof begun.answers.counter) return 0;
  begun.counter_known = 0;
  memcpy(out, begun.answers.counter, sizeof begun.answers.counter);
  return 1;
}

int vfs_begin_size(const vfs_file *f, sqlite3_int64 *out) {
  if (begun.file != f) return 0;
  begun.file = NULL; /* the last question */
  *out = begun.answers.size;
  return 1;
}
