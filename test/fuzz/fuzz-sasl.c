/*
 * Messages of a SASL exchange, one a line, behind the name of the mechanism.  Whoever is let in without
 * a password to be checked must have proved it: no noise can.
 */
#include <stdlib.h>
#include <string.h>

#include "base/journal.h"
#include "sasl/sasl.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static bool
verifier(void *ctx, struct bytes user, const char *hash, struct arena *a, struct sasl_verifier *out)
{
	(void)ctx, (void)a;
	*out = (struct sasl_verifier){ "4096", "W22ZaJ0SNY7soEsUEjb6gQ==",
		                       strcmp(hash, "SHA-1") == 0
		                               ? "AAAAAAAAAAAAAAAAAAAAAAAAAAA="
		                               : "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=",
		                       "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=" };
	return user.len != 3;
}

static enum sasl_outcome
secret(void *ctx, struct bytes user, struct arena *a, struct bytes *out)
{
	(void)ctx;
	*out = arena_keep(a, BYTES("nobody guesses this 0f8e1d"));
	return user.len == 3 ? SASL_LATER : user.len == 2 ? SASL_REFUSED : SASL_PROVED;
}

static enum sasl_outcome
derived(void *ctx, struct bytes user, const char *scheme, struct arena *a, struct bytes *out)
{
	(void)ctx, (void)a;
	*out = BYTES("an outer state..an inner state..");
	if (scheme[0] == 'D')
		out->len = 16;
	return user.len % 2 == 0 ? SASL_REFUSED : SASL_PROVED;
}

static enum sasl_outcome
one_time(void *ctx, struct bytes user, struct arena *a, struct sasl_one_time *out)
{
	(void)ctx, (void)a;
	*out = (struct sasl_one_time){ "md5", "test", 100, "\1\2\3\4\5\6\7" };
	return user.len == 3 ? SASL_LATER : user.len == 2 ? SASL_REFUSED : SASL_PROVED;
}

static enum sasl_outcome
one_time_used(void *ctx, struct bytes user, const struct sasl_one_time *was,
              const struct sasl_one_time *next)
{
	(void)ctx, (void)user, (void)was, (void)next;
	return SASL_PROVED;
}

static enum sasl_outcome
certificate(void *ctx, const struct sasl_certificate *c, struct bytes acting, struct arena *a,
            struct bytes *user)
{
	(void)ctx, (void)c, (void)acting, (void)a, (void)user;
	return SASL_REFUSED;
}

static const char *
anonymous(void *ctx)
{
	(void)ctx;
	return "";
}

static void
token_hint(void *ctx, const char **scope, const char **configuration)
{
	(void)ctx;
	*scope = "\"mail";
	*configuration = "https://example.com/";
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct sasl_needs needs = { verifier,    secret,    derived,    one_time,  one_time_used,
		                          certificate, anonymous, token_hint, NULL };
	static const struct sasl_binding bound = { "tls-exporter", { "0123", 4 } };
	static const struct sasl_facts   facts = { .service = "imap", .host = "mail.example.com", .tls = true, .plus = true,
		                                   .binding = &bound, .bindings = 1, .certificate = { .fingerprint = { "AB", 2 } } };
	struct bytes                   rest = { (const char *)data, size }, part;
	struct buffer                  out = { 0 };
	enum sasl_outcome              o = SASL_MORE;
	struct sasl                   *s;

	if (!bytes_split(&rest, '\n', &part))
		return 0;
	s = sasl_begin(part, &facts, &needs, NULL);
	if (s == NULL)
		return 0;
	while (o == SASL_MORE) {
		bool more = bytes_split(&rest, '\n', &part);

		buffer_reset(&out);
		o = sasl_step(s, more, more ? part : BYTES(""), &out);
		if (!more && o == SASL_MORE && rest.len == 0)
			break;
	}
	if (o == SASL_TOKEN && (sasl_password(s).len == 0 || bytes_find(sasl_user(s), '\0') >= 0))
		abort();
	if (o == SASL_TOKEN)
		o = sasl_token_said(s, SASL_REFUSED, BYTES(""), &out);
	if (o == SASL_PROVED)
		abort();
	if (o == SASL_CHECK && (sasl_user(s).len == 0 || sasl_password(s).len == 0 ||
	                        bytes_find(sasl_user(s), '\0') >= 0))
		abort();
	sasl_end(&s);
	buffer_free(&out);
	return 0;
}
