/*
 * checksum -- CRC32C (Castagnoli, rfc3720:12.1), with SSE4.2 where it is
 *
 * checksum_more()   goes on from an earlier value; begin with 0.
 * checksum_plain()  is checksum_more() without SSE4.2, for the test that
 *                   compares the two.
 */
#ifndef BASE_CHECKSUM_H
#define BASE_CHECKSUM_H

#include "base/bytes.h"

uint32_t checksum_of(struct bytes);
uint32_t checksum_more(uint32_t before, struct bytes);
uint32_t checksum_plain(uint32_t before, struct bytes);

#endif
