/* Functions that do next to nothing: what is measured is the way there and back. */

#include "boundary.h"

#include <string.h>

int add(int a, int b) { return (int)((unsigned)a + (unsigned)b); }

int each(int (*call)(int), int count) {
  int sum = 0;
  for (int i = 0; i < count; i++) sum += call(i & 7);
  return sum;
}

size_t length(const char *text) { return strlen(text); }

const char *greeting(void) { return "the quick brown fox jumps over the lazy dog"; }

uint64_t digest(const void *data, size_t size) {
  const unsigned char *p = data;
  return size ? p[0] + 256u * p[size - 1] : 0;
}

void fill(void *out, size_t size, int value) { memset(out, value, size); }

void shift(struct point *p, double by) {
  p->x += by;
  p->y += by;
}

double norm(struct point p) { return p.x * p.x + p.y * p.y; }
