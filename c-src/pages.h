/* What a backup does to its peer beyond SQLite's public interface: sqlite_pages.h. */

#ifndef WASQLITE_PAGES_H
#define WASQLITE_PAGES_H

#include "sqlite3.h"

/* Before each step: what the peer must know that is not in its pages. */
void pages_prepare_peer(sqlite3 *peer, int page_size);

/* The peer's pages have changed: forget them, and begin at page 1. */
void pages_restart_peer(sqlite3 *peer, sqlite3_backup *backup);

#endif
