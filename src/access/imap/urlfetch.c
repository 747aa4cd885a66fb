/* URLFETCH: what signed URLs name, whoever's it is (rfc4467:7) */
#include <errno.h>
#include <string.h>

#include "access/imap/urlauth.h"
#include "access/imap/urlread.h"
#include "access/imap/write.h"

enum { URLS_MOST = 256, READ_ROOM = 16 << 10 };

struct urlfetch_work {
	struct bytes       *text;
	size_t              count, at;
	struct imap        *session;
	struct imap_url     url;
	const char         *owner;
	struct imap_who    *asked;
	bool                answered; /* and this is the answer, if there is an account: */
	struct access_facts facts;
	struct resource     resource;
	bool                open;
};

/* urlfetch = "URLFETCH" 1*(SP url-full)   rfc4467:9 */
static void
urlfetch_parse(struct imap *s, struct scan *r)
{
	struct urlfetch_work *w = s->work = arena_take(s->scratch, sizeof *w);

	w->session = s;
	w->text = arena_take_array(s->scratch, URLS_MOST, sizeof *w->text);
	do {
		read_space(r);
		if (w->count == URLS_MOST) {
			scan_fail(r, "fewer URLs");
			return;
		}
		w->text[w->count++] = read_astring(r, s->scratch);
	} while (scan_ok(r) && scan_next_is(r, ' '));
}

/* ---- whose URL is it? ---- */

static void
owner_found(void *who, const struct access_facts *facts)
{
	struct urlfetch_work *w = who;

	w->asked = NULL;
	w->answered = true;
	if (facts != NULL)
		imap_keep_facts(&w->facts, facts, w->session->scratch);
	imap_wake(w->session);
}

/* STEP_DONE: known, or (no account) not to be known. */
static enum imap_step
find_owner(struct imap *s, struct urlfetch_work *w)
{
	void                    *ctx;
	const struct imap_needs *needs = imap_needs_of(s, &ctx);

	if (w->answered)
		return STEP_DONE;
	if (w->asked != NULL)
		return STEP_WAIT;
	if (bytes_is(bytes_of(w->owner), s->facts.user)) {
		w->facts = s->facts;
		w->answered = true;
		return STEP_DONE;
	}
	w->asked = needs->who(ctx, w->owner, owner_found, w);
	w->answered = w->asked == NULL;
	return w->answered ? STEP_DONE : STEP_WAIT;
}

/* ---- what it names ---- */

/* urlfetch-data = "*" SP "URLFETCH" 1*(SP url-full SP nstring): NIL for whatever reason (rfc4467:8) */
static enum imap_step
begin_url(struct imap *s, struct urlfetch_work *w)
{
	struct buffer *out;
	bool good = url_read(w->text[w->at], s->scratch, &w->url) && urlread_names(&w->url) &&
	            urlauth_is_ours(&imap_config_of(s)->rows.url_hosts, &w->url);

	if (good) {
		w->owner = urlauth_address(s->scratch, w->url.user, s->facts.user);
		good = urlauth_admits(s, &w->url, w->owner);
	}
	if (good && find_owner(s, w) != STEP_DONE)
		return STEP_WAIT;
	good = good && urlread_open(s->service, &w->facts, &w->url, s->scratch, &w->resource) == 0;
	w->answered = false;
	w->facts = (struct access_facts){ 0 };
	out = imap_out(s);
	buffer_add_string(out, "* URLFETCH ");
	write_string(out, w->text[w->at]);
	if (!good) {
		buffer_add_string(out, " NIL\r\n");
		w->at++;
		return STEP_DONE;
	}
	buffer_printf(out, " {%llu}\r\n", (unsigned long long)w->resource.len);
	w->open = true;
	return STEP_DONE;
}

/* Half of a literal cannot be called back. */
static void
say_piece(struct imap *s, struct urlfetch_work *w)
{
	char    room[READ_ROOM];
	ssize_t n = resource_read(&w->resource, room, sizeof room);

	if (n > 0) {
		buffer_add(imap_out(s), (struct bytes){ room, (size_t)n });
		return;
	}
	resource_close(&w->resource);
	w->open = false;
	w->at++;
	if (n < 0)
		imap_end(s, "Message damaged");
	else
		buffer_add_string(imap_out(s), "\r\n");
}

static enum imap_step
urlfetch_run(struct imap *s)
{
	struct urlfetch_work *w = s->work;

	if (w->open && resource_again(&w->resource) != 0)
		imap_end(s, "Message damaged");
	while (w->at < w->count && s->end == NULL) {
		if (imap_full(s) || imap_turn_over(s))
			return STEP_AGAIN;
		if (w->open)
			say_piece(s, w);
		else if (begin_url(s, w) == STEP_WAIT)
			return STEP_WAIT;
	}
	return imap_ok(s, "Urlfetch completed.");
}

static void
urlfetch_drop(struct imap *s)
{
	struct urlfetch_work *w = s->work;
	void                 *ctx;

	if (w->asked != NULL)
		imap_needs_of(s, &ctx)->who_drop(w->asked);
	if (w->open)
		resource_close(&w->resource);
}

const struct imap_command imap_urlfetch = {
	.name = "URLFETCH",
	.rfc = "rfc4467:7",
	.in = ANYWHERE,
	.effect = MAY_EXPUNGE,
	.parse = urlfetch_parse,
	.run = urlfetch_run,
	.drop = urlfetch_drop,
};
