/*
 * convert -- an account's letters go from where they lie to another mail_location
 *
 * From:     role/keeper-convert
 * Touches:  the new place, and table `converted` of the account's index
 *
 * Uids, uidvalidities, flags, keywords, dates and subscriptions stay.  The account is used all the while: what
 * comes or changes meanwhile is seen.  Each letter is written to the new place, read back and compared with the old, byte
 * by byte, and written down; an interrupted conversion to the same place goes on where it stood.  The old
 * place is left as it is.
 *
 * conversion_open()    NULL with *why: EINVAL not a location, EALREADY it lies there, EEXIST letters lie there that no
 *                      conversion to it which was interrupted has brought, or the place's errno.  A barrier is to follow.
 * conversion_step()    one letter further.  0; EAGAIN: conversion_over() may come; else why not.
 *                      To the letter log it is the caller who writes: ENOSYS, and then conversion_letter() says
 *                      which and conversion_came() where it lies now.
 * conversion_over()    the switch, in the account's transaction: a barrier follows.  EBUSY while somebody has a
 *                      mailbox open, EAGAIN when there is more to do again.
 * conversion_close()   also takes back what a step has not yet written down.
 */
#ifndef STORE_CONVERT_H
#define STORE_CONVERT_H

#include "store/store.h"

struct conversion;
struct conversion *conversion_open(struct account *, const char *location, int *why);
int  conversion_step(struct conversion *);
int  conversion_over(struct conversion *);
void conversion_close(struct conversion **);
/* After EBADMSG: the mailbox of the letter that is damaged, and its file ("" where it has none). */
void conversion_damaged(const struct conversion *, struct buffer *mailbox, struct buffer *file);
/* How many letters are done, and of how many. */
void conversion_count(const struct conversion *, uint64_t *done, uint64_t *all);
/* The letter that is next: its size, and its bytes (0 or errno). */
uint64_t conversion_letter(const struct conversion *);
int  conversion_bytes(struct conversion *, uint64_t at, void *out, size_t len);
int  conversion_came(struct conversion *, uint64_t letter, const struct letter_place *, int64_t sent_date);

#endif
