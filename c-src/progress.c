/* The sparse progress callback that lets the host interrupt a long query. */

#include "progress.h"
#include "abi.h"

/* VDBE steps between two callbacks: docs/abi.md. */
enum { PROGRESS_STEPS = 100000 };

static int progress(void *unused) {
  (void)unused;
  return wsq_host_progress();
}

void progress_install(sqlite3 *db) { sqlite3_progress_handler(db, PROGRESS_STEPS, progress, NULL); }

void progress_remove(sqlite3 *db) { sqlite3_progress_handler(db, 0, NULL, NULL); }
