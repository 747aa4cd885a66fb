/*
 * kit -- a house of fakes around one session: what it says is in `out`
 *
 * The domain example.com has jill and jack; later@example.com cannot be looked up;
 * everything else there is unknown, all other domains are foreign.  The password of all is "secret".
 */
#ifndef SMTP_KIT_H
#define SMTP_KIT_H

#include <errno.h>
#include <string.h>

#include "policy/rules.h"
#include "smtp/receiver/session.h"

struct kit {
	bool names;                                  /* the house looks for names           */
	struct session *session;
	struct receiver_config *config;
	struct buffer out, unread, stored, prefix, stream;
	bool   over, rests, secure, secured, waits;      /* waits: RESOLVE is answered by kit_answer() */
	struct bytes asked;
	int    letters, drops, fulls;
	int    stream_why, safe_why;
	enum verdict verdict;
	enum room_answer room;
	char   recipients[256];
	int64_t count_most;
	bool   passed;
	int    passes;
	int64_t spent[2];
	int64_t rest_ms;                             /* the last rest that was asked for    */
};

static inline struct buffer *kit_out(void *k) { return &((struct kit *)k)->out; }

static inline void
kit_feed(struct kit *k)
{
	while (k->unread.len > 0) {
		size_t used = session_take(k->session, buffer_bytes(&k->unread));

		buffer_eat(&k->unread, used);
		if (used == 0)
			break;
	}
}

static inline void kit_resume(void *k) { kit_feed(k); }
static inline void kit_secure(void *k) { ((struct kit *)k)->secure = true; }
static inline void kit_finish(void *k) { ((struct kit *)k)->over = true; }
static inline void kit_rest(void *k, int64_t ms) { ((struct kit *)k)->rest_ms = ms; ((struct kit *)k)->rests = true; }

static inline bool
kit_tls(void *kit, struct tls_facts *t)
{
	struct kit *k = kit;

	memset(t, 0, sizeof *t);
	memcpy(t->version, "TLSv1.3", 8);
	memcpy(t->cipher, "TLS_AES_256_GCM_SHA384", 23);
	t->bits = t->algorithm_bits = 256;
	return k->secured;
}

static inline void
kit_say_resolved(struct kit *k, struct bytes address)
{
	enum resolved r = RESOLVED_FOREIGN;

	if (bytes_is(address, "jill@example.com") || bytes_is(address, "jack@example.com") || bytes_is(address, "postmaster"))
		r = RESOLVED_LOCAL;
	else if (bytes_is(address, "full@example.com"))        /* from its second letter on */
		r = k->fulls++ == 0 ? RESOLVED_LOCAL : RESOLVED_FULL;
	else if (bytes_is(address, "later@example.com"))
		r = RESOLVED_LATER;
	else if (bytes_ends_nocase(address, BYTES("@example.com")))
		r = RESOLVED_UNKNOWN;
	session_resolved(k->session, r, "virtual mailbox table");
}

static inline void
kit_resolve(void *kit, struct session *s, struct bytes address)
{
	struct kit *k = kit;

	(void)s;
	k->asked = address;
	if (!k->waits)
		kit_say_resolved(k, address);
}

static inline void kit_answer(struct kit *k) { kit_say_resolved(k, k->asked); }

static inline void
kit_auth_check(struct session *s, struct bytes said)
{
	if (bytes_equal(said, BYTES("\0jack@example.com\0secret")))
		session_auth_done(s, AUTHENTICATED, "jack@example.com", "", BYTES(""));
	else
		session_auth_done(s, NOT_AUTHENTICATED, "jack@example.com", "password mismatch", BYTES(""));
}

static inline void
kit_auth_start(void *k, struct session *s, struct bytes mechanism, bool has_initial, struct bytes initial)
{
	(void)k;
	if (bytes_is(mechanism, "SCRAM-SHA-256"))         /* ends with data of the server */
		session_auth_done(s, AUTHENTICATED, "jack@example.com", "", BYTES("v=proof"));
	else if (!has_initial)
		session_auth_more(s, BYTES(""));
	else
		kit_auth_check(s, initial);
}

