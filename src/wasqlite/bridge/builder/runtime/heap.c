/* malloc and its family, in place of libc's: a two-level segregated fit (Masmano et al., TLSF: constant time, little waste). zig's libc
 * rounds every block up to a power of two, which for a page and its header is twice what it takes.
 *
 * A block is a word with its size and two flags, then what the caller gets, a multiple of 8 bytes from there on. A free block keeps its
 * neighbours in its list there, and in its last word its own address, where the block behind it finds it. Nothing is checked:
 * who writes past a block destroys this heap, which is inside the sandbox like everything else. Memory is never given back. */

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct block {
  uint32_t word; /* bytes of the block, this word included, a multiple of 8; and the flags */
  struct block *next, *previous; /* in the list of free blocks of its class */
} block;

enum {
  FREE = 1,          /* this block */
  FREE_BEFORE = 2,   /* the one before it */
  FLAGS = 7,
  WORD = 4,
  SMALLEST = 16,     /* the word, both links, its address at the end */
  STEPS_LOG2 = 5,    /* classes per doubling: a block is at most 1/32 larger than asked for, when its class is found */
  STEPS = 1 << STEPS_LOG2,
  LINEAR = STEPS * 8, /* below that every size has a class of its own */
  ROWS = 32 - 7,      /* log2(LINEAR) is 8: row 0 is linear, row 1 begins with it */
  PAGE = 65536,
  GROWTH = 16         /* the heap grows by a part of its size, so that it does so seldom */
};

static block *lists[ROWS][STEPS];
static uint32_t rows_used;
static uint32_t steps_used[ROWS];
static block *last; /* the end of the heap: a word that says whether the block before it is free; its size is 0 */

extern unsigned char __heap_base;

static inline uint32_t size_of(const block *b) { return b->word & ~(uint32_t)FLAGS; }
static inline block *at(const void *p, uint32_t offset) { return (block *)((uintptr_t)p + offset); }
static inline block *behind(const block *b) { return at(b, size_of(b)); }
static inline void *payload(block *b) { return (char *)b + WORD; }
static inline block *of(void *p) { return (block *)((char *)p - WORD); }
static inline block **before(block *b) { return (block **)((char *)b - WORD); }

static inline void class_of(uint32_t size, uint32_t *row, uint32_t *step) {
  if (size < LINEAR) {
    *row = 0;
    *step = size / 8;
  } else {
    uint32_t log = 31 - (uint32_t)__builtin_clz(size);
    *row = log - (STEPS_LOG2 + 3) + 1;
    *step = size >> (log - STEPS_LOG2) & (STEPS - 1);
  }
}

static void insert(block *b) {
  uint32_t row, step;
  class_of(size_of(b), &row, &step);
  block *first = lists[row][step];
  b->next = first;
  b->previous = NULL;
  if (first) first->previous = b;
  lists[row][step] = b;
  rows_used |= 1u << row;
  steps_used[row] |= 1u << step;
  b->word |= FREE;
  block *next = behind(b);
  next->word |= FREE_BEFORE;
  *before(next) = b;
}

static void take_out(block *b) {
  if (b->next) b->next->previous = b->previous;
  if (b->previous) {
    b->previous->next = b->next;
  } else {
    uint32_t row, step;
    class_of(size_of(b), &row, &step);
    lists[row][step] = b->next;
    if (!b->next) {
      steps_used[row] &= ~(1u << step);
      if (!steps_used[row]) rows_used &= ~(1u << row);
    }
  }
  b->word &= ~(uint32_t)FREE;
  behind(b)->word &= ~(uint32_t)FREE_BEFORE;
}

/* A free block of at least `size` bytes: the first of the next class all of whose blocks are large enough. */
static block *find(uint32_t size) {
  uint32_t row, step;
  if (size >= LINEAR && __builtin_add_overflow(size, (1u << (31 - (uint32_t)__builtin_clz(size) - STEPS_LOG2)) - 1, &size)) return NULL;
  class_of(size, &row, &step);
  uint32_t steps = steps_used[row] & ~0u << step;
  if (!steps) {
    uint32_t rows = row + 1 < 32 ? rows_used & ~0u << (row + 1) : 0;
    if (!rows) return NULL;
    row = (uint32_t)__builtin_ctz(rows);
    steps = steps_used[row];
  }
  return lists[row][__builtin_ctz(steps)];
}

/* The block, in use, cut down to `size`; the rest is free. */
static void trim(block *b, uint32_t size) {
  uint32_t whole = size_of(b);
  if (whole - size < SMALLEST) return;
  b->word = size | (b->word & FLAGS);
  block *rest = at(b, size);
  rest->word = whole - size;
  block *next = behind(rest);
  if (next->word & FREE) {
    take_out(next);
    rest->word += size_of(next);
  }
  insert(rest);
}

static void release(block *b) {
  if (b->word & FREE_BEFORE) {
    block *first = *before(b);
    take_out(first);
    first->word += size_of(b);
    b = first;
  }
  block *next = behind(b);
  if (next->word & FREE) {
    take_out(next);
    b->word += size_of(next);
  }
  insert(b);
}

