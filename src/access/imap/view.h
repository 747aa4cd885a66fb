/*
 * view -- a mailbox as this client believes it to be
 *
 * From:     imap/session, for the selected mailbox
 * To:       store/mailbox, through a mailbox_watch
 *
 * The client numbers messages 1..count and learns of changes only when
 * the protocol permits (rfc3501:7.4.1, 5.5).  Between the two truths stand:
 *
 *     limit      uids at or above it are there but were not told (EXISTS to come)
 *     gone       uids the client still counts but nobody has any more
 *     changed    uids whose flags are to be told
 *     stamped    uids whose modseq alone is to be told (rfc7162:3.1.3, STORE .SILENT)
 *
 * so an idle client of an unchanged mailbox costs nothing but this struct, however
 * large the mailbox is.
 *
 * view_open()    watches the mailbox; the view owns it from then on.
 * view_number()  the message's number, 0 when the client does not know it.
 * view_uid()     the uid of a number in 1..view_count().
 * view_find()    the entry of a uid that is known and still there.
 * view_expunge_next() takes the lowest of `gone` off and gives its number.
 * view_arrive()  takes what arrived in; true when the count changed.
 *
 * `news` is called after each change, except those this session hides by view_hush().
 */
#ifndef ACCESS_IMAP_VIEW_H
#define ACCESS_IMAP_VIEW_H

#include "access/imap/ranges.h"
#include "store/seen.h"

struct view_gone { uint32_t first, last, before; };    /* before: gone numbers ahead of this range */
struct view {
	struct mailbox       *mailbox;
	struct mailbox_watch *watch;
	struct seen          *seen;    /* the reader's own \Seen; NULL: the mailbox is the reader's */
	bool      read_only, claims;   /* claims: what it sees is \Recent to nobody after it */
	bool      lost;            /* the two truths cannot be joined: say BYE        */
	bool      arrived;         /* something at or above limit                     */
	bool      hush;            /* our own changes are not news                    */
	bool      deaf;            /* nor are the flags others change                 */
	uint8_t   keywords;        /* how many names the client was told              */
	uint32_t  uidvalidity;
	uint32_t  limit, count;
	uint32_t  recent;          /* first uid that is \Recent to this session        */
	uint32_t  gone_told;       /* numbers taken off the front of `gone`           */
	size_t    gone_count, gone_room, gone_head;
	struct view_gone *gone;
	bool      tracks;          /* `touched` is kept                               */
	char     *before;          /* its name begins so, where it is not the reader's; or NULL */
	struct ranges     changed, stamped, touched;   /* touched: flags changed, whoever did it and hushed or not */
	void (*news)(void *ctx);
	void  *ctx;
};

struct view *view_open(struct mailbox *, bool read_only, bool claims, void (*news)(void *ctx), void *ctx);
/* The reader is not the owner: \Seen is as the reader marked it.  0 or errno. */
int      view_look_as(struct view *, uint64_t reader);
/* The mailbox's entry at this index, as the reader sees it; and its highest modseq. */
struct entry view_entry(const struct view *, uint32_t index);
/* \Seen for the set, the reader's or the owner's. */
int      view_see(struct view *, const struct uid_set *, struct arena *);
void     view_status(const struct view *, struct mailbox_status *);
void     view_close(struct view **);
uint32_t view_count(const struct view *);
uint32_t view_uid(const struct view *, uint32_t number);
uint32_t view_number(const struct view *, uint32_t uid);
bool     view_find(const struct view *, uint32_t uid, struct entry *out);
/* The least known uid at or above `uid`, gone ones too; 0 when there is none. */
uint32_t view_next(const struct view *, uint32_t uid);
uint32_t view_last_uid(const struct view *);              /* 0: empty            */
/* Some of these are counted by the client but are there no more. */
bool     view_has_gone(const struct view *, const struct uid_set *);
uint32_t view_expunge_next(struct view *);                /* 0: none             */
/* Takes the lowest ranges of `gone` off, some at a time; false: none. */
bool     view_vanish(struct view *, struct ranges *);
void     view_gone_set(const struct view *, struct ranges *out);   /* `gone` as uids */
bool     view_arrive(struct view *);
bool     view_has_news(const struct view *, bool expunges);
void     view_hush(struct view *, bool);
uint32_t view_recent_count(const struct view *);

#endif