static inline void kit_auth_step(void *k, struct session *s, struct bytes b) { (void)k; kit_auth_check(s, b); }
static inline void kit_auth_drop(void *k, struct session *s) { (void)s; ((struct kit *)k)->drops++; }

static inline bool
kit_count(void *kit, struct session *s, enum counted kind, int64_t limit, uint32_t *now)
{
	(void)kit;
	(void)s;
	(void)kind;
	*now = 2;
	return limit >= 2;
}

static inline enum spent
kit_spend(void *kit, struct session *s, bool day, uint32_t recipients, int64_t limit)
{
	struct kit *k = kit;

	(void)s;
	k->spent[day] += recipients;
	return k->spent[day] <= limit ? SPENT_WITHIN : k->spent[day] - recipients <= limit ? SPENT_JUST_PAST : SPENT_PAST;
}

static inline bool
kit_pass(void *k, struct session *s, int64_t ms)
{
	(void)s;
	((struct kit *)k)->passes += ms > 0;
	return ((struct kit *)k)->passed;
}

static inline enum room_answer
kit_room(void *k, struct session *s, uint64_t size)
{
	(void)s;
	(void)size;
	return ((struct kit *)k)->room;
}

static inline void kit_stream_open(void *k, struct letter *l) { letter_streamed(l, ((struct kit *)k)->stream_why); }

static inline int
kit_stream_add(void *k, struct letter *l, struct bytes more)
{
	(void)l;
	buffer_add(&((struct kit *)k)->stream, more);
	return 0;
}

static inline uint64_t kit_stream_waiting(void *k, struct letter *l) { (void)k; (void)l; return 0; }
static inline void kit_stream_drop(void *k, struct letter *l) { (void)l; buffer_reset(&((struct kit *)k)->stream); }

static inline void
kit_judge(void *k, struct letter *l)
{
	letter_judged(l, ((struct kit *)k)->verdict, "550 5.7.1 Error: no", BYTES(""), BYTES(""));
}

static inline void
kit_keep(void *kit, struct letter *l, struct bytes prefix, struct bytes digest)
{
	struct kit *k = kit;
	size_t n = 0;

	(void)prefix;
	(void)digest;
	buffer_reset(&k->stored);
	buffer_reset(&k->prefix);
	buffer_add(&k->stored, l->streamed ? buffer_bytes(&k->stream) : buffer_bytes(&l->content));
	letter_received(l, "1A2B", &k->prefix);
	letter_missing(l, "1A2B", &k->prefix);
	for (uint32_t i = 0; i < l->rcpts && n + l->rcpt[i].address.len + 2 < sizeof k->recipients; i++) {
		memcpy(k->recipients + n, l->rcpt[i].address.at, l->rcpt[i].address.len);
		n += l->rcpt[i].address.len;
		k->recipients[n++] = ' ';
	}
	k->recipients[n] = '\0';
	k->letters++;
	l->streamed = false;
	buffer_reset(&k->stream);
	letter_safe(l, k->safe_why, "1A2B");
}

static inline bool kit_look(void *k, struct session *s, const struct setting_list *t, const struct bytes *key, size_t keys) { (void)k; (void)s; (void)t; (void)key; (void)keys; return false; }
static inline bool kit_look_at_client(void *k, struct session *s) { (void)k; (void)s; return false; }
static inline void kit_changed(void *k, struct session *s) { (void)k; (void)s; }
static inline void kit_gone(void *k, struct session *s) { (void)k; (void)s; }

