/* Which INSERTs can loop over their rows inside of one statement without a difference that anybody could tell. Included by sqlite.c,
 * after the amalgamation: the answer is in the program that SQLite compiles for it.
 *
 *   INSERT INTO t(...) VALUES (?, ?)   run for each row, becomes
 *   INSERT OR FAIL INTO t(...) SELECT c0, c1 FROM wasqlite_parameters
 *
 * OR FAIL leaves what was inserted before the row that failed, as single statements do. It overrules the table's own ON CONFLICT
 * clauses, so there must be none: in the program without OR FAIL all constraints abort. OR IGNORE and OR REPLACE stay what they are. Statements
 * are fit for it when their
 * program consists of operations on a list: no function that might ask for the time, for the number of changes or call back, no trigger, no
 * foreign key. There is no statement journal: what is inserted stays inserted,
 * whatever the error; so a single statement must not have one either. It is used inside transactions only: elsewhere each row is one. Nor when
 * somebody watches statements. */

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
    /* REPLACE: the other row, and its entries in indexes */
    OP_Delete,    OP_IdxDelete, OP_IdxRowid,  OP_Column,
};

/* AUTOINCREMENT: the counter is looked up before the first row, and written after the last. */
static const u8 sequence_with[] = {OP_OpenRead, OP_Rewind, OP_Rowid, OP_AddImm, OP_Next, OP_MemMax};

/* The number of its constraints, or -1. */
static int fitting(const Vdbe *program, const sqlite3_module *module, int action) {
  int tables = 0, constraints = 0, sequences = 0, of_sequence = 0;
  for (int i = 0; i < program->nOp; i++) {
    const VdbeOp *op = &program->aOp[i];
    if (memchr(sequence_with, op->opcode, sizeof sequence_with)) of_sequence++, sequences += op->opcode == OP_MemMax;
    else if (!memchr(loops_with, op->opcode, sizeof loops_with)) return -1;
    if (op->opcode == OP_VOpen) {
      if (op->p4.pVtab->pMod->pModule != module) return -1; /* a table of the user's with our name */
      tables++;
    } else if (op->opcode == OP_HaltIfNull || (op->opcode == OP_Halt && op->p1 != SQLITE_OK)) {
      if (op->p2 != action) return -1;
      constraints++;
    }
  }
  return tables == 1 && (sequences == 1 ? of_sequence == (int)sizeof sequence_with : !of_sequence) ? constraints : -1;
}

/* Where AUTOINCREMENT has its counter: in one of four registers, the table's name, the counter, the rowid in sqlite_sequence and what the
 * counter was. 0: it does not look so. */
static int find_sequence(const Vdbe *program, bulk_loop *loop) {
  loop->sequence_register = 0;
  for (int i = 0; i < program->nOp; i++) {
    if (program->aOp[i].opcode == OP_MemMax) loop->sequence_register = program->aOp[i].p1;
  }
  if (!loop->sequence_register) return 1;
  loop->sequence_schema = -1;
  loop->sequence_table = NULL;
  for (int i = 0; i < program->nOp; i++) {
    const VdbeOp *op = &program->aOp[i];
    if (op->opcode == OP_OpenRead) loop->sequence_schema = op->p3;
    if (op->opcode == OP_Insert && op->p4type == P4_TABLE) loop->sequence_table = op->p4.pTab->zName; /* the other Insert names none */
  }
  return loop->sequence_schema >= 0 && loop->sequence_table;
}

/* The virtual table's columns are read one after the other into registers that follow one another. So whoever has a row can put it
 * there, and the program goes on behind that: the number of the first of the registers, or 0 if it does not look so. */
static int skip_reading(Vdbe *program, int width) {
  VdbeOp *ops = program->aOp;
  int filter = 0;
  while (filter < program->nOp && ops[filter].opcode != OP_VFilter) filter++;
  int first = filter + 1, behind = first + width;
  if (behind + 1 >= program->nOp) return 0;
  const VdbeOp *next = &ops[behind + 1];
  if (ops[behind].opcode != OP_Yield || next->opcode != OP_VNext || next->p1 != ops[filter].p1 || next->p2 != first) return 0;
  for (int i = 0; i < width; i++) {
    const VdbeOp *op = &ops[first + i];
    if (op->opcode != OP_VColumn || op->p1 != next->p1 || op->p2 != i || op->p3 != ops[first].p3 + i || op->p5) return 0;
  }
  for (int i = 0; i < program->nOp; i++) { /* nothing else is read into them */
    if (ops[i].opcode == OP_Column && ops[i].p3 >= ops[first].p3 && ops[i].p3 < ops[first].p3 + width) return 0;
  }
  ops[first].opcode = OP_Goto;
  ops[first].p2 = behind;
  ops[behind + 1].p2 = behind;
  return ops[first].p3;
}

