/*
 * receiver-proxy -- letters that go through a filter before they are taken (policy/proxy.h): role policy speaks with it, and what
 * it answers to the final dot is what the client hears; we keep nothing of such a letter
 */
#include "role/policy.h"
#include "role/receiver.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/random.h"
#include "message/envelope.h"
#include "policy/proxy.h"

void
proxy_settings_read(struct receiver *r)
{
	const struct listeners *all = &r->house->listeners;
	struct proxy_settings   set;

	for (size_t i = 0; i < all->count; i++)
		r->proxies[i] =
			all->one[i].service < LISTEN_LMTP &&
			house_settings(r->house, &proxy_setting_table, all->one[i].name, &set) &&
			*set.filter != '\0';
}

/* What is for letters that come in here: of those that only pass nobody asks. */
static const char *const unasked[] = {
	"header_checks", "mime_header_checks",   "nested_header_checks", "body_checks",
	"clamd_socket",  "milter_header_checks", "content_filter",
};

static bool
passes_letters(struct settings *s, const struct listener_entry *l)
{
	struct proxy_settings set;

	return l->service < LISTEN_LMTP &&
	       settings_fill(s, &proxy_setting_table, l->name, &set, NULL) && *set.filter != '\0';
}

static bool
is_said_for(const char *name, const char *listener, const char *setting)
{
	size_t n = strlen(listener);

	return strncmp(name, listener, n) == 0 && name[n] == '/' &&
	       strcmp(name + n + 1, setting) == 0;
}

bool
proxy_settings_clash(struct settings *s, const struct listeners *all, struct setting_entry *out)
{
	bool some_keep = false;

	for (size_t l = 0; l < all->count; l++)
		some_keep = some_keep ||
		            (all->one[l].service < LISTEN_LMTP && !passes_letters(s, &all->one[l]));
	for (size_t i = 0; settings_entry(s, i, out); i++)
		for (size_t n = 0; n < COUNT(unasked) && *out->value != '\0'; n++) {
			if (!some_keep && strcmp(out->name, unasked[n]) == 0)
				return true;
			for (size_t l = 0; l < all->count; l++)
				if (is_said_for(out->name, all->one[l].name, unasked[n]) &&
				    passes_letters(s, &all->one[l]))
					return true;
		}
	return false;
}

static struct bytes
ticket_key(const uint32_t *ticket)
{
	return (struct bytes){ (const char *)ticket, sizeof *ticket };
}

static void
answered(struct passage *p, struct bytes reply)
{
	struct letter *l = p->letter;
	const char    *said = arena_copy(l->life, reply);
	int            line = (int)strcspn(said, "\r\n");

	receiver_of(p->house)->passing--;
	note_as(l->config->service,
	        "%s: proxy-%s: END-OF-MESSAGE: %.*s; from=<%.*s> to=<%.*s> proto=%s helo=<%.*s>",
	        p->no_id, *said == '2' ? "accept" : "reject", line, said, (int)l->sender.len,
	        l->sender.at, (int)l->rcpt[0].address.len, l->rcpt[0].address.at, l->protocol,
	        (int)l->helo.len, l->helo.at);
	letter_passed(l, said);
}

static void
cannot(struct passage *p)
{
	answered(p, BYTES("451 4.3.0 Error: queue file write error"));
}

static void
describe(struct passage *p, struct word_proxy *w)
{
	struct letter           *l = p->letter;
	struct letter_recipient *list = arena_take_array(l->life, l->rcpts, sizeof *list);
	bool                     known = !bytes_is(l->name, "unknown");

	for (uint32_t i = 0; i < l->rcpts; i++)
		list[i] = (struct letter_recipient){ l->rcpt[i].address, l->rcpt[i].orcpt,
			                             l->rcpt[i].notify };
	w->recipient = list;
	w->recipients = l->rcpts;
	w->sender = (struct proxy_sender){ .address = l->sender,
		                           .envid = l->envid,
		                           .ret = l->ret,
		                           .eight_bit = l->body != BODY_7BIT,
		                           .utf8 = (l->flags & ENVELOPE_SMTPUTF8) != 0 };
	w->attribute[PROXY_NAME] = known ? l->name : BYTES("");
	w->attribute[PROXY_ADDR] =
		bytes_of(arena_printf(l->life, "%s%s", l->peer.family == AF_INET6 ? "IPv6:" : "",
	                              l->peer.text));
	if (l->peer.family != AF_INET && l->peer.family != AF_INET6)
		w->attribute[PROXY_ADDR] = BYTES("");
	else
		w->attribute[PROXY_PORT] =
			bytes_of(arena_printf(l->life, "%u", (unsigned)l->peer.port));
	w->attribute[PROXY_PROTO] = bytes_of(l->protocol[0] == 'E' ? "ESMTP" : "SMTP");
	w->attribute[PROXY_HELO] = l->helo;
	w->attribute[PROXY_SOURCE] = l->header_origin != NULL ? BYTES("LOCAL") : BYTES("REMOTE");
}

bool
proxy_ask(struct passage *p)
{
	struct receiver  *r = receiver_of(p->house);
	struct letter    *l = p->letter;
	struct link      *link = house_link(p->house, POLICY, 0);
	struct buffer     prefix = { 0 };
	struct word_proxy w = { .listener = l->config->listener };
	int               fd;

	if (!r->proxies[receiver_place(p->house, l->config)])
		return false;
	(void)snprintf(p->no_id, sizeof p->no_id, "%010" PRIX64, random_below(UINT64_C(1) << 40));
	if (link == NULL) {
		cannot(p);
		return true;
	}
	p->proxy = ++r->next_ticket;
	(void)map_put(r->proxied, ticket_key(&p->proxy), p);
	letter_received(l, p->no_id, &prefix);
	buffer_add(&prefix, l->prepend);
	letter_missing(l, p->no_id, &prefix);
	w.prefix = buffer_bytes(&prefix);
	describe(p, &w);
	fd = passage_content(p, &w.content, &w.at, &w.len);
	w.inside = fd < 0;
	word_pack_proxy(link_begin(link, WORD_PROXY, p->proxy), &w);
	if (fd >= 0)
		link_end_fd(link, fd);
	else
		link_end(link);
	buffer_free(&prefix);
	return true;
}

bool
hear_proxied(struct house *h, uint32_t ticket, struct bytes body)
{
	struct receiver    *r = receiver_of(h);
	struct arena       *scratch = arena_open(NULL);
	struct word_proxied w;
	bool                good = word_unpack_proxied(body, scratch, &w);
	struct passage     *p = good ? map_drop(r->proxied, ticket_key(&ticket)) : NULL;

	if (p != NULL)
		answered(p, w.reply);
	arena_close(&scratch);
	return good;
}

void
proxy_drop(struct passage *p)
{
	if (p->proxy != 0)
		(void)map_drop(receiver_of(p->house)->proxied, ticket_key(&p->proxy));
	p->proxy = 0;
}

/* Role policy died: whether the filter has the letter nobody knows, so the client is to try again. */
void
proxies_lost(struct receiver *r)
{
	struct map *lost = r->proxied;

	r->proxied = map_open();
	for (struct map_place place = { 0 }; map_next(lost, &place);)
		cannot(place.value);
	map_close(&lost);
}