static inline void
kit_expand(void *k, struct session *s, struct bytes address)
{
	static const struct bytes both[] = { { "jill@example.com", 16 }, { "jack@example.com", 16 } };

	(void)k;
	if (bytes_is(address, "all@example.com"))
		session_expanded(s, RESOLVED_LOCAL, "", both, 2);
	else if (bytes_is(address, "jill@example.com"))
		session_expanded(s, RESOLVED_LOCAL, "", both, 1);
	else
		session_expanded(s, RESOLVED_UNKNOWN, "virtual mailbox table", NULL, 0);
}

static inline void
kit_flush(void *k, struct session *s, struct bytes domain, bool below)
{
	(void)k;
	session_flushed(s, bytes_is(domain, "dead.example.net") ? -1 : bytes_is(domain, "relay.example.net") ? 3 + below : 0);
}

/* imap://u@h/TEXT is TEXT and a line end, in two pieces; "not" "else" "later" "cr" are none such, "half" breaks off. */
static inline void
kit_fetch(void *kit, struct session *s, struct bytes url)
{
	static const char *const odd[] = { "not", "else", "later" };
	struct bytes text = bytes_cut(url, (size_t)(bytes_find_last(url, '/') + 1), SIZE_MAX);

	(void)kit;
	for (size_t i = 0; i < COUNT(odd); i++)
		if (bytes_is(text, odd[i])) {
			session_fetched(s, (enum fetched)(FETCHED_NOT + i), 0);
			return;
		}
	if (bytes_is(text, "cr"))
		text = BYTES("a\rb");
	session_fetched(s, FETCHED, text.len + 2);
	if (session_fetched_part(s, text) == text.len && bytes_is(text, "half"))
		session_fetched(s, FETCHED_LATER, 0);
	else
		(void)session_fetched_part(s, BYTES("\r\n"));
}
static inline void kit_fetch_quiet(void *k, struct session *s) { (void)k; (void)s; }

static inline void
kit_owner(void *kit, struct session *s, struct bytes user, struct bytes address)
{
	struct bytes local = bytes_cut(address, 0, (size_t)(bytes_find_last(address, '@') + 1));

	(void)kit;
	if (bytes_is(local, "later@"))
		session_owner(s, OWNER_LATER);
	else if (bytes_is(local, "nobodys@"))
		session_owner(s, OWNER_NONE);
	else if (bytes_is(local, "others@") || user.len == 0)
		session_owner(s, OWNER_OTHER);
	else
		session_owner(s, OWNER_SELF);
}

static inline struct bytes
kit_remember(void *k, struct session *s, const struct session_refusal *r)
{
	(void)k;
	(void)s;
	(void)r;
	return BYTES("");
}

/* The house judges by itself, and what would have to be asked is put off. */
static inline bool
kit_policy(void *k, struct session *s, enum session_moment moment)
{
	static const enum rule_recipient classes[] = { RECIPIENT_LOCAL, RECIPIENT_UNKNOWN, RECIPIENT_FOREIGN, RECIPIENT_LATER, RECIPIENT_LOOP,
		RECIPIENT_FULL_NOW, RECIPIENT_FULL, RECIPIENT_REFUSED, RECIPIENT_DISCARDED };
	static const enum rule_owner owners[] = { OWNED_BY_SELF, OWNED_BY_OTHER, OWNED_BY_NONE, OWNED_LATER };
	const struct rules *rules = session_config(s)->lists;
	struct arena *a;
	struct session_facts is;
	struct rule_verdict v;
	struct session_deed deed[8];
	struct session_verdict out = { .deed = deed };

	(void)k;
	if (rules == NULL || !rules_have(rules, (enum rule_moment)moment))
		return false;
	a = arena_open(NULL);
	session_facts(s, &is);
	v = rules_judge(rules, &(struct rule_facts){
		.moment = (uint8_t)moment, .named = is.named,
		.recipient_is = is.recipient_known ? (uint8_t)classes[is.recipient_is] : RECIPIENT_UNASKED,
		.owner = is.owner_known ? (uint8_t)owners[is.owner] : OWNED_UNASKED,
		.trusted = is.trusted, .lmtp = is.lmtp, .esmtp = is.extended, .tls = is.secure, .pipelined = is.pipelined,
		.helo_said = is.helo_said, .has_sender = is.has_sender, .has_recipient = is.has_recipient, .utf8 = is.utf8,
		.recipients = is.recipients, .size = is.size, .address = bytes_of(is.peer->text), .name = bytes_of(is.name),
		.reverse = bytes_of(is.reverse), .helo = is.helo, .sender = is.sender, .recipient = is.recipient,
		.sender_whole = is.sender_whole, .recipient_whole = is.recipient_whole, .recipient_why = is.recipient_why,
		.user = is.user, .method = is.method, .deferred = is.deferred,
	}, &rule_needs_nothing, NULL, a, NULL);
	out.refused = v.outcome != RULE_PASSES;
	out.reply = v.outcome == RULE_WAIT ? BYTES("451 4.3.0 Error: nobody can be asked") : v.reply;
	out.rule = v.rule;
	out.deferred = v.deferred;
	out.sleep_s = v.sleep_s;
	for (const struct rule_action *d = v.action; d != NULL && out.deeds < 8; d = d->next)
		deed[out.deeds++] = (struct session_deed){ (enum session_deed_kind)d->deed, d->text };
	session_policy(s, &out);
	arena_close(&a);
	return true;
}

