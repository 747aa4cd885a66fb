/*
 * session -- one SMTP or LMTP conversation (rfc5321, rfc2033): what the client says, what we answer
 *
 * From:     smtp/receiver/connection, which brings bytes; a test or a fuzzer does as well
 * To:       the house, through struct receiver_needs; the client, through struct session_mouth
 * Touches:  no descriptor, no clock but the patient one; it never waits
 *
 * session_open()   greets (unless TLS comes first: then session_secured() greets).
 * session_take()   understands what has arrived and returns how much of it is used up.
 *     It stops early when an answer of the house is needed; mouth->resume is called when
 *     that has come, and then the rest must be given again.
 * session_meet()   the client may stay: its name is looked up, and nothing of it is in the log
 *     before that is known or something is to be told of it.  The greeting and the answer to the
 *     first command do not wait for that; the rest does.
 * session_tick()   now and then: patience and the least rate of data.
 * session_lost()   the client has gone.  session_leave(): the server stops; 421 as soon as
 *     no letter is coming in.
 * session_close()  ends it; a letter whose final dot has come goes on by itself.
 *
 * The house answers through session_resolved() and its sisters, at once (from within the
 * call) or later.
 *
 * Rooms: s->room is the function that understands what comes next: commands, answers to a SASL
 * challenge, content, or nothing.  grep 's->room =' lists the doors.
 */
#ifndef SMTP_RECEIVER_SESSION_H
#define SMTP_RECEIVER_SESSION_H

#include "smtp/history.h"
#include "smtp/receiver/letter.h"

enum resolved { RESOLVED_LOCAL, RESOLVED_UNKNOWN, RESOLVED_FOREIGN, RESOLVED_LATER, RESOLVED_LOOP,
                RESOLVED_FULL_NOW, RESOLVED_FULL,
                RESOLVED_REFUSED,         /* `table` is why: "5.1.6 User has moved to ..."; so it may be of FOREIGN */
                RESOLVED_DISCARDED };
enum room_answer {
	ROOM_YES,                      /* the letter may come                    */
	ROOM_WAIT,                     /* session_ask_room() will be called      */
	ROOM_FULL,                     /* the disk is full: 452 4.3.1            */
	ROOM_LATER,                    /* something is broken for now: 451 4.3.0 */
};
enum verdict { VERDICT_ACCEPT, VERDICT_REFUSE, VERDICT_LATER };
enum authenticated { AUTHENTICATED, NOT_AUTHENTICATED, AUTH_BAD_SYNTAX, AUTH_UNKNOWN_MECHANISM, AUTH_NOT_NOW, AUTH_ACCOUNT_DISABLED };
enum fetched { FETCHED, FETCHED_NOT, FETCHED_UNTRUSTED, FETCHED_LATER };
enum counted { COUNT_MESSAGE, COUNT_RECIPIENT, COUNT_AUTH, COUNT_TLS, COUNT_TLS_KNOWN, COUNT_CONNECTION,
               COUNT_ACCOUNT_MESSAGE, COUNT_ACCOUNT_RECIPIENT, COUNTED };    /* of the user, wherever they are */

/* What an account had for the hour or the day. */
enum spent { SPENT_WITHIN, SPENT_JUST_PAST, SPENT_PAST };

/* Whose the sender's address is. */
enum owner { OWNER_SELF, OWNER_OTHER, OWNER_NONE, OWNER_LATER };
enum named { NAMED, NAMED_NOT, NAMED_FOREIGN, NAMED_NO_HOST, NAMED_LATER };

/* When restriction lists are asked; what they may know then, and what they decide.  What each means: policy/rules.h. */
enum session_moment { MOMENT_CONNECT, MOMENT_HELO, MOMENT_MAIL, MOMENT_RCPT, MOMENT_VRFY, MOMENT_DATA, MOMENT_END, MOMENT_ETRN };
struct session_facts {
	const struct peer *peer;
	const char *name, *reverse;
	uint8_t named;                 /* enum named, NAMED_LATER while it is not known */
	bool trusted, unsure, here, tested, lmtp, extended, secure, pipelined, helo_said, has_sender, has_recipient, owner_known, recipient_known, utf8, forwarded, stress;
	struct bytes helo, user, method, etrn, auth_sender;
	struct bytes sender, sender_whole, recipient, recipient_whole, recipient_why;
	enum resolved recipient_is;
	enum owner owner;
	uint32_t recipients;
	uint64_t size, number;         /* number: of the transaction               */
	struct bytes deferred;
};
enum session_deed_kind { DO_HOLD, DO_DISCARD, DO_FILTER, DO_REDIRECT, DO_BCC, DO_PREPEND,
                         DO_PASS /* of the client, and no letter: it is not tested further */ };
struct session_deed { enum session_deed_kind deed; struct bytes text; };
struct session_verdict {
	bool refused;
	struct bytes reply, rule, id;  /* id: for `mansio policy why`, "" none     */
	struct bytes deferred;         /* a fact of later moments                  */
	uint32_t sleep_s;
	const struct session_deed *deed;
	size_t deeds;
	bool by_filter, shut;          /* a mail filter says so, and that the session ends */
};

