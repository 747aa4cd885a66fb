/*
 * imap -- IMAP4rev1 once we know who reads (rfc3501, with the extensions of
 * the CAPABILITY line in imap/capability.c)
 *
 * From:     role/keeper, which got the descriptor from a login
 * To:       store, where the mailboxes are
 * Touches:  the descriptor it was given; the store's accounts
 *
 * imap_service_open()   one for each keeper: what all sessions share.  `store`
 *                       is borrowed.  The config is copied.
 * imap_service_config() settings are new; sessions go on with them.
 * imap_service_close()  says BYE to every session and ends them all; `over` is
 *                       called for each.
 * imap_open()           owns `fd` (non-blocking, plain text: TLS ends in the login)
 *                       and says the tagged OK of LOGIN or AUTHENTICATE with the
 *                       capabilities, then reads commands, beginning with
 *                       facts->unread.  `ticket` is given back to `over`.  When the
 *                       account cannot be opened the answer is NO [UNAVAILABLE]
 *                       and BYE, and `over` comes as always.
 * imap_service_kick()   ends the sessions of one account (0: of all) with BYE and
 *                       these words; returns how many.
 * imap_service_end()    the same with the session of one ticket; false: there is none.
 * imap_service_each()   calls `each` for every session with what it is doing, in words:
 *                       "IDLE in INBOX".
 * imap_service_groups() asks `groups` anew of each session which groups its reader belongs to.
 * imap_service_count()  sessions alive; NULL: none.
 * imap_service_served() when a session last had a turn, by the patient clock.
 *
 * A session takes turns with the others: a command does some milliseconds of
 * work, then waits for the next turn of the loop; output beyond 256 KiB
 * waits for the client.  Nothing is answered OK that store_barrier() has not
 * made durable, or the receipt of an appended letter (store.h, mailbox_promise()).
 *
 * What a session needs from the house is struct imap_needs.  Every callback
 * given in a need is called at most as often as said, never from within the
 * need's own call, and never after the thing was dropped.
 */
#ifndef ACCESS_IMAP_IMAP_H
#define ACCESS_IMAP_IMAP_H

#include "access/facts.h"
#include "base/setting.h"
#include "channel/loop.h"
#include "message/search.h"
#include "store/store.h"

/* ---- a letter that comes by APPEND ---------------------------------------- */
struct imap_append;                   /* the house's own                         */
struct imap_appended {
	uint64_t            letter;
	struct letter_place place;
	int64_t             sent_date;  /* the digest's                            */
	bool                shared;     /* its segment holds other letters, too    */
};
struct receipt;
struct imap_append_events {
	/* After append_add() said "enough for now": there is room again. */
	void (*room)(void *who);
	/* Before the envelope of a letter in a shared segment is written: what is promised (store.h,
	   mailbox_promise()), or false: nothing is.  May be NULL. */
	bool (*promise)(void *who, uint32_t segment, struct receipt *out);
	/* Once, after append_end(): `why` 0 and the letter is durable in the log
	   (content, envelope with ENVELOPE_APPENDED, digest); or errno. The append is gone. */
	void (*done)(void *who, int why, const struct imap_appended *);
};

/* ---- does this letter say that? -------------------------------------------- */
struct imap_seek;                     /* the house's own: one open question      */
struct imap_extent { uint64_t at, len; };      /* a letter's content in a file      */
struct imap_question {
	enum search_where where;
	struct bytes      field;      /* for SEARCH_HEADER                        */
	struct bytes      needle;     /* UTF-8                                    */
	int               fd;         /* borrowed during the call: dup it or send it */
	const struct imap_extent *letter; /* the letters in it that are asked about   */
	uint32_t          letters;
};

/* ---- a part without its transfer encoding ------------------------------------ */
struct imap_decode;                   /* the house's own: one open question      */
struct imap_coded {
	enum digest_encoding encoding; /* ENCODED_QP or ENCODED_BASE64            */
	struct bytes fields;           /* or of a header these, each name with LF behind it; borrowed */
	bool     others;               /* or all but these                        */
	int      fd;                   /* borrowed during the call                */
	uint64_t at, len;              /* the part's body, or the header, in it   */
	uint64_t from, most;           /* which of the decoded bytes are wanted   */
	bool     counts;               /* and how many there are                  */
};
struct imap_decoded {
	uint64_t     total;            /* of all decoded bytes, where it was asked */
	bool         nul;              /* a NUL is among them                     */
	uint64_t     coded, plain;     /* who goes on behind `coded` bytes is `plain` bytes further */
	struct bytes part;             /* those wanted                            */
};

struct imap_who;                      /* the house's own: one open question      */
/* ---- how much others may hold -------------------------------------------------- */
struct imap_limits;                   /* the house's own: one open question      */
struct quota_limits;
/* ---- what all accounts of a domain may hold ------------------------------------- */
struct imap_room;                     /* a promise of the house: so much may come */
struct imap_total;                    /* the house's own: one open question      */
struct quota;

struct imap_needs {
	/* A letter of `size` bytes begins (0: known at its end).  NULL with errno when the house cannot
	   take it now (ENOSPC, EFBIG, EAGAIN). */
	struct imap_append *(*append_begin)(void *ctx, const struct access_facts *, uint64_t size,
	                                    const struct imap_append_events *, void *who);
	/* Takes all of the bytes; false: they were taken but wait for `room` before more. */
	bool (*append_add)(struct imap_append *, struct bytes);
	/* All bytes were given (exactly `size` where that was said): verifier, envelope, sync, then `done`. */
	void (*append_end)(struct imap_append *);
	/* Instead of or after append_end(): forget it; no callback comes any more. */
	void (*append_drop)(struct imap_append *);

