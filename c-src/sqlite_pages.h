/* The pages of one database of a connection, as SQLite's backup reads them. Included by sqlite.c, after the amalgamation: no
 * public function reads a page without a statement, which would be traced, authorised, and would read the schema of every
 * attached database. The functions used here are those of SQLite's own sqlite3_backup_step(). */

#include "pages.h"
#include "status.h"

/* While it exists, SQLite does not detach the database, nor change its page size. */
typedef struct wsq_pages {
  Btree *btree;
  int begun; /* a read transaction that is not the connection's own */
} wsq_pages;

int wsq_pages_open(sqlite3 *db, const char *schema);
int wsq_pages_begin(sqlite3 *db, wsq_pages *pages, int while_writing);
int wsq_pages_read(sqlite3 *db, wsq_pages *pages, uint32_t first, uint32_t count, unsigned char *out);
int wsq_pages_end(sqlite3 *db, wsq_pages *pages);
int wsq_pages_close(sqlite3 *db, wsq_pages *pages);

int wsq_pages_open(sqlite3 *db, const char *schema) {
  wsq_call *call = call_begin();
  if (!call) return SQLITE_NOMEM;
  Btree *btree = findBtree(db, db, schema); /* leaves the error in db */
  wsq_pages *pages = btree ? sqlite3_malloc(sizeof *pages) : NULL;
  int rc = pages ? SQLITE_OK : btree ? SQLITE_NOMEM : sqlite3_errcode(db);
  if (pages) {
    pages->btree = btree;
    pages->begun = 0;
    btree->nBackup++;
  }
  wsq_block.handle = (uint32_t)(uintptr_t)pages;
  return call_end(call, db, rc);
}

/* SQLITE_BUSY also while the connection itself is in the middle of a write, unless that is to be seen. */
int wsq_pages_begin(sqlite3 *db, wsq_pages *pages, int while_writing) {
  wsq_call *call = call_begin();
  if (!call) return SQLITE_NOMEM;
  Btree *btree = pages->btree;
  int rc = SQLITE_OK;
  sqlite3BtreeEnter(btree);
  if (btree->pBt->inTransaction == TRANS_WRITE && !while_writing) {
    rc = SQLITE_BUSY;
  } else if (sqlite3BtreeTxnState(btree) == SQLITE_TXN_NONE) {
    rc = sqlite3BtreeBeginTrans(btree, 0, 0);
    pages->begun = rc == SQLITE_OK;
  }
  if (rc == SQLITE_OK) {
    Pager *pager = sqlite3BtreePager(btree);
    wsq_block.rows = sqlite3BtreeLastPage(btree);
    wsq_block.columns = (uint32_t)sqlite3BtreeGetPageSize(btree);
    wsq_block.tail = sqlite3PagerDataVersion(pager);
    wsq_block.reprepared = wsq_block.tail + btree->iBDataVersion; /* does not count the connection's own commits */
    wsq_block.readonly = pager->tempFile;
  }
  sqlite3BtreeLeave(btree);
  call_capture(call, NULL, rc); /* db has no message for it */
  return call_end(call, db, rc);
}

int wsq_pages_read(sqlite3 *db, wsq_pages *pages, uint32_t first, uint32_t count, unsigned char *out) {
  wsq_call *call = call_begin();
  if (!call) return SQLITE_NOMEM;
  Btree *btree = pages->btree;
  int rc = SQLITE_OK;
  sqlite3BtreeEnter(btree);
  size_t size = (size_t)sqlite3BtreeGetPageSize(btree);
  for (uint32_t i = 0; rc == SQLITE_OK && i < count; i++) {
    Pgno number = first + i;
    if (number == PENDING_BYTE_PAGE(btree->pBt)) {
      memset(out + i * size, 0, size); /* it holds nothing, and the pager refuses it */
      continue;
    }
    DbPage *page = NULL;
    rc = sqlite3PagerGet(sqlite3BtreePager(btree), number, &page, PAGER_GET_READONLY);
    if (rc == SQLITE_OK) memcpy(out + i * size, sqlite3PagerGetData(page), size);
    sqlite3PagerUnref(page);
  }
  sqlite3BtreeLeave(btree);
  call_capture(call, NULL, rc); /* db has no message for it */
  return call_end(call, db, rc);
}

static void pages_end(wsq_pages *pages) {
  if (!pages->begun) return;
  pages->begun = 0;
  sqlite3BtreeEnter(pages->btree);
  sqlite3BtreeCommit(pages->btree); /* of a read transaction: cannot fail */
  sqlite3BtreeLeave(pages->btree);
}

int wsq_pages_end(sqlite3 *db, wsq_pages *pages) {
  wsq_call *call = call_begin();
  if (!call) return SQLITE_NOMEM;
  pages_end(pages);
  return call_end(call, db, SQLITE_OK);
}

int wsq_pages_close(sqlite3 *db, wsq_pages *pages) {
  wsq_call *call = call_begin();
  if (!call) return SQLITE_NOMEM;
  pages_end(pages);
  pages->btree->nBackup--;
  sqlite3_free(pages);
  return call_end(call, db, SQLITE_OK);
}

void pages_prepare_peer(sqlite3 *peer, int page_size) {
  Btree *btree = peer->aDb[0].pBt;
  /* Its pages may say that they are from a database in WAL mode, and the copy is to say so too. */
  btree->pBt->btsFlags |= BTS_NO_WAL;
  /* A database without pages has a page size nevertheless. Refused later on, when SQLite finds it out from page 1. */
  sqlite3BtreeSetPageSize(btree, page_size, 0, 0);
}

void pages_restart_peer(sqlite3 *peer, sqlite3_backup *backup) {
  sqlite3PagerClearCache(sqlite3BtreePager(peer->aDb[0].pBt));
  backup->iNext = 1; /* what the pager does with it too, but only if a step has left pages to copy */
}
