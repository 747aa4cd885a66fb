/*
 * receiver-url -- what a URL of BURL names comes from the mailbox (rfc4468)
 *
 * The clerk knows whose mailbox it is, and its keeper looks whether the URL holds and pours what it names into one end of
 * a pair of sockets, behind a word about it (struct word_url_begins).  Who has the URL and its token has all the right
 * there is, so that nothing is believed of the receiver but the name of who logged in.
 */
#include "role/receiver.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "access/imap/imap.h"
#include "access/imap/urlauth.h"
#include "channel/stream.h"

enum { URL_PATIENCE_MS = 60000 };

struct fetch {
	struct visit  *visit;
	struct stream *stream;
	uint64_t       left;
	uint32_t       number;
	bool           begun, pouring;
};

static struct visit *
visit_of(struct session *s)
{
	return *session_held(s);
}

void
need_fetch_drop(void *house, struct session *s)
{
	struct visit *v = visit_of(s);

	(void)house;
	if (v->fetch == NULL)
		return;
	stream_close(&v->fetch->stream);
	memory_free(v->fetch);
	v->fetch = NULL;
}

/* Whether it is still the same after the session was told something. */
static bool
is_there(const struct visit *v, uint32_t number)
{
	return v->fetch != NULL && v->fetch->number == number;
}

/* False: there is nothing to be poured, now or at all. */
static bool
begin(struct fetch *f)
{
	struct visit          *v = f->visit;
	uint32_t               number = f->number;
	struct word_url_begins w;
	struct bytes           there = stream_peek(f->stream);

	if (f->begun || there.len < URL_BEGINS)
		return f->begun;
	if (!word_url_begins(bytes_cut(there, 0, URL_BEGINS), &w)) {
		session_fetched(v->session, FETCHED_LATER, 0);
		return false;
	}
	stream_eat(f->stream, URL_BEGINS);
	f->begun = true;
	f->left = w.len;
	session_fetched(v->session, (enum fetched)w.how, w.len);
	return is_there(v, number);
}

static void
pour(struct fetch *f)
{
	struct visit *v = f->visit;
	uint32_t      number = f->number;

	if (f->pouring || !begin(f))
		return;
	f->pouring = true;
	while (is_there(v, number)) {
		struct bytes there = bytes_cut(stream_peek(f->stream), 0, f->left);
		size_t       used = there.len == 0 ? 0 : session_fetched_part(v->session, there);

		if (!is_there(v, number))
			return;
		if (used == 0)
			break;
		stream_eat(f->stream, used);
		f->left -= used;
	}
	f->pouring = false;
}

static void
url_arrived(void *ctx)
{
	pour(ctx);
}

/* The keeper gives up, or is gone; what it had said before is still to be read. */
static void
url_closed(void *ctx, const char *why)
{
	struct fetch   *f = ctx;
	struct visit   *v = f->visit;
	uint32_t        number = f->number;
	struct session *s = v->session;

	(void)why;
	pour(f);
	if (is_there(v, number) && (!f->begun || stream_peek(f->stream).len < f->left))
		session_fetched(s, FETCHED_LATER, 0);
}

static void
url_silent(void *ctx)
{
	struct fetch *f = ctx;

	if (stream_peek(f->stream).len == 0)
		session_fetched(f->visit->session, FETCHED_LATER, 0);
}

static const struct stream_events url_events = {
	.arrived = url_arrived,
	.silent = url_silent,
	.closed = url_closed,
};

/* Another server's, or one that nobody has signed: there is nobody who would give it to us (rfc4468:5). */
static enum fetched
judge(struct house *h, struct bytes text, struct arena *scratch, struct imap_url *url)
{
	struct imap_settings imap;

	if (!bytes_starts_nocase(text, BYTES("imap://")) || !url_read(text, scratch, url) ||
	    url->user.len == 0)
		return FETCHED_NOT;
	if (!house_settings(h, &imap_setting_table, NULL, &imap))
		return FETCHED_LATER;
	return url->token.len == 0 || !urlauth_is_ours(&imap.url_hosts, url) ? FETCHED_UNTRUSTED
	                                                                     : FETCHED;
}

static bool
ask(struct visit *v, struct link *clerk, const struct word_url *w)
{
	struct receiver *r = v->receiver;
	int              pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0) {
		warn_("a pair of sockets for BURL: %s", strerror(errno));
		return false;
	}
	v->fetch = memory_take(sizeof *v->fetch);
	*v->fetch = (struct fetch){ .visit = v, .number = ++r->next_ticket };
	v->fetch->stream = stream_open(r->house->loop, pair[0], &url_events, v->fetch);
	stream_patience(v->fetch->stream, URL_PATIENCE_MS);
	word_pack_url(link_begin(clerk, WORD_URL, v->fetch->number), w);
	link_end_fd(clerk, pair[1]);
	(void)close(pair[1]);
	return true;
}

void
need_fetch(void *house, struct session *s, struct bytes text)
{
	struct house   *h = house;
	struct visit   *v = visit_of(s);
	struct link    *l = house_link(h, CLERK, 0);
	struct arena   *scratch = arena_open(NULL);
	const char     *user = arena_copy(scratch, session_user(s));
	struct imap_url url;
	enum fetched    how = judge(h, text, scratch, &url);
	struct word_url w = { .user = user, .text = text, .account = v->account };

	if (how == FETCHED) {
		w.owner = urlauth_address(scratch, url.user, user);
		/* Of others the clerk knows. */
		if (!bytes_equal_nocase(bytes_of(w.owner), bytes_of(user)))
			w.account = 0;
		if (l == NULL || !ask(v, l, &w))
			how = FETCHED_LATER;
	}
	arena_close(&scratch);
	if (how != FETCHED)
		session_fetched(s, how, 0);
}

void
need_fetch_more(void *house, struct session *s)
{
	struct visit *v = visit_of(s);

	(void)house;
	if (v->fetch != NULL)
		pour(v->fetch);
}
