/*
 * fold -- letters without regard to case, for all of Unicode
 *
 * fold_character() simple case folding: one character gives one.
 */
#ifndef MESSAGE_FOLD_H
#define MESSAGE_FOLD_H

#include <stdint.h>

uint32_t fold_character(uint32_t);

#endif
