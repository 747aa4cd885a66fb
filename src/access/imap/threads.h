/*
 * threads -- messages put into conversations (rfc5256:3, draft-ietf-morg-inthread), some thousand steps
 * at a time
 *
 * From:     THREAD
 *
 * threads_open()  `message` stands in the order of the mailbox and is borrowed, as are its references.
 * threads_go()    about `most` steps of it; true when the threads are whole.
 * threads_say()   writes thread-lists (rfc5256:5) until `out` holds more than `room` bytes; true at the end.
 *
 * Nothing recurses, and time is about linear whatever the references say: a chain of more than 10 000
 * generations is divided, and letters that were only mentioned are left out when there are more
 * than one for each message and 50 000.
 */
#ifndef ACCESS_IMAP_THREADS_H
#define ACCESS_IMAP_THREADS_H

#include "access/imap/sorter.h"
#include "base/buffer.h"

enum thread_how { THREAD_ORDEREDSUBJECT, THREAD_REFERENCES, THREAD_REFS };
struct thread_message {
	uint32_t        number;        /* or uid                                  */
	bool            reply;         /* or forward, by its subject              */
	uint64_t        id;            /* of its message id, 0: none              */
	uint64_t        subject;       /* of its base subject, 0: empty           */
	int64_t         date;
	const uint64_t *reference;     /* ids, the oldest first                   */
	size_t          references;
};

struct threads;
struct threads *threads_open(enum thread_how, const struct thread_message *, uint32_t count, struct arena *);
bool threads_go(struct threads *, size_t most);
bool threads_say(struct threads *, struct buffer *out, size_t room);
void threads_close(struct threads **);

#endif
