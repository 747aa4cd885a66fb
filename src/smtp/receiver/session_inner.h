/*
 * session_inner -- what the files of one session share: session.c (its course), client.c (who it is with), replies.c
 * (what it says), verbs.c (the table of what may be said to it), a verb-*.c for each verb that is long, and what they call
 */
#ifndef SMTP_RECEIVER_SESSION_INNER_H
#define SMTP_RECEIVER_SESSION_INNER_H

#include "smtp/grammar.h"
#include "smtp/receiver/session.h"

enum {
	VERBS_MOST = 32,
	AUTH_LINE_MOST = 12288,        /* rfc4954:4                           */
	PATIENCE_MORE = 16 << 20,      /* past twice the limit and this a client is cut off */
};
/* A domain that was sent to in this session (rfc9422 RCPTDOMAINMAX). */
struct domain_met { struct domain_met *next; struct bytes name; };
enum hello { HELLO_NONE, HELLO_HELO, HELLO_EHLO };
typedef size_t room_fn(struct session *, struct bytes arrived);
struct slept;
typedef void judged_fn(struct session *, const struct session_verdict *);
typedef void ask_fn(struct session *, enum resolved, const char *table);

struct session {
	room_fn *room;
	struct receiver_config *config;
	const struct receiver_needs *needs;
	void    *house;
	const struct session_mouth *mouth;
	void    *mouth_of;
	void    *held_by_house;
	struct arena  *life;
	struct letter *letter;         /* the transaction                           */
	struct arena  *auth;           /* life of an exchange                       */
	struct bytes   helo, user, method;
	bool           of_userid;              /* session_is_user()                     */
	uint32_t       userid;
	struct bytes   mechanism;      /* of the exchange                           */
	struct bytes   asked;          /* the address RCPT or VRFY asks about       */
	struct rcpt_parameters asked_with; /* RCPT's                                */
	bool           verified_utf8;  /* VRFY ... SMTPUTF8                         */
	ask_fn        *then;           /* what to do with the answer                */
	size_t         asked_added;    /* so many bytes at its end were not written */
	bool           asked_known;    /* the directory has said what it is         */
	uint8_t        asked_is;       /* enum resolved                             */
	struct bytes   asked_why, asked_filter;
	judged_fn     *judged;         /* what to do with what restriction lists say */
	struct slept  *slept;          /* it is said, and waits                     */
	struct history history;
	struct buffer  explained;      /* the last refusal with its id              */
	void         (*looked)(struct session *);  /* tables are asked; what then       */
	struct buffer  line;           /* meanwhile: the command that came          */
	char          *deferred[3];    /* by CONNECT, HELO, MAIL                    */
	struct bytes   etrn;
	uint8_t        moment;         /* enum session_moment                       */
	uint8_t        named;          /* enum named                                */
	bool           pipelined;      /* it has spoken out of turn once            */
	bool           denied;         /* the lists for clients refuse it           */
	bool           greets_late;    /* the greeting waits for them               */
	judged_fn     *filtered;       /* what to do with what mail filters say     */
	struct peer    here;           /* our end, as XCLIENT said                  */
	unsigned       here_said;      /* 1 << FORWARDED_DESTADDR, _DESTPORT        */
	uint32_t       filters;        /* 1 << enum filter_stage: what they want to hear */
	uint8_t        filter_stage;   /* that they were told                       */
	bool           filters_deny;   /* they refuse the session: said at MAIL     */
	struct bytes   denied_by;      /* the rule and which filter, of such        */
	struct bytes   said;           /* behind MAIL or RCPT, as it was written    */
	uint64_t       letters;        /* transactions begun                        */
	const char    *where;          /* last command, for the log                 */
	const char    *too_long;       /* the reply to a line that is                */
	int64_t        since, heard;   /* this command began; the last byte came    */
	uint32_t       errors, errors_before, junk;
	uint32_t       refused;        /* recipients of this transaction            */
	uint32_t       overshot;       /* of those, past smtpd_recipient_limit      */
	uint64_t       taken;          /* bytes of a letter since this command      */
	uint64_t       chunk_size, chunk_left;  /* of BDAT: announced, still to come */
	const char    *chunk_reply;    /* it is not wanted: what to say when it has come */
	bool           chunk_last;
	bool           asking_each;    /* within a question about LMTP's recipients */
	unsigned       discarded;      /* enum extension: not told to this client   */
	uint32_t       domains;        /* that transactions went to                 */
	struct domain_met *met;
	uint16_t       tried[VERBS_MOST], done[VERBS_MOST];
	uint8_t        hello;          /* enum hello                                */
	uint8_t        verb;           /* index of the verb being done              */
	bool secure, trusted, unsure, lmtp, excepted; /* unsure: whether it is trusted cannot be told */
	bool held;                     /* waits for an answer: nothing is taken      */
	bool taking;                   /* inside session_take()                      */
	bool over;                     /* said the last word                         */
	bool leaving;
	bool waits_for_room, resting, securing;
	bool auth_asked;               /* the clerk has an exchange of ours          */
	bool naming;                   /* the house looks for the client's name      */
	bool told;                     /* the log knows of the connection            */
	bool tls_untold;               /* and not yet of the handshake               */
	bool waits_for_name;
	struct peer peer;
	char *name;                    /* as far as it is known                      */
	char *reverse;                 /* what its reverse zone says; unknown        */
	char *client;                  /* "name[address]"                            */
	bool screened;                 /* it is tested whether it can wait           */
	const char *unwelcome;         /* it could not: nothing is taken, and why    */
	bool tested;                   /* postscreen_access_list does not let it past the tests */
	bool behind;                   /* more came with the command being done      */
	struct bytes beyond;           /* and that is it, while the room is in it    */
	bool bare_lf;                  /* it ended a line with LF alone              */
	uint32_t mails;                /* transactions of this connection            */
	bool may_expn;
	bool flush_below;
	bool expanding, flushing;      /* EXPN, ETRN wait for the house               */
	bool neighbour;                /* on this very machine                        */
	bool burl;                     /* the chunk is what `url` names               */
	bool fetching, sized;          /* the house brings it, and has said how much  */
	struct bytes url;              /* in the letter's life                        */
	bool may_verp;                 /* its client is one that may say XVERP      */
	bool may_xclient, may_xforward; /* the peer of the socket itself             */
	struct origin *origin;         /* what XFORWARD said of this transaction     */
};

