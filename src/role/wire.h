/*
 * wire -- every word the roles say to one another, in the order a letter meets them
 *
 * A row is the word, who may say it (a set of roles), who may hear it.  It is checked on
 * receipt: a word from the wrong mouth ends the process that said it (the hearer tells the
 * postmaster, which kills and restarts the speaker).  Each body has one struct and one pair
 * of functions, word_pack_x() and word_unpack_x(); unpacking fails (false) on short, long or
 * broken bodies, which is treated like a wrong mouth.  Views point into the body.
 *
 * Tickets: the asker chooses one, the answer carries it back.  When a peer is lost all
 * questions that were open to it are asked again of its successor or failed for now (4xx).
 */
#ifndef ROLE_WIRE_H
#define ROLE_WIRE_H

#include "base/arena.h"
#include "base/pack.h"
#include "channel/peer.h"
#include "channel/tls.h"
#include "directory/credential.h"
#include "policy/proxy.h"
#include "policy/rules.h"
#include "message/envelope.h"
#include "policy/milter-event.h"

/* The keeper of an operating-system user has an index beyond the pool: this bit and the uid; that of an owner of virtual users'
   mailboxes one above these (role/owner.h). */
#define KEEPER_OF_USER 0x80000000u

enum role { POSTMASTER, RECEIVER, LOGIN, VERIFIER, QUEUE, KEEPER, CLERK, SIGNER, PAM, PROXYMAP, POLICY, SENDER, CHRONICLE, CERTIFIER, GUIDE, COMMAND, ROLES };
extern const char *const role_names[ROLES];

#define FROM(r) (1u << (r))
#define ANYONE  (FROM(RECEIVER)|FROM(LOGIN)|FROM(VERIFIER)|FROM(QUEUE)|FROM(KEEPER)|FROM(CLERK)|FROM(SIGNER)|FROM(PAM)|FROM(PROXYMAP)|FROM(POLICY)|FROM(SENDER)|FROM(CHRONICLE)|FROM(CERTIFIER)|FROM(GUIDE))