static inline bool
kit_wants_owner(void *k, struct session *s)
{
	struct session_facts is;

	(void)k;
	session_facts(s, &is);
	return rules_want_owner(session_config(s)->lists, &(struct rule_facts){ .sender_whole = is.sender_whole, .user = is.user, .trusted = is.trusted });
}

static inline bool kit_name(void *k, struct session *s) { (void)s; return ((struct kit *)k)->names; }

static inline void
kit_filter(void *k, struct session *s, const struct filter_event *e)
{
	(void)k;
	(void)e;
	session_filtered(s, &(struct filter_said){ .wants = 0 });
}
static inline void kit_filter_abort(void *k, struct session *s) { (void)k; (void)s; }

static const struct receiver_needs kit_needs = {
	kit_name,
	kit_resolve, kit_expand, kit_flush, kit_owner, kit_wants_owner, kit_policy, kit_remember, kit_fetch, kit_fetch_quiet, kit_fetch_quiet, NULL, NULL, NULL, kit_auth_start, kit_auth_step, kit_auth_drop, kit_count, kit_pass, kit_spend, kit_room, kit_stream_open, kit_stream_add,
	kit_stream_waiting, kit_stream_drop, kit_judge, kit_keep, kit_filter, kit_filter_abort, kit_changed, kit_look, kit_look_at_client, kit_gone,
};
static inline void kit_channel(void *k, struct buffer *out) { (void)k; (void)out; }

static const struct session_mouth kit_mouth = { kit_out, kit_resume, kit_secure, kit_finish, kit_rest, kit_tls, kit_channel };

static inline bool kit_pattern(void *k, const char *table) { (void)k; (void)table; return false; }
static inline const char *kit_table(void *k, const char *table, struct arena *a) { (void)k; (void)table; (void)a; return NULL; }
static inline bool kit_class(void *k, const char *name, struct setting_list *l) { (void)k; (void)name; (void)l; return false; }
static inline void kit_lists_drop(void *lists) { struct rules *r = lists; rules_drop(&r); }

static inline void
kit_lists(struct settings *s, enum receiver_kind kind, struct receiver_config *c)
{
	static const char *const relay[] = { "reject_unauth_destination" };
	struct rule_world world = { kit_pattern, kit_table, kit_class, NULL, kind == KIND_LMTP, "+", true };
	struct buffer errors = { 0 }, warnings = { 0 };
	struct policy_settings set = { 0 };

	if (!settings_fill(s, &policy_setting_table, c->listener, &set, &errors) || !settings_fill(s, &witness_setting_table, c->listener, &set.witness, &errors))
		return;
	if (world.lmtp) {
		set.list[RULE_RELAY] = (struct setting_list){ relay, 1 };
		set.sender_check = LOGIN_UNCHECKED;
	}
	c->lists = rules_compile(&set, &world, &errors, &warnings);
	c->lists_drop = c->lists == NULL ? NULL : kit_lists_drop;
	c->judges_clients = c->lists != NULL && (rules_have(c->lists, AT_CONNECT) || rules_have(c->lists, AT_HELO));
	buffer_free(&errors);
	buffer_free(&warnings);
}

