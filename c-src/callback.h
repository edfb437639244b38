/* Calling back into the host: arguments and result go through one block, whatever the kind of callback. */

#ifndef WASQLITE_CALLBACK_H
#define WASQLITE_CALLBACK_H

#include "abi.h"
#include "sqlite3.h"

extern wsq_callback_block wsq_block_of_callback;

/* What is called of a callback: added to the number under which the host has it, a multiple of 8. */
enum { CALL_ITSELF = 0, CALL_STEP = 1, CALL_INVERSE = 2, CALL_VALUE = 3, CALL_FINAL = 4, CALL_UNEXPANDED = 5, CALL_NO_MEMORY = 6, CALL_DOUBT = 7 };

/* What SQLite keeps for a function or collation. callback_drop is its destructor. */
typedef struct callback_kept {
  uint32_t callback;         /* the host's number for it */
  struct callback_kept *next; /* of those that were dropped */
  uint32_t lanes[6];         /* by the storage class of the one argument */
} callback_kept;

/* How often lanes were called, modulo 2^32. */
extern uint32_t callback_lane_calls;

callback_kept *callback_keep(uint32_t callback);
void callback_drop(void *kept);

/* Begins with the arguments. */
void callback_begin(void);

/* Appends an argument; there must be room. A NULL text is SQL's NULL. */
void callback_integer(int64_t value);
void callback_text(const char *text, uint32_t size);
void callback_string(const char *text);

/* Calls the host, and returns the kind of the result; RESULT_ERROR if the host could not answer. */
int callback_call(uint32_t callback);

/* To be called when the result has been read: nobody else may take it for his own. */
void callback_end(void);

#endif
