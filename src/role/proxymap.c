#include "role/proxymap.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/map.h"
#include "directory/remote.h"
#include "role/complaints.h"
#include "role/confine.h"
#include "role/house.h"
#include "role/lanes.h"
#include "role/places.h"
#include "role/proxymap-credential.h"
#include "role/tables.h"

enum {
	WAITING_MOST = 1000,
	ALL_MS = 3000,
	ALL_SIZE = 1 << 20,
	LEAVE_MS = 1000,
	TIDY_MS = 5000,
	DNS = 53,
	KERBEROS = 88
};

#define AT(f) offsetof(struct proxymap_settings, f)
/* clang-format off */
static const struct setting rows[] = {
	{ "table_connections", SETTING_NUMBER, AT(connections), "4",
	  "How many questions a table that another server keeps is asked at once, each on a connection of its own.", NULL, 1, 64, "0.1" },
	{ "table_cache_time", SETTING_TIME, AT(cache_ms), "10s",
	  "How long an answer of such a table, or that there is none, is believed without asking again; 0: never.", NULL, 0, 86400000, "0.1" },
	{ "table_cache_limit", SETTING_NUMBER, AT(cache_most), "20000",
	  "How many such answers are kept.", NULL, 2, 10000000, "0.1" },
	{ "auth_service_timeout", SETTING_TIME, AT(login_ms), "20s",
	  "How long saslauthd, or Dovecot's auth process, may take for one login; then the answer is: later.  SQL and LDAP have timeout in "
	  "their own files, PAM has auth_pam_timeout.", NULL, 100, 600000, "0.3" },
};
/* clang-format on */
#undef AT
const struct setting_table proxymap_setting_table = { "Tables kept elsewhere", rows, COUNT(rows) };

/* A table that settings name; `old` ones go when their last question is answered. */
struct asked_table {
	struct asked_table *next;
	char               *name;
	struct table       *table; /* NULL: it never was as it should be        */
	struct table       *text;  /* the same, for text as it stands           */
	struct lane        *lane;
	struct buffer       stamp;
	unsigned            open; /* questions in its lane                     */
	bool                named, old, failing;
	unsigned            roles; /* FROM() bits: whose settings name it         */
};

struct proxymap {
	struct house            *house;
	struct lanes            *lanes;
	struct proxymap_settings rows;
	struct asked_table      *first;
	struct remote_backends  *backends;
	struct reach             reach; /* what the cage was built around */
	struct places           *places;
	struct timer            *leave, *tidy;
	struct lane             *tidying;
	struct lane_job          tidy_job;
	bool                     tidies; /* the timer is set, or the job runs   */
	bool                     lying;  /* for the job: connections that nobody uses */
	bool                     used;   /* something was asked since it began  */
	unsigned                 open;
	uint64_t                 asked, put_off;
};

struct request {
	struct lane_job         job;
	struct proxymap        *proxymap;
	struct asked_table     *table;
	enum role               from;
	uint32_t                index, ticket;
	struct arena           *life;
	bool                    all; /* TABLE_ASK_ALL */
	const struct bytes     *key;
	uint32_t                keys, answers;
	struct word_table_said *answer;
};

/*
 * Tables
 */

struct wanting {
	const char *default_type;
	bool        any;
};

static void
want_remote(void *ctx, const struct table_named *named)
{
	struct wanting *w = ctx;
	struct bytes    name = bytes_of(named->name);

	if (bytes_starts(name, BYTES("proxy:")))
		name = bytes_cut(name, 6, name.len);
	/* Of the operating system's own something is asked rarely: then it is started. */
	w->any = w->any || (!named->is_file && table_is_remote(named->name, w->default_type) &&
	                    !bytes_starts(name, BYTES("unix:")));
}

bool
proxymap_is_wanted(struct settings *s)
{
	struct wanting w = { tables_default_type(s), false };

	tables_named(s, want_remote, &w);
	return w.any || remote_backends_wanted(s);
}

