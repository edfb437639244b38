/* Rows that a looping INSERT (sqlite_bulk.h) would append to a table without indexes: what its program does for each of them, without the
 * program. A record of 19 columns takes the interpreter as long as all the rest.
 *
 * Only what is plain is done here. A row about which there is anything to decide (its key is not larger than all others, NULL
 * where there may be none, a number that becomes text) is for the program, which then finds it in its registers; values that have
 * got their affinity already are what they would be. */

#include "bulk.h"

/* Where a register's value comes from: itself, unless the program has moved another's there. */
static int source_of(const int (*moves)[2], int count, int to) {
  while (count-- > 0) {
    if (moves[count][1] == to) return moves[count][0];
  }
  return to;
}

/* Reads the program from where it takes a row, which is in registers from `first` on, to where it goes back for the next one. */
static int append_find(const Vdbe *program, int first, int width, int sequence, append_program *out) {
  const VdbeOp *ops = program->aOp;
  int moves[BULK_COLUMNS + 1][2], moved = 0, from = 0, rowid = 0;
  memset(out, 0, sizeof *out);
  out->sequence = sequence;
  while (from < program->nOp && ops[from].opcode != OP_OpenWrite) from++;
  out->cursor = from < program->nOp ? ops[from].p1 : 0;
  if (++from >= program->nOp || ops[from].opcode != OP_Yield) return 0;
  for (int at = from + 1; at + 2 < program->nOp; at++) {
    const VdbeOp *op = &ops[at];
    switch (op->opcode) {
      case OP_SCopy:
      case OP_SoftNull: /* stands in the record for the key */
        if (moved > BULK_COLUMNS || (op->opcode == OP_SCopy && (op->p1 < first || op->p1 >= first + width))) return 0;
        moves[moved][0] = op->opcode == OP_SCopy ? op->p1 : 0;
        moves[moved++][1] = op->opcode == OP_SCopy ? op->p2 : op->p1;
        break;
      case OP_Copy: /* the key */
        if (out->key || rowid || op->p3 || op->p1 < first || op->p1 >= first + width) return 0;
        out->key = op->p1;
        rowid = op->p2;
        break;
      case OP_NotNull: /* a new rowid for NULL */
        if (!out->key || op->p1 != rowid || op->p2 != at + 2 || at + 4 >= program->nOp) return 0;
        if (op[1].opcode != OP_NewRowid || op[1].p1 != out->cursor || op[1].p2 != rowid || op[1].p3 != sequence) return 0;
        if (op[2].opcode != OP_MustBeInt || op[2].p1 != rowid || op[2].p2) return 0;
        at += 2;
        break;
      case OP_NotExists: /* what is between is for a key that exists */
        if (!out->key || op->p1 != out->cursor || op->p3 != rowid || op->p2 <= at) return 0;
        at = op->p2 - 1;
        break;
      case OP_NewRowid:
        if (rowid || op->p1 != out->cursor || op->p3 != sequence) return 0;
        rowid = op->p2;
        break;
      case OP_MemMax:
        if (!rowid || op->p1 != sequence || op->p2 != rowid) return 0;
        break;
      case OP_HaltIfNull:
      case OP_IsNull: /* the latter in OR IGNORE */
        if (out->not_nulls >= BULK_COLUMNS) return 0;
        out->not_null[out->not_nulls] = source_of(moves, moved, op->opcode == OP_IsNull ? op->p1 : op->p3);
        if (!out->not_null[out->not_nulls] || out->not_null[out->not_nulls] == rowid) return 0;
        out->not_nulls++;
        break;
      case OP_MakeRecord:
        if (!rowid || op->p2 > BULK_COLUMNS || op[1].opcode != OP_Insert || op[1].p2 != op->p3) return 0;
        if (op[1].p1 != out->cursor || op[1].p3 != rowid || op[2].opcode != OP_Goto || op[2].p2 != from) return 0;
        if (op[1].p5 & ~(OPFLAG_NCHANGE | OPFLAG_LASTROWID | OPFLAG_APPEND | OPFLAG_USESEEKRESULT)) return 0;
        out->columns = op->p2;
        for (int i = 0; i < op->p2; i++) out->sources[i] = source_of(moves, moved, op->p1 + i);
        out->affinity = op->p4type == P4_NOTUSED || !op->p4.z ? "" : op->p4.z;
        out->counts = (op[1].p5 & OPFLAG_NCHANGE) != 0;
        out->sets_rowid = (op[1].p5 & OPFLAG_LASTROWID) != 0;
        out->steps = at + 3 - from + width + 2;
        return 1;
      default:
        return 0;
    }
  }
  return 0;
}

