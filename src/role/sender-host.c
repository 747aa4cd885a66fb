/* sender-host -- where connections come from (smtp_bind_address and its kin), and what a host's offers are worth to us */
#include "base/clock.h"
#include "message/envelope.h"
#include "role/bindable.h"
#include "role/sender.h"
#include "sasl/supplicant.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- where from ---- */

/* By the sender, their domain, the destination. */
const char *
sender_bind_words(struct delivery *d, const char **why)
{
	const struct sender_settings *r = d->rows;
	struct arena                 *a = d->life;
	ptrdiff_t                     at = bytes_find_last(d->sender, '@');
	const struct bytes            keys[] = {
			   arena_lower(a, d->sender),
                at < 0 ? BYTES("") : arena_lower(a, bytes_cut(d->sender, (size_t)at, SIZE_MAX)),
			   arena_lower(a, bytes_of(d->w.nexthop))
	};
	struct bytes value;

	*why = NULL;
	for (size_t i = 0; i < COUNT(keys); i++)
		switch (sender_lookup(d, &r->bind_maps, keys[i], &value)) {
		case TABLE_FOUND: return arena_copy(a, value);
		case TABLE_NONE: break;
		case TABLE_WAIT: return NULL;
		default: *why = "smtp_bind_address_maps cannot be asked"; return NULL;
		}
	return arena_printf(a, "%s %s", r->bind_address, r->bind_address6);
}

bool
sender_bind(const struct sender_settings *r, int fd, int family, const char *words)
{
	struct bytes            rest = bytes_of(words), word;
	struct sockaddr_storage at;
	socklen_t               len;
	int                     why;

	while (bytes_split(&rest, ' ', &word)) {
		word = bytes_trim(word);
		if (word.len == 0)
			continue;
		if (!bindable_read(word, &at, &len))
			why = EINVAL;
		else if (at.ss_family != family)
			continue;
		else if (bind(fd, (struct sockaddr *)&at, len) == 0)
			return true;
		else
			why = errno;
		warn_("no connection can come from %.*s: %s", (int)word.len, word.at,
		      strerror(why));
		errno = why;
		return !r->bind_enforce;
	}
	return true;
}

/* ---- where to ---- */

/* A name without a slash in front is looked for in each of the directories. */
int
sender_connect_path(const char *said, const struct setting_list *in, int *fd)
{
	const char        *name = strrchr(said, '/');
	size_t             many = *said == '/' ? 1 : in->count;
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int                why = ENOENT;

	for (size_t i = 0; i < many; i++) {
		int n = *said == '/' ? snprintf(at.sun_path, sizeof at.sun_path, "%s", said)
		                     : snprintf(at.sun_path, sizeof at.sun_path, "%s/%s",
		                                in->item[i], name != NULL ? name + 1 : said);
		if (n < 0 || (size_t)n >= sizeof at.sun_path)
			return ENAMETOOLONG;
		if ((*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) < 0)
			return errno;
		if (connect(*fd, (struct sockaddr *)&at, sizeof at) == 0)
			return 0;
		why = errno;
		(void)close(*fd);
		*fd = -1;
	}
	return why;
}

/* ---- what is not believed, and what is done about it ---- */

/* The words of the table for this host, or those of the setting. */
static enum table_outcome
words_for(struct delivery *d, const struct setting_list *maps, const struct setting_list *all,
          const char *address, unsigned (*named)(struct bytes), unsigned *out)
{
	struct bytes       value = { NULL, 0 };
	enum table_outcome o = sender_lookup(d, maps, bytes_of(address), &value);

	*out = 0;
	if (o == TABLE_LATER || o == TABLE_WAIT)
		return o;
	if (o == TABLE_NONE) {
		for (size_t i = 0; i < all->count; i++)
			*out |= named(bytes_of(all->item[i]));
		return o;
	}
	for (size_t i = 0, from = 0; i <= value.len; i++) {
		if (i < value.len && strchr(", \t", value.at[i]) == NULL)
			continue;
		*out |= named(bytes_cut(value, from, i - from));
		from = i + 1;
	}
	return o;
}

enum table_outcome
sender_discards(struct delivery *d, const char *address, unsigned *offers)
{
	return words_for(d, &d->rows->discard_maps, &d->rows->discard, address,
	                 outgoing_offer_named, offers);
}

enum table_outcome
sender_pix(struct delivery *d, const char *address, unsigned *workarounds)
{
	return words_for(d, &d->rows->pix_maps, &d->rows->pix, address, outgoing_pix_named,
	                 workarounds);
}

/* ---- whom we met ---- */

void
sender_met(struct delivery *d, int fd, const struct outgoing *o)
{
	struct sockaddr_storage at;
	socklen_t               len = sizeof at;
	struct peer             p;

	if (d != NULL && fd >= 0 && getsockname(fd, (struct sockaddr *)&at, &len) == 0 &&
	    peer_from(&at, &p))
		d->local = arena_copy(d->life, bytes_of(p.text));
	if (d != NULL && o != NULL)
		d->helo = arena_copy(d->life, bytes_of(outgoing_name(o)));
}

/* ---- whose letter it is ---- */

