/* URLFETCH: what signed URLs name, whoever's it is (rfc4467:7) */
#include <errno.h>
#include <string.h>

#include "access/imap/decoding.h"
#include "access/imap/urlauth.h"
#include "access/imap/urlread.h"
#include "access/imap/write.h"

enum { URLS_MOST = 256, READ_ROOM = 16 << 10 };

/* What is wanted of a URL; nothing: its bytes, as before there was anything else to want (rfc5524:3). */
enum url_item { URL_BODY = 1, URL_BINARY = 2, URL_STRUCTURE = 4 };
static const struct {
	const char   *name;
	enum url_item item;
} items[] = {
	{ "BODYPARTSTRUCTURE", URL_STRUCTURE },
	{ "BODY", URL_BODY },
	{ "BINARY", URL_BINARY },
};

struct asked_url {
	struct bytes text;
	unsigned     items;
};

struct urlfetch_work {
	struct asked_url    *asked_url;
	size_t               count, at;
	struct imap         *session;
	struct imap_url      url;
	const char          *owner;
	struct imap_who     *asked;
	bool                 answered; /* and this is the answer, if there is an account: */
	struct access_facts  facts;
	struct resource      resource;
	bool                 open;
	struct decoding      decoding;
	enum digest_encoding encoding; /* to be taken off                      */
	bool                 decodes, begun;
	uint64_t             from, left; /* of the decoded bytes               */
};

/* url-fetch-ext = "(" url-full *(SP url-fetch-param) ")"   rfc5524:5; each once, and not both BODY and BINARY */
static void
read_url(struct imap *s, struct scan *r, struct asked_url *u)
{
	bool listed = scan_skip(r, '(');

	u->text = read_astring(r, s->scratch);
	while (listed && scan_ok(r) && scan_skip(r, ' ')) {
		struct scan  at = *r;
		struct bytes name = read_atom(r);
		unsigned     before = u->items;
		for (size_t i = 0; i < COUNT(items); i++)
			if (bytes_is(name, items[i].name))
				u->items += (u->items & items[i].item) == 0 ? items[i].item : 0;
		if (u->items == before || (u->items & URL_BODY && u->items & URL_BINARY)) {
			*r = at;
			scan_fail(r, "BODYPARTSTRUCTURE, BODY or BINARY, once");
		}
	}
	if (listed)
		scan_expect(r, ")");
}

