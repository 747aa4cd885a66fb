/*
 * history -- what the two sides of a session have said, and what went wrong in it, for a postmaster who wants to know (notify_classes)
 *
 * From:     smtp/receiver/session, smtp/sender/outgoing
 *
 * history_add()    a line, or a reply of several; what is too much is left out and counted.  Of AUTH nothing is kept but the mechanism, of
 *                  URLs nothing.
 * history_blame()  what a reply of ours that refuses, or a host's answer that should not have been, is a sign of.
 * history_is_wanted()  there is something in it that the postmaster wants to hear of.
 * history_text()   the lines, "In:  ..." for what was heard, "Out: ..." for what was said.
 *
 * Only where `wanted` is set is anything kept.  A session that brought a letter from nobody to or from ourselves is quiet: what is
 * told of it might be the next such letter.
 */
#ifndef SMTP_HISTORY_H
#define SMTP_HISTORY_H

#include "base/buffer.h"

enum fault_class {
	FAULT_BOUNCE   = 1 << 0,       /* mail that comes back                     */
	FAULT_POLICY   = 1 << 1,       /* a rule refuses                           */
	FAULT_PROTOCOL = 1 << 2,       /* somebody does not speak SMTP             */
	FAULT_RESOURCE = 1 << 3,       /* no room                                  */
	FAULT_SOFTWARE = 1 << 4,       /* we do not work                           */
	FAULT_DATA     = 1 << 5,       /* a table cannot be asked                  */
};
enum { HISTORY_MOST = 32 << 10, HISTORY_LINE_MOST = 512 };
struct history {
	unsigned      wanted, faults;  /* enum fault_class                         */
	bool          quiet;
	uint32_t      lines, left_out;
	struct buffer text;
};

unsigned fault_class_named(struct bytes word);           /* 0: none of these */
/* What a refusal of ours is; 0: of nothing. */
unsigned fault_of_reply(struct bytes reply);
/* The same where that rule refuses. */
unsigned fault_of_rule(struct bytes rule, struct bytes reply);
/* The same of a host's answer. */
unsigned fault_of_answer(uint16_t code);

void history_add(struct history *, bool heard, struct bytes lines);
void history_blame(struct history *, unsigned faults);
bool history_is_wanted(const struct history *);
struct bytes history_text(const struct history *);
void history_reset(struct history *);                    /* nothing has been said */
void history_free(struct history *);

#endif
