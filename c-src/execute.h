/* Statements that were left on a row, between execute_many and fetch. */

#ifndef WASQLITE_EXECUTE_H
#define WASQLITE_EXECUTE_H

#include "sqlite3.h"

/* Forgets that stmt was left on a row: it is about to be reset or finalized. */
void execute_forget(sqlite3_stmt *stmt);

#endif
