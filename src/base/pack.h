/*
 * pack -- values as bytes with lengths: for words between roles and records
 * on disk.  Little-endian, no padding, no text to parse twice.
 *
 * Packing appends to a buffer.  Unpacking takes from the front of a struct
 * unpack that keeps its first fault: after a short or broken field every
 * getter gives 0 or empty, and unpack_done() is false.  Views point into the
 * packed bytes and live as long as they do.
 */
#ifndef BASE_PACK_H
#define BASE_PACK_H

#include "base/buffer.h"

void pack_u8   (struct buffer *, uint8_t);
void pack_u16  (struct buffer *, uint16_t);
void pack_u32  (struct buffer *, uint32_t);
void pack_u64  (struct buffer *, uint64_t);
void pack_i64  (struct buffer *, int64_t);
void pack_bool (struct buffer *, bool);
void pack_bytes(struct buffer *, struct bytes);       /* u32 length, bytes */
void pack_string(struct buffer *, const char *);      /* as pack_bytes; NULL is empty */

struct unpack { struct bytes rest; bool broken; };
struct unpack unpack_of(struct bytes);
uint8_t  unpack_u8 (struct unpack *);
uint16_t unpack_u16(struct unpack *);
uint32_t unpack_u32(struct unpack *);
uint64_t unpack_u64(struct unpack *);
int64_t  unpack_i64(struct unpack *);
bool     unpack_bool(struct unpack *);                /* anything but 0 and 1 is broken */
struct bytes unpack_bytes(struct unpack *);
/* Fixed string; broken if it holds a NUL or does not fit. */
void     unpack_string(struct unpack *, char *out, size_t room);
bool     unpack_done(const struct unpack *);          /* all taken and nothing broken */

#endif
