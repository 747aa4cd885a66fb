/* Where a domain wants reports about TLS: what its record may name, and what it may not. */
#include "unit.h"

#include <string.h>

#include "smtp/sender/rua.h"

#define V "v=TLSRPTv1; "
#define TEN "0123456789"
#define FIFTY TEN TEN TEN TEN TEN
#define LABEL FIFTY TEN "."

/* clang-format off */
static const struct record_case { const char *why, *one, *two, *first; size_t count; } records[] = {
	{ "rfc8460:3 the example by mail", "v=TLSRPTv1;rua=mailto:reports@example.com", NULL, "reports@example.com", 1 },
	{ "rfc8460:3 the example by HTTPS", V "rua=https://reporting.example.com/v1/tlsrpt", NULL, "reporting.example.com /v1/tlsrpt", 1 },
	{ "rfc8460:3 several", V "rua=mailto:a@example.com,https://b.example/", NULL, "a@example.com", 2 },
	{ "no more than there is room for", V "rua=mailto:a@a.example,mailto:a@b.example,mailto:a@c.example,mailto:a@d.example,mailto:a@e.example", NULL, "a@a.example", 4 },
	{ "another text stands beside it", "v=spf1 -all", "v=TLSRPTv1;rua=mailto:a@example.com", "a@example.com", 1 },
	{ "rfc8460:3 two are none", V "rua=mailto:a@example.com", V "rua=mailto:b@example.com", NULL, 0 },
	{ "another version", "v=TLSRPTv2;rua=mailto:a@example.com", NULL, NULL, 0 },
	{ "what nobody knows is passed over", V "x=y;rua=mailto:a@example.com", NULL, "a@example.com", 1 },
	{ "in the clear", V "rua=http://a.example/", NULL, NULL, 0 },
	{ "another port", V "rua=https://a.example:25/", NULL, NULL, 0 },
	{ "the port it has anyway", V "rua=https://a.example:443/x", NULL, "a.example /x", 1 },
	{ "no host", V "rua=https:///x", NULL, NULL, 0 },
	{ "an address literal", V "rua=mailto:a@[192.0.2.1]", NULL, NULL, 0 },
	{ "more of a URL", V "rua=mailto:a@example.com?subject=x", NULL, NULL, 0 },
	{ "another line of a letter", V "rua=mailto:a\r\nBcc:x@example.com", NULL, NULL, 0 },
	{ "what would be quoted", V "rua=mailto:a:b@example.com", NULL, NULL, 0 },
	{ "nobody", V "rua=mailto:@example.com", NULL, NULL, 0 },
	{ "rfc5321:4.5.3.1.1 64 bytes before the @", V "rua=mailto:" FIFTY TEN "0123@example.com", NULL, FIFTY TEN "0123@example.com", 1 },
	{ "and one more", V "rua=mailto:" FIFTY TEN "01234@example.com", NULL, NULL, 0 },
	{ "rfc5321:4.5.3.1.3 a path has 256 bytes", V "rua=mailto:" FIFTY TEN "@" LABEL LABEL LABEL "example", NULL, NULL, 1 },
	{ "this is one of more", V "rua=mailto:" FIFTY TEN "@" LABEL LABEL LABEL "0123.example", NULL, NULL, 0 },
};
/* clang-format on */

static void
test_records(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(records); i++) {
		const struct record_case *c = &records[i];
		const char               *texts[] = { c->one, c->two };
		struct arena             *a = arena_open(NULL);
		struct answer_record      r[2];
		struct answer             x = { .status = ANSWER_FOUND, .record = r };
		struct rua                rua[RUA_MOST];
		struct buffer             wire[2] = { { 0 }, { 0 } };
		size_t                    n;

		for (n = 0; n < COUNT(texts) && texts[n] != NULL; n++) {
			struct bytes rest = bytes_of(texts[n]);

			while (rest.len > 0) {
				struct bytes piece = bytes_cut(rest, 0, 255);

				buffer_add_char(&wire[n], (char)piece.len);
				buffer_add(&wire[n], piece);
				rest = bytes_cut(rest, piece.len, SIZE_MAX);
			}
			r[x.records++] = (struct answer_record){ .data = buffer_bytes(&wire[n]) };
		}
		n = rua_read(&x, a, rua);
		if (n != c->count)
			fail_msg("%s: %zu", c->why, n);
		if (n > 0 && c->first != NULL &&
		    strcmp(rua[0].web ? arena_printf(a, "%s %s", rua[0].to, rua[0].path) : rua[0].to, c->first) != 0)
			fail_msg("%s: %s", c->why, rua[0].to);
		/* The queue ends a sender that names anything else. */
		for (size_t k = 0; k < n; k++)
			HOLDS(c->why, rua[k].web || rua_is_address(bytes_of(rua[k].to)));
		buffer_free(&wire[0]);
		buffer_free(&wire[1]);
		arena_close(&a);
	}
}

UNIT(test_records)