static inline struct receiver_config *
kit_config(enum receiver_kind kind, const char *cf)
{
	static const struct setting_list none = { NULL, 0 };
	struct buffer text = { 0 }, errors = { 0 }, warnings = { 0 };
	struct settings *s;
	struct receiver_settings set = { 0 };
	struct receiver_config *c = NULL;

	buffer_add_string(&text, "smtpd_banner = mail.example.com ESMTP Mansio\n"
		"smtpd_sasl_mechanism_list = PLAIN LOGIN SCRAM-SHA-256\n"
		"smtpd_client_event_limit_exceptions =\nsmtpd_forbid_bare_newline_exclusions =\npostscreen_allow_list =\nauthorized_verp_clients =\nsmtpd_authorized_verp_clients =\nfast_flush_domains =\n");
	buffer_add_string(&text, cf);
	s = settings_read(buffer_bytes(&text), "main.cf", &errors, &warnings);
	if (s != NULL && receiver_settings_fill(s, kind, (const char *const[]){ "smtp", "submission", "submissions", "lmtp" }[kind], &set, &errors))
		c = receiver_config_open(&set, kind, (const char *const[]){ "smtp", "submission", "submissions", "lmtp" }[kind], "mansio/smtpd", "mail.example.com", "example.com", "Mansio", &none, NULL, &errors);
	if (c != NULL)
		kit_lists(s, kind, c);
	if (s != NULL)
		settings_stress(s, true);
	if (c != NULL && receiver_settings_fill(s, kind, (const char *const[]){ "smtp", "submission", "submissions", "lmtp" }[kind], &set, &errors))
		receiver_config_stress(c, &set);
	settings_close(&s);
	buffer_free(&text);
	buffer_free(&errors);
	buffer_free(&warnings);
	return c;
}

static inline void
kit_open(struct kit *k, enum receiver_kind kind, const char *cf)
{
	struct peer peer = { .family = AF_INET, .port = 4711, .raw = { 192, 0, 2, 7 }, .text = "192.0.2.7" };

	memset(k, 0, sizeof *k);
	k->config = kit_config(kind, cf);
	if (k->config == NULL)
		return;
	k->config->tls = (struct tls *)k;           /* there is one; it is never looked into */
	k->session = session_open(k->config, &peer, &kit_needs, k, &kit_mouth, k);
}

static inline void
kit_close(struct kit *k)
{
	session_close(&k->session);
	k->config->tls = NULL;
	receiver_config_drop(&k->config);
	buffer_free(&k->out);
	buffer_free(&k->unread);
	buffer_free(&k->stored);
	buffer_free(&k->prefix);
	buffer_free(&k->stream);
}

static inline void
kit_secured(struct kit *k)
{
	k->secure = false;
	k->secured = true;
	buffer_reset(&k->unread);
	session_secured(k->session, true, "");
}

/* Say it in pieces of n bytes (0: whole); TLS and rests are given when they are asked for. */
static inline void
kit_say(struct kit *k, struct bytes what, size_t n)
{
	while (what.len > 0 && !k->over) {
		struct bytes piece = bytes_cut(what, 0, n == 0 ? what.len : n);

		what = bytes_cut(what, piece.len, what.len);
		buffer_add(&k->unread, piece);
		kit_feed(k);
		if (k->secure)
			kit_secured(k);
		while (k->rests && !k->over) {
			k->rests = false;
			session_rested(k->session);
		}
	}
}

#endif
