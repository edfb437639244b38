/* SQLite itself: our configuration, then the amalgamation (found with -I; it is not in this repository). */

#include "sqlite_config.h"
#include "sqlite3.c"
