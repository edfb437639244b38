/* The VFS "wasqlite": registration, clock, randomness and sleep. Semantics follow SQLite's unix VFS. */

#include "vfs.h"
#include "page_cache.h"
#include "status.h"

#include <string.h>
#include <wasi/api.h>

static int last_errno = 0;

void vfs_failed(int wasi_errno) {
  last_errno = wasi_errno;
  call_set_errno(wasi_errno);
}

static int randomness(sqlite3_vfs *vfs, int size, char *out) {
  (void)vfs;
  memset(out, 0, (size_t)size);
  return __wasi_random_get((uint8_t *)out, (__wasi_size_t)size) == __WASI_ERRNO_SUCCESS ? size : 0;
}

static int sleep_microseconds(sqlite3_vfs *vfs, int microseconds) {
  (void)vfs;
  vfs_shm_settle();
  __wasi_subscription_t subscription;
  __wasi_event_t event;
  __wasi_size_t count;
  memset(&subscription, 0, sizeof subscription);
  subscription.u.tag = __WASI_EVENTTYPE_CLOCK;
  subscription.u.u.clock.id = __WASI_CLOCKID_MONOTONIC;
  subscription.u.u.clock.timeout = (__wasi_timestamp_t)(microseconds > 0 ? microseconds : 0) * 1000;
  /* 0 for a sleep that failed; SQLite's busy handler ends after a fixed number of tries in any case. */
  if (__wasi_poll_oneoff(&subscription, &event, 1, &count) != __WASI_ERRNO_SUCCESS) return 0;
  return microseconds;
}

static int current_time_int64(sqlite3_vfs *vfs, sqlite3_int64 *out) {
  (void)vfs;
  const sqlite3_int64 unix_epoch = 210866760000000; /* 1970-01-01 in milliseconds of Julian days */
  __wasi_timestamp_t now;
  if (__wasi_clock_time_get(__WASI_CLOCKID_REALTIME, 1000000, &now) != __WASI_ERRNO_SUCCESS) return SQLITE_ERROR;
  *out = unix_epoch + (sqlite3_int64)(now / 1000000);
  return SQLITE_OK;
}

static int current_time(sqlite3_vfs *vfs, double *out) {
  sqlite3_int64 milliseconds;
  int rc = current_time_int64(vfs, &milliseconds);
  if (rc == SQLITE_OK) *out = (double)milliseconds / 86400000.0;
  return rc;
}

static int get_last_error(sqlite3_vfs *vfs, int size, char *out) {
  (void)vfs;
  (void)size;
  (void)out;
  return last_errno;
}

static sqlite3_vfs vfs = {
    .iVersion = 2,
    .szOsFile = sizeof(vfs_file),
    .mxPathname = VFS_MAX_PATH,
    .zName = "wasqlite",
    .xOpen = vfs_open,
    .xDelete = vfs_delete,
    .xAccess = vfs_access,
    .xFullPathname = vfs_full_pathname,
    .xRandomness = randomness,
    .xSleep = sleep_microseconds,
    .xCurrentTime = current_time,
    .xGetLastError = get_last_error,
    .xCurrentTimeInt64 = current_time_int64,
};

/* SQLite calls these two because of SQLITE_OS_OTHER. */
int sqlite3_os_init(void) {
  page_cache_install(); /* the one place where SQLite calls us while it starts */
  return sqlite3_vfs_register(&vfs, 1);
}

int sqlite3_os_end(void) { return SQLITE_OK; }