/* A refusal that no list made: when, of whom ("" of all), what is said, and who says so ("" the protocol). */
struct session_refusal { const char *verb; struct bytes recipient, reply, by; };

/* What the log has just been told of the client: that it was refused, or, with `note`, what rules say besides. */
struct session_told { bool note; const char *verb; struct bytes recipient, reply, rule, id; const struct letter *letter; };   /* letter: all of it is meant, NULL it is not */

/* What mail filters (policy/milter-chain.h) are told, and what they answer. */
enum filter_stage { FILTER_CONNECT, FILTER_HELO, FILTER_MAIL, FILTER_RCPT, FILTER_DATA, FILTER_CONTENT, FILTER_UNKNOWN = 7, FILTER_REFUSED, FILTER_NONE };
struct filter_event {
	enum filter_stage stage;
	const struct bytes *argument;  /* "<jack@example.com>", "SIZE=9"           */
	size_t arguments;
	struct bytes refusal;          /* the reply to a recipient that is not taken: nothing is answered; "" it may be */
};
struct filter_said {
	struct bytes reply;            /* lines with CRLF between them; "" go on   */
	struct bytes by;               /* which of them says so, "" none           */
	struct bytes reason;           /* of hold                                  */
	bool shut, discard, hold;
	uint32_t wants;                /* 1 << enum filter_stage: what they want to hear from now on */
};

/* All that a session wants from the house. */
struct receiver_needs {
	/* The client's name, and that of its reverse zone: session_named() will follow.  False: no names
	   are asked here. */
	bool (*name)(void *house, struct session *);
	void (*resolve)(void *house, struct session *, struct bytes address);
	/* Who is behind the address: session_expanded() will follow. */
	void (*expand)(void *house, struct session *, struct bytes address);
	/* Try now what waits in the queue for this domain, and with `below` for those below it: session_flushed() will follow. */
	void (*flush)(void *house, struct session *, struct bytes domain, bool below);
	/* Whether this user ("": nobody has logged in) owns the address: session_owner() will follow. */
	void (*owner)(void *house, struct session *, struct bytes user, struct bytes address);
	/* Whether that is to be known before the recipient is judged. */
	bool (*wants_owner)(void *house, struct session *);
	/* What restriction lists say: session_policy() will follow, perhaps at once.  False: there is nothing to judge. */
	bool (*policy)(void *house, struct session *, enum session_moment);
	/* A refusal that no list made: the id under which the house remembers it, "" it does not; valid until the next call. */
	struct bytes (*remember)(void *house, struct session *, const struct session_refusal *);
	/* What this URL names, for the user who has logged in: session_fetched() will follow, and when that said that there is
	   something session_fetched_part() until there is no more.  `fetch_more` when it had stopped.  `fetch_drop`: no more is
	   wanted. */
	void (*fetch)(void *house, struct session *, struct bytes url);
	void (*fetch_more)(void *house, struct session *);
	void (*fetch_drop)(void *house, struct session *);
	/* For who keeps what happened; may be NULL. */
	void (*told)(void *house, struct session *, const struct session_told *);
	/* What it said is for the postmaster (notify_classes).  May be NULL. */
	void (*complain)(void *house, struct session *, const struct history *);
	/* The same: this letter is thrown away, its client hears of this id.  May be NULL. */
	void (*thrown)(void *house, struct letter *, const char *id);
	void (*auth_start)(void *house, struct session *, struct bytes mechanism, bool has_initial, struct bytes initial);
	void (*auth_step)(void *house, struct session *, struct bytes);
	void (*auth_drop)(void *house, struct session *);
	/* Count one more for this client; false when that is past `limit`. *now is the count.  COUNT_TLS_KNOWN: what COUNT_TLS is, and no more. */
	bool (*count)(void *house, struct session *, enum counted, int64_t limit, uint32_t *now);
	/* Has this client shown that it can wait?  With a time: it has, and need not show it again for so long. */
	bool (*pass)(void *house, struct session *, int64_t ms);
	/* The account sends to so many more, in this hour or this day. */
	enum spent (*spend)(void *house, struct session *, bool day, uint32_t recipients, int64_t limit);
	enum room_answer (*room)(void *house, struct session *, uint64_t size);
	/* A letter that is too large for memory: letter_streamed() tells when it may flow. */
	void (*stream_open)(void *house, struct letter *);
	int  (*stream_add)(void *house, struct letter *, struct bytes);         /* 0 or errno */
	uint64_t (*stream_waiting)(void *house, struct letter *);
	void (*stream_drop)(void *house, struct letter *);
	/* The final dot has come. letter_judged() will follow. */
	void (*judge)(void *house, struct letter *);
	/* Make it durable, with `prefix` and our trace before it.  letter_safe() will follow. */
	void (*keep)(void *house, struct letter *, struct bytes prefix, struct bytes digest);
	/* Mail filters: session_filtered() will follow, perhaps at once; CONNECT comes first.  And that a transaction is over. */
	void (*filter)(void *house, struct session *, const struct filter_event *);
	void (*filter_abort)(void *house, struct session *);
	/* It is another client now (XCLIENT). */
	void (*changed)(void *house, struct session *);
	/* Tables that somebody else has to ask, before they are looked into for these keys, or for the client's address: true, and
	   session_looked() will be called. */
	bool (*look)(void *house, struct session *, const struct setting_list *tables, const struct bytes *key, size_t keys);
	bool (*look_at_client)(void *house, struct session *);
	/* The session ends: no answer is wanted any more. */
	void (*gone)(void *house, struct session *);
};
/* And from the connection it speaks through. */
struct session_mouth {
	struct buffer *(*out)(void *mouth);
	void (*resume)(void *mouth);             /* give again what was not taken       */
	void (*secure)(void *mouth);             /* session_secured() will follow       */
	void (*finish)(void *mouth);             /* close when all is said              */
	void (*rest)(void *mouth, int64_t ms);   /* session_rested() will follow        */
	bool (*tls)(void *mouth, struct tls_facts *);
	void (*channel)(void *mouth, struct buffer *);   /* as stream_tls_channel() */
};

