#include "unit.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/arena.h"
#include "directory/table.h"
#include "role/wire.h"

/* As BYTES(), for tables. */
#define B(literal)                              \
	{                                       \
		"" literal, sizeof(literal) - 1 \
	}

/* For each body: pack what a pointer shows; unpack and pack again. */
#define CODEC(x)                                                                      \
	static void pack_##x(struct buffer *b, const void *w)                         \
	{                                                                             \
		word_pack_##x(b, w);                                                  \
	}                                                                             \
	static bool again_##x(struct bytes body, struct arena *a, struct buffer *out) \
	{                                                                             \
		struct word_##x w;                                                    \
		bool            good = word_unpack_##x(body, a, &w);                  \
		if (good)                                                             \
			word_pack_##x(out, &w);                                       \
		return good;                                                          \
	}
CODEC(resource)
CODEC(peer)
CODEC(status)
CODEC(wrong)
CODEC(sign)
CODEC(signed) CODEC(auth_start) CODEC(auth_done) CODEC(credential_ask) CODEC(credential_said)
	CODEC(resolve) CODEC(resolved) CODEC(table_ask) CODEC(table_said) CODEC(segment)
		CODEC(judge) CODEC(judged) CODEC(scan) CODEC(scanned) CODEC(letter) CODEC(deliver)
			CODEC(delivered) CODEC(session) CODEC(seek) CODEC(text) CODEC(texted)
				CODEC(decode) CODEC(decoded) CODEC(moved) CODEC(ask) CODEC(say)
					CODEC(lookup) CODEC(looked) CODEC(rewrite)
						CODEC(table_ask_all) CODEC(table_said_all) CODEC(mishap) CODEC(alert)
#undef CODEC

#define V4                                                 \
	{                                                  \
		AF_INET, 25, { 127, 0, 0, 1 }, "127.0.0.1" \
	}
#define V6                                                            \
	{                                                             \
		AF_INET6, 65535, { 0x20, 1, 0xd, 0xb8 }, "2001:db8::" \
	}
#define LOCAL                              \
	{                                  \
		AF_UNIX, 0, { 0 }, "local" \
	}
							static const
	struct resolve_target targets[] = {
		{ 7, B("jill@example.com"), B("tag"), B("owner-list@example.com"),
		  B("list@example.com"), B("Any@example.com") },
		{ 0, B("jack@example.org"), B(""), B(""), B(""), B("") },
	};
static const struct bytes            copies[] = { B("jill@example.com"), B("joe@example.com") };
static const struct rewrite_address  headers[] = { { true, B("jack@example.com") },
	                                           { false, B("jill") } };
static const struct letter_recipient recipients[] = {
	{ B("jill@example.com"), B("rfc822;jill@example.com"), 15 },
	{ B("joe@example.com"), B(""), 0 },
};
#define HANDLED                                                                           \
	{                                                                                 \
		1, -2, 'R', true, -9, B("held"), B("smtp:[h]:10025"), B("a@b.c"), B("+=") \
	}
static const struct word_table_said answers[] = { { TABLE_FOUND, B("REJECT no") },
	                                          { TABLE_NONE, B("") } };
static const struct letter_extent   sought[] = { { 0, 99 }, { UINT64_C(1) << 40, 1 } };
static const struct letter_texts    texts[] = { { TEXT_WHOLE, B("subject: x\xff"), B("hi\xff") },
	                                        { TEXT_LATER, B(""), B("") } };
static const struct moved_letter    moved[] = { { 1, 2, 3, 4, 5, 6 },
	                                        { UINT64_MAX, UINT32_MAX, 0, 0, 0, 0 } };
static const char *const            argv[] = { "account", "add", "jill@example.com" };

#define BODY(x, ...)                                  \
	pack_##x, again_##x, &(const struct word_##x) \
	{                                             \
		__VA_ARGS__                           \
	}