/* urlfetch = "URLFETCH" 1*(SP url-fetch-arg)   rfc4467:9, rfc5524:5 */
static void
urlfetch_parse(struct imap *s, struct scan *r)
{
	struct urlfetch_work *w = s->work = arena_take(s->scratch, sizeof *w);

	w->session = s;
	w->asked_url = arena_take_array(s->scratch, URLS_MOST, sizeof *w->asked_url);
	do {
		read_space(r);
		if (w->count == URLS_MOST) {
			scan_fail(r, "fewer URLs");
			return;
		}
		read_url(s, r, &w->asked_url[w->count++]);
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

/* Is there a transfer encoding?  The text of a letter that is one part has the letter's. */
static void
find_encoding(struct urlfetch_work *w)
{
	struct resource   *r = &w->resource;
	struct digest_part part;

	w->decodes = false;
	if (r->gathered)
		return;
	part = digest_part_at(&r->letter.digest, r->span.part);
	w->encoding = (enum digest_encoding)part.encoding;
	w->decodes = part.kind == PART_LEAF &&
	             ((r->section.what == SECTION_ALL && r->section.depth > 0) ||
	              r->section.what == SECTION_TEXT) &&
	             (w->encoding == ENCODED_QP || w->encoding == ENCODED_BASE64 ||
	              w->encoding == ENCODED_OTHER);
}

/* url-metadata = 1*(SP "(" url-metadata-el ")"), up to where the bytes begin.  False: nothing more comes. */
static bool
begin_items(struct imap *s, struct urlfetch_work *w, unsigned wanted)
{
	struct buffer *out = imap_out(s);
	bool           nul = wanted & URL_BINARY && w->resource.letter.digest.flags & DIGEST_NUL;

	if (wanted & URL_STRUCTURE) {
		struct bytes told =
			section_structure(&w->resource.section, &w->resource.letter.digest,
		                          w->resource.letter.digest.bodystructure);
		buffer_add_string(out, " (BODYPARTSTRUCTURE ");
		buffer_add(out, told.len > 0 ? told : BYTES("NIL"));
		buffer_add_char(out, ')');
	}
	if (wanted == URL_STRUCTURE)
		return false;
	find_encoding(w);
	w->decodes &= (wanted & URL_BINARY) != 0;
	w->begun = false;
	if (wanted != 0)
		buffer_add_string(out, wanted & URL_BINARY ? " (BINARY " : " (BODY ");
	else
		buffer_add_char(out, ' ');
	if (!w->decodes)
		buffer_printf(out, "%s{%llu}\r\n", nul ? "~" : "",
		              (unsigned long long)w->resource.len);
	return true;
}

static void
url_over(struct imap *s, struct urlfetch_work *w)
{
	if (w->open)
		resource_close(&w->resource);
	w->open = false;
	decoding_drop(&w->decoding);
	buffer_add_string(imap_out(s),
	                  w->asked_url[w->at].items & (URL_BODY | URL_BINARY) ? ")\r\n" : "\r\n");
	w->at++;
}

/* urlfetch-data = "*" SP "URLFETCH" 1*(SP url-full SP nstring): NIL for whatever reason (rfc4467:8) */
static enum imap_step
begin_url(struct imap *s, struct urlfetch_work *w)
{
	struct buffer    *out;
	struct asked_url *u = &w->asked_url[w->at];
	bool              good = url_read(u->text, s->scratch, &w->url) && urlread_names(&w->url) &&
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
	write_string(out, u->text);
	if (!good) {
		buffer_add_string(out, " NIL\r\n");
		w->at++;
		return STEP_DONE;
	}
	w->open = true;
	if (!begin_items(s, w, u->items))
		url_over(s, w);
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
	if (n < 0)
		imap_end(s, "Message damaged");
	url_over(s, w);
}

static uint64_t
clipped(const struct urlfetch_work *w, uint64_t total)
{
	uint64_t len = total > w->from ? total - w->from : 0;

	return w->url.partial && w->url.most > 0 && w->url.most < len ? w->url.most : len;
}

/* url-meta-binary = "BINARY" SP (nstring / literal8): a range is one of decoded bytes; NIL where they cannot be told */
static enum imap_step
say_decoded(struct imap *s, struct urlfetch_work *w)
{
	struct decoding *d = &w->decoding;
	struct letter   *l = &w->resource.letter;

	if (d->state == DECODING_IDLE && w->encoding != ENCODED_OTHER) {
		w->from = w->url.partial ? w->url.from : 0;
		decoding_ask(d, s, l, &w->resource.span, w->encoding, w->from,
		             w->url.partial && w->url.most > 0 ? w->url.most : UINT64_MAX);
	}
	while (d->state == DECODING_HERE) {
		uint64_t got = d->part.len;
		if (!w->begun) {
			w->left = clipped(w, d->total);
			buffer_printf(imap_out(s), "%s{%llu}\r\n", d->nul ? "~" : "",
			              (unsigned long long)w->left);
			w->begun = true;
		}
		buffer_add(imap_out(s), buffer_bytes(&d->part));
		if (got == w->left) {
			url_over(s, w);
			return STEP_DONE;
		}
		w->from += got;
		w->left -= got;
		decoding_on(d, s, l, &w->resource.span, w->encoding, w->from, w->left);
		if (got == 0)
			d->state = DECODING_FAILED;
	}
	if (d->state == DECODING_ASKED)
		return STEP_WAIT;
	if (w->begun)
		imap_end(s, "Message damaged");
	else
		buffer_add_string(imap_out(s), "NIL");
	url_over(s, w);
	return STEP_DONE;
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
		if (w->open && w->decodes) {
			if (say_decoded(s, w) == STEP_WAIT)
				return STEP_WAIT;
		} else if (w->open)
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
	decoding_drop(&w->decoding);
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
