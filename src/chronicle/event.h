/*
 * event -- one thing that happened in the life of a letter, as roles tell it and the chronicle keeps it
 *
 * From:     receiver, queue, sender (word EVENT)
 * To:       chronicle/chronicle, which keeps it; command trace, which shows it
 *
 * An event has a kind, a time and what it is about: a letter, a session, or neither (a refusal has an id of its own among
 * its texts).  All else is texts; which an event has, its kind and the moment say.  Packed, what is not there takes no room.
 *
 * event_pack()    appends it; texts past EVENT_TEXT_MOST are cut between characters.
 * event_unpack()  false on anything that event_pack() would not have written.  Views into the bytes.
 * event_next()    takes the next of a row of them, each with its u16 length before it; false at the end, or *broken.
 */
#ifndef CHRONICLE_EVENT_H
#define CHRONICLE_EVENT_H

#include "base/pack.h"

enum event_kind {
	LIFE_ACCEPTED,       /* safe on disk and acknowledged: client, helo, TLS, login, message-id, sender, size     */
	LIFE_REFUSED,        /* a client heard no: id, reply, rule, client, helo, sender, recipient; of a session or letter, with message-id */
	LIFE_RULE,           /* a rule or check said something and refused nothing                                    */
	LIFE_ENTERED,        /* the queue has it: sender, recipients, size; a notice: of which letter                 */
	LIFE_CONTACT,        /* a host was tried: relay, TLS, how it went                                             */
	LIFE_ATTEMPT,        /* a recipient's try is over: recipient, relay, TLS, status, how, reply                   */
	LIFE_NOTICE,         /* a notice was made of it: which letter that is, to whom, of what                       */
	LIFE_ORDER,          /* an administrator, or a setting, changed its course                                    */
	LIFE_REMOVED,        /* the queue is done with it                                                             */
	LIFE_GAP,            /* so many events (number) were lost before this one                                     */
	LIFE_DISCARDED,      /* taken, and thrown away because a rule or filter says so: recipients                    */
	LIFE_KINDS
};
enum event_text {
	TEXT_CLIENT, TEXT_HELO, TEXT_PROTOCOL, TEXT_TLS, TEXT_METHOD, TEXT_USER, TEXT_MESSAGE_ID, TEXT_SENDER,
	TEXT_RECIPIENT,      /* of ENTERED, DISCARDED, and of a letter that is REFUSED: all of them, NUL between                 */
	TEXT_ORIGINAL, TEXT_RELAY, TEXT_STATUS, TEXT_HOW, TEXT_REPLY, TEXT_ID, TEXT_RULE, TEXT_SERVICE, TEXT_DELAYS, TEXT_MOMENT,
	TEXT_MAILBOX,        /* where an account found it                                                              */
	EVENT_TEXTS
};
enum { EVENT_TEXT_MOST = 4000, EVENT_MOST = 16000 };

struct event {
	uint8_t      kind;             /* enum event_kind                             */
	int64_t      at_us;            /* wall clock                                  */
	uint64_t     letter, session;  /* 0: none                                     */
	uint64_t     other;            /* another letter: NOTICE, ENTERED; 0 none     */
	uint64_t     number;           /* bytes; how many                             */
	struct bytes text[EVENT_TEXTS];
};

extern const char *const event_kind_names[LIFE_KINDS], *const event_text_names[EVENT_TEXTS];

void event_pack(const struct event *, struct buffer *);
bool event_unpack(struct bytes, struct event *) __attribute__((warn_unused_result));
bool event_next(struct bytes *rest, struct bytes *packed, struct event *, bool *broken);

#endif
