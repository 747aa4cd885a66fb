#include "role/debug.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/journal.h"
#include "directory/table.h"
#include "role/enquiry.h"
#include "role/tables.h"

enum {
	LINES_MOST = 100000,
	CONTENT_LEVEL = 3,
	FILE_MOST = 1 << 30,
	ASKED_MOST = 32,     /* questions about one session               */
	KEPT_MOST = 1 << 16, /* bytes of a session while they are open    */
	LEFT_MOST = 200,     /* sessions that ended while they were       */
};

struct debug_settings {
	struct setting_list peers;
	int64_t             level;
	const char         *file;
};
#define AT(f) offsetof(struct debug_settings, f)
/* clang-format off */
static const struct setting rows[] = {
	{ "debug_peer_list", SETTING_MATCHES, AT(peers), "",
	  "Clients, and users, whose sessions are told in the log line by line, without passwords: addresses, networks, names, domains (and all below them), users as jill@example.com; in files of such, /file, and keys of tables, hash:/file or a database: an address, a name and the domains above it, a user. What is said before a database has answered is kept until then. mansio debug on does so for a while.", NULL, 0, 0, "0.3" },
	{ "debug_peer_file", SETTING_WORD, AT(file), "",
	  "A file that has these transcripts instead of the log: each line begins with its time, the service, the process and the number of the session in it. Who reads it reads other people's letters: it is root's alone. Beyond 1 GiB it does not grow; a reload makes it anew where it was renamed.", NULL, 0, 0, "0.3" },
	{ "debug_peer_level", SETTING_NUMBER, AT(level), "2",
	  "How much of these sessions is told: 1 and 2 commands and replies, 3 and more also the content of letters.", NULL, 0, 10, "0.3" },
};
/* clang-format on */
#undef AT
const struct setting_table debug_setting_table = { "Looking into sessions", rows, COUNT(rows) };

/* ---- whose ---- */

const char *
debug_peer_wrong(const char *peer)
{
	struct network net;
	const char    *wrong = "";

	if (*peer == '\0' || strlen(peer) > 320 || strpbrk(peer, "\t\r\n ,!") != NULL)
		return "write an address, a network, a name, a domain or a user";
	if (strchr(peer, '@') != NULL)
		return NULL;
	if (*peer == '/' || table_is_name(peer))
		return "write files and tables in debug_peer_list";
	if (strpbrk(peer, "/:") != NULL && !network_parse(bytes_of(peer), &net, &wrong))
		return wrong;
	return NULL;
}

static bool
is_table(const char *item)
{
	struct network net;
	const char    *wrong;

	return strchr(item, '@') == NULL && table_is_name(item) &&
	       !network_parse(bytes_of(item), &net, &wrong);
}

static const char *
item_wrong(const char *item)
{
	if (*item == '!')
		return "nobody can be taken out here";
	return *item == '/' || is_table(item) ? NULL : debug_peer_wrong(item);
}

const char *
debug_check(struct settings *s, struct arena *a)
{
	struct debug_settings set;
	struct buffer         unheard = { 0 };
	const char           *wrong = NULL;

	if (settings_fill(s, &debug_setting_table, NULL, &set, &unheard)) {
		if (*set.file != '\0' && *set.file != '/')
			wrong = arena_printf(a, "debug_peer_file = %s: write an absolute path",
			                     set.file);
		for (size_t i = 0; i < set.peers.count && wrong == NULL; i++)
			if ((wrong = item_wrong(set.peers.item[i])) != NULL)
				wrong = arena_printf(a, "debug_peer_list = %s: %s",
				                     set.peers.item[i], wrong);
	}
	buffer_free(&unheard);
	return wrong;
}

/* "example.com" and ".example.com" are all below it; the first is itself, too. */
static bool
name_fits(struct bytes pattern, const char *name)
{
	struct bytes whole = bytes_of(name);
	bool         below = pattern.len > 0 && pattern.at[0] == '.';

	if (!below && bytes_equal_nocase(pattern, whole))
		return true;
	if (whole.len <= pattern.len + !below)
		return false;
	return bytes_equal_nocase(pattern,
	                          bytes_cut(whole, whole.len - pattern.len, pattern.len)) &&
	       (below || whole.at[whole.len - pattern.len - 1] == '.');
}

