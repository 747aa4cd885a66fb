/* How sure a connection must be: values of a table, the keys they stand under, and what a certificate must be. */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "smtp/sender/security.h"

static const char *const hostname[] = { "hostname" }, *const nexthop[] = { "nexthop",
	                                                                   "dot-nexthop" };
static const struct sender_settings rows = { .tls_protocols = "may-p",
	                                     .tls_mandatory_protocols = "must-p",
	                                     .tls_exclude = "E",
	                                     .tls_mandatory_exclude = "M",
	                                     .tls_ciphers = 2,
	                                     .tls_mandatory_ciphers = 3,
	                                     .tls_verify_match = { hostname, 1 },
	                                     .tls_secure_match = { nexthop, 2 } };

/* clang-format off */
static const struct value {
	const char *why, *value, *wanted;     /* level protocols grade exclude match...; "-" it is wrong */
} values[] = {
	{ "the level alone", "may", "1 may-p medium E" },
	{ "where TLS is demanded other settings hold", "encrypt", "2 must-p high E M" },
	{ "each level has its own names", "verify", "6 must-p high E M hostname" },
	{ "secure asks for the destination", "secure", "7 must-p high E M nexthop dot-nexthop" },
	{ "levels in any letters", "SECURE", "7 must-p high E M nexthop dot-nexthop" },
	{ "attributes by blanks and commas", "encrypt protocols=>=TLSv1.3, ciphers=medium exclude=RC4", "2 >=TLSv1.3 medium RC4" },
	{ "names by colons, instead of the settings'", "secure match=a.example:.b.example", "7 must-p high E M a.example .b.example" },
	{ "a second match= is one more", "verify match=a.example match=nexthop", "6 must-p high E M a.example nexthop" },
	{ "fingerprints have colons", "fingerprint match=AA:BB|CC:DD", "5 must-p high E M AA:BB CC:DD" },
	{ "no level", "", "-" },
	{ "a level there is not", "sure", "-" },
	{ "none asks for nothing, whatever else is said", "none match=x colour", "0 may-p medium E" },
	{ "what is said twice is not guessed at", "encrypt ciphers=high ciphers=medium", "-" },
	{ "nor are protocols", "encrypt protocols=TLSv1.2 protocols=TLSv1.3", "-" },
	{ "a name to be asked for that is none", "encrypt servername=bad_name!", "-" },
	{ "each connection for itself", "encrypt connection_reuse=no", "2 must-p high E M alone" },
	{ "or not", "encrypt connection_reuse=yes", "2 must-p high E M" },
	{ "no yes and no no", "encrypt connection_reuse=maybe", "-" },
	{ "a fingerprint that is none", "fingerprint match=zz", "-" },
	{ "one of two that is one", "fingerprint match=zz|AA:BB", "5 must-p high E M AA:BB" },
	{ "names are for those who look at them", "encrypt match=x", "-" },
	{ "a fingerprint without one", "fingerprint", "-" },
	{ "an attribute there is not", "verify colour=red", "-" },
	{ "a grade there is not", "verify ciphers=best", "-" },
	{ "no attribute at all", "verify hostname", "-" },
	{ "an empty match", "verify match=", "-" },
};
static const struct keys { const char *why, *destination, *wanted; } keys[] = {
	{ "a domain and those it is in", "a.b.example", "a.b.example .b.example .example " },
	{ "a host in brackets alone", "[a.b.example]:25", "[a.b.example]:25 " },
	{ "a domain with a port alone", "b.example:587", "b.example:587 " },
	{ "a path alone", "unix:/run/x.y", "unix:/run/x.y " },
	{ "nothing", "", "" },
};
static const struct trust {
	const char *why, *value, *nexthop, *names;     /* what the certificate is for */
	bool        trusted;
	const char *wanted;
} trusts[] = {
	{ "whoever it is", "encrypt", "d.example", "", false, NULL },
	{ "the host's name", "verify", "d.example", "mx.example", true, NULL },
	{ "nobody vouches for it", "verify", "d.example", "mx.example", false, "Server certificate not trusted" },
	{ "the name service is not believed", "secure", "d.example", "mx.example", true, "Server certificate not verified" },
	{ "the destination's name", "secure", "d.example", "d.example", true, NULL },
	{ "a name below it", "secure", "d.example", ".d.example", true, NULL },
	{ "without brackets and port", "secure", "[d.example]:587", "d.example", true, NULL },
	{ "a name of the table", "secure match=x.example", "d.example", "x.example", true, NULL },
	{ "not this one", "secure match=x.example", "d.example", "d.example", true, "Server certificate not verified" },
	{ "a fingerprint needs nobody to vouch", "fingerprint match=aa:bb", "d.example", "", false, NULL },
	{ "or one of the key", "fingerprint match=CC:DD", "d.example", "", false, NULL },
	{ "without colons", "fingerprint match=aabb", "d.example", "", false, NULL },
	{ "a part of it is not it", "fingerprint match=aa", "d.example", "", false, "Server certificate not verified" },
	{ "words of names in any letters", "verify match=HOSTNAME", "d.example", "mx.example", true, NULL },
	{ "another fingerprint", "fingerprint match=EE:FF", "d.example", "d.example", true, "Server certificate not verified" },
};
/* clang-format on */

static void
test_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(values); i++) {
		struct arena   *a = arena_open(NULL);
		struct buffer   b = { 0 };
		struct security s;
		const char     *why;

		if (security_read(bytes_of(values[i].value), &rows, a, &s, &why)) {
			buffer_printf(&b, "%d %s %s %s", s.level, s.protocols, s.grade, s.exclude);
			for (size_t m = 0; m < s.match.count; m++)
				buffer_printf(&b, " %s", s.match.item[m]);
			buffer_add_string(&b, s.alone ? " alone" : "");
		} else {
			assert_non_null(why);
			buffer_add_string(&b, "-");
		}
		buffer_add_char(&b, '\0');
		if (strcmp(b.at, values[i].wanted) != 0)
			fail_msg("%s: %s", values[i].why, b.at);
		buffer_free(&b);
		arena_close(&a);
	}
}

static void
test_keys(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(keys); i++) {
		struct bytes  key = { NULL, 0 };
		struct buffer b = { 0 };

		while (security_next(bytes_of(keys[i].destination), &key))
			buffer_printf(&b, "%.*s ", (int)key.len, key.at);
		buffer_add_char(&b, '\0');
		if (strcmp(b.at, keys[i].wanted) != 0)
			fail_msg("%s: %s", keys[i].why, b.at);
		buffer_free(&b);
	}
}

static bool
named(void *ctx, const char *name)
{
	return strcmp(ctx, name) == 0;
}

static void
test_trust(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(trusts); i++) {
		const struct trust *t = &trusts[i];
		struct arena       *a = arena_open(NULL);
		struct tls_facts    facts = { .certificate = true,
			                      .trusted = t->trusted,
			                      .fingerprint = "AA:BB",
			                      .key_fingerprint = "CC:DD" };
		struct security     s;
		const char         *why, *said;

		assert_true(security_read(bytes_of(t->value), &rows, a, &s, &why));
		said = security_trusts(&s, &facts, "mx.example", t->nexthop, a, named,
		                       (void *)(uintptr_t)t->names);
		if ((said == NULL) != (t->wanted == NULL) ||
		    (said != NULL && strcmp(said, t->wanted) != 0))
			fail_msg("%s: %s", t->why, said != NULL ? said : "trusted");
		arena_close(&a);
	}
}

UNIT(test_values, test_keys, test_trust)
