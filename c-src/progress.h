/* The sparse progress callback that lets the host interrupt a long query. */

#ifndef WASQLITE_PROGRESS_H
#define WASQLITE_PROGRESS_H

#include "sqlite3.h"

void progress_install(sqlite3 *db);
void progress_remove(sqlite3 *db);

#endif