static bool
fits(struct bytes pattern, const struct debug_facts *f)
{
	struct network net;
	const char    *wrong;

	if (bytes_find(pattern, '@') >= 0)
		return f->user != NULL && bytes_equal_nocase(pattern, bytes_of(f->user));
	if (bytes_equal_nocase(pattern, bytes_of(f->peer->text)))
		return true;
	if (network_parse(pattern, &net, &wrong))
		return network_holds(&net, f->peer);
	return f->name != NULL && name_fits(pattern, f->name);
}

/* By what a table may have it: the address, the user, the name and what it lies below; false at the end. */
static bool
next_key(const struct debug_facts *f, size_t *place, const char **key)
{
	const char *name = f->name;
	size_t      n = (*place)++;

	if (n < 2) {
		*key = n == 0 ? f->peer->text : f->user;
		return *key != NULL || next_key(f, place, key);
	}
	while (name != NULL && n-- > 2)
		if ((name = strchr(name, '.')) != NULL)
			name++;
	*key = name;
	return name != NULL && *name != '\0';
}

static bool
table_has(struct table *t, const struct debug_facts *f)
{
	struct arena *scratch = arena_open(NULL);
	struct bytes  value;
	const char   *key;
	bool          has = false;

	for (size_t place = 0; !has && next_key(f, &place, &key);)
		has = table_find(t, bytes_of(key), scratch, &value) == TABLE_FOUND;
	arena_close(&scratch);
	return has;
}

/* Filled once for each settings there are: what is filled stays as long as they do. */
struct peers {
	const struct settings *of;
	struct arena          *life;
	struct debug_settings  set;   /* the words of its files in their places   */
	struct table         **table; /* of each word; NULL: it is none, or ...   */
	bool                  *far;   /* ... elsewhere: role proxymap is asked    */
	bool                   any_far;
};

static void
open_tables(struct house *h, struct peers *p)
{
	struct table_source source = house_table_source(h);
	struct buffer       errors = { 0 }, warnings = { 0 };

	p->table = arena_take_array(p->life, p->set.peers.count + 1, sizeof(struct table *));
	p->far = arena_take_array(p->life, p->set.peers.count + 1, sizeof(bool));
	for (size_t i = 0; i < p->set.peers.count; i++) {
		const char *item = p->set.peers.item[i];

		if (!is_table(item))
			continue;
		if (table_is_remote(item, tables_default_type(h->settings))) {
			p->far[i] = p->any_far = true;
			continue;
		}
		p->table[i] = table_open(item, TABLE_PLAIN, &source, &errors, &warnings);
		if (p->table[i] == NULL) {
			warn_("debug_peer_list = %s cannot be used: %.*s", item, (int)errors.len,
			      errors.at);
			p->table[i] = table_failing(item, "it is not as it should be");
		}
	}
	buffer_free(&errors);
	buffer_free(&warnings);
}

/* Who asks tables that are elsewhere: the role, or, where it has nothing to ask of its own, we for it. */
static struct enquiries *asker;
static bool              asker_is_ours;

void
debug_ask_by(struct enquiries *of_the_role)
{
	asker = of_the_role;
}

static struct enquiries *
asker_of(struct house *h)
{
	struct proxymap_settings set;

	if (asker == NULL && house_settings(h, &proxymap_setting_table, NULL, &set)) {
		asker = enquiries_open(h, &set);
		asker_is_ours = true;
	}
	return asker;
}

bool
debug_heard(uint32_t ticket, struct bytes body)
{
	return asker != NULL && enquiries_heard(asker, ticket, body);
}

void
debug_proxymap(bool came)
{
	if (asker != NULL)
		(came ? enquiries_met : enquiries_lost)(asker);
}

/* Settings are new; a role forgets its own. */
static void
forget_answers(struct house *h)
{
	struct proxymap_settings set;

	if (asker_is_ours && house_settings(h, &proxymap_setting_table, NULL, &set))
		enquiries_forget(asker, &set);
}

