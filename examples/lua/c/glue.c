#include "glue.h"

#include <stdio.h>

#include "lauxlib.h"
#include "lualib.h"

/* Python's part of a call: the number of results on the stack, GLUE_RAISED with an error there, or -1. */
__attribute__((import_module("python"), import_name("python_call"))) int python_call(lua_State *L, void *object);

struct text {
  const char *data;
  size_t size;
};

/* -- what may raise, as functions for lua_pcall */

static int open_libraries(lua_State *L) {
  luaL_openlibs(L);
  return 0;
}

static int push_string(lua_State *L) {
  const struct text *text = lua_touserdata(L, 1);
  lua_pushlstring(L, text->data, text->size);
  return 1;
}

static int push_table(lua_State *L) {
  lua_newtable(L);
  return 1;
}

static int call_python(lua_State *L) {
  int results = python_call(L, lua_touserdata(L, lua_upvalueindex(1)));
  if (results == GLUE_RAISED) return lua_error(L);
  if (results < 0) return luaL_error(L, "Python was interrupted");
  return results;
}

static int push_function(lua_State *L) {
  lua_pushcclosure(L, call_python, 1);
  return 1;
}

static int set(lua_State *L) {
  lua_rawset(L, 1);
  return 0;
}

static int keep(lua_State *L) {
  lua_pushinteger(L, luaL_ref(L, LUA_REGISTRYINDEX));
  return 1;
}

/* -- */

static int protected(lua_State *L, lua_CFunction function, int arguments, int results) {
  lua_pushcfunction(L, function);
  lua_insert(L, -1 - arguments);
  return lua_pcall(L, arguments, results, 0);
}

lua_State *glue_open(void) {
  static lua_State *opened;
  if (opened) return opened;
  lua_State *L = luaL_newstate();
  if (L && protected(L, open_libraries, 0, 0) != LUA_OK) {
    lua_close(L);
    return NULL;
  }
  return opened = L;
}

int glue_string(lua_State *L, const char *data, size_t size) {
  struct text text = {data, size};
  lua_pushlightuserdata(L, &text);
  return protected(L, push_string, 1, 1);
}

int glue_table(lua_State *L) { return protected(L, push_table, 0, 1); }

int glue_function(lua_State *L, void *object) {
  lua_pushlightuserdata(L, object);
  return protected(L, push_function, 1, 1);
}

int glue_set(lua_State *L) {
  lua_pushvalue(L, -3);
  lua_insert(L, -3);
  return protected(L, set, 3, 0);
}

int glue_keep(lua_State *L, int index) {
  lua_pushvalue(L, index);
  int status = protected(L, keep, 1, 1);
  if (status != LUA_OK) return -status;
  int reference = (int)lua_tointeger(L, -1);
  lua_pop(L, 1);
  return reference;
}

void *glue_object(lua_State *L, int index) {
  void *object = NULL;
  if (lua_tocfunction(L, index) == call_python && lua_getupvalue(L, index, 1)) {
    object = lua_touserdata(L, -1);
    lua_pop(L, 1);
  }
  return object;
}

/* WASI has no temporary files; io.tmpfile() says so. */
FILE *tmpfile(void) { return NULL; }