static struct asked_table *
table_of(struct proxymap *p, const char *name)
{
	for (struct asked_table *t = p->first; t != NULL; t = t->next)
		if (!t->old && strcmp(t->name, name) == 0)
			return t;
	return NULL;
}

struct stamping {
	struct house  *house;
	struct buffer *out;
};

/* Which file it was made of, as the postmaster names it. */
static void
add_stamp(void *ctx, const char *path, bool remote)
{
	struct stamping *s = ctx;
	struct arena    *scratch = arena_open(NULL);
	const char *text = house_resource_text(s->house, arena_printf(scratch, "table/%s", path));

	(void)remote;
	buffer_printf(s->out, "%s %s\n", path, text == NULL ? "" : text);
	arena_close(&scratch);
}

static void
table_end(struct asked_table *t)
{
	lane_close(&t->lane);
	table_close(&t->table);
	table_close(&t->text);
	buffer_free(&t->stamp);
	memory_free(t->name);
	memory_free(t);
}

/* Those that are old and have nothing open, and those no setting names. */
static void
sweep(struct proxymap *p)
{
	struct asked_table **at = &p->first, *t;

	while ((t = *at) != NULL) {
		t->old = t->old || !t->named;
		if (!t->old || t->open > 0) {
			at = &t->next;
			continue;
		}
		*at = t->next;
		table_end(t);
	}
}

/* Built anew when its file is another; one that is not good leaves the good one where it is. */
static void
visit(void *ctx, const struct table_named *named)
{
	struct proxymap    *p = ctx;
	struct table_source source = house_table_source(p->house);
	struct asked_table *t = table_of(p, named->name), *new;
	struct buffer       stamp = { 0 }, errors = { 0 }, warnings = { 0 };
	struct stamping     s = { p->house, &stamp };
	struct table       *table, *text = NULL;

	if (named->is_file || !table_is_remote(named->name, source.default_type))
		return;
	if (t != NULL) {
		t->named = true;
		t->roles = named->roles;
	}
	buffer_printf(&stamp, "%d\n", named->text);
	table_files(named->name, source.default_type, add_stamp, &s);
	if (t != NULL && bytes_equal(buffer_bytes(&t->stamp), buffer_bytes(&stamp))) {
		buffer_free(&stamp);
		return;
	}
	table = table_open(named->name, named->grammar, &source, &errors, &warnings);
	source.how = TABLE_KEEP_CASE;
	if (table != NULL && named->text)
		text = table_open(named->name, named->grammar, &source, &errors, &warnings);
	complaints_warn(buffer_bytes(&errors));
	complaints_warn(buffer_bytes(&warnings));
	buffer_free(&errors);
	buffer_free(&warnings);
	if (table == NULL)
		warn_("table %s: %s", named->name,
		      t != NULL && t->table != NULL
		              ? "not taken over: the last good one stays"
		              : "cannot be used: what depends on it is put off");
	if (table == NULL && t != NULL) {
		buffer_free(&t->stamp);
		t->stamp = stamp;
		return;
	}
	if (t != NULL) {
		t->old = true;
		note("table %s: loaded anew", t->name);
	}
	new = memory_take(sizeof *new);
	*new = (struct asked_table){ .next = p->first,
		                     .name = memory_take(strlen(named->name) + 1),
		                     .table = table,
		                     .text = text,
		                     .stamp = stamp,
		                     .named = true,
		                     .roles = named->roles };
	memcpy(new->name, named->name, strlen(named->name) + 1);
	p->first = new;
}

static void
look_at_tables(struct proxymap *p)
{
	for (struct asked_table *t = p->first; t != NULL; t = t->next)
		t->named = t->old;
	tables_named(p->house->settings, visit, p);
	sweep(p);
	remote_backends_look(p->backends);
}