/* "name[address]"; what was written on this machine has none, or comes by the loopback interface. */
struct outgoing_origin
sender_origin(struct delivery *d)
{
	const struct word_send *w = &d->w;
	char                    id[24];
	struct outgoing_origin  o = { .protocol = protocol_plain(w->protocol), .helo = w->helo };

	if (!d->rows->xforward || d->probe)
		return (struct outgoing_origin){ 0 };
	client_halves(w->client, &o.name, &o.address);
	if (w->port != 0)
		o.port = bytes_of(arena_printf(d->life, "%u", (unsigned)w->port));
	if (bytes_is(o.name, "unknown"))
		o.name = BYTES("");
	if (bytes_is(o.address, "unknown"))
		o.address = BYTES("");
	letter_id_text(w->letter, id);
	o.ident = bytes_of(arena_copy(d->life, bytes_of(id)));
	o.source = o.address.len == 0 || bytes_starts(o.address, BYTES("127.")) ||
	                           bytes_is(o.address, "::1")
	                   ? BYTES("LOCAL")
	                   : BYTES("REMOTE");
	return o;
}

/* ---- what it is called ---- */

const char *
sender_host_name(const struct delivery *d)
{
	bool proved = d->by_sts || d->dane.records > 0 || (d->w.flags & ENVELOPE_REQUIRETLS) != 0;

	return proved ? d->here->asked : d->here->name;
}

/* ---- whether it is ourselves ---- */

/* At the port where mail comes in: elsewhere whoever says our name is one of ours, and meant. */
void
sender_name_own(const struct delivery *d, const struct route_host *h, struct arena *a,
                struct outgoing_config *to)
{
	if (h == NULL || d->w.lmtp || h->peer.port != d->rows->tcp_port)
		return;
	to->own = arena_copy(a, bytes_of(sender_of(d->house)->common.myhostname));
	to->destination = arena_copy(a, bytes_of(d->w.nexthop));
	to->best = h->preference == d->route.host[0].preference;
}

/* ---- as whom we log in ---- */

enum table_outcome
sender_password(struct delivery *d, const char *host, struct bytes *value)
{
	const struct setting_list *tables = &d->rows->login[d->w.lmtp].passwords;
	const struct bytes         keys[] = { bytes_of(host), bytes_of(d->w.nexthop) };
	enum table_outcome         o = TABLE_NONE;
	struct bytes               extension;

	if (d->rows->auth_by_sender && !d->w.lmtp)
		o = sender_lookup_address(d, tables, d->sender, value, &extension);
	for (size_t k = 0; k < COUNT(keys) && o == TABLE_NONE; k++)
		o = sender_lookup(d, tables, keys[k], value);
	return o;
}

unsigned
sender_demands(const struct setting_list *words)
{
	unsigned demands = 0;

	for (size_t i = 0; i < words->count; i++)
		demands |= supplicant_demand_named(bytes_of(words->item[i]));
	return demands;
}

/* A login that was refused, and what was said. */
struct refusal {
	int64_t until_ms;
	char    said[512];
};
enum { REFUSALS_MOST = 1000, CHUNKLESS_MOST = 1000 };

/* The password itself is in no key: only whoever has it makes the same. */
static const char *
refusal_key(const struct outgoing_config *c, struct arena *a)
{
	return arena_printf(a, "%s;%s;%016llx", c->server, c->user,
	                    (unsigned long long)hash_of(bytes_of(c->password)));
}

void
sender_login_note(struct house *h, const struct sender_settings *r, const struct outgoing_config *c,
                  const char *words)
{
	struct map     *all = sender_of(h)->refusals;
	struct arena   *a = arena_open(NULL);
	const char     *said = strstr(words, " said: ");
	struct refusal *one;

	if (*r->login_cache != '\0' && c->user != NULL && said != NULL) {
		for (struct map_place p = { 0 };
		     map_count(all) >= REFUSALS_MOST && map_next(all, &p);)
			memory_free(map_drop(all, p.key));
		one = memory_take(sizeof *one);
		one->until_ms = clock_wall_us() / 1000 + r->login_cache_ms;
		(void)bytes_string(bytes_cut(bytes_of(said + 7), 0, sizeof one->said - 1),
		                   one->said, sizeof one->said);
		memory_free(map_put(all, bytes_of(refusal_key(c, a)), one));
	}
	arena_close(&a);
}

const char *
sender_login_noted(struct house *h, const struct sender_settings *r,
                   const struct outgoing_config *c, struct arena *a)
{
	const struct refusal *one = NULL;

	if (*r->login_cache != '\0' && c->user != NULL)
		one = map_get(sender_of(h)->refusals, bytes_of(refusal_key(c, a)));
	return one != NULL && one->until_ms > clock_wall_us() / 1000
	               ? arena_copy(a, bytes_of(one->said))
	               : NULL;
}

/* ---- what it offers and does not know ---- */

void
sender_chunkless_note(struct house *h, const char *relay)
{
	struct map *all = sender_of(h)->chunkless;

	warn_("host %s offers CHUNKING and does not know BDAT: it gets letters by DATA", relay);
	for (struct map_place p = { 0 }; map_count(all) >= CHUNKLESS_MOST && map_next(all, &p);)
		(void)map_drop(all, p.key);
	(void)map_put(all, bytes_of(relay), all);
}

bool
sender_is_chunkless(struct house *h, const char *relay)
{
	return map_get(sender_of(h)->chunkless, bytes_of(relay)) != NULL;
}
