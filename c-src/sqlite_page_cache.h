/* The size of the default page cache. Included by sqlite.c, after the amalgamation: a page cache does not tell its page size.
 *
 * SQLite's default, 2000 KiB, counts on the operating system's cache being one system call away. Here a read of a page is a call
 * to the host and back, several times that, so the default stands for more; memory is taken as pages are read. What a program asks
 * for itself is what it gets, and PRAGMA cache_size tells what it always tells. */

#include "page_cache.h"

enum { DEFAULT_PAGE_CACHE = 8 << 20 }; /* bytes of pages */

static void (*set_cache_size)(sqlite3_pcache *, int);

static void page_cache_size(sqlite3_pcache *cache, int pages) {
  const PCache1 *c = (const PCache1 *)cache;
  int page = c->szPage, whole = page + c->szExtra - (int)ROUND8(sizeof(PgHdr)); /* what sqlite3PcacheSetCachesize() divides by */
  if (pages == -1024 * SQLITE_DEFAULT_CACHE_SIZE / whole) pages = DEFAULT_PAGE_CACHE / page;
  set_cache_size(cache, pages);
}

void page_cache_install(void) {
  if (set_cache_size) return;
  set_cache_size = sqlite3GlobalConfig.pcache2.xCachesize;
  sqlite3GlobalConfig.pcache2.xCachesize = page_cache_size;
}