	/* A verifier reads the letters.  `found` comes once: why 0 and 0 or 1 for each, or errno. */
	struct imap_seek *(*seek)(void *ctx, const struct imap_question *,
	                          void (*found)(void *who, int why, const uint8_t *says), void *who);
	void (*seek_drop)(struct imap_seek *);

	/* A verifier decodes.  `decoded` comes once: why 0 and the answer, or errno. */
	struct imap_decode *(*decode)(void *ctx, const struct imap_coded *,
	                              void (*decoded)(void *who, int why, const struct imap_decoded *), void *who);
	void (*decode_drop)(struct imap_decode *);

	/* Whose is this address?  `found` comes once: with user, account and groups as a session of its own would
	   have them, or NULL: nobody's who may log in, or out of reach.  NULL: it cannot be asked now. */
	struct imap_who *(*who)(void *ctx, const char *address,
	                        void (*found)(void *who, const struct access_facts *), void *who);
	void (*who_drop)(struct imap_who *);
	/* Another's account is about to be opened: 0, its mailboxes lie where they belong; or errno.  May be NULL. */
	int (*locate)(void *ctx, uint64_t account, const char *address);
	/* Whose account has this address, and, with `limits`, that it may hold so much from now on, durably.
	   `done` comes once: why 0 and the account (0: one that is not here), or errno.  NULL with errno: EACCES when this reader may not ask. */
	struct imap_limits *(*limits)(void *ctx, const struct access_facts *, const char *address, const struct quota_limits *limits,
	                              void (*done)(void *who, int why, uint64_t account), void *who);
	void (*limits_drop)(struct imap_limits *);
	/* May so much come into this account beside what all others of its domain hold?  `done` comes once: why 0, EDQUOT, EAGAIN.
	   NULL with errno 0: its domain is not limited; EAGAIN: it cannot be asked now.  room_end() when it has come, before the barrier
	   of that, or when it does not.  May be NULL. */
	struct imap_room *(*room)(void *ctx, const struct access_facts *, uint64_t account, uint64_t bytes, uint64_t messages,
	                          void (*done)(void *who, int why), void *who);
	void (*room_end)(struct imap_room *, bool came);
	/* What all accounts of a domain hold and may hold, and, with `limits`, that they may hold so much from now on; "" is the reader's
	   own.  `done` comes once.  NULL with errno: ENOENT where the own one is not limited, EACCES when this reader may not ask. */
	struct imap_total *(*total)(void *ctx, const struct access_facts *, const char *domain, const struct quota_limits *limits,
	                            void (*done)(void *who, int why, const struct quota *), void *who);
	void (*total_drop)(struct imap_total *);

	/* Instead of `over`: the client has not logged in any more (UNAUTHENTICATE).  Owns `fd`;
	   `unread` is what it sent beyond. */
	void (*give_back)(void *ctx, uint32_t ticket, int fd, struct bytes unread);
	/* The session has ended, its descriptor is closed (or will be when the last
	   bytes are out) and `struct imap` is gone. */
	void (*over)(void *ctx, uint32_t ticket, uint64_t account);
};

struct imap_settings {                 /* rows imap_*                             */
	int64_t autologout_ms;         /* imap_autologout                         */
	int64_t idle_notify_ms;        /* imap_idle_notify_interval               */
	int64_t line_most;             /* imap_max_line_length                    */
	int64_t literal_most;          /* imap_literal_limit                      */
	int64_t errors_most;           /* imap_error_limit                        */
	int64_t progress_ms;           /* imap_progress_interval                  */
	int64_t metadata_most;         /* imap_metadata_size_limit                */
	bool    append_eightbit;       /* imap_append_eightbit                    */
	bool    unauthenticate;        /* imap_unauthenticate                     */
	const char *submit_user;       /* imap_urlauth_submit_user                */
	struct setting_list url_hosts; /* imap_urlauth_host                       */
	const char *admin, *comment;   /* imap_admin_contact, imap_server_comment */
	int64_t answers_most;          /* imap_answer_memory                      */
	int64_t message_limit;         /* imap_message_limit                      */
	int64_t save_limit;            /* imap_save_limit                         */
};
extern const struct setting_table imap_setting_table;

struct imap_config {
	struct imap_settings rows;
	uint64_t    message_size_limit;/* of APPEND, bytes; 0: none               */
	const char *version;           /* for ID                                  */
};

struct imap_service;
struct imap_service *imap_service_open(struct loop *, struct store *, const struct imap_config *,
                                       const struct imap_needs *, void *ctx);
void   imap_service_config(struct imap_service *, const struct imap_config *);
void   imap_service_close(struct imap_service **);
size_t imap_service_kick(struct imap_service *, uint64_t account, const char *words);
bool   imap_service_end(struct imap_service *, uint32_t ticket, const char *words);
void   imap_service_each(struct imap_service *,
                         void (*each)(void *ctx, uint32_t ticket, const struct access_facts *, const char *state), void *ctx);
void   imap_service_groups(struct imap_service *, void (*groups)(void *ctx, struct access_facts *, struct arena *), void *ctx);
size_t imap_service_count(const struct imap_service *);
size_t imap_service_kept(const struct imap_service *);      /* bytes of answers that may be said again */
int64_t imap_service_served(const struct imap_service *);
void   imap_open(struct imap_service *, int fd, const struct access_facts *, uint32_t ticket);

#endif