#define WORDS(X) \
	/* the postmaster opens the day */ \
	X(SETTINGS,       FROM(POSTMASTER), ANYONE)            /* text of main.cf; again at reload            */ \
	X(RESOURCE,       FROM(POSTMASTER), ANYONE)            /* name, fd: log, listener/smtp, certificate ... */ \
	X(PEER,           FROM(POSTMASTER), ANYONE)            /* role, index, fd of a link to it             */ \
	X(GO,             FROM(POSTMASTER), ANYONE)            /* close the cage and work                     */ \
	X(TABLES_NEW,     FROM(POSTMASTER), ANYONE)            /* resources table/... were given anew         */ \
	X(READY,          ANYONE, FROM(POSTMASTER))            /* cage: words about what it is                */ \
	X(STATUS_ASK,     FROM(POSTMASTER), ANYONE)            /* -                                           */ \
	X(STATUS_IS,      ANYONE, FROM(POSTMASTER))            /* connections, "key=value ..." text           */ \
	X(WRONG_MOUTH,    ANYONE, FROM(POSTMASTER))            /* role, index, word                           */ \
	X(STOP,           FROM(POSTMASTER), ANYONE)            /* finish what is in hand, then exit 0         */ \
	X(PROXYMAP_WANT,  FROM(CLERK)|FROM(RECEIVER)|FROM(QUEUE)|FROM(POLICY)|FROM(SENDER)|FROM(LOGIN)|FROM(KEEPER), FROM(POSTMASTER)) /* -: it will come by PEER */ \
	X(KEEPER_WANT,    FROM(LOGIN)|FROM(QUEUE)|FROM(CLERK), FROM(POSTMASTER)) /* index, how many PEERs it heard: a user's keeper, which will come by PEER */ \
	X(KEEPER_ANEW,    FROM(POSTMASTER), FROM(KEEPER))      /* a user's keeper: what it is to see is another now; it begins anew */ \
	X(OWNER,          FROM(CLERK), FROM(POSTMASTER))       /* number, uid, gid: mailboxes of virtual users belong to them */ \
	X(OWNER_IS,       FROM(POSTMASTER), FROM(CLERK))       /* number, why they cannot belong to him; "": they can */ \
	X(KEEPER_NOT,     FROM(POSTMASTER), FROM(LOGIN)|FROM(QUEUE)|FROM(CLERK)) /* index, whether for good, why: it will not come */ \
	X(MEMORY,         FROM(POSTMASTER), FROM(KEEPER))      /* u32: one beyond the pool keeps this part of what the settings let one keep in memory */ \
	X(KEEPER_REST,    FROM(KEEPER), FROM(POSTMASTER)|FROM(LOGIN)|FROM(QUEUE)|FROM(CLERK)) /* it has nothing to do: let go of it; to the postmaster: how many PEERs it heard */ \
	/* a session opens */ \
	X(SIGN,           FROM(RECEIVER)|FROM(LOGIN)|FROM(SENDER)|FROM(GUIDE), FROM(SIGNER)) /* key id, kind, padding, input          */ \
	X(SIGNED,         FROM(SIGNER), FROM(RECEIVER)|FROM(LOGIN)|FROM(SENDER)|FROM(GUIDE)) /* ok, signature                         */ \
	X(AUTH_START,     FROM(RECEIVER)|FROM(LOGIN), FROM(CLERK))  /* struct word_auth_start                */ \
	X(AUTH_STEP,      FROM(RECEIVER)|FROM(LOGIN), FROM(CLERK))  /* bytes from the client (decoded)       */ \
	X(AUTH_DROP,      FROM(RECEIVER)|FROM(LOGIN), FROM(CLERK))  /* the session is gone                   */ \
	X(AUTH_MORE,      FROM(CLERK), FROM(RECEIVER)|FROM(LOGIN))  /* challenge (not yet base64)            */ \
	X(AUTH_DONE,      FROM(CLERK), FROM(RECEIVER)|FROM(LOGIN))  /* struct word_auth_done                 */ \
	X(BAN,            FROM(CLERK), FROM(RECEIVER)|FROM(LOGIN))  /* network, milliseconds it is shut out; 0: no longer */ \
	X(MUTE,           FROM(CLERK), FROM(RECEIVER)|FROM(LOGIN))  /* u8 for each enum sasl_hash: some account has no verifier of it */ \
	X(SENDER_ASK,     FROM(RECEIVER)|FROM(POLICY), FROM(CLERK))              /* user "" nobody, address: may they send as it? */ \
	X(SENDER_SAID,    FROM(CLERK), FROM(RECEIVER)|FROM(POLICY))              /* u8 enum sender_answer                 */ \
	X(CRED_ASK,       FROM(CLERK), FROM(PAM)|FROM(PROXYMAP))              /* struct word_credential_ask              */ \
	X(CRED_SAID,      FROM(PAM)|FROM(PROXYMAP), FROM(CLERK))              /* struct word_credential_said             */ \
	X(USER_ASK,       FROM(CLERK), FROM(PAM))              /* a name: who is that for the operating system? */ \
	X(USER_IS,        FROM(PAM), FROM(CLERK))              /* struct word_credential_said: PASS, NOBODY or LATER, and fields */ \
	X(LOOKUP,         FROM(RECEIVER), FROM(VERIFIER))           /* struct word_lookup                    */ \
	X(LOOKED,         FROM(VERIFIER), FROM(RECEIVER))           /* struct word_looked                    */ \
	/* a mail program asks how to reach us */ \
	X(DOMAIN_ASK,     FROM(GUIDE), FROM(CLERK))            /* a domain, in lower case: does its mail end here? */ \
	X(DOMAIN_IS,      FROM(CLERK), FROM(GUIDE))            /* u8 enum domain_answer                        */ \
	X(VISIT,          FROM(GUIDE), FROM(CERTIFIER))        /* what was read of a request, fd: it is for who shows the answers to challenges */ \
	/* a letter comes in */ \
	X(RESOLVE,        FROM(RECEIVER)|FROM(QUEUE)|FROM(POLICY), FROM(CLERK))  /* struct word_resolve                   */ \
	X(RESOLVED,       FROM(CLERK), FROM(RECEIVER)|FROM(QUEUE)|FROM(POLICY))  /* struct word_resolved                  */ \
	X(REWRITE,        FROM(RECEIVER), FROM(CLERK))              /* struct word_rewrite                   */ \
	X(REWRITTEN,      FROM(CLERK), FROM(RECEIVER))              /* struct word_rewrite: what is to stand there instead */ \
	X(TABLE_ASK,      FROM(CLERK)|FROM(RECEIVER)|FROM(QUEUE)|FROM(POLICY)|FROM(SENDER)|FROM(LOGIN)|FROM(KEEPER), FROM(PROXYMAP)) /* struct word_table_ask */ \
	X(TABLE_SAID,     FROM(PROXYMAP), FROM(CLERK)|FROM(RECEIVER)|FROM(QUEUE)|FROM(POLICY)|FROM(SENDER)|FROM(LOGIN)|FROM(KEEPER)) /* struct word_table_said */ \
	X(TABLE_ASK_ALL,  FROM(RECEIVER)|FROM(POLICY)|FROM(SENDER), FROM(PROXYMAP)) /* struct word_table_ask_all: of one table, for a letter */ \
	X(TABLE_SAID_ALL, FROM(PROXYMAP), FROM(RECEIVER)|FROM(POLICY)|FROM(SENDER)) /* struct word_table_said_all */ \
	X(DIRECTORY_NEW,  FROM(CLERK), FROM(RECEIVER)|FROM(QUEUE)|FROM(KEEPER)|FROM(LOGIN)) /* forget cached answers */ \
	X(POLICY_ASK,     FROM(RECEIVER), FROM(POLICY))             /* struct word_policy_ask                */ \
	X(POLICY_SAID,    FROM(POLICY), FROM(RECEIVER))             /* struct word_policy_said               */ \
	X(POLICY_TOLD,    FROM(RECEIVER), FROM(POLICY))             /* struct word_policy_told: refused without asking */ \
	X(FLUSH,          FROM(RECEIVER), FROM(QUEUE))              /* a domain, whether those below it too: try what waits for it (ETRN) */ \
	X(FLUSHED,        FROM(QUEUE), FROM(RECEIVER))              /* u32: so many letters                  */ \
	X(SEGMENT_WANT,   FROM(RECEIVER)|FROM(KEEPER), FROM(QUEUE)) /* own, size                             */ \
	X(SEGMENT_LENT,   FROM(QUEUE), FROM(RECEIVER)|FROM(KEEPER)) /* number, room, own, fd                 */ \
	X(SEGMENT_REFUSED,FROM(QUEUE), FROM(RECEIVER)|FROM(KEEPER)) /* own, errno                            */ \
	X(SEGMENT_DONE,   FROM(RECEIVER)|FROM(KEEPER), FROM(QUEUE)) /* number, used, errno                   */ \
	X(JUDGE,          FROM(RECEIVER)|FROM(KEEPER)|FROM(QUEUE), FROM(VERIFIER)) /* struct word_judge, maybe fd         */ \
	X(JUDGED,         FROM(VERIFIER), FROM(RECEIVER)|FROM(KEEPER)|FROM(QUEUE)) /* struct word_judged                  */ \
	X(SCAN,           FROM(RECEIVER), FROM(POLICY))             /* struct word_scan, maybe fd             */ \
	X(SCANNED,        FROM(POLICY), FROM(RECEIVER))             /* struct word_scanned                    */ \
	X(PROXY,          FROM(RECEIVER), FROM(POLICY))             /* struct word_proxy, maybe fd            */ \
	X(PROXIED,        FROM(POLICY), FROM(RECEIVER))             /* struct word_proxied                    */ \
	X(MILTER_EVENT,   FROM(RECEIVER), FROM(POLICY))             /* struct word_milter_event: what filters say of it */ \
	X(MILTER_LETTER,  FROM(RECEIVER), FROM(POLICY))             /* struct word_milter_letter, maybe fd    */ \
	X(MILTER_OVER,    FROM(RECEIVER), FROM(POLICY))             /* u8: 0 the transaction, 1 the session   */ \
	X(MILTER_SAID,    FROM(POLICY), FROM(RECEIVER))             /* struct word_milter_said                */ \
	X(MILTER_MADE,    FROM(POLICY), FROM(RECEIVER))             /* struct word_milter_made, maybe fd of a new body */ \
	X(LETTER,         FROM(RECEIVER)|FROM(KEEPER), FROM(QUEUE)) /* struct word_letter: it is safe on disk */ \
	X(MISHAP,      FROM(RECEIVER)|FROM(SENDER), FROM(QUEUE)) /* struct word_mishap: the postmaster should see this session */ \
	X(ALERT,          FROM(CERTIFIER)|FROM(CLERK), FROM(QUEUE)) /* struct word_alert: the postmaster should know */ \
	/* a letter finds its mailbox */ \
	X(DELIVER,        FROM(QUEUE), FROM(KEEPER))           /* struct word_deliver                         */ \
	X(DELIVERED,      FROM(KEEPER), FROM(QUEUE))           /* struct word_delivered                       */ \
	X(PIPE,           FROM(QUEUE), FROM(KEEPER))           /* struct word_pipe, fd of the letter: for a command of this user */ \
	X(PIPED,          FROM(KEEPER), FROM(QUEUE))           /* struct word_delivered, for all its recipients */ \
	X(MAILBOX_ASK,    FROM(KEEPER), FROM(CLERK))           /* a user's name: does the mailbox get their mail? */ \
	X(MAILBOX_IS,     FROM(CLERK), FROM(KEEPER))           /* u8 enum mailbox_way, text                   */ \
	/* a letter goes elsewhere */ \
	X(ROUTE,          FROM(QUEUE)|FROM(POLICY), FROM(CLERK)) /* struct word_route: by which transport, to where? */ \
	X(ROUTED,         FROM(CLERK), FROM(QUEUE)|FROM(POLICY)) /* struct word_routed                          */ \
	X(SEND,           FROM(QUEUE), FROM(SENDER))           /* struct word_send, fd of the segment         */ \
	X(HURRY,          FROM(QUEUE), FROM(SENDER))           /* -: others want the place of this SEND, whose host says nothing */ \
	X(SENT,           FROM(SENDER), FROM(QUEUE))           /* struct word_sent                            */ \
	X(REFIT,          FROM(SENDER), FROM(VERIFIER))        /* struct word_refit, fd of the letter: what is to stand instead on its way out? */ \
	X(REFITTED,       FROM(VERIFIER), FROM(SENDER))        /* struct word_refitted                        */ \
	X(TLSRPT,         FROM(QUEUE), FROM(SENDER))           /* struct word_tlsrpt                          */ \
	X(TLSRPT_SAID,    FROM(SENDER), FROM(QUEUE))           /* struct word_tlsrpt_said                     */ \
	X(PROBE,          FROM(POLICY), FROM(SENDER))          /* struct word_send, one recipient, no letter: would it be taken? */ \
	X(PROBED,         FROM(SENDER), FROM(POLICY))          /* struct word_sent: SENT_DELIVERED is yes     */ \
	/* a reader reads */ \
	X(SESSION,        FROM(LOGIN), FROM(KEEPER))           /* struct word_session, fd                     */ \
	X(SESSION_OVER,   FROM(KEEPER), FROM(LOGIN))           /* ticket of SESSION                           */ \
	X(SESSIONS_END,   FROM(LOGIN), FROM(KEEPER))           /* the login leaves: say BYE to all its sessions */ \
	X(SESSION_BACK,   FROM(KEEPER), FROM(LOGIN))           /* ticket of SESSION; bytes unread, fd         */ \
	X(SEEK,           FROM(KEEPER), FROM(VERIFIER))        /* struct word_seek, fd                        */ \
	X(SOUGHT,         FROM(VERIFIER), FROM(KEEPER))        /* bool for each                               */ \
	X(DECODE,         FROM(KEEPER), FROM(VERIFIER))        /* struct word_decode, fd                      */ \
	X(DECODED,        FROM(VERIFIER), FROM(KEEPER))        /* struct word_decoded                         */ \
	X(TEXT,           FROM(KEEPER), FROM(VERIFIER))        /* struct word_text, fd                        */ \
	X(TEXTED,         FROM(VERIFIER), FROM(KEEPER))        /* struct word_texted                          */ \
	/* space comes back */ \
	X(REFERS,         FROM(QUEUE), FROM(KEEPER))           /* segment number                              */ \
	X(REFERRED,       FROM(KEEPER), FROM(QUEUE))           /* list of letter and place                    */ \
	X(MOVED,          FROM(QUEUE), FROM(KEEPER))           /* list of letter and new place                */ \
	X(MOVED_DONE,     FROM(KEEPER), FROM(QUEUE))           /* errno                                       */ \
	X(SEGMENT_GONE,   FROM(QUEUE), FROM(KEEPER))           /* number: close its descriptor                */ \
	X(ACCOUNT_GONE,   FROM(CLERK), FROM(KEEPER))           /* account id, address, seconds: it was deleted, and what was granted to it till then is void */ \
	X(LIMITS,         FROM(CLERK), FROM(KEEPER))           /* account id, or 0 and a domain; bytes, messages: how much may be held; its mail_location.  0 and "": that was all */ \
	X(GROUP,          FROM(CLERK), FROM(KEEPER))           /* group's account id, address, whether its members begin, a member or "" */ \
	X(LIMIT_ASK,      FROM(KEEPER), FROM(CLERK))           /* address, whether to set what follows, bytes, messages */ \
	X(LIMIT_DONE,     FROM(CLERK), FROM(KEEPER))           /* errno, account id, address; LIMITS has come before */ \
	X(FULL,           FROM(KEEPER), FROM(CLERK))           /* account id, for how many bytes it has room: 0: full; UINT64_MAX: for any letter */ \
	X(TOTAL,          FROM(CLERK), FROM(KEEPER))           /* a domain, whether all its accounts together are limited */ \
	X(SHARE,          FROM(KEEPER), FROM(CLERK))           /* account id, bytes, messages it holds now; tickets of ROOM_ASK that are in it; ticket 1: SHARE_ASK asked */ \
	X(SHARES_TOLD,    FROM(KEEPER), FROM(CLERK))           /* -: to a clerk that came: what it held and was promised before has been said */ \
	X(SHARE_ASK,      FROM(CLERK), FROM(KEEPER))           /* account id, address: how much does it hold? */ \
	X(ROOM_ASK,       FROM(KEEPER), FROM(CLERK))           /* account id, bytes, messages, u8 enum room_kind: has its domain room? */ \
	X(ROOM_SAID,      FROM(CLERK), FROM(KEEPER))           /* 0: promised, till it is in a SHARE or comes back; EDQUOT; EAGAIN: perhaps soon */ \
	X(ROOM_BACK,      FROM(KEEPER), FROM(CLERK))           /* -: of this ticket nothing came              */ \
	X(TOTAL_ASK,      FROM(KEEPER), FROM(CLERK))           /* account id, domain or "" its own, whether to set what follows, bytes, messages */ \
	X(TOTAL_IS,       FROM(CLERK), FROM(KEEPER))           /* errno; bytes and messages held, and the limits */ \
	X(WHO,            FROM(KEEPER), FROM(CLERK))           /* an address: whose is it?                    */ \
	X(WHO_IS,         FROM(CLERK), FROM(KEEPER))           /* account id, address; 0: nobody's who may log in */ \
	X(URL,            FROM(RECEIVER), FROM(CLERK))         /* struct word_url, fd: what it names is wanted there (BURL) */ \
	X(URL_READ,       FROM(CLERK), FROM(KEEPER))           /* the same, by the keeper of the account      */ \
	X(ACCOUNT_OUT,    FROM(CLERK), FROM(KEEPER))           /* account id, words: end its sessions         */ \
	/* what happened is kept for a while */ \
	X(EVENT,          FROM(RECEIVER)|FROM(QUEUE)|FROM(SENDER), FROM(CHRONICLE)) /* struct word_event; nobody waits for it */ \
	/* the command line asks */ \
	X(CALLER,         FROM(CLERK), FROM(KEEPER))           /* fd: a command that will ASK it, an operating-system user's */ \
	X(ASK,            FROM(COMMAND), FROM(POSTMASTER)|FROM(CLERK)|FROM(QUEUE)|FROM(KEEPER)|FROM(POLICY)|FROM(CHRONICLE)) /* argv, input */ \
	X(SAY,            FROM(POSTMASTER)|FROM(CLERK)|FROM(QUEUE)|FROM(KEEPER)|FROM(POLICY)|FROM(CHRONICLE), FROM(COMMAND)) /* 1 out 2 err, text */ \
	X(SAID,           FROM(POSTMASTER)|FROM(CLERK)|FROM(QUEUE)|FROM(KEEPER)|FROM(POLICY)|FROM(CHRONICLE), FROM(COMMAND)) /* exit status */