static const struct body_case {
	const char *why;
	void (*pack)(struct buffer *, const void *);
	bool (*again)(struct bytes, struct arena *, struct buffer *);
	const void *body;
} bodies[] = {
	{ "a resource", BODY(resource, "listener/smtp", "127.0.0.1:25") },
	{ "a resource without words", BODY(resource, "tally", "") },
	{ "a peer", BODY(peer, QUEUE, 0, 1, 4711) },
	{ "status", BODY(status, 12, "memory=1 judged=2") },
	{ "wrong mouth", BODY(wrong, RECEIVER, 3, WORD_DELIVER) },
	{ "sign", BODY(sign, B("0123"), TLS_SIGN_RSA, -1, B("\0\xff")) },
	{ "signed", BODY(signed, true, B("signature")) },
	{ "not signed", BODY(signed, false, B("")) },
	{ "auth start, SASL", BODY(auth_start, "smtp", B("PLAIN"), true, B("\0jack\0secret"), B(""),
	                           B(""), V4, true, B("b"), true, true) },
	{ "auth start, password", BODY(auth_start, "imap", B(""), false, B(""), B("jack"),
	                               B("s e\0c"), V6, false, B(""), false, false) },
	{ "auth done", BODY(auth_done, AUTH_OK, "jack@example.com", 9, "", B("v="), B("pass")) },
	{ "auth refused", BODY(auth_done, AUTH_DISABLED, "", 0, "unknown user", B(""), B("")) },
	{ "credential",
	  BODY(credential_ask, 1, "mansio", "imap", "192.0.2.1", B("jack"), B("s e\0c")) },
	{ "credential said",
	  BODY(credential_said, CREDENTIAL_CLOSED, "account is expired", B("home=/home/jack\n")) },
	{ "resolve", BODY(resolve, B("jill@example.com"), B("jack@example.org"), true, true, true, true, true, true, 1 << 20) },
	{ "a key for a table", BODY(table_ask, "pgsql:/etc/x.cf", B("o'brien@example.com")) },
	{ "what a table has", BODY(table_said, 0, B("a@example.com")) },
	{ "keys for a table", BODY(table_ask_all, "sqlite:/etc/x.cf", copies, 2) },
	{ "what it has for them", BODY(table_said_all, answers, 2) },
	{ "resolved to two", BODY(resolved, RESOLVE_LOCAL, "alias", "scan:x", targets, 2, true) },
	{ "resolved to nobody", BODY(resolved, RESOLVE_UNKNOWN, "", "", NULL, 0, false) },
	{ "rewrite", BODY(rewrite, false, B("jack@example.com"), copies, 2, headers, 2) },
	{ "rewrite not now", BODY(rewrite, true, B(""), NULL, 0, NULL, 0) },
	{ "a segment", BODY(segment, 7, UINT64_C(1) << 40, true, -28) },
	{ "judge inside",
	  BODY(judge, true, B("Subject: x\r\n\r\n"), 0, 0, false, "smtp", B("Received: x\r\n"),
	       B("known"), B("c"), B("h"), B("s"), B("u"), V4) },
	{ "judge in a file", BODY(judge, false, B(""), 64, 1 << 20, true, "", B(""), B(""), B(""),
	                          B(""), B(""), B(""), LOCAL) },
	{ "scan", BODY(scan, "smtp", true, B("Subject: x\r\n\r\n"), 0, 0) },
	{ "scanned", BODY(scanned, 2, B("Eicar")) },
	{ "judged", BODY(judged, JUDGE_REFUSE, "5.7.1 no", B("A: b\r\n"), B("digest"), B("said")) },
	{ "a letter to two", BODY(letter, 1, 2, 3, 4, -5, 6, B("jack@example.com"), B("<1@x>"),
	                          B("c"), HANDLED, recipients, 2) },
	{ "a letter to nobody",
	  BODY(letter, 1, 2, 3, 4, 5, 6, B(""), B(""), B(""), { 0 }, NULL, 0) },
	{ "a session that went wrong",
	  BODY(mishap, "postmaster", "SMTP server", "x[192.0.2.1]", B(" In:  HELO x\r\n"), 1, 2) },
	{ "an alert", BODY(alert, "postmaster", "no certificate", "one\ntwo") },
	{ "deliver", BODY(deliver, 1, 2, 3, 4, B("a"), B("b"), B("c"), B(""), B("d"), B("e\nf\n"), true) },
	{ "delivered", BODY(delivered, DELIVER_LATER, "4.2.2", "full", true, NULL, 0) },
	{ "forwarded to two",
	  BODY(delivered, DELIVER_FORWARDED, "2.0.0", "forwarded", false, targets, 2) },
	{ "a session",
	  BODY(session, "imap", "jack@example.com", 4, "PLAIN", V4, V6, true, "TLSv1.3", "s1", "a1",
	       B(""), B("a2 NOOP\r\n"), B("pass"), "USER\r\n") },
	{ "decode", BODY(decode, 4, 7, 99, 3, 8, true, B("to\ncc\n"), true) },
	{ "decoded", BODY(decoded, true, false, 77, 13, 9, B("abc")) },
	{ "seek", BODY(seek, 2, B("Subject"), B("x"), sought, 2) },
	{ "text", BODY(text, sought, 2) },
	{ "texted", BODY(texted, texts, 2) },
	{ "moved", BODY(moved, 3, moved, 2) },
	{ "nothing moved", BODY(moved, 3, NULL, 0) },
	{ "a command", BODY(ask, argv, 3, B("password\n")) },
	{ "an empty command", BODY(ask, NULL, 0, B("")) },
	{ "a client", BODY(lookup, V6) },
	{ "its name", BODY(looked, 0, B("mail.example.com"), B("mail.example.com")) },
	{ "no name", BODY(looked, 4, B(""), B("")) },
	{ "said", BODY(say, 2, B("no\n")) },
};

