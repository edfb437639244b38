/* Progress callbacks: the sparse one that lets the host interrupt a long query, and beside it the user's. SQLite has room
 * for one. */

#include "progress.h"
#include "callback.h"
#include "status.h"

#include <stdlib.h>

int wsq_set_progress(sqlite3 *db, uint32_t callback, uint32_t steps);

/* VDBE steps between two looks at the host's wish to interrupt: docs/abi.md. */
enum { OWN_STEPS = 100000 };

#define CLIENT_DATA "wasqlite.progress"

typedef struct handlers {
  uint32_t callback;   /* the user's, 0 if there is none */
  uint32_t own_every;  /* how many callbacks of SQLite make one of ours */
  uint32_t own_left;
  uint32_t user_every; /* and one of the user's */
  uint32_t user_left;
} handlers;

static int own(void *unused) {
  (void)unused;
  return wsq_host_progress();
}

static int both(void *argument) {
  handlers *h = argument;
  int stop = 0;
  if (--h->own_left == 0) {
    h->own_left = h->own_every;
    stop = wsq_host_progress();
  }
  if (--h->user_left == 0) {
    h->user_left = h->user_every;
    callback_begin();
    int kind = callback_call(h->callback);
    stop |= kind != SQLITE_INTEGER || wsq_block_of_callback.value != 0;
    callback_end();
  }
  return stop;
}

void progress_install(sqlite3 *db) { sqlite3_progress_handler(db, OWN_STEPS, own, NULL); }

void progress_remove(sqlite3 *db) { sqlite3_progress_handler(db, 0, NULL, NULL); }

static int install_both(sqlite3 *db, uint32_t callback, uint32_t steps) {
  handlers *h = sqlite3_get_clientdata(db, CLIENT_DATA);
  if (!h) {
    h = calloc(1, sizeof *h);
    if (!h) return SQLITE_NOMEM;
    int rc = sqlite3_set_clientdata(db, CLIENT_DATA, h, free);
    if (rc) return rc; /* h was freed */
  }
  /* SQLite calls at the user's pace, or at a whole fraction of it when that would be too seldom for ours. */
  h->callback = callback;
  h->user_every = (steps + OWN_STEPS - 1) / OWN_STEPS;
  uint32_t every = steps / h->user_every;
  h->own_every = OWN_STEPS / every;
  h->own_left = h->own_every;
  h->user_left = h->user_every;
  sqlite3_progress_handler(db, (int)every, both, h);
  return SQLITE_OK;
}

int wsq_set_progress(sqlite3 *db, uint32_t callback, uint32_t steps) {
  wsq_call *call = call_begin();
  if (!call) return SQLITE_NOMEM;
  int rc = SQLITE_OK;
  if (callback && steps) {
    rc = install_both(db, callback, steps);
  } else {
    progress_install(db);
  }
  return call_end(call, db, rc);
}
