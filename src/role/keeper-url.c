/*
 * keeper-url -- pours what a signed URL names into a socket, for a letter that is submitted (URL_READ, rfc4468)
 *
 * Some milliseconds in a turn and no more than the socket takes: who does not read stops nobody.
 */
#include "role/keeper.h"

#include <errno.h>
#include <unistd.h>

#include "access/imap/urlauth.h"
#include "access/imap/urlread.h"
#include "base/clock.h"
#include "channel/stream.h"

enum {
	PIECE = 16 << 10,
	GATHERED = 128 << 10,
	TURN_MS = 4,
	PATIENCE_MS = 60000,
	READINGS_MOST = 256
};

struct url_reading {
	struct url_reading *next;
	struct keeper      *keeper;
	struct stream      *stream;
	struct timer       *turn;
	struct resource     resource;
	struct arena       *life;
};

static void
reading_end(struct url_reading *r)
{
	struct url_reading **at = &r->keeper->readings;

	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	r->keeper->reading--;
	if (stream_pending(r->stream) > 0)
		stream_finish(&r->stream);
	else
		stream_close(&r->stream);
	timer_close(&r->turn);
	resource_close(&r->resource);
	arena_close(&r->life);
	memory_free(r);
}

static void
reading_turn(void *ctx)
{
	struct url_reading *r = ctx;
	int64_t             ends = clock_patient_ms() + TURN_MS;
	char                piece[PIECE];
	ssize_t             n = resource_again(&r->resource) == 0 ? 1 : -1;

	while (n > 0 && stream_pending(r->stream) < GATHERED && clock_patient_ms() < ends) {
		n = resource_read(&r->resource, piece, sizeof piece);
		if (n > 0)
			stream_say(r->stream, (struct bytes){ piece, (size_t)n });
	}
	if (n <= 0)
		reading_end(r);
	else if (stream_pending(r->stream) < GATHERED)
		timer_set(r->turn, 1);
}

static void
reading_closed(void *ctx, const char *why)
{
	(void)why;
	reading_end(ctx);
}

static void
reading_silent(void *ctx)
{
	reading_end(ctx);
}

/* The receiver says nothing: what it says is none of ours. */
static void
reading_arrived(void *ctx)
{
	struct url_reading *r = ctx;

	stream_eat(r->stream, stream_peek(r->stream).len);
}

static const struct stream_events reading_events = {
	.arrived = reading_arrived,
	.drained = reading_turn,
	.silent = reading_silent,
	.closed = reading_closed,
};

/* The owner's account, as a session of it would have it. */
static bool
owner_facts(struct house *h, const struct word_url *w, struct access_facts *facts)
{
	struct keeper *k = keeper_of(h);

	*facts = (struct access_facts){ .user = w->owner, .account = w->account };
	if (house_keeper_of(h, w->account) != h->index ||
	    map_get(k->gone, map_number(&w->account)) != NULL ||
	    keeper_locate(k, w->account, bytes_of(w->owner)) != 0)
		return false;
	keeper_limit(h, w->account, bytes_of(w->owner));
	keeper_groups(h, facts, k->scratch);
	return true;
}

static enum url_begins
reading_open(struct house *h, const struct word_url *w, struct url_reading *r)
{
	struct imap_url      url;
	struct access_facts  facts;
	struct imap_settings imap;

	if (!house_settings(h, &imap_setting_table, NULL, &imap))
		return URL_LATER;
	if (!url_read(w->text, r->life, &url) || !urlread_names(&url) ||
	    !bytes_equal_nocase(bytes_of(urlauth_address(r->life, url.user, w->user)),
	                        bytes_of(w->owner)) ||
	    !urlauth_submits(&url, w->owner, w->user, r->life))
		return URL_NOT;
	if (!urlauth_is_ours(&imap.url_hosts, &url))
		return URL_UNTRUSTED;
	if (!owner_facts(h, w, &facts))
		return URL_LATER;
	return urlread_open(keeper_of(h)->imap, &facts, &url, r->life, &r->resource) == 0
	               ? URL_BEGUN
	               : URL_NOT;
}

bool
hear_url_read(struct house *h, struct bytes body, int fd)
{
	struct keeper      *k = keeper_of(h);
	struct url_reading *r;
	struct word_url     w;
	enum url_begins     how;
	struct buffer       begin = { 0 };

	arena_clear(k->scratch);
	if (fd < 0 || !word_unpack_url(body, k->scratch, &w)) {
		if (fd >= 0)
			(void)close(fd);
		return false;
	}
	r = memory_take(sizeof *r);
	*r = (struct url_reading){ .keeper = k, .next = k->readings, .life = arena_open(NULL) };
	k->readings = r;
	r->stream = stream_open(h->loop, fd, &reading_events, r);
	r->turn = timer_open(h->loop, reading_turn, r);
	stream_patience(r->stream, PATIENCE_MS);
	how = k->reading++ >= READINGS_MOST ? URL_LATER : reading_open(h, &w, r);
	word_url_begin(&begin, how, how == URL_BEGUN ? r->resource.len : 0);
	stream_say(r->stream, buffer_bytes(&begin));
	buffer_free(&begin);
	if (how == URL_BEGUN)
		timer_set(r->turn, 0);
	else
		reading_end(r);
	return true;
}

void
keeper_readings_end(struct keeper *k)
{
	while (k->readings != NULL)
		reading_end(k->readings);
}
