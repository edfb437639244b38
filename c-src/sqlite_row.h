/* The current row of a statement, and that row.h tells the truth. Included by sqlite.c, after the amalgamation. */

#include "row.h"

#define SAME(field, ours) _Static_assert(offsetof(Mem, field) == offsetof(row_value, ours), "Mem." #field)
SAME(u.r, real);
SAME(u.i, integer);
SAME(z, bytes);
SAME(n, size);
SAME(flags, flags);
SAME(enc, encoding);
#undef SAME
_Static_assert(sizeof(Mem) == sizeof(row_value), "Mem");
_Static_assert(ROW_NULL == MEM_Null && ROW_INT_AS_REAL == MEM_IntReal && ROW_INTEGER == MEM_Int && ROW_REAL == MEM_Real &&
                   ROW_TEXT == MEM_Str && ROW_BLOB == MEM_Blob && ROW_ZEROS == MEM_Zero && ROW_STATIC == MEM_Static,
               "flags of Mem");

const row_value *row_values(sqlite3_stmt *stmt) { return (const row_value *)((Vdbe *)stmt)->pResultRow; }