/* Names are looked up, tickets fetched. */
static void
find_reach(struct proxymap *p, struct reach *r)
{
	reach_port(r, DNS);
	reach_port(r, KERBEROS);
	for (struct asked_table *t = p->first; t != NULL; t = t->next)
		if (!t->old && t->table != NULL)
			table_reach(t->table, r);
	remote_backends_reach(p->backends, r);
}

/* Whether all that one leads to was known to the other. */
static bool
is_within(const struct reach *new, const struct reach *old)
{
	struct reach both = { .ports = 0 };
	struct bytes rest = buffer_bytes(&old->paths), one;
	size_t       ports, paths;
	bool         within;

	for (size_t i = 0; i < old->ports; i++)
		reach_port(&both, old->port[i]);
	while (bytes_split(&rest, '\0', &one))
		reach_path(&both, one);
	ports = both.ports;
	paths = both.paths.len;
	for (size_t i = 0; i < new->ports; i++)
		reach_port(&both, new->port[i]);
	for (rest = buffer_bytes(&new->paths); bytes_split(&rest, '\0', &one);)
		reach_path(&both, one);
	within = both.ports == ports && both.paths.len == paths &&
	         (old->any_port || (!new->any_port && !both.any_port));
	reach_free(&both);
	return within;
}

/*
 * Questions
 */

static void
answer(struct proxymap *p, const struct request *r)
{
	struct word_table_said_all all = { r->answer, r->answers };
	struct link               *l = house_link(p->house, r->from, r->index);

	if (l == NULL)
		return;
	if (r->all)
		word_pack_table_said_all(link_begin(l, WORD_TABLE_SAID_ALL, r->ticket), &all);
	else
		word_pack_table_said(link_begin(l, WORD_TABLE_SAID, r->ticket), r->answer);
	link_end(l);
}

/* Once when it begins and once when it is over. */
static void
tell_how_it_goes(struct request *r)
{
	struct asked_table           *t = r->table;
	const struct word_table_said *last = &r->answer[r->answers - 1];
	bool                          failing = last->outcome == TABLE_LATER;

	if (failing && !t->failing)
		warn_("table %s: %.*s", t->name, (int)last->value.len,
		      last->value.len > 0 ? last->value.at : "");
	if (!failing && t->failing)
		note("table %s: answers again", t->name);
	t->failing = failing;
	r->proxymap->put_off += failing;
}

static void
request_end(struct request *r)
{
	struct arena *life = r->life;

	arena_close(&life);
}

static void
ask_table(struct lane_job *job)
{
	struct request    *r = (struct request *)job;
	int64_t            end = clock_patient_ms() + ALL_MS;
	size_t             size = 0;
	enum table_outcome o = TABLE_NONE;
	struct table      *t = r->all ? r->table->text : r->table->table;

	/* What is left over when it takes long is asked again, so that others have their turn. */
	while (r->answers < r->keys && o != TABLE_LATER &&
	       (r->answers == 0 || (size < ALL_SIZE && clock_patient_ms() < end))) {
		struct word_table_said *now = &r->answer[r->answers];

		o = table_find(t, r->key[r->answers++], r->life, &now->value);
		now->outcome = (uint8_t)o;
		size += now->value.len;
	}
}

static void
leave_now(void *ctx)
{
	struct proxymap *p = ctx;

	if (p->open + remote_backends_busy(p->backends) == 0) {
		house_leave(p->house);
		return;
	}
	/* Threads wait for servers that do not answer: nothing is to be put in order here. */
	journal_flush();
	_exit(EXIT_SUCCESS);
}

static void
table_asked(struct lane_job *job)
{
	struct request  *r = (struct request *)job;
	struct proxymap *p = r->proxymap;

	r->table->open--;
	p->open--;
	tell_how_it_goes(r);
	answer(p, r);
	request_end(r);
	sweep(p);
	if (p->house->leaving && p->open == 0)
		timer_set(p->leave, 0);
}

