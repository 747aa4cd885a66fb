/* What EHLO tells: each extension where it is allowed and true, in the order Postfix has them */
#include "smtp/receiver/session_inner.h"

#include <time.h>

#include "base/clock.h"
#include "message/envelope.h"
#include "smtp/extension.h"

static bool
is_plain_with_tls(const struct session *s)
{
	return !s->secure && s->config->tls != NULL && s->config->set.tls_level != TLS_NONE;
}

static bool
vrfy_is_on(const struct session *s)
{
	return !s->config->set.vrfy_disabled;
}

static bool
may_expand(const struct session *s)
{
	return s->may_expn;
}

static bool
may_flush(const struct session *s)
{
	return !s->lmtp && s->config->set.flush_domains.count > 0;
}

static bool
may_log_in(const struct session *s)
{
	return s->secure || s->config->set.tls_level != TLS_ENCRYPT;
}

static bool
takes_utf8(const struct session *s)
{
	return s->config->set.utf8;
}

static bool
is_secure(const struct session *s)
{
	return s->secure; /* rfc8689:2 */
}

static bool
is_submission(const struct session *s)
{
	return s->config->set.future_release > 0 &&
	       (s->config->kind == KIND_SUBMISSION || s->config->kind == KIND_SUBMISSIONS);
}

/* Who has not logged in has nobody on whose behalf a URL is read (rfc4468:3.3). */
static bool
reads_urls(const struct session *s)
{
	return s->user.len > 0 &&
	       (s->config->kind == KIND_SUBMISSION || s->config->kind == KIND_SUBMISSIONS);
}

static bool
takes_priorities(const struct session *s)
{
	return s->config->set.priority_permitted != PRIORITY_NOBODY;
}

static bool
may_verp(const struct session *s)
{
	return s->may_verp;
}

static bool
unsolicited(const struct session *s)
{
	return s->config->set.no_soliciting.count > 0;
}

/*
 * What stands behind the word
 */

static void
tell_size(struct session *s, struct buffer *out)
{
	if (s->config->set.message_size > 0)
		buffer_printf(out, " %lld", (long long)s->config->set.message_size);
}

/* max-future-release-interval SP max-future-release-date-time               rfc4865:4.1 */
static void
tell_future(struct session *s, struct buffer *out)
{
	int64_t   seconds = s->config->set.future_release / 1000;
	time_t    last = (time_t)(clock_wall() + seconds);
	struct tm tm;
	char      text[32];

	if (gmtime_r(&last, &tm) != NULL &&
	    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm) > 0)
		buffer_printf(out, " %lld %s", (long long)seconds, text);
}

static void
tell_deliver_by(struct session *s, struct buffer *out)
{
	buffer_printf(out, " %lld", (long long)(s->config->set.deliver_by_least / 1000));
}

enum { LIMIT_TOLD_MOST = 999999 }; /* rfc9422:4 has room for six digits */

static bool
may_be_told(int64_t limit)
{
	return limit > 0 && limit <= LIMIT_TOLD_MOST;
}

/* rfc9422:4 */
static void
tell_limits(struct session *s, struct buffer *out)
{
	const struct receiver_settings *set = &s->config->set;

	if (may_be_told(mails_most(s)) && !set->auth_required)
		buffer_printf(out, " MAILMAX=%lld", (long long)mails_most(s));
	buffer_printf(out, " RCPTMAX=%lld", (long long)recipients_most(s));
	if (may_be_told(set->session_domains))
		buffer_printf(out, " RCPTDOMAINMAX=%lld", (long long)set->session_domains);
}

static void
tell_soliciting(struct session *s, struct buffer *out)
{
	const struct setting_list *list = &s->config->set.no_soliciting;

	for (size_t i = 0; i < list->count; i++)
		buffer_printf(out, "%c%s", i == 0 ? ' ' : ',', list->item[i]);
}

