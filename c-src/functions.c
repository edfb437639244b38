/* SQL functions whose code is the host's: scalar, aggregate and window functions. */

#include "callback.h"
#include "status.h"

#include <stdlib.h>
#include <string.h>

int wsq_create_function(sqlite3 *db, const char *name, int count, int flags, uint32_t callback, int kind);

enum { KIND_SCALAR = 0, KIND_AGGREGATE = 1, KIND_WINDOW = 2 };

_Static_assert(WSQ_ARGUMENTS == 1000, "SQLITE_MAX_FUNCTION_ARG in sqlite_config.h");

/* Writes the arguments out; not 0: out of memory. Text and blobs stay where they are. */
static int arguments(int count, sqlite3_value **values) {
  wsq_callback_block *block = &wsq_block_of_callback;
  uint32_t shape = 0;
  for (int i = 0; i < count; i++) {
    int type = sqlite3_value_type(values[i]);
    int64_t bits = 0;
    switch (type) {
      case SQLITE_INTEGER:
        bits = sqlite3_value_int64(values[i]);
        break;
      case SQLITE_FLOAT: {
        double value = sqlite3_value_double(values[i]);
        memcpy(&bits, &value, 8);
        break;
      }
      case SQLITE_TEXT:
      case SQLITE_BLOB: {
        const void *data = type == SQLITE_TEXT ? sqlite3_value_text(values[i]) : sqlite3_value_blob(values[i]);
        uint32_t size = (uint32_t)sqlite3_value_bytes(values[i]);
        if (!data && (size || type == SQLITE_TEXT)) return 1;
        bits = (int64_t)((uint64_t)size << 32 | (uint32_t)(uintptr_t)data);
        break;
      }
    }
    if (i < WSQ_KEY_TYPES) shape |= (uint32_t)type << 3 * i;
    block->types[i] = (uint8_t)type;
    block->arguments[i] = bits;
  }
  block->shape = shape;
  block->count = count;
  return 0;
}

/* Hands the host's result to SQLite. */
static void give(sqlite3_context *context, int kind) {
  const wsq_callback_block *block = &wsq_block_of_callback;
  uint32_t size = (uint32_t)(block->result >> 8);
  void *heap = (void *)(uintptr_t)(uint32_t)block->value;
  switch (kind) {
    case SQLITE_INTEGER:
      sqlite3_result_int64(context, block->value);
      break;
    case SQLITE_FLOAT: {
      double value;
      memcpy(&value, &block->value, 8);
      sqlite3_result_double(context, value);
      break;
    }
    case SQLITE_TEXT:
      sqlite3_result_text64(context, block->bytes, size, SQLITE_TRANSIENT, SQLITE_UTF8);
      break;
    case SQLITE_BLOB:
      sqlite3_result_blob64(context, block->bytes, size, SQLITE_TRANSIENT);
      break;
    case SQLITE_NULL:
      sqlite3_result_null(context);
      break;
    case RESULT_NO_MEMORY:
      sqlite3_result_error_nomem(context);
      break;
    case RESULT_TOO_BIG:
      sqlite3_result_error_toobig(context);
      break;
    case RESULT_ON_HEAP + SQLITE_TEXT:
      sqlite3_result_text64(context, heap, size, free, SQLITE_UTF8);
      break;
    case RESULT_ON_HEAP + SQLITE_BLOB:
      sqlite3_result_blob64(context, heap, size, free);
      break;
    default:
      sqlite3_result_error(context, size ? block->bytes : "the callback failed", size ? (int)size : -1);
  }
  callback_end();
}

static uint32_t callback_of(sqlite3_context *context) {
  return ((const callback_kept *)sqlite3_user_data(context))->callback;
}

static void scalar(sqlite3_context *context, int count, sqlite3_value **values) {
  if (arguments(count, values)) {
    sqlite3_result_error_nomem(context);
    return;
  }
  give(context, callback_call(callback_of(context)));
}

/* A lane left everything as it was: the host could not answer, or the answer was by chance this integer. */
static void doubt(sqlite3_context *context) {
  callback_begin();
  give(context, callback_call(CALL_DOUBT));
}

