/* Requests of HTTP, as anybody on port 80 writes them, and what is found in them. */
#include <stdlib.h>

#include "guide/client.h"
#include "guide/webwish.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

static bool
is_within(struct bytes part, struct bytes all)
{
	return part.len == 0 || (part.at >= all.at && part.at + part.len <= all.at + all.len);
}

/* A name that can stand in what is told, and in a line of the log. */
static bool
is_plain(struct bytes name)
{
	for (size_t i = 0; i < name.len; i++)
		if (!((name.at[i] >= 'a' && name.at[i] <= 'z') ||
		      (name.at[i] >= '0' && name.at[i] <= '9') || name.at[i] == '.' ||
		      name.at[i] == '-' || name.at[i] == '_'))
			return false;
	return name.len > 0 && name.len < 256;
}

static void
try_wish(const struct webrequest *r)
{
	static const struct client_facts facts = {
		.host = "mail.example.org",
		.server = { { CLIENT_IMAP, 993, true, CLIENT_PASSWORD } },
		.servers = 1
	};
	struct arena *a = arena_open(NULL);
	struct buffer out = { 0 };
	struct webwish e;

	webwish_of(r, a, &e);
	if (e.status == 0 && e.kind != WEBWISH_CHALLENGE) {
		if (!is_plain(e.domain) || e.address.len > WEBWISH_ADDRESS_MOST)
			abort();
		client_mozilla(&facts, e.domain, &out);
		client_outlook(&facts, e.address, &out);
		for (size_t i = 0; i < out.len; i++)
			if ((unsigned char)out.at[i] < ' ' && out.at[i] != '\n')
				abort();
	}
	buffer_free(&out);
	arena_close(&a);
}

int
LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
	struct bytes            all = { (const char *)at, len };
	struct webrequest       r, part;
	enum webrequest_outcome o = webrequest_read(all, &r);

	if (o == WEBREQUEST_BAD && (r.status < 400 || r.status > 599))
		abort();
	if (o == WEBREQUEST_MORE && len > 2 + WEBREQUEST_HEAD_MOST + 4 + WEBREQUEST_BODY_MOST)
		abort();
	/* What comes in pieces is no other: nothing is whole before its end and different behind it. */
	for (size_t n = 0; n < len && o == WEBREQUEST_WHOLE; n += 1 + len / 16)
		if (webrequest_read(bytes_cut(all, 0, n), &part) == WEBREQUEST_WHOLE &&
		    (!bytes_equal(part.path, r.path) || !bytes_equal(part.body, r.body)))
			abort();
	if (o == WEBREQUEST_WHOLE) {
		if (!is_within(r.path, all) || !is_within(r.query, all) || !is_within(r.host, all) ||
		    !is_within(r.body, all) || r.body.len > WEBREQUEST_BODY_MOST)
			abort();
		try_wish(&r);
	}
	return 0;
}
