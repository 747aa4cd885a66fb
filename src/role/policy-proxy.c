/*
 * policy-proxy -- letters go to a filter by SMTP (policy/proxy.h), one connection each, and what it says to the receiver
 *
 * Every command waits for its answer.  What the filter says against a command of the letter is what the client hears; where there is
 * no filter, or it says what no server may, that is 451.
 */
#include "role/policy.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/journal.h"
#include "channel/loop.h"
#include "policy/proxy.h"
#include "smtp/sender/response.h"

enum {
	PROXIES_MOST = 500,
	TURN_PIECES = 4,
	PIECE = 32 << 10,
	HEARD_MOST = 64 << 10,
	PLACE_ROOM = 300
};
enum stage { GREETING, HELLO, FORWARD, MAIL, RCPT, DATA, CONTENT, DOT };

struct proxying {
	struct proxying  *next, **at;
	struct house     *house;
	struct arena     *life;
	uint32_t          receiver, ticket;
	const char       *filter, *ehlo;
	int64_t           patience;
	struct word_proxy w;
	int               fd, file; /* to the filter; of the letter, -1: it is in w.content */
	uint64_t          from, len;
	enum stage        stage;
	unsigned          offers;
	uint32_t          rcpt;
	int               line; /* of proxy_content() */
	struct buffer     out, heard, forward, command;
	struct response   response;
	struct watch     *watch;
	struct timer     *timer;
};

static void
proxying_close(struct proxying *x)
{
	*x->at = x->next;
	if (x->next != NULL)
		x->next->at = x->at;
	policy_of(x->house)->proxies_open--;
	watch_close(&x->watch);
	timer_close(&x->timer);
	if (x->fd >= 0)
		(void)close(x->fd);
	if (x->file >= 0)
		(void)close(x->file);
	buffer_free(&x->out);
	buffer_free(&x->heard);
	buffer_free(&x->forward);
	buffer_free(&x->command);
	response_free(&x->response);
	arena_close(&x->life);
	memory_free(x);
}

static void
say_proxied(struct house *h, uint32_t receiver, uint32_t ticket, struct bytes reply)
{
	struct link *l = house_link(h, RECEIVER, receiver);

	if (l == NULL)
		return;
	word_pack_proxied(link_begin(l, WORD_PROXIED, ticket), &(struct word_proxied){ reply });
	link_end(l);
}

static void
done(struct proxying *x, struct bytes reply)
{
	say_proxied(x->house, x->receiver, x->ticket, reply);
	proxying_close(x);
}

static void
cannot(struct proxying *x)
{
	done(x, BYTES("451 4.3.0 Error: queue file write error"));
}

static void
lost(struct proxying *x, const char *how)
{
	warn_("%s proxy %s", how, x->filter);
	cannot(x);
}

static void
too_late(void *ctx)
{
	lost(ctx, "timeout talking to");
}

/*
 * What is said
 */

static void
command(struct proxying *x, enum stage stage)
{
	x->stage = stage;
	buffer_add(&x->out, buffer_bytes(&x->command));
	buffer_add(&x->out, BYTES("\r\n"));
}

static void
say_mail(struct proxying *x)
{
	buffer_reset(&x->command);
	proxy_mail(&x->w.sender, x->offers, &x->command);
	command(x, MAIL);
}

/* One more line of XFORWARD, or, when all are said, MAIL. */
static void
say_forward(struct proxying *x)
{
	ptrdiff_t end = bytes_find(buffer_bytes(&x->forward), '\r');

	if (end < 0) {
		say_mail(x);
		return;
	}
	buffer_reset(&x->command);
	buffer_add(&x->command, bytes_cut(buffer_bytes(&x->forward), 0, (size_t)end));
	buffer_eat(&x->forward, (size_t)end + 2);
	command(x, FORWARD);
}

static void
say_rcpt(struct proxying *x)
{
	const struct letter_recipient *to = &x->w.recipient[x->rcpt++];

	buffer_reset(&x->command);
	proxy_rcpt(to->address, to->orcpt, to->notify, x->offers, &x->command);
	command(x, RCPT);
}

