/* The structs that guest and host share, and our own imports: docs/abi.md in C. Every offset that Python reads is asserted here. */

#ifndef WASQLITE_ABI_H
#define WASQLITE_ABI_H

#include <stddef.h>
#include <stdint.h>

#define WSQ_ABI 7

/* How many arguments a callback can have: SQLITE_MAX_FUNCTION_ARG. */
#define WSQ_ARGUMENTS 1000
/* How many of their types are part of a callback's key. */
#define WSQ_KEY_TYPES 8
/* How many bytes of text, blob or error message the block itself has room for. */
#define WSQ_RESULT_BYTES 4096
/* What stands where a lane's answer is expected. An int64 can be just this: then the host is asked, see functions.c. */
#define WSQ_NO_INTEGER ((int64_t)0x9E3779B97F4A7C15)
#define WSQ_NO_REAL ((int64_t)0x7FF4D1CEC0DEFACE)

/* Bits of wsq_status_block.flags */
#define WSQ_FLAG_WAL 1u /* a database in WAL mode was met during this call, and the host has no shared memory */
#define WSQ_FLAG_UNSUITABLE 2u /* a row of the input cannot be read, and is to be sent in another way; those before it are done */
#define WSQ_FLAG_LANES 4u /* stepping spent much of its time in lanes, at least one call in 64 instructions of SQLite's; */
#define WSQ_FLAG_NO_LANES 8u /* or hardly any of it, in very many instructions */

/* Bits of wsq_column.flags */
#define WSQ_TEXT_NUL 1u      /* a text value holds a NUL byte */
#define WSQ_TEXT_NON_ASCII 2u /* a text value is not pure ASCII */

typedef struct wsq_status_block {
  int32_t rc;
  int32_t extended;
  int64_t changes;
  int64_t total_changes;
  int64_t last_rowid;
  int64_t changes_sum;
  int32_t autocommit;
  uint32_t rows;
  uint32_t columns;
  uint32_t batch;
  uint32_t message;
  uint32_t message_size;
  int32_t error_offset;
  int32_t system_errno;
  uint32_t handle;
  uint32_t stmt;
  uint32_t tail;
  int32_t parameters;
  int32_t readonly;
  uint32_t reprepared;
  uint32_t flags;
  uint32_t unused;
  uint64_t kinds;
} wsq_status_block;

enum { WSQ_RECORD_VALUES = 21, WSQ_INPUT_SIZE = 4096 };

/* What wsq_quick reads and writes: the status block, one row, packed parameters. */
typedef struct wsq_quick_area {
  wsq_status_block status;
  int64_t record[WSQ_RECORD_VALUES];
  uint8_t input[WSQ_INPUT_SIZE];
} wsq_quick_area;

/* A bound value; `value` holds the bits of an int64 or float64, or the payload's offset. */
typedef struct wsq_parameter {
  uint32_t type;
  uint32_t size;
  int64_t value;
} wsq_parameter;

/* One column of a batch, output or input. */
typedef struct wsq_column {
  uint32_t seen;
  uint32_t flags;
  uint32_t tags;
  uint32_t slots;
  uint32_t payload;
  uint32_t payload_size;
  uint32_t nulls;
  uint32_t null_count;
} wsq_column;

/* What is found together with the SHARED lock. */
typedef struct wsq_begin_block {
  uint32_t known; /* 1: there is neither journal nor WAL, and the rest is filled; 0: the lock is all there is */
  uint32_t unused;
  int64_t size;        /* of the file */
  uint8_t counter[16]; /* its bytes 24 to 39 */
} wsq_begin_block;

/* Where a callback's arguments are for the host, and where its result is for the guest. There is one: the host has read the
 * arguments before it calls in again, and it writes the result last. */
typedef struct wsq_callback_block {
  uint32_t shape;    /* the number of arguments in the upper 8 bits (255: or more), and from the lowest bit on, 3 bits each, the
                        storage classes of the first 8; 0 after the last argument */
  uint32_t callback; /* what the host has it registered as */
  int64_t result;    /* its kind, and from bit 8 on the size of text, blob or message */
  int64_t value;     /* the bits of an int64 or float64, or an address */
  int64_t instance;  /* of an aggregate: the host's number for it, 0 if it has none yet */
  int64_t count;     /* of arguments */
  int64_t lane;      /* the host's number for a function with one argument of this type, 0 if it has none: it may put one there */
  int64_t integer;   /* the answer of a lane that is an int64: anything but WSQ_NO_INTEGER, while `result` stays as it is */
  int64_t real;      /* the answer of a lane that is a float64: anything but the bits WSQ_NO_REAL, which are a NaN's */
  int64_t arguments[WSQ_ARGUMENTS]; /* the bits of int64 or float64; the address of text and blob, and from bit 32 on their size */
  uint8_t types[WSQ_ARGUMENTS];     /* their storage classes */
  char bytes[WSQ_RESULT_BYTES];     /* text, blob or message of the result */
} wsq_callback_block;

