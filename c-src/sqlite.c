/* SQLite itself: our configuration, the amalgamation (found with -I; it is not in this repository), and what needs its insides. */

#include "sqlite_config.h"
#include "sqlite3.c"
#include "sqlite_row.h"
#include "sqlite_pages.h"
#include "sqlite_page_cache.h"
#include "sqlite_append.h"
#include "sqlite_bulk.h"