enum word {
	WORD_NONE,
#define X(word, from, to) WORD_##word,
	WORDS(X)
#undef X
	WORD_COUNT
};
const char *word_name(uint16_t word);
bool word_allowed(uint16_t word, enum role from, enum role to);
/* Of what keepers may say, whether the one with this index may: an operating-system user's has nothing of the letter log. */
bool word_allowed_of(uint16_t word, enum role from, uint32_t index);
/* Whether these two have anything to say to one another: then they get a link. */
bool word_pair(enum role, enum role);

/* ---- bodies ------------------------------------------------------------- */
#define BODY(x) \
	void word_pack_##x(struct buffer *, const struct word_##x *); \
	bool word_unpack_##x(struct bytes, struct arena *, struct word_##x *) __attribute__((warn_unused_result));

/* What comes: of a reader; of the queue, the last of which may be over by the grace; or it was promised by the clerk before. */
enum room_kind { ROOM_FOR_READER, ROOM_FOR_LETTER, ROOM_HAD, ROOM_KINDS };

struct word_resource { const char *name; const char *text; };          /* "listener/submission", text: e.g. address */
BODY(resource)
struct word_peer { enum role role; uint32_t index, of, pid; };          /* of: how many there are of that role */
BODY(peer)
struct word_status { uint32_t connections; const char *text; };
BODY(status)
struct word_wrong { enum role role; uint32_t index; uint16_t word; };
BODY(wrong)
struct word_sign { struct bytes key_id; uint8_t kind; int32_t padding; struct bytes input; };
BODY(sign)
struct word_signed { bool ok; struct bytes signature; };
BODY(signed)