/* Kinds of result, besides SQLITE_INTEGER to SQLITE_NULL: the value of text and blob is in `bytes`. */
enum {
  RESULT_ERROR = 0, /* what the guest puts there before it calls; the message, if there is one, is in `bytes` */
  RESULT_NO_MEMORY = 6,
  RESULT_TOO_BIG = 7,
  RESULT_ON_HEAP = 8 /* added to SQLITE_TEXT or SQLITE_BLOB: in memory from malloc, at the address `value`, now the guest's */
};

#define AT(type, field, offset) _Static_assert(offsetof(type, field) == (offset), #type "." #field)
AT(wsq_status_block, rc, 0);
AT(wsq_status_block, extended, 4);
AT(wsq_status_block, changes, 8);
AT(wsq_status_block, total_changes, 16);
AT(wsq_status_block, last_rowid, 24);
AT(wsq_status_block, changes_sum, 32);
AT(wsq_status_block, autocommit, 40);
AT(wsq_status_block, rows, 44);
AT(wsq_status_block, columns, 48);
AT(wsq_status_block, batch, 52);
AT(wsq_status_block, message, 56);
AT(wsq_status_block, message_size, 60);
AT(wsq_status_block, error_offset, 64);
AT(wsq_status_block, system_errno, 68);
AT(wsq_status_block, handle, 72);
AT(wsq_status_block, stmt, 76);
AT(wsq_status_block, tail, 80);
AT(wsq_status_block, parameters, 84);
AT(wsq_status_block, readonly, 88);
AT(wsq_status_block, reprepared, 92);
AT(wsq_status_block, flags, 96);
AT(wsq_status_block, kinds, 104);
_Static_assert(sizeof(wsq_status_block) == 112, "wsq_status_block");
AT(wsq_quick_area, record, 112);
AT(wsq_quick_area, input, 280);
AT(wsq_parameter, type, 0);
AT(wsq_parameter, size, 4);
AT(wsq_parameter, value, 8);
_Static_assert(sizeof(wsq_parameter) == 16, "wsq_parameter");
AT(wsq_column, seen, 0);
AT(wsq_column, flags, 4);
AT(wsq_column, tags, 8);
AT(wsq_column, slots, 12);
AT(wsq_column, payload, 16);
AT(wsq_column, payload_size, 20);
AT(wsq_column, nulls, 24);
AT(wsq_column, null_count, 28);
_Static_assert(sizeof(wsq_column) == 32, "wsq_column");
AT(wsq_begin_block, known, 0);
AT(wsq_begin_block, size, 8);
AT(wsq_begin_block, counter, 16);
_Static_assert(sizeof(wsq_begin_block) == 32, "wsq_begin_block");
AT(wsq_callback_block, shape, 0);
AT(wsq_callback_block, callback, 4);
AT(wsq_callback_block, result, 8);
AT(wsq_callback_block, value, 16);
AT(wsq_callback_block, instance, 24);
AT(wsq_callback_block, count, 32);
AT(wsq_callback_block, lane, 40);
AT(wsq_callback_block, integer, 48);
AT(wsq_callback_block, real, 56);
AT(wsq_callback_block, arguments, 64);
AT(wsq_callback_block, types, 8064);
AT(wsq_callback_block, bytes, 9064);
_Static_assert(sizeof(wsq_callback_block) == 13160, "wsq_callback_block");
#undef AT
_Static_assert(sizeof(void *) == 4, "addresses are 32 bits wide");

/* Kinds of lock of shm_lock and shm_probe */
enum { SHM_NONE = 0, SHM_READ = 1, SHM_WRITE = 2 };

/* Imports that WASI lacks. */
#define IMPORT(name) __attribute__((import_module("wasqlite"), import_name(#name)))
IMPORT(file_lock) int wsq_host_file_lock(uint32_t fd, int level);
IMPORT(file_begin) int wsq_host_file_begin(uint32_t fd, const char *journal, uint32_t journal_size, const char *wal,
                                           uint32_t wal_size, wsq_begin_block *out);
IMPORT(file_unlock) int wsq_host_file_unlock(uint32_t fd, int level);
IMPORT(file_check_reserved) int wsq_host_file_check_reserved(uint32_t fd, uint32_t *out);
IMPORT(shm_page_size) uint32_t wsq_host_shm_page_size(void);
IMPORT(shm_lock) int wsq_host_shm_lock(uint32_t fd, int kind, uint32_t start, uint32_t length);
IMPORT(shm_probe) int wsq_host_shm_probe(uint32_t fd, uint32_t start, uint32_t length, uint32_t *out);
IMPORT(shm_map) int wsq_host_shm_map(uint32_t fd, uint64_t offset, uint32_t size, void *address, int readonly);
IMPORT(shm_unmap) int wsq_host_shm_unmap(uint32_t fd);
IMPORT(path_full) int wsq_host_path_full(const char *path, uint32_t size, char *out, uint32_t capacity);
IMPORT(path_temporary) int wsq_host_path_temporary(char *out, uint32_t capacity);
IMPORT(local_time) int wsq_host_local_time(int64_t seconds, int32_t *out);
IMPORT(progress) int wsq_host_progress(void);
IMPORT(callback) void wsq_host_callback(void);
IMPORT(lane) int wsq_host_lane(uint32_t lane); /* 0: it is under way */
#undef IMPORT

#endif
