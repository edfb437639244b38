/* What clang's setjmp and longjmp call (-mllvm -wasm-enable-sjlj): many a wasi-libc comes without it.
 *
 * The compiler turns longjmp into a thrown exception with the tag __c_longjmp, whose value is a pointer to two words: the
 * jmp_buf and the number. A function that calls setjmp catches it, asks __wasm_setjmp_test whether one of its own calls is
 * meant, and throws it on if not. */

#include <setjmp.h>
#include <stdint.h>

struct jump {
  void *invocation; /* of the function that called setjmp: an address in its stack frame */
  uint32_t label;   /* which of its calls of setjmp it was, from 1 on */
  struct {
    struct jump *env;
    int32_t value;
  } thrown;
};

_Static_assert(sizeof(struct jump) <= sizeof(jmp_buf), "a jmp_buf has no room for a jump");

void __wasm_setjmp(struct jump *env, uint32_t label, void *invocation);
uint32_t __wasm_setjmp_test(struct jump *env, void *invocation);
_Noreturn void __wasm_longjmp(struct jump *env, int32_t value);

/* The objects only refer to the tag. */
__asm__(".globl __c_longjmp\n"
        ".tagtype __c_longjmp i32\n"
        "__c_longjmp:\n");

void __wasm_setjmp(struct jump *env, uint32_t label, void *invocation) {
  env->invocation = invocation;
  env->label = label;
}

uint32_t __wasm_setjmp_test(struct jump *env, void *invocation) {
  return env->invocation == invocation ? env->label : 0;
}

_Noreturn void __wasm_longjmp(struct jump *env, int32_t value) {
  env->thrown.env = env;
  env->thrown.value = value ? value : 1;
  __builtin_wasm_throw(1, &env->thrown);
}