/* session.c */
room_fn room_command, room_skip_line, room_nothing;
void hold(struct session *);                              /* until answered() */
void answered(struct session *);
void command_done(struct session *);                      /* is this still a client to talk to? */
void hang_up(struct session *);                           /* the last word was said */
void greet(struct session *);
void mail_end(struct session *);                          /* RSET, HELO, end of DATA, QUIT: all here */

/* client.c */
bool is_ourselves(const struct peer *);
void call_client(struct session *, struct bytes name, struct bytes reverse);
void greet_met(struct session *);
void met(struct session *);
void begin_anew(struct session *);                        /* after XCLIENT */
/* For the log, which hears of the connection first. */
const char *client_of(struct session *);
const char *protocol_of(const struct session *);
void tell_tls(struct session *);                          /* the log hears of a handshake, once */
bool within(struct session *, enum counted, int64_t limit, const char *what);
bool user_within(struct session *, enum counted, int64_t limit, const char *what);

/* replies.c */
/* A reply: its line end is added.  An error is counted. */
void say(struct session *, const char *form, ...) __attribute__((format(printf, 2, 3)));
void say_fixed(struct session *, struct bytes whole);     /* with its CRLF */
void overhear(struct session *, const struct buffer *out, size_t from);    /* a reply that was not said by say(): for the history */
void history_tell(struct session *, uint32_t lines);      /* what was said so far is told, if it is more than so many */
void history_flush(struct session *);                     /* or more than one history may have */
/* A refusal, in Postfix's words; then the rule and the id. */
void log_reject_by(struct session *, const char *verb, struct bytes rcpt, const char *reply, struct bytes rule, struct bytes id);

/* What the log was told, for who keeps it. */
void tell_house(struct session *, const struct session_told *);

/* restrict.c */
/* Ask the restriction lists: `then` is called, perhaps at once; the session is held. */
void judge(struct session *, enum session_moment, judged_fn *then);
/* Whether the client is in mynetworks. */
void session_look_at_trust(struct session *);
bool has_footer(const struct session *);
void add_footer(struct session *, struct buffer *out, size_t from);
bool judged_after_sleep(struct session *);
void judge_end(struct session *);
/* 421 and 521: who is told so is sent away. */
bool is_farewell(struct bytes reply);
/* For later: the log has heard; the text lives as long as the letter. */
const char *refusal_logged(struct session *, const char *verb, const struct session_verdict *);
void say_refused(struct session *, const char *verb, struct bytes rcpt, const struct session_verdict *);
/* A refusal that no list made: the log hears of it, and of 5yz the reply gets an id that `mansio policy why` knows.
   Valid until the next refusal. */