struct word_auth_start {
	const char *service;           /* "smtp" "imap" "pop3"                   */
	struct bytes mechanism;        /* "PLAIN"; "" with user and password set */
	bool has_initial;
	struct bytes initial;          /* decoded initial response               */
	struct bytes user, password;   /* IMAP LOGIN, POP3 USER/PASS             */
	struct peer peer;
	bool tls;
	struct bytes binding;          /* for tls_channel_read(), "" none        */
	bool plus;                     /* a mechanism that binds was offered     */
	bool lent;                     /* for another program, which says of whom: see auth_socket */
};
BODY(auth_start)
enum auth_answer { AUTH_OK, AUTH_BAD, AUTH_SYNTAX, AUTH_NO_MECHANISM, AUTH_LATER, AUTH_DISABLED };
struct word_auth_done {
	uint8_t answer;                /* enum auth_answer                       */
	const char *user;              /* who they are, "jack@example.com"; for AUTH_BAD who they said  */
	uint64_t account;
	const char *text;              /* words for the log: "unknown user", "password mismatch"        */
	struct bytes last;             /* server's last data with success (SCRAM), "" none              */
	struct bytes pass;             /* to a login, with success: for the keeper (role/pass.h)         */
};
BODY(auth_done)

enum domain_answer { DOMAIN_OURS, DOMAIN_OF_OTHERS, DOMAIN_LATER };