/* What was packed unpacks to the same, and only the whole of it does. */
static void
test_bodies(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bodies); i++) {
		const struct body_case *c = &bodies[i];
		struct arena           *life = arena_open(NULL);
		struct buffer           packed = { 0 }, again = { 0 };

		c->pack(&packed, c->body);
		HOLDS(c->why, c->again(buffer_bytes(&packed), life, &again));
		SAME(c->why, buffer_bytes(&again), buffer_bytes(&packed));
		for (size_t n = 0; n < packed.len; n++) {
			/* A copy of its own length, so that reading beyond it is seen. */
			struct bytes part =
				arena_keep(life, bytes_cut(buffer_bytes(&packed), 0, n));
			buffer_reset(&again);
			HOLDS(c->why, !c->again(part, life, &again));
		}
		buffer_add_char(&packed, '\0');
		HOLDS(c->why, !c->again(buffer_bytes(&packed), life, &again));
		buffer_free(&packed);
		buffer_free(&again);
		arena_close(&life);
	}
}

/* Little-endian, lengths of four bytes, no padding: base/pack.h. */
static const struct broken_case {
	const char *why;
	bool (*again)(struct bytes, struct arena *, struct buffer *);
	struct bytes body;
	bool         good;
} broken[] = {
	{ "a peer, by hand", again_peer, B("\4\1\0\0\0\2\0\0\0\7\0\0\0"), true },
	{ "a role nobody has", again_peer, B("\x20\1\0\0\0\2\0\0\0\7\0\0\0"), false },
	{ "index beyond the last", again_peer, B("\4\2\0\0\0\2\0\0\0\7\0\0\0"), false },
	{ "a bool of 2", again_signed, B("\2\0\0\0\0"), false },
	{ "a name with NUL", again_resource, B("\3\0\0\0a\0b\0\0\0\0"), false },
	{ "longer than there is", again_resolve, B("\xff\xff\xff\xff"), false },
	{ "a class nobody knows", again_resolved, B("\x20\0\0\0\0\0\0\0\0\0"), false },
	{ "more targets than bytes", again_resolved, B("\0\0\0\0\0\0\xff\xff\xff\xff"), false },
	{ "more letters than bytes", again_moved, B("\0\0\0\0\xff\xff\xff\xff"), false },
	{ "more words than bytes", again_ask, B("\xff\xff\0\0\0\0\0\0"), false },
	{ "a stream that is none", again_say, B("\0\0\0\0\0"), false },
	{ "a third stream", again_say, B("\3\0\0\0\0"), false },
	{ "a key kind nobody knows", again_sign, B("\0\0\0\0\2\0\0\0\0\0\0\0\0"), false },
	{ "a verdict nobody knows", again_judged, B("\3\0\0\0\0\0\0\0\0\0\0\0\0"), false },
	{ "a result nobody knows", again_delivered, B("\3\0\0\0\0\0\0\0\0\0"), false },
	{ "a place to search nobody knows", again_seek, B("\3\0\0\0\0\0\0\0\0\0\0\0\0"), false },
	{ "a state of a text nobody knows", again_texted, B("\1\0\0\0\3\0\0\0\0\0\0\0\0"), false },
	{ "more texts than bytes", again_texted, B("\xff\xff\xff\xff"), false },
	{ "more letters to search than bytes", again_seek, B("\2\0\0\0\0\0\0\0\0\xff\xff\xff\xff"),
	  false },
};