enum { RECORD_HEADER = 128, RECORD_BYTES = 4096, PATIENCE = 16 };

/* The payload of the record, behind room for its header. Values are written 8 bytes at a time. */
static u8 record[RECORD_HEADER + RECORD_BYTES + 8];

static u8 *put_integer(u8 *at, i64 value, int bytes) {
  u64 big = sqlite3BSwap64((u64)value) >> (64 - 8 * bytes);
  memcpy(at, &big, 8);
  return at + bytes;
}

/* As OP_MakeRecord. The record's first byte; NULL: a value for the program. */
static const u8 *make_record(Mem *registers, const append_program *program, int zero_and_one, int *size) {
  u8 header[RECORD_HEADER + 10], *type = header + 1;
  u8 *const payload = record + RECORD_HEADER, *at = payload;
  const u8 *const end = payload + RECORD_BYTES, *const last_type = header + 124;
  const char *affinity = program->affinity;
  for (int i = 0; i < program->columns; i++) {
    Mem *const value = &registers[program->sources[i]];
    const char wanted = *affinity ? *affinity++ : SQLITE_AFF_BLOB;
    u16 flags = value->flags;
    if (type >= last_type || at >= end - 8) return NULL;
    if (!program->sources[i] || (flags & MEM_Null)) {
      *type++ = 0;
      continue;
    }
    if (wanted >= SQLITE_AFF_NUMERIC ? !(flags & (MEM_Int | MEM_Blob)) : wanted == SQLITE_AFF_TEXT && !(flags & (MEM_Str | MEM_Blob))) {
      if (wanted == SQLITE_AFF_TEXT) return NULL;
      applyAffinity(value, wanted, SQLITE_UTF8);
      flags = value->flags;
    }
    if (flags & (MEM_Int | MEM_IntReal)) {
      const i64 integer = value->u.i;
      const u64 magnitude = (u64)(integer ^ (integer >> 63));
      if (magnitude <= 127) {
        if (magnitude <= 1 && integer >= 0 && zero_and_one) {
          *type++ = (u8)(8 + magnitude);
        } else {
          *type++ = 1;
          *at++ = (u8)integer;
        }
      } else if (magnitude <= 32767) {
        *type++ = 2;
        at = put_integer(at, integer, 2);
      } else if (magnitude <= 8388607) {
        *type++ = 3;
        at = put_integer(at, integer, 3);
      } else if (magnitude <= 2147483647) {
        *type++ = 4;
        at = put_integer(at, integer, 4);
      } else if (magnitude <= 140737488355327) {
        *type++ = 5;
        at = put_integer(at, integer, 6);
      } else if (wanted == SQLITE_AFF_REAL) { /* as wide as a real */
        double real = (double)integer;
        i64 bits;
        memcpy(&bits, &real, 8);
        *type++ = 7;
        at = put_integer(at, bits, 8);
      } else {
        *type++ = 6;
        at = put_integer(at, integer, 8);
      }
    } else if (flags & MEM_Real) {
      *type++ = 7;
      at = put_integer(at, value->u.i, 8); /* its bits */
    } else {
      const u32 n = (u32)value->n;
      if (n > (u32)(end - at)) return NULL;
      const u32 serial = 2 * n + 12 + ((flags & MEM_Str) != 0);
      type += putVarint32(type, serial);
      memcpy(at, value->z, n);
      at += n;
    }
  }
  const int header_size = (int)(type - header);
  header[0] = (u8)header_size;
  u8 *start = payload - header_size;
  memcpy(start, header, header_size);
  *size = (int)(at - start);
  return start;
}

