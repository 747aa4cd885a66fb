#include "channel/bans.h"
#include "base/arena.h"
#include "base/map.h"
#include "base/pack.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct range {
	struct network network;
	char           text[64];
	int64_t        until_ms;
};

struct bans {
	struct map   *one; /* as peer_network() writes it -> when it ends */
	struct range *range;
	size_t        ranges;
};

struct bans *
bans_open(void)
{
	struct bans *b = memory_take(sizeof *b);

	b->one = map_open();
	return b;
}

static void
forget(struct bans *b, int64_t ended)
{
	size_t kept = 0;

	for (struct map_place p = { 0 }; map_next(b->one, &p);)
		if (*(int64_t *)p.value <= ended)
			memory_free(map_drop(b->one, p.key));
	for (size_t i = 0; i < b->ranges; i++)
		if (b->range[i].until_ms > ended)
			b->range[kept++] = b->range[i];
	b->ranges = kept;
}

void
bans_clear(struct bans *b)
{
	forget(b, INT64_MAX);
}

void
bans_close(struct bans **bp)
{
	struct bans *b = *bp;

	*bp = NULL;
	if (b == NULL)
		return;
	bans_clear(b);
	map_close(&b->one);
	memory_free(b->range);
	memory_free(b);
}

size_t
bans_count(const struct bans *b)
{
	return map_count(b->one) + b->ranges;
}

/* One address, or the /64 that stands for one. */
static bool
is_one(const struct network *n)
{
	return n->bits == (n->family == AF_INET ? 32 : 64) ||
	       (n->family == AF_INET6 && n->bits == 128);
}

bool
bans_network(struct bytes text, char out[static 64])
{
	struct network n;
	struct peer    p = { 0 };
	const char    *wrong;
	char           address[INET6_ADDRSTRLEN];

	char         bare[80];
	struct bytes inner = text;
	ptrdiff_t    slash = bytes_find(text, '/');

	/* peer_network() writes 2001:db8::/64; brackets are what a network in settings has. */
	if (bytes_find(text, ':') >= 0 && !bytes_starts(text, BYTES("["))) {
		inner = slash >= 0 ? bytes_cut(text, 0, (size_t)slash) : text;
		(void)snprintf(bare, sizeof bare, "[%.*s]%.*s",
		               (int)(inner.len < 60 ? inner.len : 60), inner.at,
		               slash >= 0 ? (int)(text.len - (size_t)slash) : 0,
		               slash >= 0 ? text.at + slash : "");
		text = bytes_of(bare);
	}
	if (text.len > 70 || !network_parse(text, &n, &wrong))
		return false;
	if (is_one(&n)) {
		p.family = n.family;
		memcpy(p.raw, n.raw, sizeof p.raw);
		(void)inet_ntop(n.family, n.raw, p.text, sizeof p.text);
		peer_network(&p, out);
		return true;
	}
	(void)inet_ntop(n.family, n.raw, address, sizeof address);
	(void)snprintf(out, 64, "%s/%d", address, n.bits);
	return true;
}

/* As it is kept: "192.0.2.1", "198.51.100.0/24", "2001:db8::/64" */
static bool
kept_parse(const char *text, struct network *out)
{
	const char *wrong;
	char        whole[80];
	size_t      n = strcspn(text, "/");

	(void)snprintf(whole, sizeof whole, strchr(text, ':') != NULL ? "[%.*s]%s" : "%.*s%s",
	               (int)n, text, text + n);
	return network_parse(bytes_of(whole), out, &wrong);
}

bool
bans_covers(const char *outer, const char *inner)
{
	struct network around, within;
	struct peer    first = { 0 };

	if (!kept_parse(outer, &around) || !kept_parse(inner, &within) ||
	    around.family != within.family || around.bits > within.bits)
		return false;
	first.family = within.family;
	memcpy(first.raw, within.raw, sizeof first.raw);
	return network_holds(&around, &first);
}

static bool
range_put(struct bans *b, const char *text, int64_t until)
{
	struct range r = { .until_ms = until };
	size_t       i;

	if (!kept_parse(text, &r.network))
		return false;
	(void)snprintf(r.text, sizeof r.text, "%s", text);
	for (i = 0; i < b->ranges && strcmp(b->range[i].text, text) != 0; i++)
		continue;
	if (i == b->ranges) {
		if (until == 0)
			return true;
		if (b->ranges == BAN_RANGES_MOST)
			return false;
		if (b->range == NULL)
			b->range = memory_take(BAN_RANGES_MOST * sizeof *b->range);
		b->ranges++;
	}
	if (until != 0)
		b->range[i] = r;
	else
		b->range[i] = b->range[--b->ranges];
	return true;
}

bool
bans_put(struct bans *b, struct bytes network, int64_t until, int64_t now)
{
	char     text[64];
	int64_t *ends;

	if (!bans_network(network, text))
		return false;
	if (strchr(text, '/') != NULL && strstr(text, "/64") == NULL)
		return range_put(b, text, until);
	if (until == 0) {
		memory_free(map_drop(b->one, bytes_of(text)));
		return true;
	}
	if (map_count(b->one) >= BANS_MOST)
		forget(b, now);
	if (map_count(b->one) >= BANS_MOST)
		return false;
	ends = map_get(b->one, bytes_of(text));
	if (ends == NULL) {
		ends = memory_take(sizeof *ends);
		(void)map_put(b->one, bytes_of(text), ends);
	}
	*ends = until;
	return true;
}

bool
bans_hold(struct bans *b, const struct peer *p, int64_t now)
{
	char           text[48];
	const int64_t *ends;

	if (b == NULL || bans_count(b) == 0 || p->family == AF_UNIX)
		return false;
	peer_network(p, text);
	if ((ends = map_get(b->one, bytes_of(text))) != NULL) {
		if (*ends > now)
			return true;
		memory_free(map_drop(b->one, bytes_of(text)));
	}
	for (size_t i = 0; i < b->ranges; i++)
		if (b->range[i].until_ms > now && network_holds(&b->range[i].network, p))
			return true;
	return false;
}

void
bans_pack(struct buffer *out, const char *network, int64_t ms)
{
	pack_string(out, network);
	pack_i64(out, ms);
}

bool
bans_hear(struct bans *b, struct bytes packed, int64_t now)
{
	struct unpack u = unpack_of(packed);
	struct bytes  network = unpack_bytes(&u);
	int64_t       ms = unpack_i64(&u);

	if (!unpack_done(&u) || ms < 0 || ms > INT64_MAX / 2)
		return false;
	(void)bans_put(b, network, ms == 0 ? 0 : now + ms, now);
	return true;
}

void
bans_turn_away(int fd, const char *line)
{
	(void)!send(fd, line, strlen(line), MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)shutdown(fd, SHUT_WR);
	(void)close(fd);
}