/* Whose an address is that a letter says it comes from. */
enum sender_answer { SENDER_OWN, SENDER_OF_ANOTHER, SENDER_OF_NOBODY, SENDER_LATER };
/* `backend`: to PAM the service, else the word of auth_backends; `service` "imap"; `remote` the client's address; `mode` enum credential_mode. */
struct word_credential_ask { uint8_t mode; const char *backend, *service, *remote; struct bytes user, password; };
BODY(credential_ask)
struct word_credential_said { uint8_t outcome; const char *text; struct bytes fields; };   /* enum credential_outcome; words for the log; directory/credential.h */
BODY(credential_said)

struct word_lookup { struct peer peer; };               /* what is this client's name?  */
BODY(lookup)
struct word_looked { uint8_t class; struct bytes name, reverse; };      /* enum peername_class; "" none */
BODY(looked)

enum resolve_class {
	RESOLVE_LOCAL,                 /* targets are set                         */
	RESOLVE_UNKNOWN,               /* our domain, no such user: 550 5.1.1     */
	RESOLVE_FOREIGN,               /* not our domain; targets are set when a virtual alias leads away */
	RESOLVE_LATER,                 /* cannot tell now: 451 4.3.0              */
	RESOLVE_LOOP,                  /* aliases run in a circle, or lead to too many: `table` is "5.4.6 aliases ...", 554 */
	RESOLVE_FULL_NOW,              /* to receivers: one account of ours, and it is full: 452 4.2.2 */
	RESOLVE_FULL,                  /* the same, where that is final: 552 5.2.2 */
	RESOLVE_REFUSED,               /* a table says no: `table` is "5.1.6 User has moved to ..." */
	RESOLVE_DISCARDED,             /* taken, and thrown away                  */
};
/* account 0: a remote address; detail: "tag" of user+tag; sender: of what goes through a list with an owner, "" as it was;
   entered: the local name whose alias led there, "" none did; typed: what Delivered-To is to say instead of the address, "" the
   address; the last three are the clerk's alone to say */