static void
test_broken(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(broken); i++) {
		struct arena *life = arena_open(NULL);
		struct buffer out = { 0 };
		HOLDS(broken[i].why, broken[i].again(broken[i].body, life, &out) == broken[i].good);
		buffer_free(&out);
		arena_close(&life);
	}
}

static const struct mouth_case {
	const char *why;
	uint16_t    word;
	enum role   from, to;
	bool        allowed;
} mouths[] = {
	{ "fronts ask for signatures", WORD_SIGN, RECEIVER, SIGNER, true },
	{ "keepers have no TLS", WORD_SIGN, KEEPER, SIGNER, false },
	{ "a question is no answer", WORD_SIGN, SIGNER, RECEIVER, false },
	{ "the queue delivers", WORD_DELIVER, QUEUE, KEEPER, true },
	{ "a receiver does not", WORD_DELIVER, RECEIVER, KEEPER, false },
	{ "only the clerk asks for passwords", WORD_CRED_ASK, LOGIN, PAM, false },
	{ "and is told", WORD_CRED_SAID, PAM, CLERK, true },
	{ "PAM speaks with nobody else", WORD_CRED_SAID, PAM, KEEPER, false },
	{ "only the clerk says who is who", WORD_AUTH_DONE, RECEIVER, LOGIN, false },
	{ "a verifier opens no session", WORD_SESSION, VERIFIER, KEEPER, false },
	{ "the command line speaks to four", WORD_ASK, COMMAND, CLERK, true },
	{ "and not to the signer", WORD_ASK, COMMAND, SIGNER, false },
	{ "nor tells roles to stop", WORD_STOP, COMMAND, QUEUE, false },
	{ "a role does not stop another", WORD_STOP, QUEUE, KEEPER, false },
	{ "the postmaster says what a keeper may keep", WORD_MEMORY, POSTMASTER, KEEPER, true },
	{ "a keeper says it to no other", WORD_MEMORY, KEEPER, KEEPER, false },
	{ "every role is ready", WORD_READY, SIGNER, POSTMASTER, true },
	{ "no word", WORD_NONE, POSTMASTER, QUEUE, false },
	{ "beyond the last", WORD_COUNT, POSTMASTER, QUEUE, false },
	{ "the clerk asks databases", WORD_TABLE_ASK, CLERK, PROXYMAP, true },
	{ "a login asks for debug_peer_list", WORD_TABLE_ASK, LOGIN, PROXYMAP, true },
	{ "and wants it asked when nobody is there to be", WORD_PROXYMAP_WANT, LOGIN, POSTMASTER, true },
	{ "as a keeper does", WORD_PROXYMAP_WANT, KEEPER, POSTMASTER, true },
	{ "who reads letters does not", WORD_PROXYMAP_WANT, VERIFIER, POSTMASTER, false },
	{ "but not for many at once", WORD_TABLE_ASK_ALL, LOGIN, PROXYMAP, false },
	{ "who reads letters asks no database", WORD_TABLE_ASK, VERIFIER, PROXYMAP, false },
	{ "nor many at once", WORD_TABLE_ASK_ALL, VERIFIER, PROXYMAP, false },
	{ "a receiver asks for it", WORD_TABLE_ASK_ALL, RECEIVER, PROXYMAP, true },
	{ "far beyond", UINT16_MAX, POSTMASTER, QUEUE, false },
};

static void
test_mouths(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(mouths); i++)
		HOLDS(mouths[i].why, word_allowed(mouths[i].word, mouths[i].from, mouths[i].to) ==
		                             mouths[i].allowed);
	HOLDS("the last has a name", strcmp(word_name(WORD_SAID), "SAID") == 0);
	HOLDS("beyond it is one too", word_name(UINT16_MAX) != NULL);
}

