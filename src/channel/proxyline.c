#include "channel/proxyline.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buffer.h"

enum {
	V1_MOST = 107, /* with its CRLF, even for two longest v6 addresses */
	V2_FIXED = 16,
	V2_LOCAL = 0x20,
	V2_PROXY = 0x21,
	OVER_ANY = 0x00,
	OVER_TCP4 = 0x11,
	OVER_TCP6 = 0x21,
};
static const char v2_mark[] = "\r\n\r\n\0\r\nQUIT\n";
static const char v1_mark[] = "PROXY ";

/*
 * Version 1: a line of words
 */

/* "56324": no sign, no zero before, none above 65535. */
static bool
port_parse(struct bytes word, uint16_t *port)
{
	uint64_t n;

	if (word.len == 0 || word.len > 5 || (word.at[0] == '0' && word.len > 1) ||
	    !bytes_number(word, &n) || n > 65535)
		return false;
	*port = (uint16_t)n;
	return true;
}

static bool
end_parse(struct bytes address, struct bytes port, int family, struct peer *out)
{
	struct sockaddr_storage s = { 0 };
	struct sockaddr_in     *v4 = (struct sockaddr_in *)&s;
	struct sockaddr_in6    *v6 = (struct sockaddr_in6 *)&s;
	void                   *at = family == AF_INET ? (void *)&v4->sin_addr : &v6->sin6_addr;
	char                    text[INET6_ADDRSTRLEN];
	uint16_t                number;

	s.ss_family = (sa_family_t)family;
	if (!port_parse(port, &number) || !bytes_string(address, text, sizeof text) ||
	    inet_pton(family, text, at) != 1)
		return false;
	if (family == AF_INET)
		v4->sin_port = htons(number);
	else
		v6->sin6_port = htons(number);
	return peer_from(&s, out);
}

/* "PROXY" SP "TCP4" SP source SP destination SP source-port SP destination-port */
static bool
line_parse(struct bytes line, struct proxyline *out)
{
	struct bytes word[5];
	int          family;
	size_t       n = 0;

	line = bytes_cut(line, strlen(v1_mark), line.len);
	if (bytes_equal(line, BYTES("UNKNOWN")) || bytes_starts(line, BYTES("UNKNOWN "))) {
		out->local = true;
		return true;
	}
	while (n < COUNT(word) - 1 && bytes_split(&line, ' ', &word[n]))
		n++;
	word[n++] = line;
	if (n != COUNT(word))
		return false;
	if (bytes_equal(word[0], BYTES("TCP4")))
		family = AF_INET;
	else if (bytes_equal(word[0], BYTES("TCP6")))
		family = AF_INET6;
	else
		return false;
	return end_parse(word[1], word[3], family, &out->client) &&
	       end_parse(word[2], word[4], family, &out->here);
}

static enum proxyline_outcome
parse_v1(struct bytes all, struct proxyline *out, size_t *used)
{
	struct bytes near = bytes_cut(all, 0, V1_MOST);
	ptrdiff_t    end = bytes_find(near, '\n');

	if (end < 0)
		return all.len >= V1_MOST ? PROXYLINE_BAD : PROXYLINE_MORE;
	*used = (size_t)end + 1;
	if (end < 1 || near.at[end - 1] != '\r' ||
	    !line_parse(bytes_cut(near, 0, (size_t)end - 1), out))
		return PROXYLINE_BAD;
	return PROXYLINE_DONE;
}

/*
 * Version 2: sixteen bytes, addresses, extensions
 */

static bool
ends_v4(const char *at, struct proxyline *out)
{
	struct sockaddr_storage s[2] = { { .ss_family = AF_INET }, { .ss_family = AF_INET } };
	struct sockaddr_in     *from = (struct sockaddr_in *)&s[0], *to = (void *)&s[1];

	memcpy(&from->sin_addr, at, 4);
	memcpy(&to->sin_addr, at + 4, 4);
	memcpy(&from->sin_port, at + 8, 2);
	memcpy(&to->sin_port, at + 10, 2);
	return peer_from(&s[0], &out->client) && peer_from(&s[1], &out->here);
}

static bool
ends_v6(const char *at, struct proxyline *out)
{
	struct sockaddr_storage s[2] = { { .ss_family = AF_INET6 }, { .ss_family = AF_INET6 } };
	struct sockaddr_in6    *from = (struct sockaddr_in6 *)&s[0], *to = (void *)&s[1];

	memcpy(&from->sin6_addr, at, 16);
	memcpy(&to->sin6_addr, at + 16, 16);
	memcpy(&from->sin6_port, at + 32, 2);
	memcpy(&to->sin6_port, at + 34, 2);
	return peer_from(&s[0], &out->client) && peer_from(&s[1], &out->here);
}

static bool
block_parse(uint8_t command, uint8_t over, struct bytes block, struct proxyline *out)
{
	out->local = command == V2_LOCAL || over == OVER_ANY;
	if (command == V2_LOCAL)
		return true;
	switch (over) {
	case OVER_ANY: return true;
	case OVER_TCP4: return block.len >= 12 && ends_v4(block.at, out);
	case OVER_TCP6: return block.len >= 36 && ends_v6(block.at, out);
	default: return false; /* datagrams and local sockets bring no mail */
	}
}

