#include "dns/peername.h"

#include <stdio.h>
#include <string.h>

struct peername_search {
	struct resolver *resolver;
	struct peer      peer;
	struct lookup    lookup;
	struct arena    *life;
	struct bytes     name[PEERNAMES_TRIED];
	size_t           names, next;
	struct peername  result;
	void (*found)(void *ctx, const struct peername *);
	void *ctx;
};

void
peername_clear(struct peername_search **sp)
{
	struct peername_search *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	lookup_clear(&s->lookup);
	arena_close(&s->life);
	memory_free(s);
}

static void
finish(struct peername_search *s, enum peername_class class)
{
	s->result.class = class;
	if (class == PEERNAME_CONFIRMED)
		s->result.name = s->result.reverse;
	s->found(s->ctx, &s->result);
	peername_clear(&s);
}

static bool
has_address(const struct answer *a, const struct peer *peer)
{
	size_t len = peer->family == AF_INET ? 4 : 16;

	for (size_t i = 0; i < a->records; i++)
		if (bytes_equal(a->record[i].data, (struct bytes){ (const char *)peer->raw, len }))
			return true;
	return false;
}

static void
try_next(struct peername_search *s)
{
	resolver_ask(s->resolver, &s->lookup, s->name[s->next],
	             s->peer.family == AF_INET ? DNS_A : DNS_AAAA);
}

/* What speaks against a name that was not confirmed: the first reason stays, unless another
   name might have been right. */
static void
doubt(struct peername_search *s, enum answer_status status)
{
	enum peername_class why = status == ANSWER_LATER   ? PEERNAME_LATER
	                          : status == ANSWER_FOUND ? PEERNAME_FOREIGN
	                                                   : PEERNAME_NO_HOST;

	if (s->next == 0 || why == PEERNAME_LATER)
		s->result.class = why;
}

static void
forward_answered(void *ctx, const struct answer *a)
{
	struct peername_search *s = ctx;

	if (a->status == ANSWER_FOUND && has_address(a, &s->peer)) {
		s->result.reverse = s->name[s->next];
		finish(s, PEERNAME_CONFIRMED);
		return;
	}
	doubt(s, a->status);
	if (++s->next < s->names)
		try_next(s);
	else
		finish(s, s->result.class);
}

/* Only what can be a host's name: the rest is for nobody's log. */
static void
reverse_answered(void *ctx, const struct answer *a)
{
	struct peername_search *s = ctx;

	for (size_t i = 0; i < a->records && s->names < PEERNAMES_TRIED; i++)
		if (hostname_valid(a->record[i].name))
			s->name[s->names++] = arena_keep(s->life, a->record[i].name);
	if (s->names == 0) {
		finish(s, a->status == ANSWER_LATER ? PEERNAME_LATER : PEERNAME_NONE);
		return;
	}
	s->result.reverse = s->name[0];
	s->lookup.answered = forward_answered;
	try_next(s);
}

struct peername_search *
peername_ask(struct resolver *r, const struct peer                   *peer,
             void (*found)(void *ctx, const struct peername *), void *ctx)
{
	struct peername_search *s = memory_take(sizeof *s);
	char                    reverse[REVERSE_ROOM] = "";

	s->resolver = r;
	s->peer = *peer;
	s->life = arena_open(NULL);
	s->found = found;
	s->ctx = ctx;
	s->lookup = (struct lookup){ .answered = reverse_answered, .ctx = s };
	(void)hostname_reverse(peer, reverse);
	resolver_ask(r, &s->lookup, bytes_of(reverse), DNS_PTR);
	return s;
}

/*
 * hosts(5)
 */

/* The next word of a line, "" at its end. */
static struct bytes
word_of(struct bytes *line)
{
	size_t       n = 0;
	struct bytes word;

	while (line->len > 0 && (*line->at == ' ' || *line->at == '\t' || *line->at == '\r')) {
		line->at++;
		line->len--;
	}
	while (n < line->len && line->at[n] != ' ' && line->at[n] != '\t' && line->at[n] != '\r')
		n++;
	word = bytes_cut(*line, 0, n);
	*line = bytes_cut(*line, n, line->len);
	return word;
}

/* Letters, digits, hyphens and dots: it comes into replies and the log. */
static bool
is_name(struct bytes name)
{
	for (size_t i = 0; i < name.len; i++) {
		char c = name.at[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
		    c != '-' && c != '.' && c != '_')
			return false;
	}
	return name.len > 0 && name.len <= 253;
}

bool
peername_in(struct bytes hosts, const struct peer *peer, struct bytes *name)
{
	struct bytes line;

	while (bytes_split(&hosts, '\n', &line)) {
		ptrdiff_t      comment = bytes_find(line, '#');
		struct network net;
		const char    *wrong = "";
		struct bytes   address;
		char           text[64];

		line = bytes_cut(line, 0, comment < 0 ? line.len : (size_t)comment);
		address = word_of(&line);
		if (address.len == 0 || address.len > 48 || bytes_find(address, '/') >= 0)
			continue;
		(void)snprintf(text, sizeof text, bytes_find(address, ':') >= 0 ? "[%.*s]" : "%.*s",
		               (int)address.len, address.at);
		*name = word_of(&line);
		if (network_parse(bytes_of(text), &net, &wrong) && network_holds(&net, peer) &&
		    is_name(*name))
			return true;
	}
	return false;
}