static void
say_word(struct proxying *x, const char *words, enum stage stage)
{
	buffer_reset(&x->command);
	buffer_add_string(&x->command, words);
	command(x, stage);
}

/* One piece more of the letter; false: it cannot be read. */
static bool
next_piece(struct proxying *x)
{
	size_t  n = x->len < PIECE ? (size_t)x->len : PIECE;
	char    piece[PIECE];
	ssize_t got = (ssize_t)n;

	if (n == 0) {
		proxy_end(x->line, &x->out);
		buffer_reset(&x->command);
		buffer_add_string(&x->command, "END-OF-MESSAGE");
		x->stage = DOT;
		return true;
	}
	if (x->file < 0) {
		proxy_content(&x->line, bytes_cut(x->w.content, (size_t)x->from, n), &x->out);
	} else {
		do {
			got = pread(x->file, piece, n, (off_t)x->from);
		} while (got < 0 && errno == EINTR);
		if (got <= 0)
			return false;
		proxy_content(&x->line, (struct bytes){ piece, (size_t)got }, &x->out);
	}
	x->from += (uint64_t)got;
	x->len -= (uint64_t)got;
	return true;
}

/* False: it is over. */
static bool
speak(struct proxying *x)
{
	for (int i = 0; i < TURN_PIECES; i++) {
		ssize_t n;

		if (x->out.len == 0 && x->stage == CONTENT && !next_piece(x)) {
			lost(x, "a letter cannot be read for");
			return false;
		}
		if (x->out.len == 0)
			return true;
		n = send(x->fd, x->out.at, x->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return true;
		if (n < 0) {
			lost(x, "lost connection with");
			return false;
		}
		buffer_eat(&x->out, (size_t)n);
		timer_set(x->timer, x->patience);
	}
	return true;
}

/*
 * What is heard
 */

static void
next(struct proxying *x)
{
	switch (x->stage) {
	case GREETING: say_word(x, arena_printf(x->life, "EHLO %s", x->ehlo), HELLO); break;
	case HELLO:
		x->offers = proxy_offers(buffer_bytes(&x->response.text));
		proxy_forward(x->w.attribute, x->offers, &x->forward);
		say_forward(x);
		break;
	case FORWARD: say_forward(x); break;
	case MAIL: say_rcpt(x); break;
	case RCPT:
		if (x->rcpt < x->w.recipients)
			say_rcpt(x);
		else
			say_word(x, "DATA", DATA);
		break;
	case DATA:
		x->stage = CONTENT;
		proxy_content(&x->line, x->w.prefix, &x->out);
		break;
	case CONTENT:
	case DOT: break;
	}
}

/* What it said, lines with CRLF between them, goes to the client. */
static void
pass_on(struct proxying *x)
{
	struct buffer reply = { 0 };
	struct bytes  rest = buffer_bytes(&x->response.text), line;

	while (bytes_split(&rest, '\n', &line)) {
		if (reply.len > 0)
			buffer_add(&reply, BYTES("\r\n"));
		buffer_add(&reply, line);
	}
	(void)send(x->fd, "QUIT\r\n", 6, MSG_NOSIGNAL | MSG_DONTWAIT);
	done(x, buffer_bytes(&reply));
	buffer_free(&reply);
}

/* False: it is over. */
static bool
heard_one(struct proxying *x)
{
	int          want = x->stage == DATA ? 3 : 2, class = x->response.code / 100;
	struct bytes rest = buffer_bytes(&x->response.text), line = { NULL, 0 };

	if (x->stage == DOT && class == 2) {
		pass_on(x);
		return false;
	}
	if (class == want && x->stage != CONTENT) {
		next(x);
		return true;
	}
	(void)bytes_split(&rest, '\n', &line);
	warn_("proxy %s rejected \"%.*s\": \"%.*s\"", x->filter, (int)x->command.len, x->command.at,
	      (int)line.len, line.at);
	if (x->stage >= MAIL && class >= 4)
		pass_on(x);
	else
		cannot(x);
	return false;
}

/* False: it is over. */
static bool
hear(struct proxying *x)
{
	ssize_t n = recv(x->fd, buffer_room(&x->heard, PIECE), PIECE, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n < 0 && x->stage == GREETING && x->heard.len == 0) {
		warn_("connect to proxy filter %s: %s", x->filter, strerror(errno));
		cannot(x);
		return false;
	}
	if (n > 0)
		buffer_took(&x->heard, (size_t)n);
	while (n > 0) {
		size_t                used;
		enum response_outcome o =
			response_take(&x->response, buffer_bytes(&x->heard), &used);

		buffer_eat(&x->heard, used);
		if (o == RESPONSE_SHORT && x->heard.len <= HEARD_MOST)
			return true;
		if (o != RESPONSE_WHOLE) {
			lost(x, "received garbage from");
			return false;
		}
		timer_set(x->timer, x->patience);
		if (!heard_one(x))
			return false;
		response_begin(&x->response);
		if (x->heard.len == 0)
			return true;
	}
	lost(x, "lost connection with");
	return false;
}

static void
ready(void *ctx, int bits)
{
	struct proxying *x = ctx;

	if ((bits & LOOP_READ) != 0 && !hear(x))
		return;
	if (!speak(x))
		return;
	watch_want(x->watch, LOOP_READ | (x->out.len > 0 || x->stage == CONTENT ? LOOP_WRITE : 0));
}

/*
 * The day
 */

static void
proxying_open(struct proxying *x, const struct proxy_settings *set)
{
	struct clamd_place place;
	char               kept[PLACE_ROOM];

	x->filter = arena_copy(x->life, bytes_of(set->filter));
	x->ehlo = arena_copy(x->life, bytes_of(set->ehlo));
	x->patience = set->timeout;
	x->len = x->w.inside ? x->w.content.len : x->w.len;
	x->from = x->w.inside ? 0 : x->w.at;
	x->timer = timer_open(x->house->loop, too_late, x);
	timer_set(x->timer, x->patience);
	if (proxy_place(set->filter, kept, sizeof kept, &place) != NULL)
		errno = EINVAL;
	else
		x->fd = policy_clamd_call(&place);
	if (x->fd < 0) {
		warn_("connect to proxy filter %s: %s", x->filter, strerror(errno));
		cannot(x);
		return;
	}
	response_begin(&x->response);
	buffer_add_string(&x->command, "greeting");
	x->watch = watch_open(x->house->loop, x->fd, ready, x);
	watch_want(x->watch, LOOP_READ);
}

bool
policy_hear_proxy(struct house *h, uint32_t receiver, uint32_t ticket, struct bytes body, int fd)
{
	struct policy        *p = policy_of(h);
	struct arena         *life = arena_open(NULL);
	struct proxying      *x = memory_take(sizeof *x);
	struct proxy_settings set;
	bool                  good;

	*x = (struct proxying){ .next = p->proxies,
		                .at = &p->proxies,
		                .house = h,
		                .life = life,
		                .receiver = receiver,
		                .ticket = ticket,
		                .fd = -1,
		                .file = fd };
	if (p->proxies != NULL)
		p->proxies->at = &x->next;
	p->proxies = x;
	p->proxies_open++;
	good = word_unpack_proxy(arena_keep(life, body), life, &x->w) && x->w.inside == (fd < 0);
	if (!good)
		proxying_close(x);
	else if (p->proxies_open > PROXIES_MOST ||
	         !house_settings(h, &proxy_setting_table, x->w.listener, &set) ||
	         *set.filter == '\0')
		cannot(x);
	else
		proxying_open(x, &set);
	return good;
}

/* Nobody waits for these any more; with NULL: for any. */
void
policy_proxies_end(struct house *h, const uint32_t *receiver)
{
	struct proxying *after;

	for (struct proxying *x = policy_of(h)->proxies; x != NULL; x = after) {
		after = x->next;
		if (receiver == NULL || x->receiver == *receiver)
			proxying_close(x);
	}
}
