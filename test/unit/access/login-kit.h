/*
 * login-kit -- a reader who has not logged in, a clerk who knows jack, and all that was said
 *
 * The clerk answers in the turn after he was asked: jack with "s3cret" (SCRAM: "user" with "pencil" as in
 * rfc7677:3), "late" is put off, "off" is disabled.  What happens beside the protocol stands
 * in the transcript in brackets.
 */
#ifndef LOGIN_KIT_H
#define LOGIN_KIT_H

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "access/login/login.h"
#include "access/pop3/pop3.h"
#include "base/journal.h"
#include "sasl/sasl.h"

struct kit {
	struct loop  *loop;
	struct login *login;
	struct login_config config;
	struct buffer out;             /* what the client heard, and [what happened] */
	int           fd;              /* the client's end                           */
	int           turns;
	struct errand errand, wheel;
	struct sasl  *sasl;
	enum { NOTHING, ANSWER_MORE, ANSWER_YES, ANSWER_NO } owed;
	enum login_refusal refusal;
	struct buffer challenge, user;
	bool          dumb;            /* the clerk never answers                    */
	int           asked, forgotten;
};

static const char *const kit_mechanisms[] = { "PLAIN", "LOGIN", "SCRAM-SHA-256" };

static void
kit_owe(struct kit *k, int owed)
{
	k->owed = owed;
	if (!k->dumb)
		errand_set(k->loop, &k->errand);
}