/* clang-format off */
static const struct offer {
	unsigned    bit;
	const char *word;
	bool      (*there)(const struct session *);              /* NULL: always */
	void      (*more)(struct session *, struct buffer *);    /* NULL: nothing */
} offers[] = {
	{ EXTENSION_PIPELINING,    "PIPELINING",          NULL,              NULL },
	{ EXTENSION_SIZE,          "SIZE",                NULL,              tell_size },
	{ EXTENSION_VRFY,          "VRFY",                vrfy_is_on,        NULL },
	{ EXTENSION_EXPN,          "EXPN",                may_expand,        NULL },
	{ EXTENSION_ETRN,          "ETRN",                may_flush,         NULL },
	{ EXTENSION_STARTTLS,      "STARTTLS",            is_plain_with_tls, NULL },
	{ EXTENSION_AUTH,          NULL,                  may_log_in,        offer_auth },
	{ EXTENSION_XCLIENT,       NULL,                  NULL,              offer_xclient },
	{ EXTENSION_XFORWARD,      NULL,                  NULL,              offer_xforward },
	{ EXTENSION_XVERP,         "XVERP",               may_verp,          NULL },
	{ EXTENSION_STATUS_CODES,  "ENHANCEDSTATUSCODES", NULL,              NULL },
	{ EXTENSION_8BITMIME,      "8BITMIME",            NULL,              NULL },
	{ EXTENSION_DSN,           "DSN",                 NULL,              NULL },
	{ EXTENSION_SMTPUTF8,      "SMTPUTF8",            takes_utf8,        NULL },
	{ EXTENSION_CHUNKING,      "CHUNKING",            NULL,              NULL },
	{ EXTENSION_BINARYMIME,    "BINARYMIME",          NULL,              NULL },
	{ EXTENSION_BURL,          "BURL imap",           reads_urls,        NULL },
	{ EXTENSION_REQUIRETLS,    "REQUIRETLS",          is_secure,         NULL },
	{ EXTENSION_FUTURERELEASE, "FUTURERELEASE",       is_submission,     tell_future },
	{ EXTENSION_DELIVERBY,     "DELIVERBY",           NULL,              tell_deliver_by },
	{ EXTENSION_PRIORITY,      "MT-PRIORITY",         takes_priorities,  NULL },
	{ EXTENSION_NO_SOLICITING, "NO-SOLICITING",       unsolicited,       tell_soliciting },
	{ EXTENSION_LIMITS,        "LIMITS",              NULL,              tell_limits },
};
/* clang-format on */

unsigned
extensions_of(const struct session *s)
{
	unsigned bits = 0;

	for (size_t i = 0; i < COUNT(offers); i++)
		if (offers[i].there == NULL || offers[i].there(s))
			bits |= offers[i].bit;
	bits &= ~s->discarded;
	if (s->config->proxied) /* what no other server can be told of */
		bits &= ~(unsigned)(EXTENSION_BINARYMIME | EXTENSION_BURL | EXTENSION_REQUIRETLS |
		                    EXTENSION_FUTURERELEASE | EXTENSION_DELIVERBY |
		                    EXTENSION_PRIORITY | EXTENSION_XVERP);
	return bits & EXTENSION_CHUNKING
	               ? bits
	               : bits & ~(unsigned)(EXTENSION_BINARYMIME | EXTENSION_BURL);
}

/* rfc5321:4.1.1.1, rfc2033:4.1: the last line has a blank behind its code. */
void
tell_extensions(struct session *s, struct buffer *out)
{
	unsigned bits = extensions_of(s);
	size_t   last = out->len;

	buffer_printf(out, "250-%s\r\n", s->config->myhostname);
	for (size_t i = 0; i < COUNT(offers); i++) {
		size_t at = out->len;

		if (!(bits & offers[i].bit))
			continue;
		if (offers[i].word != NULL)
			buffer_printf(out, "250-%s", offers[i].word);
		if (offers[i].more != NULL)
			offers[i].more(s, out);
		if (offers[i].word != NULL)
			buffer_add(out, BYTES("\r\n"));
		if (out->len > at)
			last = at;
	}
	out->at[last + 3] = ' ';
}
