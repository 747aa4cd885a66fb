/*
 * room -- whether a domain that is limited as a whole has room for what a command brings (imap.h)
 *
 * room_ask()    0: it has, or nobody limits it; EINPROGRESS: it is asked, and imap_wake() will come; else why not.
 * room_state()  the same of one that was asked.
 * room_end()    what was promised has come, before the barrier of it, or does not come; safe on one that was never asked.
 *
 * Refusals are EUSERS, whose words tell of the domain (session.c), and EAGAIN.
 */
#ifndef ACCESS_IMAP_ROOM_H
#define ACCESS_IMAP_ROOM_H

#include <stdbool.h>
#include <stdint.h>

struct imap;
struct imap_room;
struct room {
	struct imap      *session;
	struct imap_room *asked;
	bool              heard;
	int               why;
};

int  room_ask(struct imap *, struct room *, uint64_t account, uint64_t bytes, uint64_t messages);
int  room_state(const struct room *);
void room_end(struct room *, bool came);

#endif