static const struct peers *
peers_of(struct house *h)
{
	static struct peers p;

	if (p.of == h->settings)
		return &p;
	for (size_t i = 0; i < p.set.peers.count; i++)
		table_close(&p.table[i]);
	arena_close(&p.life);
	p = (struct peers){ .of = h->settings, .life = arena_open(NULL) };
	if (house_settings(h, &debug_setting_table, NULL, &p.set))
		tables_patterns(h, p.life, &p.set.peers);
	else
		p.set = (struct debug_settings){ { NULL, 0 }, 0, "" };
	open_tables(h, &p);
	forget_answers(h);
	return &p;
}

bool
debug_is_on(struct house *h)
{
	const char *text = house_resource_text(h, "debug");

	return peers_of(h)->set.peers.count > 0 || (text != NULL && *text != '\0');
}

/* A line of the resource. */
static bool
line_parse(struct bytes line, struct bytes *peer, int64_t *until_s)
{
	uint64_t n;

	if (!bytes_split(&line, '\t', peer) || !bytes_number(line, &n))
		return false;
	*until_s = (int64_t)n;
	return true;
}

/* When it ends; 0: it is not meant; INT64_MAX: settings say so. */
static int64_t
wanted_until(struct house *h, const struct debug_facts *f)
{
	const struct peers *p = peers_of(h);
	const char         *text = house_resource_text(h, "debug");
	struct bytes        rest = bytes_of(text != NULL ? text : ""), line, peer;
	int64_t             until, latest = 0;

	for (size_t i = 0; i < p->set.peers.count; i++)
		if (p->table[i] != NULL ? table_has(p->table[i], f)
		                        : !p->far[i] && fits(bytes_of(p->set.peers.item[i]), f))
			return INT64_MAX;
	while (bytes_split(&rest, '\n', &line))
		if (line_parse(line, &peer, &until) && until > clock_wall() && until > latest &&
		    fits(peer, f))
			latest = until;
	return latest;
}

/* ---- overhearing ---- */

struct hearing {
	struct house      *house;
	struct transcript *transcript;
	unsigned           number; /* of the session among those of this process */
	char               service[128], client[400];
	int64_t            until_s;
	unsigned           lines;
	struct doubt      *doubt; /* NULL: it is known that it is meant */
};

/* Whether it is meant is being asked: what is said meanwhile is kept. */
struct doubt {
	struct doubt   *next, **at;
	struct hearing *of;
	struct stream  *stream; /* NULL: the session is over             */
	struct buffer   kept;   /* lines, '<' or '>' before each         */
	bool            full;
	unsigned        asked, open;
	struct ask {
		struct enquiry enquiry; /* first */
		struct doubt  *of;
	} ask[ASKED_MOST];
};
static struct doubt *doubts;
static unsigned      left;

/* False: there is no such file, or it cannot be written. */
static bool
tell_file(const struct hearing *e, bool client, const char *text)
{
	int           fd = house_resource(e->house, "transcripts");
	int64_t       now = clock_wall_us();
	time_t        second = (time_t)(now / 1000000);
	struct buffer line = { 0 };
	struct tm     tm;
	char          stamp[32] = "";
	bool          good;

	if (fd < 0)
		return false;
	if (lseek(fd, 0, SEEK_END) >= FILE_MOST)
		return true;
	if (localtime_r(&second, &tm) != NULL)
		(void)strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &tm);
	buffer_printf(&line, "%s.%06d %s[%d.%u] %c %s: %s\n", stamp, (int)(now % 1000000),
	              e->service, (int)getpid(), e->number, client ? '<' : '>', e->client, text);
	good = write(fd, line.at, line.len) == (ssize_t)line.len;
	buffer_free(&line);
	return good;
}

static void
keep_line(struct doubt *d, bool client, const char *text)
{
	if (d->full)
		return;
	d->full = d->kept.len > KEPT_MOST;
	buffer_printf(&d->kept, "%c%s\n", client ? '<' : '>',
	              d->full ? "[a table has not answered yet: what follows here is not shown]"
	                      : text);
}

static void
tell(void *ctx, bool client, const char *text)
{
	struct hearing *e = ctx;

	if (e->doubt != NULL) {
		keep_line(e->doubt, client, text);
		return;
	}
	if (e->lines >= LINES_MOST)
		return;
	if (++e->lines == LINES_MOST)
		text = "[this transcript is too long and ends here]";
	if (!tell_file(e, client, text))
		note_as(e->service, "%c %s: %s", client ? '<' : '>', e->client, text);
}

