/* setjmp and longjmp for setjmp.c, whatever the C library has of them. */

#ifndef WASQLITE_SETJMP_H
#define WASQLITE_SETJMP_H

typedef long jmp_buf[8];

__attribute__((returns_twice)) int setjmp(jmp_buf env);
_Noreturn void longjmp(jmp_buf env, int value);

/* C wants a macro. */
#define setjmp setjmp

#endif
