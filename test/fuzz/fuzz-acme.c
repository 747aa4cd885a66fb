/* An ACME server that says what it likes: whatever it says, an order ends, and with a chain for our key or with words. */
#include <stdlib.h>
#include <string.h>

#include "acme/order.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

enum { FETCHES_MOST = 400, WAITS_MOST = 20 };

struct server {
	struct bytes rest;
	unsigned     fetches, waits;
};

/* "STATUS LOCATION NONCE" in a line, then the body up to a line "--". */
static bool
fetch(void *ctx, const char *method, const char *url, const struct buffer *body,
      struct order_answer *a)
{
	struct server *s = ctx;
	struct bytes   line, word;
	ptrdiff_t      end = bytes_search(s->rest, BYTES("\n--\n"));
	struct bytes   all = end < 0 ? s->rest : bytes_cut(s->rest, 0, (size_t)end);
	uint64_t       n = 0;

	(void)method, (void)body;
	if (strncmp(url, "https://", 8) != 0)
		abort();
	if (++s->fetches > FETCHES_MOST || s->rest.len == 0)
		return false;
	s->rest = end < 0 ? (struct bytes){ NULL, 0 }
	                  : bytes_cut(s->rest, (size_t)end + 4, s->rest.len);
	if (!bytes_split(&all, '\n', &line))
		return true;
	if (bytes_split(&line, ' ', &word) && bytes_number(word, &n))
		a->status = (long)(n % 1000);
	if (bytes_split(&line, ' ', &word))
		(void)bytes_string(word, a->location, sizeof a->location);
	if (bytes_split(&line, ' ', &word))
		(void)bytes_string(word, a->nonce, sizeof a->nonce);
	buffer_add(&a->body, all);
	return true;
}

static bool
show(void *ctx, const struct order_challenge *c)
{
	(void)ctx;
	/* It becomes a part of a path. */
	if (strpbrk(c->token, "/. \r\n%?") != NULL || *c->token == '\0' ||
	    !bytes_starts(c->authorization, bytes_of(c->token)))
		abort();
	return true;
}

static void
forget(void *ctx)
{
	(void)ctx;
}

static bool
pause_for(void *ctx, int64_t ms)
{
	if (ms <= 0)
		abort();
	return ++((struct server *)ctx)->waits < WAITS_MOST;
}

int
LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
	static const struct order_hooks hooks = { fetch, show, forget, pause_for };
	static const char *const        names[] = { "mail.example.org", "imap.example.org" };
	static const char *const        contacts[] = { "postmaster@example.org" };
	static struct jose_key         *key;
	struct server                   s = { { (const char *)at, len }, 0, 0 };
	struct order_result             out = { .retry_s = 0 };
	struct order_wish               w = { .directory = "https://ca.example/dir",
		                              .name = names,
		                              .names = 2,
		                              .contact = contacts,
		                              .contacts = 1,
		                              .challenge = "http-01" };

	if (key == NULL)
		key = jose_make();
	w.account = key;
	if (order_run(&w, &hooks, &s, &out) != (out.why[0] == '\0'))
		abort();
	buffer_free(&out.key);
	buffer_free(&out.chain);
	return 0;
}