static void
heard(void *own, bool arrived, struct bytes b)
{
	struct hearing *e = own;

	if (clock_wall() >= e->until_s)
		return;
	if (b.at == NULL)
		transcript_file(e->transcript, b.len);
	else
		transcript_hear(e->transcript, arrived, b);
}

static void
doubt_end(struct doubt *d)
{
	for (unsigned i = 0; i < d->asked; i++)
		enquiry_drop(asker, &d->ask[i].enquiry);
	*d->at = d->next;
	if (d->next != NULL)
		d->next->at = d->at;
	left -= d->stream == NULL;
	buffer_free(&d->kept);
	memory_free(d);
}

static void
hearing_close(struct hearing *e)
{
	transcript_close(&e->transcript);
	if (e->doubt != NULL)
		doubt_end(e->doubt);
	memory_free(e);
}

/* What was said stays until it is known whether it was meant. */
static void
gone(void *own)
{
	struct hearing *e = own;

	if (e->doubt == NULL || e->doubt->open == 0 || left == LEFT_MOST) {
		hearing_close(e);
		return;
	}
	e->doubt->stream = NULL;
	left++;
}

/* It is meant: what was kept is told, and what comes now. */
static void
sure(struct hearing *e, int64_t until_s)
{
	struct doubt *d = e->doubt;
	struct bytes  rest, line;
	char         *text;

	e->until_s = until_s;
	if (d == NULL)
		return;
	e->doubt = NULL;
	for (rest = buffer_bytes(&d->kept); bytes_split(&rest, '\n', &line);) {
		text = memory_take(line.len + 1);
		if (line.len > 0 && bytes_string(bytes_cut(line, 1, line.len), text, line.len + 1))
			tell(e, line.at[0] == '<', text);
		memory_free(text);
	}
	doubt_end(d);
}

static void
doubt_settled(struct enquiry *q, enum table_outcome outcome, struct bytes value)
{
	struct doubt   *d = ((struct ask *)q)->of;
	struct hearing *e = d->of;
	struct stream  *s = d->stream;

	(void)value;
	if (--d->open > 0 && outcome != TABLE_FOUND)
		return;
	if (outcome == TABLE_FOUND)
		sure(e, INT64_MAX);
	else if (s != NULL)
		stream_overhear(s, (struct stream_ear){ NULL, NULL, NULL });
	if (s == NULL)
		hearing_close(e);
}

/* Asks one table for all that is known of the session.  True: it is known already that it has it. */
static bool
ask_table(struct house *h, struct doubt *d, const char *table, const struct debug_facts *f)
{
	struct arena *scratch = arena_open(NULL);
	struct bytes  value;
	const char   *key;
	bool          has = false;

	for (size_t place = 0; !has && next_key(f, &place, &key);) {
		enum table_outcome o =
			enquiry_kept(asker_of(h), table, bytes_of(key), scratch, &value);
		has = o == TABLE_FOUND;
		if (o != TABLE_WAIT || d->asked == ASKED_MOST)
			continue;
		d->ask[d->asked] = (struct ask){ { .answered = doubt_settled }, d };
		d->open++;
		enquiry_ask(asker_of(h), &d->ask[d->asked++].enquiry, table, bytes_of(key));
	}
	arena_close(&scratch);
	return has;
}

/* Asks all tables elsewhere: when one has it, until when it is meant, else 0, and `open` says whether it is asked. */
static int64_t
ask_tables(struct house *h, struct doubt *d, const struct debug_facts *f)
{
	const struct peers *p = peers_of(h);

	if (asker_of(h) == NULL)
		return 0;
	for (size_t i = 0; i < p->set.peers.count; i++)
		if (p->far[i] && ask_table(h, d, p->set.peers.item[i], f))
			return INT64_MAX;
	return 0;
}

static struct doubt *
doubt_of(const struct stream *s)
{
	struct doubt *d = doubts;

	while (d != NULL && d->stream != s)
		d = d->next;
	return d;
}

static void
name_client(struct hearing *e, const struct debug_facts *f)
{
	(void)snprintf(e->service, sizeof e->service, "%s", f->service);
	(void)snprintf(e->client, sizeof e->client, "%s%s%s", f->client, f->user != NULL ? " " : "",
	               f->user != NULL ? f->user : "");
}

