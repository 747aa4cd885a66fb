/* Whose letters have the addresses of their header made whole, and of which domain (rfc6409:8 for those of our own) */
#include "smtp/receiver/session_inner.h"

#include <string.h>

typedef bool is_fn(struct session *, const char *table);

bool
session_is_here(const struct session *s)
{
	return s->peer.family == AF_UNIX || strncmp(s->peer.text, "127.", 4) == 0 ||
	       strcmp(s->peer.text, "::1") == 0 || s->neighbour;
}

static bool
is_here(struct session *s, const char *none)
{
	(void)none;
	return session_is_here(s);
}

static bool
is_in_networks(struct session *s, const char *none)
{
	(void)none;
	return s->trusted;
}

static bool
is_logged_in(struct session *s, const char *none)
{
	(void)none;
	return s->user.len > 0;
}

static bool
has_certificate(struct session *s, const char *none)
{
	struct tls_facts t;

	(void)none;
	return session_tls(s, &t) && t.trusted;
}

static bool
has(const struct session *s, const char *table, const char *key)
{
	struct network_tables *tables = s->config->tables;

	return tables != NULL && *key != '\0' && tables->find(tables, table, key) == NETWORK_HAS;
}

static bool
has_known_certificate(struct session *s, const char *none)
{
	const struct setting_list *of = &s->config->set.known_certificates;
	struct tls_facts           t;

	(void)none;
	if (!session_tls(s, &t))
		return false;
	for (size_t i = 0; i < of->count; i++)
		if (has(s, of->item[i], t.fingerprint) || has(s, of->item[i], t.key_fingerprint))
			return true;
	return false;
}

static bool
is_in_table(struct session *s, const char *table)
{
	return has(s, table, s->peer.text);
}

static const struct local_word {
	const char *word;
	is_fn      *is;
	bool        takes_table;
} words[] = {
	{ "permit_inet_interfaces", is_here, false },
	{ "permit_mynetworks", is_in_networks, false },
	{ "permit_sasl_authenticated", is_logged_in, false },
	{ "permit_tls_clientcerts", has_known_certificate, false },
	{ "permit_tls_all_clientcerts", has_certificate, false },
	{ "check_address_map", is_in_table, true },
};

static const struct local_word *
word_find(const char *word)
{
	for (size_t i = 0; i < COUNT(words); i++)
		if (strcmp(word, words[i].word) == 0)
			return &words[i];
	return NULL;
}

/* A table without a word before it is looked into as well, as Postfix does. */
static bool
is_table(const char *word)
{
	return strchr(word, ':') != NULL;
}

const char *
local_clients_wrong(const struct setting_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct local_word *w = word_find(list->item[i]);

		if (w == NULL && !is_table(list->item[i]))
			return list->item[i];
		if (w != NULL && w->takes_table &&
		    (i + 1 == list->count || !is_table(list->item[i + 1])))
			return list->item[i];
	}
	return NULL;
}

const char *
local_origin(struct session *s)
{
	const struct setting_list *list = &s->config->set.local_clients;
	const char                *remote = s->config->set.remote_domain;
	struct bytes               source = origin_source(s);

	/* Who gives us letters of others knows whose they are. */
	if (source.len > 0)
		return bytes_is(source, "LOCAL") ? s->config->myorigin
		       : *remote != '\0'         ? remote
		                                 : NULL;
	for (size_t i = 0; i < list->count; i++) {
		const struct local_word *w = word_find(list->item[i]);

		if (w == NULL ? is_in_table(s, list->item[i]) : !w->takes_table && w->is(s, NULL))
			return s->config->myorigin;
	}
	return *remote != '\0' ? remote : NULL;
}