int bulk_begin(bulk_loop *loop) {
  const sqlite3 *db = ((Vdbe *)loop->stmt)->db;
  loop->changes = loop->changes_before = 0;
  loop->begun = 0;
  loop->at_end = 0;
  loop->patience = PATIENCE;
  return loop->appends && !HAS_UPDATE_HOOK(db) && ENC(db) == SQLITE_UTF8;
}

/* As the program does at each row. */
static int interrupted(bulk_loop *loop, sqlite3 *db) {
  if (AtomicLoad(&db->u1.isInterrupted)) return 1;
  loop->steps += (unsigned)loop->append.steps;
  if (!db->xProgress || loop->steps < db->nProgressOps) return 0;
  loop->steps = 0;
  return db->xProgress(db->pProgressArg);
}

static int give_up(bulk_loop *loop) {
  loop->at_end = 0;
  loop->patience--;
  return BULK_DECLINED;
}

int bulk_append(bulk_loop *loop) {
  Vdbe *program = (Vdbe *)loop->stmt;
  sqlite3 *db = program->db;
  const append_program *append = &loop->append;
  VdbeCursor *table = program->apCsr[append->cursor];
  Mem *registers = program->aMem;
  Mem *sequence = append->sequence ? &registers[append->sequence] : NULL;
  if (loop->patience < 0 || (sequence && !(sequence->flags & MEM_Int)) || !table || table->eCurType != CURTYPE_BTREE || !table->isTable || table->useRandomRowid) return BULK_DECLINED;
  if (interrupted(loop, db)) return SQLITE_INTERRUPT;

  BtCursor *cursor = table->uc.pCursor;
  int place = -1, empty = 0, rc;
  if (!loop->at_end) {
    if ((rc = sqlite3BtreeLast(cursor, &empty))) return rc;
    loop->last = empty ? 0 : sqlite3BtreeIntegerKey(cursor);
    place = 0; /* it looks for itself, and finds that it is there already */
  }

  i64 key;
  const Mem *given = &registers[append->key];
  if (!append->key || (given->flags & MEM_Null)) {
    if (loop->last == LARGEST_INT64 || (sequence && sequence->u.i == LARGEST_INT64)) return give_up(loop);
    key = loop->last + 1;
    if (sequence && key <= sequence->u.i) key = sequence->u.i + 1;
  } else {
    key = given->u.i;
    if (!(given->flags & MEM_Int) || (key <= loop->last && !empty)) return give_up(loop);
  }
  for (int i = 0; i < append->not_nulls; i++) {
    if (registers[append->not_null[i]].flags & MEM_Null) return give_up(loop);
  }
  BtreePayload payload = {.nKey = key};
  payload.pData = make_record(registers, append, program->minWriteFileFormat >= 4, &payload.nData);
  if (!payload.pData || payload.nData > db->aLimit[SQLITE_LIMIT_LENGTH]) return give_up(loop);

  if (sequence && sequence->u.i < key) sequence->u.i = key;
  if (append->counts) program->nChange++;
  if (append->sets_rowid) db->lastRowid = key;
  rc = sqlite3BtreeInsert(cursor, &payload, BTREE_APPEND, place);
  table->deferredMoveto = 0;
  table->cacheStatus = CACHE_STALE;
  loop->at_end = rc == SQLITE_OK && cursor->eState == CURSOR_VALID;
  loop->last = key;
  loop->patience = PATIENCE;
  return rc;
}
