/*
 * deliver -- puts a letter that lies in the log into a recipient's mailbox
 *
 * From:     role/keeper, on the queue's word DELIVER
 * To:       store
 * Touches:  the store; copies nothing of the letter
 *
 * deliver() writes a row and an arrival in memory and in the account's open transaction;
 * it is durable when the next store_barrier() ends: only then tell the queue.
 *
 * A letter that is to lie aside comes into a mailbox of its own, which is made; every other into INBOX.
 *
 * DELIVERY_DONE     it lies in a mailbox; `again`: it had come before (a crash between
 *                   delivery and the queue's forgetting), nothing was changed.
 * DELIVERY_LATER    try again: the disk is full, the index cannot be opened now.
 *                   Or the account is full, when that is thought to pass.
 * DELIVERY_LOCKED   the same, but soon: another program has the mailbox's file locked, or it is being asked whether there is room.
 * DELIVERY_REFUSED  it will never work: the letter is damaged beyond reading, or the account or its domain is full.
 * status and text are static or in the arena: "2.0.0", "delivered to INBOX".
 */
#ifndef DELIVERY_DELIVER_H
#define DELIVERY_DELIVER_H

#include "store/store.h"

struct delivery {
	uint64_t     letter;
	uint32_t     envelope_segment;
	uint64_t     envelope_at;
	uint64_t     account;
	struct bytes sender;           /* Return-Path                     */
	struct bytes address;          /* as it was written               */
	struct bytes delivered;        /* Delivered-To, "" no such field  */
	struct bytes passed;           /* names of ours it came by before, each with LF behind it */
	struct bytes original;         /* X-Original-To                   */
	struct bytes detail;           /* of user+detail; "" none         */
	unsigned     grace;            /* percent the last letter may be over the limit */
	bool         full_later;       /* a full account is trouble that passes */
	const char  *aside;            /* the mailbox where it is to lie aside; NULL: INBOX */
	/* Before a letter of so many bytes is taken: 0, EDQUOT where there is no room for it beside this account, EBUSY where that is
	   not known yet.  NULL: nobody asks. */
	int        (*room)(void *ctx, uint64_t account, uint64_t letter, uint64_t size);
	void        *ctx;
};
enum delivery_result { DELIVERY_DONE, DELIVERY_LATER, DELIVERY_LOCKED, DELIVERY_REFUSED };
struct delivery_answer { enum delivery_result result; bool again; const char *status, *text; };

/* The fields that are true for one recipient alone (rfc5321:4.4 Return-Path); without X-Original-To when `original` is empty,
   and without Delivered-To when `delivered` is.  Those of the names before stand below, as if the letter had come in again. */
struct bytes delivery_head(struct bytes sender, struct bytes original, struct bytes delivered, struct bytes passed, struct arena *);
void delivery_passed(struct bytes passed, struct buffer *);      /* a Delivered-To field for each */
struct delivery_answer deliver(struct store *, struct letters *, const struct delivery *, struct arena *);

#endif
