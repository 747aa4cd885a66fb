#include "role/tls.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/map.h"
#include "channel/tickets.h"
#include "role/tls-settings.h"

enum { STRANGERS_PERIOD_S = 3600 };

/* The chains that worked last, by their files: of this process, for all its listeners. */
static struct map *good_chains;

struct making {
	struct house     *house;
	struct tls       *tls;
	const char       *listener;
	struct tls_signer signer;
	struct buffer     errors;
	unsigned          shown;
};

/* The public parts of the files, one behind the other. */
static bool
gather(struct house *h, const char *kind, struct bytes files, struct buffer *out)
{
	struct bytes file;
	char         name[4200];

	while (bytes_split(&files, '\t', &file)) {
		const char *text;

		(void)snprintf(name, sizeof name, "%s/%.*s", kind, (int)file.len, file.at);
		if ((text = house_resource_text(h, name)) == NULL)
			return false;
		buffer_add_string(out, text);
	}
	return true;
}

static bool
works(const struct tls_signer *signer, struct bytes text)
{
	struct bytes rest = text, chain;
	int          count = 0;

	for (; tls_next_chain(&rest, &chain); count++)
		if (!tls_key_answers(chain, signer))
			return false;
	return count > 0;
}

const char *
house_tls_chain(struct house *h, const char *kind, struct bytes files,
                const struct tls_signer *signer)
{
	struct buffer now = { 0 };
	char         *old = good_chains == NULL ? NULL : map_get(good_chains, files), *kept;
	bool          good = gather(h, kind, files, &now) && now.len > 0;

	buffer_add_char(&now, '\0');
	if (good && old != NULL && strcmp(old, now.at) == 0) {
		buffer_free(&now);
		return old;
	}
	if (!good || !works(signer, bytes_of(now.at))) {
		fault("%.*s: no certificate whose private key is there%s", (int)files.len, files.at,
		      old != NULL ? "; the one from before stays" : "");
		buffer_free(&now);
		return old;
	}
	kept = memory_take(now.len);
	memcpy(kept, now.at, now.len);
	if (good_chains == NULL)
		good_chains = map_open();
	memory_free(map_put(good_chains, files, kept));
	buffer_free(&now);
	return kept;
}

/* "name TAB mail.example.org TAB file TAB file" */
static void
add_line(struct making *m, struct bytes line)
{
	struct bytes use, name, rest, chain;
	const char  *text;
	char         asked[256];

	if (!bytes_split(&line, '\t', &use) || !bytes_split(&line, '\t', &name) ||
	    !bytes_string(name, asked, sizeof asked) ||
	    (text = house_tls_chain(m->house, "certificate", line, &m->signer)) == NULL)
		return;
	for (rest = bytes_of(text); tls_next_chain(&rest, &chain);)
		if (bytes_is(use, "all")
		            ? tls_add_certificate(m->tls, chain, &m->errors)
		            : tls_add_certificate_for(m->tls, chain, asked, &m->errors))
			m->shown++;
}

/* Whose certificates of clients are trusted: those behind the mark are not told to them. */
static void
authorities_of(struct house *h, const struct tls_rows *r, struct buffer *out)
{
	char        name[4200];
	const char *text;

	(void)snprintf(name, sizeof name, "authorities/%s", r->authorities);
	if (*r->authorities != '\0' && (text = house_resource_text(h, name)) != NULL)
		buffer_add_string(out, text);
	(void)snprintf(name, sizeof name, "authorities/%s", r->authorities_path);
	if (*r->authorities_path != '\0' && (text = house_resource_text(h, name)) != NULL)
		buffer_printf(out, "%s%s", TLS_UNTOLD, text);
}

/* That of all fronts, or one that is forgotten with the process. */
static bool
read_seed(struct house *h, const struct tls_wish *w, struct buffer *seed)
{
	if (!w->for_strangers)
		return house_resource_read(h, "ticket-key", seed) == 0 && seed->len == TICKET_SEED;
	tickets_seed(buffer_room(seed, TICKET_SEED), clock_wall(), STRANGERS_PERIOD_S);
	buffer_took(seed, TICKET_SEED);
	return true;
}

static struct tls *
open_empty(struct making *m, const struct tls_wish *w, struct arena *a)
{
	struct house       *h = m->house;
	struct tls_rows     r;
	struct tls_settings set;
	struct buffer       seed = { 0 }, authorities = { 0 };
	struct tls         *t = NULL;

	if (house_settings(h, &tls_setting_table, w->listener, &r) &&
	    tls_settings_of(&r, w->mandatory, a, &set, &m->errors) && read_seed(h, w, &seed)) {
		set.ask_certificate = set.ask_certificate && !w->for_strangers;
		set.require_certificate = set.require_certificate && !w->for_strangers;
		authorities_of(h, &r, &authorities);
		set.authorities = buffer_bytes(&authorities);
		set.session_id = w->session_id;
		set.alpn = w->alpn;
		set.handshake_ms = w->handshake_ms;
		set.trace = w->trace;
		set.dump = w->dump;
		t = tls_open(&set, &m->signer, buffer_bytes(&seed), &m->errors);
	}
	if (seed.len > 0)
		explicit_bzero(seed.at, seed.len);
	buffer_free(&seed);
	buffer_free(&authorities);
	return t;
}

static const char *
list_of(struct house *h, const char *listener)
{
	char name[64];

	(void)snprintf(name, sizeof name, "certificates/%s", listener);
	return house_resource_text(h, name);
}

bool
house_tls_is_set(struct house *h, const char *listener)
{
	return list_of(h, listener) != NULL;
}

static struct tls *
make(struct house *h, const struct tls_wish *w, const char *list)
{
	struct making m = { h, NULL, w->listener, house_signer(h), { 0 }, 0 };
	struct arena *a = arena_open(NULL);
	struct bytes  rest, line;

	if ((m.tls = open_empty(&m, w, a)) != NULL)
		for (rest = bytes_of(list); bytes_split(&rest, '\n', &line);)
			add_line(&m, line);
	if (m.tls != NULL && (m.shown == 0 || !tls_settle(m.tls, h->common.myhostname)))
		tls_close(&m.tls);
	if (m.errors.len > 0)
		fault("TLS of %s: %.*s", w->listener, (int)m.errors.len - 1, m.errors.at);
	buffer_free(&m.errors);
	arena_close(&a);
	return m.tls;
}

/* Which certificates a listener could show: with these it goes on when what is said of it later cannot be shown. */
static struct map *shown;

static void
remember(const char *listener, const char *list)
{
	size_t n = strlen(list) + 1;

	if (shown == NULL)
		shown = map_open();
	memory_free(map_put(shown, bytes_of(listener), memcpy(memory_take(n), list, n)));
}

struct tls *
house_tls(struct house *h, const struct tls_wish *w)
{
	const char *list = list_of(h, w->listener), *old;
	struct tls *t = list == NULL ? NULL : make(h, w, list);

	if (t != NULL)
		remember(w->listener, list);
	if (list == NULL || t != NULL)
		return t;
	old = shown == NULL ? NULL : map_get(shown, bytes_of(w->listener));
	if (old != NULL && strcmp(old, list) != 0)
		t = make(h, w, old);
	if (t != NULL)
		fault("none of the certificates that %s is to have can be shown: it goes on with "
		      "those from before",
		      w->listener);
	else
		fault("there is no TLS at %s", w->listener);
	return t;
}