static struct hearing *
hearing_open(struct house *h, const struct debug_facts *f)
{
	static unsigned sessions;
	struct hearing *e = memory_take(sizeof *e);

	e->house = h;
	e->number = ++sessions;
	name_client(e, f);
	e->transcript =
		transcript_open(f->protocol, peers_of(h)->set.level >= CONTENT_LEVEL, tell, e);
	return e;
}

static struct doubt *
doubt_open(struct hearing *e, struct stream *s)
{
	struct doubt *d = memory_take(sizeof *d);

	d->of = e;
	d->stream = s;
	d->next = doubts;
	d->at = &doubts;
	if (doubts != NULL)
		doubts->at = &d->next;
	return doubts = d;
}

/* Nobody here knows whether it is meant: tables elsewhere may. */
static void
look_elsewhere(struct house *h, struct stream *s, const struct debug_facts *f)
{
	struct hearing *e = hearing_open(h, f);
	struct doubt   *d = e->doubt = doubt_open(e, s);
	int64_t         until = ask_tables(h, d, f);

	if (until == 0 && d->open == 0) {
		hearing_close(e);
		return;
	}
	e->until_s = INT64_MAX;
	if (until != 0)
		sure(e, until);
	stream_overhear(s, (struct stream_ear){ heard, gone, e });
}

void
debug_look(struct house *h, struct stream *s, const struct debug_facts *f)
{
	struct doubt   *d = s == NULL ? NULL : doubt_of(s);
	struct hearing *e;
	int64_t         until;

	if (s == NULL || (stream_is_overheard(s) && d == NULL) || !debug_is_on(h))
		return;
	until = wanted_until(h, f);
	if (d != NULL) {
		name_client(d->of, f);
		if (until != 0 || (until = ask_tables(h, d, f)) != 0)
			sure(d->of, until);
	} else if (until != 0) {
		e = hearing_open(h, f);
		e->until_s = until;
		stream_overhear(s, (struct stream_ear){ heard, gone, e });
	} else if (peers_of(h)->any_far) {
		look_elsewhere(h, s, f);
	}
}

void
debug_end(struct stream *s)
{
	stream_overhear(s, (struct stream_ear){ NULL, NULL, NULL });
}

/* ---- switches ---- */

/* The list without some of its lines. */
static bool
leave_out(struct buffer *list, const char *peer, int64_t now_s)
{
	struct buffer kept = { 0 };
	struct bytes  rest = buffer_bytes(list), line, one;
	int64_t       until;
	bool          some = false;

	while (bytes_split(&rest, '\n', &line)) {
		if (!line_parse(line, &one, &until))
			continue;
		if (until <= now_s || (peer != NULL && (*peer == '\0' || bytes_is(one, peer))))
			some = true;
		else
			buffer_printf(&kept, "%.*s\n", (int)line.len, line.at);
	}
	buffer_free(list);
	*list = kept;
	return some;
}

static unsigned
count_of(struct bytes list)
{
	struct bytes line;
	unsigned     n = 0;

	while (bytes_split(&list, '\n', &line))
		n += line.len > 0;
	return n;
}

bool
debug_switch_on(struct buffer *list, const char *peer, int64_t until_s)
{
	(void)leave_out(list, peer, 0);
	if (count_of(buffer_bytes(list)) >= DEBUG_PEERS)
		return false;
	buffer_printf(list, "%s\t%" PRId64 "\n", peer, until_s);
	return true;
}

bool
debug_switch_off(struct buffer *list, const char *peer)
{
	return leave_out(list, peer, 0);
}

bool
debug_switch_tidy(struct buffer *list, int64_t now_s)
{
	return leave_out(list, NULL, now_s);
}

void
debug_switch_tell(struct bytes list, int64_t now_s, struct buffer *out)
{
	struct bytes line, peer;
	int64_t      until;

	while (bytes_split(&list, '\n', &line))
		if (line_parse(line, &peer, &until) && until > now_s)
			buffer_printf(out,
			              "debug: sessions of %.*s are told in the log for %" PRId64
			              "m %" PRId64 "s more\n",
			              (int)peer.len, peer.at, (until - now_s) / 60,
			              (until - now_s) % 60);
}