struct resolve_target { uint64_t account; struct bytes address, detail, sender, entered, typed; };
struct word_resolve { struct bytes address, sender; bool sent, as_written, notice, probe, local, let_go; uint64_t size; };    /* "local@domain"; "postmaster" alone too; as_written: without canonical and virtual alias maps; sent: it is of a letter of this sender; notice: its sender is <>; probe: for who only asks about it; local: its domain is to be taken for one of mydestination; let_go: as ROUTE has it; size: as MAIL announced it */
BODY(resolve)
struct word_resolved { uint8_t class; const char *table, *filter; const struct resolve_target *target; uint32_t targets;
                       bool passing; };  /* another server said so, just now: it is not to be kept */
BODY(resolved)

/* A letter's addresses.  The answer has as many in `header`; in `copies` who gets one besides. */
struct rewrite_address { bool sender; struct bytes address; };         /* of a field like From, not like To */
struct word_rewrite {
	bool later;                    /* of the answer: cannot tell now           */
	struct bytes sender;
	const struct bytes *copy; uint32_t copies;      /* asked: recipients       */
	const struct rewrite_address *header; uint32_t headers;
};
BODY(rewrite)
struct word_table_ask { const char *table; struct bytes key; };        /* "pgsql:/etc/x.cf", as the setting has it */
BODY(table_ask)
struct word_table_said { uint8_t outcome; struct bytes value; };        /* enum table_outcome; of LATER: why, for the log */
BODY(table_said)
/* HURRY: so long may a host be silent that has said who it is, where others want its place. */
enum { HURRY_HANGS_MS = 30000 };
enum { TABLE_ASK_ALL_MOST = 128 };
struct word_table_ask_all { const char *table; const struct bytes *key; uint32_t keys; };
BODY(table_ask_all)
/* Of the first of the keys, one at least; what is missing may be asked again. */
struct word_table_said_all { const struct word_table_said *answer; uint32_t answers; };
BODY(table_said_all)

/* Restriction lists (policy/rules.h).  `id`: under which `mansio policy why` knows the refusal, "" none. */
struct word_policy_ask { struct rule_facts facts; };
BODY(policy_ask)
struct word_policy_said { struct rule_verdict verdict; struct bytes id; };
BODY(policy_said)
struct word_policy_told { struct bytes id, text; };
BODY(policy_told)

struct word_segment { uint32_t number; uint64_t size; bool own; int32_t why; };  /* WANT LENT REFUSED DONE */
BODY(segment)

struct word_judge {
	bool     inside;               /* content is in `content`; else fd, at, len  */
	struct bytes content;
	uint64_t at, len;
	bool     append;               /* IMAP APPEND: only the digest is asked      */
	const char *listener;          /* whose checks hold, "submission"            */
	struct bytes trace;            /* our Received field, as it will be but for the id */
	struct bytes known;            /* what tables that are elsewhere said (policy/checks-elsewhere.h) */
	struct bytes client, helo, sender, user;   /* facts for the rules to come    */
	struct peer peer;
};
BODY(judge)
/* ASKS: checks need tables that are elsewhere: `said` is what is to be asked (policy/checks-elsewhere.h) */
enum judge_verdict { JUDGE_ACCEPT, JUDGE_REFUSE, JUDGE_LATER, JUDGE_ASKS };
struct word_judged { uint8_t verdict; const char *reply; struct bytes prefix; struct bytes digest;
                     struct bytes said; };      /* policy/checks.h, "" nothing; with edits of the content in it there is no digest yet */
BODY(judged)

struct word_scan { const char *listener; bool inside; struct bytes content; uint64_t at, len; };   /* inside: content is in `content`; else fd, at, len */
BODY(scan)
struct word_scanned { uint8_t answer; struct bytes name; };    /* enum clamd_answer; the virus, or why not */
BODY(scanned)
/* Mail filters (policy/milter-chain.h): the ticket is the session's, and an event of CONNECT begins it. */
struct word_milter_event {
	uint8_t stage;                 /* enum milter_stage                       */
	const char *listener;
	struct peer peer;
	bool refused;                  /* RCPT: it was; nothing is answered       */
	const struct bytes *argument; uint32_t arguments;
	struct milter_macros macros;
};
BODY(milter_event)
struct word_milter_letter {
	bool inside; struct bytes content; uint64_t at, len;   /* as of JUDGE     */
	uint64_t most;                 /* the largest a new body may be           */
	struct bytes fields;           /* that are missing, and come behind its own */
	struct milter_macros macros;
};
BODY(milter_letter)
struct word_milter_said { const char *reply; bool shut, discard, hold; uint32_t wants; const char *by, *reason; };   /* "": go on */
BODY(milter_said)
struct word_milter_made {
	struct word_milter_said said;
	struct bytes edits, front;     /* packed; fields before our own Received field */
	struct bytes checks;           /* what milter_header_checks say, policy/checks.h; "" nothing */
	uint64_t body_len;
	const struct milter_envelope *envelope; uint32_t envelopes;
};
BODY(milter_made)