static void
put_off(struct request *r, const char *why)
{
	r->answer[0] = (struct word_table_said){ TABLE_LATER, bytes_of(why) };
	r->answers = 1;
	answer(r->proxymap, r);
	request_end(r);
}

/* Who speaks with strangers asks what is theirs to ask, and what checks of letters need; who serves readers, whom debug_peer_list
   has; passwords for other hosts are the senders' alone. */
static bool
may_ask(enum role from, const struct asked_table *t)
{
	if (from == RECEIVER)
		return (t->roles & (FROM(RECEIVER) | FROM(VERIFIER))) != 0;
	if (from == LOGIN || from == KEEPER)
		return (t->roles & FROM(from)) != 0;
	return from == SENDER || t->roles != FROM(SENDER);
}

static void
request_put(struct proxymap *p, struct request *r, const char *name)
{
	struct asked_table *t = r->table = table_of(p, name);

	p->asked += r->keys;
	if (t == NULL || (r->all ? t->text : t->table) == NULL) {
		put_off(r, t == NULL ? "no setting names this table"
		                     : "the table is not as it should be; the log says why");
		return;
	}
	if (!may_ask(r->from, t)) {
		put_off(r, "this table is for others to ask");
		return;
	}
	if (t->lane == NULL)
		t->lane = lane_open(p->lanes, (unsigned)p->rows.connections, WAITING_MOST);
	if (!lane_put(t->lane, &r->job)) {
		put_off(r, "too many questions wait for this table");
		return;
	}
	t->open++;
	p->open++;
}

static struct request *
request_open(struct proxymap *p, enum role from, uint32_t index, uint32_t ticket)
{
	struct arena   *life = arena_open(NULL);
	struct request *r = arena_take(life, sizeof *r);

	*r = (struct request){ .job = { .run = ask_table, .done = table_asked },
		               .proxymap = p,
		               .from = from,
		               .index = index,
		               .ticket = ticket,
		               .life = life };
	return r;
}

static bool
hear_ask(struct proxymap *p, enum role from, uint32_t index, uint32_t ticket, struct bytes body)
{
	struct request       *r = request_open(p, from, index, ticket);
	struct word_table_ask w;

	if (!word_unpack_table_ask(arena_keep(r->life, body), r->life, &w)) {
		request_end(r);
		return false;
	}
	if (from == CLERK && strncmp(w.table, REMOTE_USERS, strlen(REMOTE_USERS)) == 0) {
		p->asked++;
		remote_backends_user(p->backends, p->lanes, ticket, w.table + strlen(REMOTE_USERS),
		                     w.key);
		request_end(r);
		return true;
	}
	r->key = memcpy(arena_take(r->life, sizeof w.key), &w.key, sizeof w.key);
	r->keys = 1;
	r->answer = arena_take(r->life, sizeof *r->answer);
	request_put(p, r, w.table);
	return true;
}

static bool
hear_ask_all(struct proxymap *p, enum role from, uint32_t index, uint32_t ticket, struct bytes body)
{
	struct request           *r = request_open(p, from, index, ticket);
	struct word_table_ask_all w;

	if (!word_unpack_table_ask_all(arena_keep(r->life, body), r->life, &w)) {
		request_end(r);
		return false;
	}
	r->all = true;
	r->key = w.key;
	r->keys = w.keys;
	r->answer = arena_take_array(r->life, w.keys, sizeof *r->answer);
	request_put(p, r, w.table);
	return true;
}

static bool
proxymap_hear(struct house *h, enum role from, uint32_t index, enum word word, uint32_t ticket,
              struct bytes body, int fd)
{
	struct proxymap *p = h->mine;

