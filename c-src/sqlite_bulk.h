/* Which INSERTs can loop over their rows inside of one statement without a difference that anybody could tell. Included by sqlite.c,
 * after the amalgamation: the answer is in the program that SQLite compiles for it.
 *
 *   INSERT INTO t(...) VALUES (?, ?)   run for each row, becomes
 *   INSERT OR FAIL INTO t(...) SELECT c0, c1 FROM wasqlite_parameters
 *
 * OR FAIL leaves what was inserted before the row that failed, as single statements do. It overrules the table's own ON CONFLICT
 * clauses, so there must be none: in the program without OR FAIL all constraints abort. Statements are fit for it when their
 * program consists of operations on a list: no function that might ask for the time, for the number of changes or call back, no trigger, no
 * foreign key, no AUTOINCREMENT (which writes its counter at the end). There is no statement journal: what is inserted stays inserted,
 * whatever the error. It is used inside transactions only: elsewhere each row is one. Nor when somebody watches statements. */

#include "bulk.h"

static const u8 loops_with[] = {
    OP_Init,      OP_Transaction, OP_Goto,       OP_InitCoroutine, OP_EndCoroutine, OP_Yield,     OP_VOpen,     OP_VFilter,
    OP_VColumn,   OP_VNext,       OP_OpenWrite,  OP_NewRowid,      OP_NotNull,      OP_IsNull,    OP_MustBeInt, OP_NotExists,
    OP_NoConflict, OP_Found,      OP_NotFound,   OP_Copy,          OP_SCopy,        OP_IntCopy,   OP_Null,      OP_SoftNull,
    OP_Integer,   OP_Int64,       OP_Real,       OP_String,        OP_String8,      OP_Blob,      OP_Affinity,  OP_TypeCheck,
    OP_MakeRecord, OP_Insert,     OP_IdxInsert,  OP_Halt,          OP_HaltIfNull,   OP_Noop,      OP_Close,     OP_ReleaseReg,
    OP_Explain,   OP_RealAffinity,
    /* CHECK and partial indexes */
    OP_Eq,        OP_Ne,          OP_Lt,         OP_Le,            OP_Gt,           OP_Ge,        OP_If,        OP_IfNot,
    OP_And,       OP_Or,          OP_Not,        OP_IsTrue,        OP_ElseEq,       OP_ZeroOrNull, OP_Add,      OP_Subtract,
    OP_Multiply,  OP_Divide,      OP_Remainder,  OP_Concat,        OP_BitAnd,       OP_BitOr,     OP_BitNot,    OP_ShiftLeft,
    OP_ShiftRight, OP_Cast,
};

/* The number of its constraints, or -1. */
static int fitting(const Vdbe *program, const sqlite3_module *module, int fails) {
  int tables = 0, constraints = 0;
  for (int i = 0; i < program->nOp; i++) {
    const VdbeOp *op = &program->aOp[i];
    if (!memchr(loops_with, op->opcode, sizeof loops_with)) return -1;
    if (op->opcode == OP_VOpen) {
      if (op->p4.pVtab->pMod->pModule != module) return -1; /* a table of the user's with our name */
      tables++;
    } else if (op->opcode == OP_HaltIfNull || (op->opcode == OP_Halt && op->p1 != SQLITE_OK)) {
      if (op->p2 != (fails ? OE_Fail : OE_Abort)) return -1;
      constraints++;
    }
  }
  return tables == 1 ? constraints : -1;
}

static sqlite3_stmt *prepare_loop(sqlite3 *db, const char *middle, int size, int width, const char *table, int fails) {
  sqlite3_str *sql = sqlite3_str_new(db);
  sqlite3_str_appendf(sql, "INSERT %s%.*s SELECT ", fails ? "OR FAIL" : "", size, middle);
  for (int i = 0; i < width; i++) sqlite3_str_appendf(sql, i ? ",c%d" : "c%d", i);
  sqlite3_str_appendf(sql, " FROM %s", table);
  char *text = sqlite3_str_finish(sql);
  sqlite3_stmt *stmt = NULL;
  /* Not v2: that would compile it again by itself when the schema has changed, and nobody would look at its program. */
  if (text) sqlite3_prepare(db, text, -1, &stmt, NULL);
  sqlite3_free(text);
  return stmt;
}

/* The next token that is not space; its start and size. */
static int token(const char **at, const char **start, int *size) {
  int type;
  do {
    *start = *at;
    *size = (int)sqlite3GetToken((const u8 *)*at, &type);
    *at += *size;
  } while (type == TK_SPACE || type == TK_COMMENT);
  return type;
}

/* INSERT (what comes before VALUES) VALUES (?, ?, ...): that middle and the number of parameters. 0: something else. */
static int values_of(const char *sql, const char **middle, int *middle_size) {
  const char *at = sql, *start;
  int size, type, width = 0;
  if (token(&at, &start, &size) != TK_INSERT) return 0;
  *middle = at;
  if (token(&at, &start, &size) != TK_INTO) return 0;
  while ((type = token(&at, &start, &size)) != TK_VALUES) {
    if (type == TK_SEMI || type == TK_SELECT || type == TK_VARIABLE || size == 0) return 0;
  }
  *middle_size = (int)(start - *middle);
  if (token(&at, &start, &size) != TK_LP) return 0;
  do {
    if (token(&at, &start, &size) != TK_VARIABLE || size != 1) return 0;
    width++;
    type = token(&at, &start, &size);
  } while (type == TK_COMMA);
  if (type != TK_RP) return 0;
  do type = token(&at, &start, &size);
  while (type == TK_SEMI && size > 0);
  return size == 0 ? width : 0;
}

sqlite3_stmt *bulk_prepare(sqlite3_stmt *stmt, const char *table, const sqlite3_module *module) {
  sqlite3 *db = sqlite3_db_handle(stmt);
  const char *sql = sqlite3_sql(stmt), *middle;
  int size, width = sql ? values_of(sql, &middle, &size) : 0;
  if (width == 0 || width != sqlite3_bind_parameter_count(stmt)) return NULL;
  sqlite3_stmt *aborts = prepare_loop(db, middle, size, width, table, 0);
  int constraints = aborts ? fitting((const Vdbe *)aborts, module, 0) : -1;
  sqlite3_finalize(aborts);
  sqlite3_stmt *fails = constraints < 0 ? NULL : prepare_loop(db, middle, size, width, table, 1);
  /* One more would be one that OR FAIL overrules: a constraint that ignores the row, or replaces another. */
  if (!fails || fitting((const Vdbe *)fails, module, 1) != constraints) {
    sqlite3_finalize(fails);
    return NULL;
  }
  /* The only operation on the list that asks for a statement journal is MustBeInt. What it raises is to leave earlier rows too. */
  ((Vdbe *)fails)->usesStmtJournal = 0;
  return fails;
}

int bulk_has_module(sqlite3 *db, const char *table) { return sqlite3HashFind(&db->aModule, table) != NULL; }

int bulk_allowed(sqlite3 *db) { return !db->autoCommit && !db->mTrace && !db->xAuth && !db->mallocFailed; }

void bulk_count(sqlite3 *db, sqlite3_int64 changes_before, sqlite3_int64 total_before, uint32_t done, int failed) {
  db->nTotalChange = total_before + done;
  db->nChange = failed ? 0 : done > 0 ? 1 : changes_before;
}