struct letter_recipient { struct bytes address, orcpt; uint8_t notify; };
/* A letter for the filter before the queue (policy/proxy.h), its content as of SCAN; and what the client is to hear. */
struct word_proxy {
	const char *listener; bool inside; struct bytes content; uint64_t at, len;
	struct bytes prefix;           /* fields before it, lines with CRLF       */
	struct bytes attribute[PROXY_ATTRIBUTES];
	struct proxy_sender sender;
	const struct letter_recipient *recipient; uint32_t recipients;
};
BODY(proxy)
struct word_proxied { struct bytes reply; };
BODY(proxied)
struct word_letter {
	uint64_t letter; uint32_t envelope_segment; uint64_t envelope_at; uint64_t content_len;
	int64_t  arrived_us; uint32_t flags;
	struct bytes sender, message_id, client;
	struct handling handling;
	const struct letter_recipient *recipient; uint32_t recipients;
};
BODY(letter)

/* `what`: "SMTP server"; `who` was at the other end; `text`: smtp/history.h. */
struct word_mishap { const char *to, *what, *who; struct bytes text; uint32_t left_out, unsaid; };
BODY(mishap)
struct word_alert { const char *to, *subject, *text; };
BODY(alert)

struct word_deliver {
	uint64_t letter; uint32_t envelope_segment; uint64_t envelope_at;
	uint64_t account;
	struct bytes address;          /* Delivered-To                            */
	struct bytes original;         /* X-Original-To                           */
	struct bytes detail;           /* of user+detail, "" none                 */
	struct bytes sender;           /* Return-Path                             */
	struct bytes entered;          /* instead of address in Delivered-To, "" it itself: an alias of this name led here */
	struct bytes passed;           /* names of ours it came by before, each with LF: more Delivered-To fields */
	bool         aside;            /* into quarantine_mailbox                 */
};
BODY(deliver)
enum deliver_result { DELIVER_DONE, DELIVER_LATER, DELIVER_REFUSED, DELIVER_FORWARDED };   /* FORWARDED: the targets get it instead */
struct word_delivered { uint8_t result; const char *status; const char *text; bool again; const struct resolve_target *target; uint32_t targets; };  /* status "2.0.0"; again: had come before */
BODY(delivered)

/* A letter for a pipe transport. */
struct pipe_to { struct bytes address, original; };
struct word_pipe {
	uint64_t letter; uint32_t envelope_segment; uint64_t envelope_at;
	const char *transport, *nexthop;
	struct bytes sender, passed;   /* passed: as of DELIVER                   */
	const struct pipe_to *recipient; uint32_t recipients;
};
BODY(pipe)

/* Whether this keeper may say that: only a user's forwards, and to nobody but that user and addresses. */
bool word_delivered_fits(const struct word_delivered *, uint32_t keeper);

struct word_session {
	const char *protocol;          /* "imap" "pop3"                           */
	const char *user;
	uint64_t account;
	const char *method;            /* "PLAIN"                                 */
	struct peer peer, here;
	bool tls;
	const char *tls_text;          /* "TLSv1.3 with cipher ..." or ""         */
	const char *session;           /* id for the log                          */
	const char *tag;               /* of the LOGIN or AUTHENTICATE command; POP3: "UTF8" or "" */
	struct bytes last;             /* data for the OK of SASL, "" none        */
	struct bytes unread;           /* what the client had sent beyond         */
	struct bytes pass;             /* as the clerk gave it (role/pass.h)      */
	const char *offers;            /* POP3: lines for CAPA, "" none           */
};
BODY(session)

struct letter_extent { uint64_t at, len; };
struct word_seek { uint8_t where; struct bytes field, needle; const struct letter_extent *letter; uint32_t letters; };   /* enum search_where; fd with it */
BODY(seek)
struct word_text { const struct letter_extent *letter; uint32_t letters; };
BODY(text)
enum text_state { TEXT_WHOLE, TEXT_TOO_LONG_FOR_IT, TEXT_LATER };          /* LATER: the answer was full */
struct letter_texts { uint8_t state; struct bytes header, body; };       /* as letter_text() gives them */
struct word_texted { const struct letter_texts *letter; uint32_t letters; };
BODY(texted)
struct word_decode {                   /* a part's body, or of a header some fields */
	uint8_t      encoding;         /* enum digest_encoding                   */
	uint64_t     at, len, from, most;  /* of the bytes decoded               */
	bool         counts;
	struct bytes fields;           /* names, each with LF behind it; "": a body */
	bool         others;           /* all but these                          */
};
BODY(decode)
/* `total` and `nul` of all where it counts; the next piece may be asked for from `coded` on, where `plain` bytes were before. */
struct word_decoded { bool good, nul; uint64_t total, coded, plain; struct bytes part; };
BODY(decoded)

struct moved_letter { uint64_t letter; uint32_t content_segment; uint64_t content_at, content_len; uint32_t envelope_segment; uint64_t envelope_at; };
struct word_moved { uint32_t segment; const struct moved_letter *letter; uint32_t letters; };   /* REFERS REFERRED MOVED */
BODY(moved)

/* What happened in a turn; `lost`: so many before it were not told. */
struct word_event { uint32_t lost; struct bytes events; };              /* chronicle/event.h, each with its u16 length */
BODY(event)

struct word_ask { const char *const *argv; uint32_t argc; struct bytes input; };
BODY(ask)
struct word_say { uint8_t stream; struct bytes text; };
BODY(say)