struct session *session_open(struct receiver_config *, const struct peer *, const struct receiver_needs *, void *house,
                             const struct session_mouth *, void *mouth);
size_t session_take(struct session *, struct bytes arrived);
void session_meet(struct session *);
void session_looked(struct session *);
void session_is_neighbour(struct session *);              /* it comes from an address of this machine */
void session_is_user(struct session *, uint32_t uid);     /* of this machine, and trusted as those of mynetworks, whatever these are */
void session_secured(struct session *, bool ok, const char *why);
void session_rested(struct session *);
void session_tick(struct session *, int64_t now_ms);
void session_lost(struct session *, const char *why);
/* How long it is silent while it is its turn to speak; -1: it is ours, or it has logged in. */
int64_t session_silence(const struct session *, int64_t now_ms);
/* Another needs its place: 421, and the end. */
void session_give_way(struct session *);
void session_leave(struct session *);
void session_close(struct session **);
/* Refuse a client at the door, in its place: one line, and the end. */
void session_turn_away(struct session *, const char *reply);

/* Answers of the house. */
void session_named(struct session *, enum named, struct bytes name, struct bytes reverse);
void session_resolved(struct session *, enum resolved, const char *table);
/* Before it: where the letter goes first if it is taken for this recipient, "transport:nexthop"; "" nothing is said. */
void session_filter(struct session *, const char *way);
void session_owner(struct session *, enum owner);
void session_policy(struct session *, const struct session_verdict *);
void session_filtered(struct session *, const struct filter_said *);
void session_note(struct session *, struct bytes what, struct bytes text);   /* for the log, before that */
void session_expanded(struct session *, enum resolved, const char *table, const struct bytes *member, size_t count);
/* LATER also when it breaks off. */
void session_fetched(struct session *, enum fetched, uint64_t len);
/* How much is taken: nothing when it must wait. */
size_t session_fetched_part(struct session *, struct bytes);
void session_flushed(struct session *, int64_t letters);        /* below 0: it cannot be told */
void session_auth_more(struct session *, struct bytes challenge);
void session_auth_done(struct session *, enum authenticated, const char *user, const char *text, struct bytes last);
void session_ask_room(struct session *);                  /* if it waits for room, ask again */
void letter_streamed(struct letter *, int why);
void letter_judged(struct letter *, enum verdict, const char *reply, struct bytes prefix, struct bytes digest);
void letter_safe(struct letter *, int why, const char *id);
/* Another server has taken it, or not: its reply, lines with CRLF between them, is ours. */
void letter_passed(struct letter *, const char *reply);

/* What the house may know about it. */
void session_facts(struct session *, struct session_facts *);
const struct peer *session_peer(const struct session *);
/* Our end: as it is, in, and out as XCLIENT said, if it did. */
void session_here(const struct session *, struct peer *here);
/* What the transaction was called before it had a queue id: the line of the log that has both says so. */
void session_called(struct session *, const char *name);
struct receiver_config *session_config(const struct session *);
const char *session_client(struct session *);             /* "name[address]"; the log hears of it first */
bool session_is_secure(const struct session *);
bool session_tls(struct session *, struct tls_facts *);   /* false: plain */
bool session_is_notice(const struct session *);            /* a letter from <> is begun */
bool session_has_letter(const struct session *);
struct bytes session_letter_sender(const struct session *);          /* "" of a notice, or without a letter */
uint64_t session_letter_size(const struct session *);     /* of the letter: once it is here, else as MAIL announced it; 0 not said */
struct bytes session_user(const struct session *);        /* who logged in; "" nobody */
/* It said more than it may before it has heard the answer to the command being done (rfc2920:3.1). */
bool session_out_of_turn(const struct session *);
void session_channel(const struct session *, struct buffer *);
bool session_offers_binding(const struct session *);      /* a mechanism that binds the channel */
bool session_waits(const struct session *);               /* for the house   */
void **session_held(struct session *);                    /* a place for the house */

#endif