const char *explained(struct session *, const char *verb, struct bytes rcpt, const char *reply);
/* As explained(), without the log. */
const char *remembered(struct session *, const struct session_refusal *, struct bytes *id);

/* filters.c */
/* After the lists: what filters say, if they want to hear of it. */
void filters_judge(struct session *, const struct session_verdict *, judged_fn *then);
bool filters_unknown(struct session *, struct bytes line, judged_fn *then);
void filters_begin(struct session *);
void filters_over(struct session *);                      /* a transaction is */

/* verbs.c */
void verb_run(struct session *, struct bytes line);
const char *verb_name(size_t index);                      /* lower case; NULL at the end */
size_t verb_unknown(void);

/* verb-hello.c */
void verb_helo(struct session *, struct bytes argument);
void verb_ehlo(struct session *, struct bytes argument);
void verb_starttls(struct session *, struct bytes none);

/* verb-auth.c */
void verb_auth(struct session *, struct bytes argument);
void auth_end(struct session *);
void offer_auth(struct session *, struct buffer *out);

/* verb-mail.c */
void verb_mail(struct session *, struct bytes argument);
bool may_relay(const struct session *);
int64_t mails_most(const struct session *);
struct grammar grammar_of(const struct session *);
struct bytes whole_address(struct session *, struct arena *, const struct address *path, bool bare, size_t *added);

/* verb-rcpt.c */
void verb_rcpt(struct session *, struct bytes argument);
int64_t recipients_most(const struct session *);
/* What the directory said of it, for the lists; and it is done with. */
void know_asked(struct session *, enum resolved, const char *why);
void asked_end(struct session *);
void ask_about(struct session *, struct bytes address, ask_fn *then);

/* verb-about.c */
void verb_vrfy(struct session *, struct bytes argument);
void verb_expn(struct session *, struct bytes argument);
void verb_etrn(struct session *, struct bytes argument);

/* spending.c */
void letter_spends(struct session *, struct letter *);

/* screen.c */
room_fn room_early;
bool screen_wanted(const struct session *);
void screen_passed_by(const struct session *);
void screen_begin(struct session *);
void screen_over(struct session *);
bool screen_hello(struct session *);
void screen_pass(struct session *);                       /* it has stood what there is to stand */
void screen_left(const struct session *);

/* verb-client.c */
void verb_xclient(struct session *, struct bytes argument);
void verb_xforward(struct session *, struct bytes argument);
void offer_xclient(struct session *, struct buffer *out);
void offer_xforward(struct session *, struct buffer *out);
void origin_drop(struct session *);
struct bytes origin_text(const struct session *, struct arena *);
struct bytes origin_source(const struct session *);       /* "LOCAL", "REMOTE", "" not said */
void origin_keep(const struct session *, struct letter *);

/* verb-data.c */
void verb_data(struct session *, struct bytes argument);
/* A letter begins when there is room: content_asks_room() waits for it. */
void content_asks_room(struct session *);
/* More of it is in letter->content. */
void content_gathered(struct session *, bool more);
void content_ended(struct session *);
/* What the letter itself has done wrong; NULL if nothing. */
const char *content_fault(const struct session *, const struct letter *);

/* each.c: LMTP's recipients are asked about again; then content_whole(). */
void content_for_each(struct session *);
void content_whole(struct session *);

/* verb-bdat.c */
void verb_bdat(struct session *, struct bytes argument);
/* BDAT that may not be: its chunk is heard and forgotten, then this is said. */
void bdat_refused(struct session *, struct bytes argument, const char *reply);
void chunk_begins(struct session *);
void chunk_ended(struct session *, const char *well);     /* `well` NULL: so many bytes */
void chunk_look(struct session *);                        /* it may be over: nothing is waited for any more */

/* verb-burl.c */
void verb_burl(struct session *, struct bytes argument);
void burl_begins(struct session *);
void burl_look(struct session *);

/* local.c: the domain for bare names in the header of its letters, NULL: they are not touched */
const char *local_origin(struct session *);
/* Whether the client is on this machine (inet_interfaces). */
bool session_is_here(const struct session *);

/* offer.c */
unsigned extensions_of(const struct session *);           /* enum extension: those offered now */
void tell_extensions(struct session *, struct buffer *out);

/* wishes.c */
/* NULL, or the reply that refuses. */
const char *wishes_take(struct session *, const struct mail_parameters *, struct letter *);
const char *solicitation_refused(const struct session *, struct bytes classes);

#endif