/* The same for one argument: the host can have a lane for its type, which spares it most of the way. */
static void scalar_of_one(sqlite3_context *context, int count, sqlite3_value **values) {
  wsq_callback_block *block = &wsq_block_of_callback;
  callback_kept *kept = sqlite3_user_data(context);
  if (arguments(count, values)) {
    sqlite3_result_error_nomem(context);
    return;
  }
  int type = block->types[0];
  uint32_t lane = kept->lanes[type];
  block->result = RESULT_ERROR;
  block->integer = WSQ_NO_INTEGER;
  block->real = WSQ_NO_REAL;
  if (!lane || !wsq_host_lane(lane)) {
    int kind = callback_call(kept->callback);
    if (!lane) kept->lanes[type] = (uint32_t)block->lane;
    give(context, kind);
    return;
  }
  callback_lane_calls++;
  if (block->result) {
    give(context, (int)(block->result & 0xFF));
  } else if (block->integer != WSQ_NO_INTEGER) {
    sqlite3_result_int64(context, block->integer);
  } else if (block->real != WSQ_NO_REAL) {
    double real;
    memcpy(&real, &block->real, 8);
    sqlite3_result_double(context, real);
  } else {
    doubt(context);
  }
  /* A callback that is under way, and led here, must not be taken to have answered. */
  block->integer = WSQ_NO_INTEGER;
  block->real = WSQ_NO_REAL;
}

/* Steps and inverse steps have no result but an error. */
static void step_with(sqlite3_context *context, int count, sqlite3_value **values, uint32_t what) {
  int64_t *instance = sqlite3_aggregate_context(context, sizeof *instance);
  if (!instance || arguments(count, values)) {
    sqlite3_result_error_nomem(context);
    return;
  }
  wsq_block_of_callback.instance = *instance;
  int kind = callback_call(callback_of(context) + what);
  /* Also after an error: the object may have been made before its method failed. */
  if (!*instance && wsq_block_of_callback.result) *instance = wsq_block_of_callback.instance;
  if (kind == SQLITE_NULL) {
    callback_end();
  } else {
    give(context, kind);
  }
}

static void step(sqlite3_context *context, int count, sqlite3_value **values) { step_with(context, count, values, CALL_STEP); }

static void inverse(sqlite3_context *context, int count, sqlite3_value **values) {
  step_with(context, count, values, CALL_INVERSE);
}

/* Without a row there is no instance, and the result is NULL; nor is there one when it could not be made. */
static void result_of_instance(sqlite3_context *context, uint32_t what) {
  int64_t *instance = sqlite3_aggregate_context(context, 0);
  if (!instance || !*instance) return;
  callback_begin();
  wsq_block_of_callback.instance = *instance;
  give(context, callback_call(callback_of(context) + what));
}

static void value(sqlite3_context *context) { result_of_instance(context, CALL_VALUE); }

static void final(sqlite3_context *context) { result_of_instance(context, CALL_FINAL); }

int wsq_create_function(sqlite3 *db, const char *name, int count, int flags, uint32_t callback, int kind) {
  wsq_call *call = call_begin();
  if (!call) return SQLITE_NOMEM;
  callback_kept *kept = callback ? callback_keep(callback) : NULL;
  int rc;
  if (callback && !kept) {
    rc = SQLITE_NOMEM;
  } else if (!callback) {
    rc = sqlite3_create_window_function(db, name, count, flags, NULL, NULL, NULL, NULL, NULL, NULL);
  } else if (kind == KIND_SCALAR) {
    rc = sqlite3_create_function_v2(db, name, count, flags, kept, count == 1 ? scalar_of_one : scalar, NULL, NULL, callback_drop);
  } else if (kind == KIND_AGGREGATE) {
    rc = sqlite3_create_function_v2(db, name, count, flags, kept, NULL, step, final, callback_drop);
  } else {
    rc = sqlite3_create_window_function(db, name, count, flags, kept, step, final, value, inverse, callback_drop);
  }
  return call_end(call, db, rc);
}