/* More memory behind the heap, at least `size` bytes in one block. */
static int grow(uint32_t size) {
  size_t held = __builtin_wasm_memory_size(0);
  if (!last) {
    /* The first block begins 4 bytes before a multiple of 8, so that payloads are aligned. */
    uintptr_t start = (((uintptr_t)&__heap_base + WORD + 7) & ~(uintptr_t)7) - WORD;
    uintptr_t end = held * PAGE - WORD; /* the last word, 4 bytes before a multiple of 8 as well */
    if (end >= start + SMALLEST) { /* or else the data end just where the memory does */
      last = (block *)end;
      last->word = 0;
      block *b = (block *)start;
      b->word = (uint32_t)(end - start);
      insert(b);
      if (find(size)) return 1;
    }
  }
  /* As much as the search for a class may ask for beyond the size itself. */
  uint64_t needed = ((uint64_t)size + size / STEPS + SMALLEST + PAGE - 1) / PAGE;
  size_t more = held / GROWTH > needed ? held / GROWTH : (size_t)needed;
  if (needed + held > 65536) return 0;
  size_t old = __builtin_wasm_memory_grow(0, more);
  if (old == (size_t)-1) {
    more = (size_t)needed;
    old = __builtin_wasm_memory_grow(0, more);
    if (old == (size_t)-1) return 0;
  }
  block *b = last;
  uint32_t flags = 0;
  if (b && (uintptr_t)b + WORD == old * PAGE) flags = b->word & FREE_BEFORE;
  else b = (block *)(uintptr_t)(old * PAGE + WORD); /* the heap's first memory, or somebody else took some in between */
  last = (block *)(uintptr_t)((old + more) * PAGE - WORD);
  last->word = 0;
  b->word = (uint32_t)((uintptr_t)last - (uintptr_t)b) | flags;
  release(b);
  return 1;
}

void wsq_heap_regain(void);

/* What lies behind the heap's end is the heap's: memory that grew after a snapshot which has been restored now. */
void wsq_heap_regain(void) {
  uintptr_t end = __builtin_wasm_memory_size(0) * PAGE - WORD;
  if (!last || (uintptr_t)last >= end) return;
  block *b = last;
  uint32_t flags = b->word & FREE_BEFORE;
  last = (block *)end;
  last->word = 0;
  b->word = (uint32_t)(end - (uintptr_t)b) | flags;
  release(b);
}

/* What a block for n bytes takes; 0 when there can be none. */
static uint32_t block_size(size_t n) {
  if (n > 0xFFFF0000u - 2 * SMALLEST) return 0;
  uint32_t size = ((uint32_t)n + WORD + 7) & ~(uint32_t)7;
  return size < SMALLEST ? SMALLEST : size;
}

void *malloc(size_t n) {
  uint32_t size = block_size(n);
  block *b = size ? find(size) : NULL;
  if (!b) {
    if (!size || !grow(size) || !(b = find(size))) {
      errno = ENOMEM;
      return NULL;
    }
  }
  take_out(b);
  trim(b, size);
  return payload(b);
}

void free(void *p) {
  if (p) release(of(p));
}

void *calloc(size_t count, size_t each) {
  uint64_t n = (uint64_t)count * each;
  void *p = n <= UINT32_MAX ? malloc((size_t)n) : NULL;
  if (p) memset(p, 0, (size_t)n);
  else errno = ENOMEM;
  return p;
}

void *realloc(void *p, size_t n) {
  if (!p) return malloc(n);
  block *b = of(p);
  uint32_t size = block_size(n), held = size_of(b);
  if (!size) {
    errno = ENOMEM;
    return NULL;
  }
  block *next = behind(b);
  if (size > held && (next == last || (next->word & FREE && behind(next) == last)) && held + size_of(next) < size) {
    grow(size - held); /* what is at the end need not be moved */
    next = behind(b);
  }
  if (size > held && next->word & FREE && held + size_of(next) >= size) {
    take_out(next);
    b->word += size_of(next);
    held = size_of(b);
  }
  if (size <= held) {
    trim(b, size);
    return p;
  }
  void *moved = malloc(n);
  if (!moved) return NULL;
  memcpy(moved, p, held - WORD);
  free(p);
  return moved;
}

void *aligned_alloc(size_t alignment, size_t n) {
  if (!alignment || alignment & (alignment - 1) || alignment > 1u << 24) {
    errno = EINVAL;
    return NULL;
  }
  if (alignment <= 8) return malloc(n);
  char *p = malloc(n > 0xFE000000u ? SIZE_MAX : n + alignment + SMALLEST);
  if (!p) return NULL;
  uint32_t size = block_size(n);
  /* What is before the aligned address becomes a free block, which needs room for itself. */
  char *aligned = (char *)(((uintptr_t)p + alignment - 1) & ~(uintptr_t)(alignment - 1));
  if (aligned != p && aligned - p < SMALLEST) aligned += alignment;
  block *b = of(p);
  if (aligned != p) {
    uint32_t gap = (uint32_t)(aligned - p), whole = size_of(b);
    block *rest = at(b, gap);
    rest->word = whole - gap;
    b->word = gap | (b->word & FLAGS);
    release(b);
    b = rest;
  }
  trim(b, size);
  return aligned;
}

int posix_memalign(void **out, size_t alignment, size_t n) {
  void *p = aligned_alloc(alignment, n);
  if (!p) return errno;
  *out = p;
  return 0;
}

size_t malloc_usable_size(void *p) { return p ? size_of(of(p)) - WORD : 0; }