	if (fd >= 0)
		(void)close(fd);
	p->used = true;
	if (!p->tidies)
		timer_set(p->tidy, TIDY_MS);
	p->tidies = true;
	if (word == WORD_CRED_ASK)
		return remote_backends_hear(p->backends, p->lanes, ticket, body);
	if (word == WORD_TABLE_ASK_ALL)
		return hear_ask_all(p, from, index, ticket, body);
	return word == WORD_TABLE_ASK && hear_ask(p, from, index, ticket, body);
}

/*
 * Connections that nobody uses
 */

static void
tidy(struct lane_job *job)
{
	struct proxymap *p =
		(struct proxymap *)(void *)((char *)job - offsetof(struct proxymap, tidy_job));

	p->lying = pools_tidy();
}

static void
tidied(struct lane_job *job)
{
	struct proxymap *p =
		(struct proxymap *)(void *)((char *)job - offsetof(struct proxymap, tidy_job));

	p->tidies = p->lying || p->used || p->open + remote_backends_busy(p->backends) > 0;
	if (p->tidies)
		timer_set(p->tidy, TIDY_MS);
}

/* To say farewell to a server may block too. */
static void
tidy_now(void *ctx)
{
	struct proxymap *p = ctx;

	if (p->tidying == NULL)
		p->tidying = lane_open(p->lanes, 1, 1);
	p->tidy_job = (struct lane_job){ .run = tidy, .done = tidied };
	p->used = false;
	if (!lane_put(p->tidying, &p->tidy_job))
		tidied(&p->tidy_job);
}

/*
 * The day
 */

/* What the cage must be built around is known before it is. */
static void
proxymap_prepare(struct house *h)
{
	struct proxymap *p = memory_take(sizeof *p);

	h->mine = p;
	p->house = h;
	p->backends = remote_backends_open(h, &p->rows);
	look_at_tables(p);
	find_reach(p, &p->reach);
	confine_lead(&p->reach);
	p->places = places_open(&p->reach);
}

static void
begin_anew(struct proxymap *p, const char *why)
{
	note("%s: starting anew", why);
	p->house->leaving = true;
	timer_set(p->leave, p->open == 0 ? 0 : LEAVE_MS);
}

static void
places_changed(void *ctx)
{
	begin_anew(ctx, "a directory that the tables lead to is another one now");
}

static bool
proxymap_start(struct house *h)
{
	struct proxymap *p = h->mine;

	p->lanes = lanes_open(h->loop);
	p->leave = timer_open(h->loop, leave_now, p);
	p->tidy = timer_open(h->loop, tidy_now, p);
	places_watch(p->places, h->loop, places_changed, p);
	return p->lanes != NULL && house_settings(h, &proxymap_setting_table, NULL, &p->rows);
}

static void
proxymap_tables(struct house *h)
{
	struct proxymap *p = h->mine;
	struct reach     now = { .ports = 0 };

	look_at_tables(p);
	find_reach(p, &now);
	if (!is_within(&now, &p->reach))
		begin_anew(p, "the tables lead elsewhere now");
	reach_free(&now);
}

static void
proxymap_reload(struct house *h)
{
	struct proxymap *p = h->mine;

	(void)house_settings(h, &proxymap_setting_table, NULL, &p->rows);
	proxymap_tables(h);
}

static void
proxymap_stop(struct house *h)
{
	struct proxymap *p = h->mine;

	timer_set(p->leave, p->open == 0 ? 0 : LEAVE_MS);
}

static void
proxymap_status(struct house *h, uint32_t *connections, struct buffer *text)
{
	struct proxymap *p = h->mine;

	*connections = 0;
	buffer_printf(text, "asked=%" PRIu64 " put_off=%" PRIu64 " open=%u", p->asked, p->put_off,
	              p->open);
}

const struct role_card proxymap_card = {
	.name = "proxymap",
	.prepare = proxymap_prepare,
	.start = proxymap_start,
	.hear = proxymap_hear,
	.reload = proxymap_reload,
	.tables = proxymap_tables,
	.stop = proxymap_stop,
	.status = proxymap_status,
};
