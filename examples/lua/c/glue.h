/* What Python calls besides Lua's own interface. An int is a status of Lua's: LUA_OK, or the kind of the error that is on
 * the stack then.
 *
 * A function of Lua's that may raise jumps to the lua_pcall around it, and a jump cannot cross Python. So Python calls
 * none of them: these do, inside of a lua_pcall of their own. The caller has made room for five values. */

#include <stddef.h>
#include "lua.h"

/* What the host's function returns when it has pushed an error. */
#define GLUE_RAISED (-2)

/* The instance's one interpreter, with all libraries; NULL if it does not fit into memory. */
lua_State *glue_open(void);

/* Push a string; a new table; a function that calls a Python object. */
int glue_string(lua_State *L, const char *data, size_t size);
int glue_table(lua_State *L);
int glue_function(lua_State *L, void *object);

/* The table below them gets the key and the value that are on top, and they are popped. */
int glue_set(lua_State *L);

/* Have the registry keep a value: the number that it has there, or a status times -1. */
int glue_keep(lua_State *L, int index);

/* The Python object that a function calls, or NULL. */
void *glue_object(lua_State *L, int index);