static enum proxyline_outcome
parse_v2(struct bytes all, struct proxyline *out, size_t *used)
{
	const uint8_t *at = (const uint8_t *)all.at;
	size_t         len;

	if (all.len < V2_FIXED)
		return PROXYLINE_MORE;
	len = (size_t)at[14] << 8 | at[15];
	if ((at[12] != V2_LOCAL && at[12] != V2_PROXY) || len > PROXYLINE_MOST - V2_FIXED)
		return PROXYLINE_BAD;
	if (all.len < V2_FIXED + len)
		return PROXYLINE_MORE;
	*used = V2_FIXED + len;
	return block_parse(at[12], at[13], bytes_cut(all, V2_FIXED, len), out) ? PROXYLINE_DONE
	                                                                       : PROXYLINE_BAD;
}

static bool
may_begin(struct bytes all, const char *mark, size_t len)
{
	return memcmp(all.at, mark, all.len < len ? all.len : len) == 0;
}

enum proxyline_outcome
proxyline_parse(struct bytes all, struct proxyline *out, size_t *used)
{
	*out = (struct proxyline){ 0 };
	*used = 0;
	if (all.len == 0)
		return PROXYLINE_MORE;
	if (may_begin(all, v2_mark, sizeof v2_mark - 1))
		return parse_v2(all, out, used);
	if (may_begin(all, v1_mark, sizeof v1_mark - 1))
		return parse_v1(all, out, used);
	return PROXYLINE_BAD;
}

/*
 * Those who are waited for
 */

struct waiting {
	struct waiting    *next, **at;
	struct proxylines *all;
	struct watch      *watch;
	struct timer      *timer;
	int                fd;
	struct peer        proxy;
	proxyline_heard   *heard;
	void              *ctx;
	struct buffer      there; /* of a header that comes in pieces */
};
struct proxylines {
	struct loop    *loop;
	struct waiting *first;
};

/* The descriptor is no longer ours. */
static int
part(struct waiting *w)
{
	int fd = w->fd;

	watch_close(&w->watch);
	timer_close(&w->timer);
	*w->at = w->next;
	if (w->next != NULL)
		w->next->at = w->at;
	buffer_free(&w->there);
	memory_free(w);
	return fd;
}

static void
tell(struct waiting *w, const struct peer *client, const char *why)
{
	proxyline_heard *heard = w->heard;
	struct peer      who = client != NULL ? *client : w->proxy;
	void            *ctx = w->ctx;
	int              fd = part(w);

	if (why != NULL) {
		(void)close(fd);
		fd = -1;
	}
	heard(ctx, fd, &who, why);
}

static void
late(void *ctx)
{
	tell(ctx, NULL, "nothing came in time");
}

/* What is looked at is taken only as far as it is header: the rest is for others to read. */
static void
ready(void *ctx, int bits)
{
	struct waiting  *w = ctx;
	char             seen[PROXYLINE_MOST];
	size_t           had = w->there.len, used;
	ssize_t          n = recv(w->fd, seen, PROXYLINE_MOST - had, MSG_PEEK | MSG_DONTWAIT);
	struct proxyline line;

	(void)bits;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		tell(w, NULL, n == 0 ? "end of file" : strerror(errno));
		return;
	}
	buffer_add(&w->there, (struct bytes){ seen, (size_t)n });
	switch (proxyline_parse(buffer_bytes(&w->there), &line, &used)) {
	case PROXYLINE_BAD: tell(w, NULL, "no header of the PROXY protocol"); return;
	case PROXYLINE_MORE: used = w->there.len; break;
	case PROXYLINE_DONE: break;
	}
	if (recv(w->fd, seen, used - had, MSG_DONTWAIT) != (ssize_t)(used - had))
		tell(w, NULL, "it cannot be read");
	else if (line.local || line.client.family != AF_UNSPEC)
		tell(w, line.local ? &w->proxy : &line.client, NULL);
}

struct proxylines *
proxylines_open(struct loop *loop)
{
	struct proxylines *all = memory_take(sizeof *all);

	all->loop = loop;
	return all;
}

void
proxylines_wait(struct proxylines *all, int fd, const struct peer *proxy, int64_t ms,
                proxyline_heard *heard, void *ctx)
{
	struct waiting *w = memory_take(sizeof *w);

	*w = (struct waiting){ .next = all->first, .at = &all->first, .all = all, .fd = fd };
	w->proxy = *proxy;
	w->heard = heard;
	w->ctx = ctx;
	if (w->next != NULL)
		w->next->at = &w->next;
	all->first = w;
	w->watch = watch_open(all->loop, fd, ready, w);
	watch_want(w->watch, LOOP_READ);
	w->timer = timer_open(all->loop, late, w);
	timer_set(w->timer, ms);
}

void
proxylines_forget(struct proxylines *all, const void *ctx)
{
	struct waiting *next;

	for (struct waiting *w = all->first; w != NULL; w = next) {
		next = w->next;
		if (ctx == NULL || w->ctx == ctx)
			(void)close(part(w));
	}
}

void
proxylines_close(struct proxylines **allp)
{
	struct proxylines *all = *allp;

	*allp = NULL;
	if (all == NULL)
		return;
	proxylines_forget(all, NULL);
	memory_free(all);
}