static sqlite3_stmt *prepare_loop(sqlite3 *db, const char *middle, int size, int width, const char *table,
                                  const char *conflict) {
  sqlite3_str *sql = sqlite3_str_new(db);
  sqlite3_str_appendf(sql, "INSERT %s%.*s SELECT ", conflict, size, middle);
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

/* INSERT OR (what happens in a conflict) (what comes before VALUES) VALUES (?, :name, ...): these two and the number of parameters. 0:
 * something else. Parameters with a number may come in another order, and a name may come twice: then there are fewer of them. */
static int values_of(const char *sql, const char **conflict, const char **middle, int *middle_size) {
  const char *at = sql, *start;
  int size, type = token(&at, &start, &size), width = 0;
  if (type != TK_INSERT && type != TK_REPLACE) return 0;
  *conflict = type == TK_REPLACE ? "OR REPLACE" : NULL;
  *middle = at;
  if ((type = token(&at, &start, &size)) == TK_OR && !*conflict) {
    type = token(&at, &start, &size);
    if (type != TK_IGNORE && type != TK_REPLACE) return 0;
    *conflict = type == TK_REPLACE ? "OR REPLACE" : "OR IGNORE";
    *middle = at;
    type = token(&at, &start, &size);
  }
  if (type != TK_INTO) return 0;
  while ((type = token(&at, &start, &size)) != TK_VALUES) {
    if (type == TK_SEMI || type == TK_SELECT || type == TK_VARIABLE || size == 0) return 0;
  }
  *middle_size = (int)(start - *middle);
  if (token(&at, &start, &size) != TK_LP) return 0;
  do {
    if (token(&at, &start, &size) != TK_VARIABLE || (*start == '?' && size != 1)) return 0;
    width++;
    type = token(&at, &start, &size);
  } while (type == TK_COMMA);
  if (type != TK_RP) return 0;
  do type = token(&at, &start, &size);
  while (type == TK_SEMI && size > 0);
  return size == 0 ? width : 0;
}

/* Without a conflict clause: what aborts single statements fails here. One constraint more would be one that OR FAIL overrules:
 * one that ignores the row, or replaces another. */
static sqlite3_stmt *prepare_failing(sqlite3 *db, const char *middle, int size, int width, const char *table, const sqlite3_module *module) {
  sqlite3_stmt *aborts = prepare_loop(db, middle, size, width, table, "");
  int constraints = aborts ? fitting((const Vdbe *)aborts, module, OE_Abort) : -1;
  sqlite3_finalize(aborts);
  sqlite3_stmt *fails = constraints < 0 ? NULL : prepare_loop(db, middle, size, width, table, "OR FAIL");
  if (!fails || fitting((const Vdbe *)fails, module, OE_Fail) == constraints) return fails;
  sqlite3_finalize(fails);
  return NULL;
}

int bulk_prepare(bulk_loop *loop, sqlite3_stmt *stmt, const char *table, const sqlite3_module *module) {
  sqlite3 *db = sqlite3_db_handle(stmt);
  const char *sql = sqlite3_sql(stmt), *conflict, *middle;
  int size, width = sql ? values_of(sql, &conflict, &middle, &size) : 0;
  if (width == 0 || width != sqlite3_bind_parameter_count(stmt) || ((Vdbe *)stmt)->usesStmtJournal) return 0;
  sqlite3_stmt *loops;
  if (!conflict) {
    loops = prepare_failing(db, middle, size, width, table, module);
  } else {
    loops = prepare_loop(db, middle, size, width, table, conflict);
    if (loops && fitting((const Vdbe *)loops, module, OE_Abort) < 0) {
      sqlite3_finalize(loops);
      return 0;
    }
  }
  Vdbe *program = (Vdbe *)loops;
  int first = loops && find_sequence(program, loop) ? skip_reading(program, width) : 0;
  if (!first) {
    sqlite3_finalize(loops);
    return 0;
  }
  /* What fails is to leave earlier rows. */
  program->usesStmtJournal = 0;
  loop->stmt = loops;
  loop->registers = (row_value *)&program->aMem[first];
  loop->appends = append_find(program, first, width, loop->sequence_register, &loop->append);
  return 1;
}

/* A row that may be larger than the limit. OP_MakeRecord compares only when its buffer is too small, and that of a statement which runs
 * once is empty: so let them be. */
static int check_size(const Vdbe *program, const Mem *values, uint32_t width) {
  const uint32_t limit = (uint32_t)program->db->aLimit[SQLITE_LIMIT_LENGTH];
  for (uint32_t i = 0; i < width; i++) {
    if ((values[i].flags & (MEM_Str | MEM_Blob)) && (uint32_t)values[i].n > limit) return SQLITE_TOOBIG;
  }
  for (int i = 0; i < program->nOp; i++) {
    if (program->aOp[i].opcode == OP_MakeRecord) sqlite3VdbeMemRelease(&program->aMem[program->aOp[i].p3]);
  }
  return SQLITE_OK;
}

/* What was in the registers before needs no release: no operation on the list leaves a value with a destructor. */
int bulk_check(bulk_loop *loop, uint32_t row_bytes, uint32_t width) {
  const Vdbe *program = (const Vdbe *)loop->stmt;
  const sqlite3 *db = program->db;
  Mem *values = (Mem *)loop->registers;
  int rc = row_bytes > (uint32_t)db->aLimit[SQLITE_LIMIT_LENGTH] ? check_size(program, values, width) : SQLITE_OK;
  if (ENC(db) == SQLITE_UTF8) return rc;
  for (uint32_t i = 0; i < width && rc == SQLITE_OK; i++) rc = sqlite3VdbeChangeEncoding(&values[i], ENC(db));
  return rc;
}

int bulk_has_module(sqlite3 *db, const char *table) { return sqlite3HashFind(&db->aModule, table) != NULL; }

int bulk_allowed(sqlite3 *db) { return !db->autoCommit && !db->mTrace && !db->xAuth && !db->mallocFailed; }

void bulk_next(bulk_loop *loop) {
  const Vdbe *program = (const Vdbe *)loop->stmt;
  loop->changes_before = loop->changes;
  loop->changes = program->nChange;
  if (!loop->sequence_register) return;
  const Mem *counter = &program->aMem[loop->sequence_register];
  if (!loop->begun) {
    loop->begun = 1;
    loop->sequence_is_known = !(counter[1].flags & MEM_Null);
    loop->sequence_rowid = counter[1].u.i;
    loop->sequence_before = counter[2].u.i;
  }
  loop->sequence = counter->u.i;
}

int bulk_keep_sequence(bulk_loop *loop) {
  sqlite3 *db = ((Vdbe *)loop->stmt)->db;
  if (!loop->sequence_register || db->autoCommit) return SQLITE_OK; /* or rolled back */
  const char *schema = db->aDb[loop->sequence_schema].zDbSName;
  char *sql;
  if (!loop->sequence_is_known) {
    sql = sqlite3_mprintf("INSERT INTO \"%w\".sqlite_sequence VALUES(%Q,%lld)", schema, loop->sequence_table, loop->sequence);
  } else if (loop->sequence > loop->sequence_before) {
    sql = sqlite3_mprintf("UPDATE \"%w\".sqlite_sequence SET seq=%lld WHERE rowid=%lld", schema, loop->sequence, loop->sequence_rowid);
  } else {
    return SQLITE_OK;
  }
  sqlite3_int64 last = db->lastRowid;
  int rc = sql ? sqlite3_exec(db, sql, NULL, NULL, NULL) : SQLITE_NOMEM;
  sqlite3_free(sql);
  db->lastRowid = last;
  return rc;
}

void bulk_count(sqlite3 *db, sqlite3_int64 changes, sqlite3_int64 total) {
  db->nChange = changes;
  db->nTotalChange = total;
}
