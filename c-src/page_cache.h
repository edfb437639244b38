/* SQLite's page cache: see sqlite_page_cache.h. */

#ifndef WASQLITE_PAGE_CACHE_H
#define WASQLITE_PAGE_CACHE_H

/* Once, when SQLite has set up its page cache and has none in use. */
void page_cache_install(void);

#endif