/* What a URL names, for a letter of `user`; account 0: the clerk looks whose `owner` is.  Into the descriptor that came
   along goes first what word_url_begin() packs, then `len` bytes. */
struct word_url { uint64_t account; const char *owner, *user; struct bytes text; };
BODY(url)
enum url_begins { URL_BEGUN, URL_NOT, URL_UNTRUSTED, URL_LATER };   /* as enum fetched (smtp/receiver/session.h) */
enum { URL_BEGINS = 9 };
struct word_url_begins { uint8_t how; uint64_t len; };
void word_url_begin(struct buffer *, enum url_begins, uint64_t len);
bool word_url_begins(struct bytes, struct word_url_begins *);

/* Where a recipient's mail goes: the name of a transport ("smtp", "error") and what stands behind its colon. */
struct word_route { struct bytes address, sender; bool forwarded, probe, let_go; };   /* forwarded: it came to one of us, and leaves for another host; probe: nothing is sent; let_go: no table holds it any more */
BODY(route)
enum routed_scope { ROUTED_ADDRESS, ROUTED_DOMAIN, ROUTED_LATER };   /* for whom the answer holds */
/* sender: whom hosts see instead, "" the letter's; lifetime_s: how long it is tried, 0 as all are */
struct word_routed { uint8_t scope; bool passing; const char *transport, *nexthop, *sender; uint32_t lifetime_s; };
BODY(routed)

/* A report to a domain (rfc8460), gzip; id and file name are words of ours. */
struct word_tlsrpt { const char *domain, *contact, *id, *file; struct bytes content; };
BODY(tlsrpt)
enum tlsrpt_fate { TLSRPT_UNWANTED, TLSRPT_TAKEN, TLSRPT_AGAIN };
enum { TLSRPT_MAIL_MOST = 4 };
/* mail: who is to have it as a letter, which the queue makes; they count as taken. */
struct word_tlsrpt_said { uint8_t fate; const char *mail[TLSRPT_MAIL_MOST]; uint32_t mails; };
BODY(tlsrpt_said)
/* A domain's policy about its own hosts (smtp/sender/sts.h); text "": none. */
struct word_sts { const char *domain, *id; struct bytes text; int64_t fetched_s; };
/* A transaction.  The letter is `prefix` and then len bytes at `at` of what goes along. */
struct send_recipient { struct bytes address, orcpt; uint8_t notify; };
struct word_send {
	uint64_t letter;
	const char *transport, *nexthop;
	bool     lmtp, more;           /* more: others wait for the same destination */
	uint64_t at, len;
	int64_t  age_s;                /* since it came                           */
	struct bytes prefix, sender, envid;
	struct bytes client, helo, protocol;   /* it came from (message/envelope.h), for XFORWARD */
	uint16_t port;
	struct bytes solicit;          /* rfc3865: classes by comma, "" none      */
	uint8_t  ret, body;            /* enum envelope_body                      */
	bool     eight_bit;            /* it has bytes above 127                  */
	uint32_t flags;                /* enum envelope_flag                      */
	struct handling handling;
	struct word_sts sts;           /* what is remembered of the destination   */
	const struct send_recipient *recipient; uint32_t recipients;
};
BODY(send)
/* A letter is fitted to its road (role/refit.h).  tell: only the addresses in its fields are asked for. */
struct refit_pair { struct bytes old, instead; };
struct word_refit { const char *transport; bool lmtp, tell, checks, seven; uint64_t at, len; const struct refit_pair *pair; uint32_t pairs; struct bytes known; };
BODY(refit)
enum refit_answer { REFIT_DONE, REFIT_LATER, REFIT_CANNOT, REFIT_ASKS };    /* CANNOT: not with 7 bits; ASKS: `edits` is what is to be asked, as JUDGE_ASKS */
struct word_refitted { uint8_t answer; bool is_signed; struct bytes edits; const struct bytes *address; uint32_t addresses; };     /* message/edits.h; is_signed: a signature it has (DKIM) is over what was made of seven bits */
BODY(refitted)
enum sent_result { SENT_DELIVERED, SENT_LATER, SENT_REFUSED };
/* relay: "mx.example.com[192.0.2.1]:25", or "none"; dsn: NOTIFY went along, the host tells of the delivery; final: it was one, not a relay; loops: the best host would be ourselves */
/* tls: "dane Verified TLSv1.3 with cipher ...", "may Untrusted ...", "none": what the connection was, "" there was none */
struct sent_recipient { uint8_t result; const char *status, *text, *relay, *tls; bool dsn, final, loops; };
/* How TLS with one host came about, for the reports of rfc8460: under whose policy, of which kind; type "": well. */
enum tls_policy { TLS_POLICY_NONE, TLS_POLICY_TLSA, TLS_POLICY_STS };
struct tls_result { uint8_t policy; const char *domain, *text, *host, *address, *type, *reason, *local, *helo; };
enum { TLS_RESULTS_MOST = 50, TLS_RESULT_TEXT_MOST = 2000 };
struct word_sent {
	bool     unreachable;          /* with no host of the destination was there a session */
	uint64_t connect_us, transfer_us;
	struct word_sts sts;           /* what was learned                        */
	const struct tls_result *tls; uint32_t tlss;
	const struct sent_recipient *recipient; uint32_t recipients;    /* as in SEND */
};
BODY(sent)

#undef BODY
#endif
