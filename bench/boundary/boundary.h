/* What bench/boundary.py calls, once in the sandbox and once natively. */

#ifndef BOUNDARY_H
#define BOUNDARY_H

#include <stddef.h>
#include <stdint.h>

struct point {
  double x, y;
  int color;
};

int add(int a, int b);
int each(int (*call)(int), int count);
size_t length(const char *text);
const char *greeting(void);
uint64_t digest(const void *data, size_t size);
void fill(void *out, size_t size, int value);
void shift(struct point *p, double by);
double norm(struct point p);

#endif
