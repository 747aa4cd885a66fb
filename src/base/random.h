/*
 * random -- bytes nobody can guess (getrandom); works inside every cage
 */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

void     random_fill(void *out, size_t len);
uint64_t random_number(void);
uint64_t random_below(uint64_t limit);          /* 0 .. limit-1, unbiased     */
/* A word of letters and digits that people can read out; NUL included. */
void     random_word(char *out, size_t room);

#endif
