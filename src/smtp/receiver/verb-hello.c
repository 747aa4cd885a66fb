/*
 * verb-hello -- HELO, EHLO, LHLO and STARTTLS: who the client says it is, and what it hears that it may say
 * (rfc5321:4.1.1.1, rfc2033:4.1, rfc3207)
 */
#include "smtp/receiver/session_inner.h"

#include "smtp/grammar.h"

static bool
take_hello(struct session *s, struct bytes argument, enum hello hello, const char *syntax)
{
	struct arena *scratch = arena_open(NULL);
	struct bytes  name = helo_name(argument, scratch);

	if (name.len == 0) {
		say(s, "501 5.5.4 Syntax: %s hostname", syntax);
		answered(s);
	} else {
		mail_end(s); /* rfc5321:4.1.4: as if RSET */
		if (s->life == NULL)
			s->life = arena_open(NULL);
		if (!bytes_equal(name, s->helo))
			s->helo = arena_keep(s->life, name);
		s->hello = (uint8_t)hello;
	}
	arena_close(&scratch);
	return name.len > 0;
}

/* Nothing was said, as far as the session is concerned. */
static bool
hello_refused(struct session *s, const struct session_verdict *v)
{
	if (!v->refused)
		return false;
	say_refused(s, s->where, BYTES(""), v);
	s->hello = HELLO_NONE;
	s->helo = (struct bytes){ NULL, 0 };
	answered(s);
	return true;
}

static void
helo_judged(struct session *s, const struct session_verdict *v)
{
	if (hello_refused(s, v))
		return;
	say(s, "250 %s", s->config->myhostname);
	answered(s);
}

static void
helo_looked(struct session *s)
{
	judge(s, MOMENT_HELO, helo_judged);
}

/* Whether its certificate is one of ours may be for a table to say that somebody else has to ask. */
static void
look_at_certificate(struct session *s, void (*then)(struct session *))
{
	const struct setting_list *of = &s->config->set.known_certificates;
	struct tls_facts           t;

	if (of->count > 0 && session_tls(s, &t)) {
		const struct bytes key[] = { bytes_of(t.fingerprint), bytes_of(t.key_fingerprint) };

		s->looked = then;
		if (s->needs->look(s->house, s, of, key, COUNT(key))) {
			hold(s);
			return;
		}
		s->looked = NULL;
	}
	then(s);
}

void
verb_helo(struct session *s, struct bytes name)
{
	if (take_hello(s, name, HELLO_HELO, "HELO"))
		look_at_certificate(s, helo_looked);
}

/* rfc5321:4.1.1.1, rfc2033:4.1 */
static void
ehlo_judged(struct session *s, const struct session_verdict *v)
{
	if (hello_refused(s, v))
		return;
	if (s->filters_deny)
		say(s, "250-%s\r\n250 ENHANCEDSTATUSCODES", s->config->myhostname);
	else {
		struct buffer *out = s->mouth->out(s->mouth_of);
		size_t         from = out->len;

		tell_extensions(s, out);
		overhear(s, out, from);
	}
	history_flush(s);
	answered(s);
}

static void
ehlo_looked(struct session *s)
{
	judge(s, MOMENT_HELO, ehlo_judged);
}

void
verb_ehlo(struct session *s, struct bytes name)
{
	if (take_hello(s, name, HELLO_EHLO, s->lmtp ? "LHLO" : "EHLO"))
		look_at_certificate(s, ehlo_looked);
}

/* rfc3207:4 */
void
verb_starttls(struct session *s, struct bytes none)
{
	(void)none;
	if (!within(s, COUNT_TLS_KNOWN, s->config->set.tls_rate, "New TLS session rate")) {
		say(s, "454 4.7.0 Error: too many new TLS sessions from %s", client_of(s));
		answered(s);
		return;
	}
	say_fixed(s, BYTES("220 2.0.0 Ready to start TLS\r\n"));
	answered(s);
	if (s->over)
		return;
	s->securing = true;
	s->room = room_nothing;
	hold(s);
	s->mouth->secure(s->mouth_of);
}