static const struct index_case {
	const char *why;
	uint16_t    word;
	enum role   from;
	uint32_t    index;
	bool        allowed;
} indices[] = {
	{ "a keeper of the pool writes to the log", WORD_SEGMENT_WANT, KEEPER, 1, true },
	{ "a user's is not given its segments", WORD_SEGMENT_WANT, KEEPER, KEEPER_OF_USER | 1000,
	  false },
	{ "nor ends those of others", WORD_SEGMENT_DONE, KEEPER, KEEPER_OF_USER | 1000, false },
	{ "nor says what was found there", WORD_LETTER, KEEPER, KEEPER_OF_USER | 1000, false },
	{ "nor that nobody refers to one", WORD_REFERRED, KEEPER, KEEPER_OF_USER | 1000, false },
	{ "nor that it moved", WORD_MOVED_DONE, KEEPER, KEEPER_OF_USER | 1000, false },
	{ "it delivers", WORD_DELIVERED, KEEPER, KEEPER_OF_USER | 1000, true },
	{ "receivers write to the log", WORD_LETTER, RECEIVER, 0, true },
};

static const struct resolve_target outside = { 0, B("jack@example.org"), B(""), B(""), B(""), B("") },
				   own_command = { (uint64_t)0x7fff0002 << 32 | 1000, B("jack"),
	                                           B("|procmail"), B(""), B(""), B("") },
				   own_mailbox = { (uint64_t)0x7fff0001 << 32 | 1000, B("jack"),
	                                           B(""), B(""), B(""), B("") },
				   other_command = { (uint64_t)0x7fff0002 << 32 | 1001, B("jill"),
	                                             B("|id"), B(""), B(""), B("") },
				   other_account = { 7, B("jill@example.com"), B(""), B(""), B(""), B("") };

static const struct delivered_case {
	const char                  *why;
	enum deliver_result          result;
	const struct resolve_target *target;
	uint32_t                     keeper;
	bool                         fits;
} delivereds[] = {
	{ "it is in the mailbox", DELIVER_DONE, NULL, 0, true },
	{ "a user's mail goes elsewhere", DELIVER_FORWARDED, &outside, KEEPER_OF_USER | 1000,
	  true },
	{ "through a program of the user's", DELIVER_FORWARDED, &own_command, KEEPER_OF_USER | 1000,
	  true },
	{ "into the mailbox, too", DELIVER_FORWARDED, &own_mailbox, KEEPER_OF_USER | 1000, true },
	{ "not through one run as somebody else", DELIVER_FORWARDED, &other_command,
	  KEEPER_OF_USER | 1000, false },
	{ "not past the addresses of an account", DELIVER_FORWARDED, &other_account,
	  KEEPER_OF_USER | 1000, false },
	{ "who is nobody's keeper forwards nothing", DELIVER_FORWARDED, &outside, 0, false },
	{ "nor has a program run", DELIVER_FORWARDED, &own_command, 1000, false },
	{ "targets are of what is forwarded", DELIVER_DONE, &own_command, KEEPER_OF_USER | 1000,
	  false },
};

static void
test_keepers(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(indices); i++)
		HOLDS(indices[i].why, word_allowed_of(indices[i].word, indices[i].from,
		                                      indices[i].index) == indices[i].allowed);
	for (size_t i = 0; i < COUNT(delivereds); i++) {
		const struct delivered_case *c = &delivereds[i];
		struct word_delivered        w = { .result = (uint8_t)c->result,
			                           .status = "2.0.0",
			                           .text = "",
			                           .target = c->target,
			                           .targets = c->target != NULL };
		HOLDS(c->why, word_delivered_fits(&w, c->keeper) == c->fits);
	}
}

static const struct pair_case {
	const char *why;
	enum role   a, b;
	bool        speak;
} pairs[] = {
	{ "fronts and the signer", LOGIN, SIGNER, true },
	{ "either way round", SIGNER, LOGIN, true },
	{ "fronts do not know one another", RECEIVER, LOGIN, false },
	{ "a receiver reaches no mailbox", RECEIVER, KEEPER, false },
	{ "login reaches no spool", LOGIN, QUEUE, false },
	{ "a verifier knows no password", VERIFIER, CLERK, false },
	{ "the queue and keepers", QUEUE, KEEPER, true },
};

static void
test_pairs(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(pairs); i++)
		HOLDS(pairs[i].why, word_pair(pairs[i].a, pairs[i].b) == pairs[i].speak);
}

UNIT(test_bodies, test_broken, test_mouths, test_keepers, test_pairs)