static bool
kit_verifier(void *ctx, struct bytes user, const char *hash, struct arena *a, struct sasl_verifier *out)
{
	struct kit *k = ctx;
	(void)a, (void)hash;

	buffer_reset(&k->user);
	buffer_add(&k->user, user);
	*out = (struct sasl_verifier){ "4096", "W22ZaJ0SNY7soEsUEjb6gQ==", "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=",
	    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=" };
	return true;
}

static void
kit_check(struct kit *k, struct bytes user, struct bytes password)
{
	buffer_reset(&k->user);
	buffer_add(&k->user, user);
	buffer_reset(&k->challenge);
	k->refusal = bytes_equal(user, BYTES("late")) ? LOGIN_TEMPORARY : bytes_equal(user, BYTES("off")) ? LOGIN_DISABLED : LOGIN_WRONG;
	kit_owe(k, bytes_equal(user, BYTES("jack")) && bytes_equal(password, BYTES("s3cret")) ? ANSWER_YES : ANSWER_NO);
}

static void
kit_step(struct kit *k, bool has_input, struct bytes input)
{
	buffer_reset(&k->challenge);
	switch (sasl_step(k->sasl, has_input, input, &k->challenge)) {
	case SASL_MORE:   kit_owe(k, ANSWER_MORE); break;
	case SASL_CHECK:  kit_check(k, sasl_user(k->sasl), sasl_password(k->sasl)); break;
	case SASL_PROVED: kit_owe(k, ANSWER_YES); break;
	case SASL_SYNTAX: k->refusal = LOGIN_SYNTAX; kit_owe(k, ANSWER_NO); break;
	default:          k->refusal = LOGIN_WRONG; kit_owe(k, ANSWER_NO); break;
	}
}

static void
kit_authenticate(void *ctx, struct login *l, const struct login_attempt *a)
{
	static const struct sasl_needs needs = { .verifier = kit_verifier };
	static const struct sasl_facts facts = { .service = "imap", .host = "mail.example.com" };
	struct kit *k = ctx;
	(void)l;

	k->asked++;
	if (a->mechanism.len == 0) {
		kit_check(k, a->user, a->password);
		return;
	}
	sasl_end(&k->sasl);
	k->sasl = sasl_begin(a->mechanism, &facts, &needs, k);
	if (k->sasl == NULL)
		panic("a mechanism that is not offered was let through");
	kit_step(k, a->has_initial, a->initial);
}

static void
kit_stepped(void *ctx, struct login *l, struct bytes response)
{
	(void)l;
	kit_step(ctx, true, response);
}

static void
kit_forget(void *ctx, struct login *l)
{
	struct kit *k = ctx;
	(void)l;

	k->forgotten++;
	errand_clear(&k->errand);
	k->owed = NOTHING;
	sasl_end(&k->sasl);
}

static void
kit_hear(struct kit *k)
{
	char some[4096];
	ssize_t n;

	while ((n = read(k->fd, some, sizeof some)) > 0)
		buffer_add(&k->out, (struct bytes){ some, (size_t)n });
}

static void
kit_hand_over(void *ctx, struct login *l, struct stream *stream, const struct login_result *r)
{
	struct kit *k = ctx;
	struct bytes unread = stream_peek(stream);
	(void)l;

	stream_flush(stream);
	kit_hear(k);
	buffer_printf(&k->out, "[in user=%s method=%s tag=%s]", r->user, r->method, r->tag);
	(void)unread;
	stream_close(&stream);
}

static void
kit_over(void *ctx, struct login *l)
{
	struct kit *k = ctx;
	(void)l;

	k->login = NULL;
}

static const struct login_needs kit_needs = { kit_authenticate, kit_stepped, kit_forget, kit_hand_over, kit_over };

static void
kit_answer(void *ctx)
{
	struct kit *k = ctx;
	int owed = k->owed;
	char user[300];

	k->owed = NOTHING;
	if (k->login == NULL)
		return;
	if (!bytes_string(buffer_bytes(&k->user), user, sizeof user))
		user[0] = '\0';
	if (owed == ANSWER_MORE)
		login_challenge(k->login, buffer_bytes(&k->challenge));
	else if (owed == ANSWER_YES)
		login_welcome(k->login, user, 1, BYTES("pass"), buffer_bytes(&k->challenge));
	else if (owed == ANSWER_NO)
		login_refuse(k->login, k->refusal, user, "Login failed (password mismatch)");
}

static void
kit_go_round(void *ctx)
{
	struct kit *k = ctx;

	if (--k->turns > 0)
		errand_set(k->loop, &k->wheel);
	else
		loop_stop(k->loop);
}

/* Some turns without sleeping; what the client hears is gathered. */
static void
kit_turn(struct kit *k, int turns)
{
	k->turns = turns;
	errand_set(k->loop, &k->wheel);
	loop_run(k->loop);
	if (k->fd >= 0)
		kit_hear(k);
}

static void
kit_begin(struct kit *k, const struct login_protocol *protocol, bool plain_allowed, struct tls *tls)
{
	static const struct pop3_settings pop3_none = { .deleted_flag = "" };
	struct peer peer = { .family = AF_UNIX, .text = "local" };
	int pair[2];

	if (k->loop == NULL) {
		journal_open(JOURNAL_FILE, -1, false, "host");
		k->loop = loop_open();
		k->wheel = (struct errand){ .go = kit_go_round, .ctx = k };
	}
	k->errand = (struct errand){ .go = kit_answer, .ctx = k };
	k->config = (struct login_config){ .syslog_name = "mansio", .tls = tls, .pop3 = &pop3_none, .rows = {
	    .disable_plaintext_auth = !plain_allowed, .timeout_ms = 60000, .failures_most = 3, .greeting = "Mansio ready.",
	    .mechanisms = { kit_mechanisms, COUNT(kit_mechanisms) } } };
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
		panic("no sockets: %s", strerror(errno));
	k->fd = pair[0];
	k->login = login_open(k->loop, pair[1], protocol, false, &k->config, &peer, &kit_needs, k);
	kit_turn(k, 3);
}

/* The client says it, in pieces of so many bytes; 0: at once. */
static void
kit_say(struct kit *k, struct bytes said, size_t piece)
{
	while (said.len > 0 && k->login != NULL) {
		size_t n = piece > 0 && piece < said.len ? piece : said.len;
		ssize_t gone = write(k->fd, said.at, n);

		if (gone < 0 && errno != EAGAIN)
			break;
		if (gone > 0)
			said = bytes_cut(said, (size_t)gone, SIZE_MAX);
		kit_turn(k, 4);
	}
	kit_turn(k, 12);
}

static void
kit_end(struct kit *k)
{
	if (k->login != NULL)
		login_close(&k->login, "Bye.");
	if (k->fd >= 0)
		close(k->fd);
	k->fd = -1;
	kit_turn(k, 6);
	sasl_end(&k->sasl);
	errand_clear(&k->errand);
	buffer_reset(&k->out);
	k->owed = NOTHING;
	k->dumb = false;
	k->asked = k->forgotten = 0;
}

static inline void
kit_close(struct kit *k)
{
	kit_end(k);
	loop_close(&k->loop);
	buffer_free(&k->out);
	buffer_free(&k->challenge);
	buffer_free(&k->user);
}

#endif
