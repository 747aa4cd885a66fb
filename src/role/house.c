#include "role/house.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "directory/directory.h"
#include "message/charset.h"
#include "role/confine.h"
#include "role/owner.h"
#include "role/runner.h"
#include "role/transports.h"

enum { LINK_OF_POSTMASTER = 3, SIGN_WAIT_MS = 5000, GIVE_BACK_MS = 20000, SPARE_MOST = 1 << 20 };

/* Another process of the house, and our end of the link to it. */
struct neighbour {
	struct home *home;
	enum role    role;
	uint32_t     index;
	struct link *link; /* NULL while it is away                                */
	int          fd;   /* a link for house_call(), or to be opened at work; -1 */
	uint32_t     pid;  /* as the postmaster told it                            */
};

/* One of an operating-system user's keepers: there are as many places as were ever heard of. */
struct user_keeper {
	struct user_keeper *next;
	struct neighbour    neighbour;
};

struct resource {
	struct resource *next;
	char            *name, *text;
	int              fd;
};

/* What only this file knows of a house.  The house comes first. */
struct home {
	struct house            house;
	const struct role_card *card;
	struct link            *postmaster;
	struct neighbour       *neighbour[ROLES];
	uint32_t                neighbours[ROLES];
	struct user_keeper     *user_keepers;
	uint32_t                introduced; /* so many PEERs were heard              */
	struct system_user      user;       /* of a user's keeper                    */
	int                     runner;     /* of a user's keeper, else -1           */
	int                     refused;    /* the exit status when it cannot work   */
	struct resource        *first;
	struct arena           *life;
	const char             *root;    /* before paths in the mail directory    */
	int                     memory;  /* /proc/self/smaps_rollup, or -1        */
	struct timer           *giving;  /* memory back                           */
	size_t                  spare;   /* the least that was unused since the last time */
	bool                    working; /* GO was said and the role could start  */
	bool                    left;    /* the role wants to hear nothing more   */
};

/* The service in the lines of a role's log where pflogsumm expects a name. */
static const char *const service_of[ROLES] = {
	[RECEIVER] = "smtpd",
	[QUEUE] = "qmgr",
};

static struct home *
home_of(struct house *h)
{
	return (struct home *)h;
}

/*
 * Neighbours
 */

/* Those that are asked with house_call(): no link of the loop, a socket. */
static bool
is_called(enum role us, enum role them)
{
	return them == SIGNER && (us == RECEIVER || us == LOGIN || us == SENDER);
}

static void
neighbour_lose(struct neighbour *n)
{
	struct home *m = n->home;

	if (n->fd >= 0)
		(void)close(n->fd);
	n->fd = -1;
	if (n->link == NULL)
		return;
	link_close(&n->link);
	if (m->working && !m->left && m->card->lost != NULL)
		m->card->lost(&m->house, n->role, n->index);
}

/* Somebody broke the rules of the house: the postmaster will end it. */
static void
neighbour_denounce(struct neighbour *n, uint16_t word)
{
	struct home      *m = n->home;
	struct word_wrong wrong = { n->role, n->index, word };

	fault("wrong mouth: %s %u said %s to us, which it may not say or said wrongly",
	      role_names[n->role], n->index, word_name(word));
	word_pack_wrong(link_begin(m->postmaster, WORD_WRONG_MOUTH, 0), &wrong);
	link_end(m->postmaster);
	neighbour_lose(n);
}

static void
neighbour_said(void *ctx, struct link *l, uint16_t word, uint32_t ticket, struct bytes body, int fd)
{
	struct neighbour *n = ctx;
	struct home      *m = n->home;

	(void)l;
	if (m->left) {
		if (fd >= 0)
			(void)close(fd);
	} else if (!word_allowed(word, n->role, m->house.role) ||
	           !word_allowed_of(word, n->role, n->index)) {
		if (fd >= 0)
			(void)close(fd);
		neighbour_denounce(n, word);
	} else if (!m->card->hear(&m->house, n->role, n->index, (enum word)word, ticket, body,
	                          fd)) {
		neighbour_denounce(n, word);
	}
}

static void
neighbour_lost(void *ctx, struct link *l)
{
	(void)l;
	neighbour_lose(ctx);
}

static const struct link_events neighbour_events = { neighbour_said, neighbour_lost };

/* Nobody is heard before we are at work: until then its link is not opened. */
static void
neighbour_meet(struct neighbour *n)
{
	struct home *m = n->home;

	if (n->fd < 0 || m->left || is_called(m->house.role, n->role))
		return;
	n->link = link_open(m->house.loop, n->fd, &neighbour_events, n);
	n->fd = -1;
	if (m->card->peer != NULL)
		m->card->peer(&m->house, n->role, n->index);
}

static void
meet_neighbours(struct home *m)
{
	for (int role = 0; role < ROLES; role++)
		for (uint32_t i = 0; i < m->neighbours[role]; i++)
			neighbour_meet(&m->neighbour[role][i]);
	for (struct user_keeper *u = m->user_keepers; u != NULL; u = u->next)
		neighbour_meet(&u->neighbour);
}

static void
neighbours_make(struct home *m, enum role role, uint32_t of)
{
	m->neighbour[role] = arena_take_array(m->life, of, sizeof(struct neighbour));
	m->neighbours[role] = of;
	for (uint32_t i = 0; i < of; i++)
		m->neighbour[role][i] =
			(struct neighbour){ .home = m, .role = role, .index = i, .fd = -1 };
}

static struct neighbour *
neighbour_of(struct home *m, enum role role, uint32_t index)
{
	if (role == KEEPER && (index & KEEPER_OF_USER) != 0)
		for (struct user_keeper *u = m->user_keepers; u != NULL; u = u->next)
			if (u->neighbour.index == index)
				return &u->neighbour;
	return index < m->neighbours[role] ? &m->neighbour[role][index] : NULL;
}

static struct neighbour *
user_keeper_make(struct home *m, uint32_t index)
{
	struct user_keeper *u = arena_take(m->life, sizeof *u);

	*u = (struct user_keeper){ m->user_keepers,
		                   { .home = m, .role = KEEPER, .index = index, .fd = -1 } };
	m->user_keepers = u;
	return &u->neighbour;
}

struct link *
house_link(struct house *h, enum role role, uint32_t index)
{
	struct neighbour *n = neighbour_of(home_of(h), role, index);

	return n != NULL ? n->link : NULL;
}

uint32_t
house_peer_pid(struct house *h, enum role role, uint32_t index)
{
	struct neighbour *n = neighbour_of(home_of(h), role, index);

	return n != NULL && n->link != NULL ? n->pid : 0;
}

bool
house_user_keeper_next(struct house *h, size_t *place, uint32_t *index)
{
	size_t at = 0;

	for (struct user_keeper *u = home_of(h)->user_keepers; u != NULL; u = u->next) {
		if (u->neighbour.link == NULL || at++ < *place)
			continue;
		*place = at;
		*index = u->neighbour.index;
		return true;
	}
	return false;
}

void
house_proxymap_want(struct house *h)
{
	link_say(home_of(h)->postmaster, WORD_PROXYMAP_WANT, 0, (struct bytes){ NULL, 0 }, -1);
}

void
house_keeper_want(struct house *h, uint32_t index)
{
	struct home   *m = home_of(h);
	struct buffer *b = link_begin(m->postmaster, WORD_KEEPER_WANT, 0);

	/* A link may be on its way to us already; the number tells. */
	pack_u32(b, index);
	pack_u32(b, m->introduced);
	link_end(m->postmaster);
}

void
house_owner_say(struct house *h, const struct owner_row *r)
{
	struct link   *l = home_of(h)->postmaster;
	struct buffer *b = link_begin(l, WORD_OWNER, 0);

	pack_u32(b, r->number);
	pack_string(b, r->owner.uid);
	pack_string(b, r->owner.gid);
	link_end(l);
}

void
house_keeper_let_go(struct house *h, uint32_t index)
{
	struct neighbour *n = neighbour_of(home_of(h), KEEPER, index);

	if (n != NULL && (index & KEEPER_OF_USER) != 0)
		neighbour_lose(n);
}

const struct system_user *
house_user(struct house *h)
{
	return (h->index & KEEPER_OF_USER) != 0 && h->role == KEEPER ? &home_of(h)->user : NULL;
}

/* Those who could give it something to do. */
static const enum role callers_of_keepers[] = { LOGIN, QUEUE, CLERK };

int
house_runner(struct house *h)
{
	return home_of(h)->runner;
}

void
house_rest(struct house *h)
{
	struct home *m = home_of(h);

	/* The clerk, whom the work of the others may need, is the last; an owner's keeper must go on hearing of its accounts. */
	for (size_t r = 0, told = 0; r < COUNT(callers_of_keepers); r++)
		for (uint32_t i = 0; i < m->neighbours[callers_of_keepers[r]]; i++) {
			struct link *l = m->neighbour[callers_of_keepers[r]][i].link;
			if (l == NULL ||
			    (callers_of_keepers[r] == CLERK && (told > 0 || m->user.owner)))
				continue;
			link_say(l, WORD_KEEPER_REST, 0, (struct bytes){ NULL, 0 }, -1);
			told++;
		}
}

bool
house_is_alone(struct house *h)
{
	struct home *m = home_of(h);

	for (size_t r = 0; r < COUNT(callers_of_keepers); r++)
		for (uint32_t i = 0; i < m->neighbours[callers_of_keepers[r]]; i++)
			if (m->neighbour[callers_of_keepers[r]][i].link != NULL &&
			    (callers_of_keepers[r] != CLERK || !m->user.owner))
				return false;
	return true;
}

void
house_rest_for_good(struct house *h)
{
	pack_u32(link_begin(home_of(h)->postmaster, WORD_KEEPER_REST, 0), home_of(h)->introduced);
	link_end(home_of(h)->postmaster);
}

uint32_t
house_peers(struct house *h, enum role role)
{
	return home_of(h)->neighbours[role];
}

bool
house_shares(struct house *h)
{
	const char *text = house_resource_text(h, "sharing");

	return text != NULL && strcmp(text, "yes") == 0;
}

uint32_t
house_keeper_of(struct house *h, uint64_t account)
{
	uint32_t keepers = h->role == KEEPER ? h->of : house_peers(h, KEEPER);
	uint64_t by = house_shares(h) ? account >> 32 : account;

	if (is_system_account(account))
		return KEEPER_OF_USER | system_uid(account);
	if (is_owned_account(account))
		return owner_index(account_owner(account));
	return keepers > 0 ? (uint32_t)(by % keepers) : 0;
}

struct bytes
house_plain_address(struct house *h, struct arena *a, struct bytes written, struct bytes detail)
{
	const char  *delimiters = settings_value(h->settings, "recipient_delimiter");
	struct bytes plain = arena_lower(a, written), local = plain;
	ptrdiff_t    at = bytes_find_last(plain, '@');
	char         before;

	if (at >= 0)
		local = bytes_cut(plain, 0, (size_t)at);
	if (detail.len == 0 || local.len <= detail.len + 1 || !bytes_ends_nocase(local, detail))
		return plain;
	before = local.at[local.len - detail.len - 1];
	if (delimiters == NULL || before == '\0' || strchr(delimiters, before) == NULL)
		return plain;
	return bytes_of(arena_printf(a, "%.*s%.*s", (int)(local.len - detail.len - 1), local.at,
	                             (int)(plain.len - local.len), plain.at + local.len));
}

bool
house_call(struct house *h, enum role role, uint16_t word, struct bytes body, uint16_t *answer,
           struct buffer *reply, int ms)
{
	struct home *m = home_of(h);

	return m->neighbours[role] > 0 && m->neighbour[role][0].fd >= 0 &&
	       link_call(m->neighbour[role][0].fd, word, body, answer, reply, ms) &&
	       word_allowed(*answer, role, h->role);
}

static bool
signer_sign(void *ctx, struct bytes key_id, enum tls_sign_kind kind, int padding, struct bytes in,
            struct buffer *out)
{
	struct word_sign   ask = { key_id, (uint8_t)kind, padding, in };
	struct word_signed got = { .ok = false };
	struct arena      *scratch = arena_open(NULL);
	struct buffer      body = { 0 }, reply = { 0 };
	uint16_t           answer = WORD_NONE;

	word_pack_sign(&body, &ask);
	if (house_call(ctx, SIGNER, WORD_SIGN, buffer_bytes(&body), &answer, &reply,
	               SIGN_WAIT_MS) &&
	    answer == WORD_SIGNED && word_unpack_signed(buffer_bytes(&reply), scratch, &got) &&
	    got.ok)
		buffer_add(out, got.signature);
	else
		got.ok = false;
	buffer_free(&body);
	buffer_free(&reply);
	arena_close(&scratch);
	return got.ok;
}

struct tls_signer
house_signer(struct house *h)
{
	return (struct tls_signer){ signer_sign, h };
}

/*
 * Resources
 */

static bool
is_listening(const char *name)
{
	return strncmp(name, "listener/", 9) == 0 || strncmp(name, "control/", 8) == 0;
}

static struct resource *
resource_find(struct home *m, const char *name)
{
	for (struct resource *r = m->first; r != NULL; r = r->next)
		if (strcmp(r->name, name) == 0)
			return r;
	return NULL;
}

/* Listening sockets of one name are told apart by their address. */
static void
resource_forget(struct home *m, const struct word_resource *w)
{
	struct resource **at = &m->first, *r;

	while ((r = *at) != NULL) {
		if (strcmp(r->name, w->name) != 0 ||
		    (is_listening(w->name) && strcmp(r->text, w->text) != 0)) {
			at = &r->next;
			continue;
		}
		*at = r->next;
		if (r->fd >= 0 && !is_listening(r->name))
			(void)close(r->fd);
		memory_free(r->name);
		memory_free(r->text);
		memory_free(r);
	}
}

static char *
string_copy(const char *s)
{
	size_t n = strlen(s);
	char  *copy = memory_take(n + 1);

	memcpy(copy, s, n + 1);
	return copy;
}

static void
resource_put(struct home *m, const struct word_resource *w, int fd)
{
	struct resource **at = &m->first, *r = memory_take(sizeof *r);

	*r = (struct resource){ NULL, string_copy(w->name), string_copy(w->text), fd };
	while (*at != NULL)
		at = &(*at)->next;
	*at = r;
}

int
house_resource(struct house *h, const char *name)
{
	struct resource *r = resource_find(home_of(h), name);

	return r == NULL ? -1 : r->fd;
}

const char *
house_resource_text(struct house *h, const char *name)
{
	struct resource *r = resource_find(home_of(h), name);

	return r == NULL ? NULL : r->text;
}

int
house_resource_read(struct house *h, const char *name, struct buffer *out)
{
	enum { PIECE = 4096 };
	int     fd = house_resource(h, name);
	off_t   at = 0;
	ssize_t n;

	if (fd < 0)
		return ENOENT;
	while ((n = pread(fd, buffer_room(out, PIECE), PIECE, at)) > 0) {
		buffer_took(out, (size_t)n);
		at += n;
	}
	return n < 0 ? errno : 0;
}

bool
house_resource_next(struct house *h, const char *prefix, size_t *place, const char **name, int *fd)
{
	struct resource *r = home_of(h)->first;
	size_t           i = 0;

	for (; r != NULL; r = r->next, i++)
		if (i >= *place && strncmp(r->name, prefix, strlen(prefix)) == 0)
			break;
	if (r == NULL)
		return false;
	*place = i + 1;
	*name = r->name;
	*fd = r->fd;
	return true;
}

const char *
house_path(struct house *h, const char *under)
{
	struct home *m = home_of(h);

	return arena_printf(m->life, "%s/%s", m->root, under);
}

bool
house_settings(struct house *h, const struct setting_table *table, const char *listener, void *into)
{
	struct buffer errors = { 0 };
	bool          good = settings_fill(h->settings, table, listener, into, &errors);

	if (!good)
		fault("%.*s", (int)errors.len, errors.at);
	buffer_free(&errors);
	return good;
}

/*
 * What the postmaster says
 */

static void
log_open(struct home *m)
{
	static const char *const targets[] = {
		[JOURNAL_STDERR] = "stderr",
		[JOURNAL_FILE] = "file",
		[JOURNAL_SYSLOG] = "syslog",
	};
	struct resource *r = resource_find(m, "log");
	const char      *service = service_of[m->house.role];
	char             full[64];

	if (r == NULL || m->house.settings == NULL)
		return;
	(void)snprintf(full, sizeof full, "%s/%s", m->house.common.syslog_name,
	               service != NULL ? service : role_names[m->house.role]);
	journal_service(full);
	for (int i = 0; i <= JOURNAL_SYSLOG; i++)
		if (strcmp(r->text, targets[i]) == 0)
			journal_open((enum journal_target)i, r->fd,
			             m->house.common.log_format == LOG_JSON,
			             m->house.common.myhostname);
}

/* Settings of earlier days are not closed: sessions of those days look into them. */
static bool
hear_settings(struct home *m, uint32_t ticket, struct bytes body, int fd)
{
	struct buffer    errors = { 0 }, warnings = { 0 };
	struct settings *s = house_settings_read(body, "main.cf", &errors, &warnings);

	(void)ticket;
	(void)fd;
	if (s != NULL && settings_fill(s, &common_setting_table, NULL, &m->house.common, &errors))
		listeners_read(m->house.settings = s, &m->house.listeners);
	else
		fault("%.*s", (int)errors.len, errors.at);
	buffer_free(&errors);
	buffer_free(&warnings);
	log_open(m);
	if (m->working && !m->house.leaving && m->card->reload != NULL)
		m->card->reload(&m->house);
	return m->house.settings == s;
}

/* The old descriptor is closed when nobody writes to it any more: its number is the next client's, or the next file's. */
static void
log_put(struct home *m, const struct word_resource *w, int fd)
{
	struct resource *r = resource_find(m, "log");
	int              old = r != NULL ? r->fd : -1;

	if (fd < 0)
		return; /* taken back: another comes at once */
	if (r != NULL)
		r->fd = -1;
	resource_forget(m, w);
	resource_put(m, w, fd);
	log_open(m);
	if (old >= 0)
		(void)close(old);
}

/* A name alone, without descriptor or text, takes back what was given. */
static bool
hear_resource(struct home *m, uint32_t ticket, struct bytes body, int fd)
{
	struct arena        *scratch = arena_open(NULL);
	struct word_resource w;
	bool                 good = word_unpack_resource(body, scratch, &w);

	(void)ticket;
	if (good && strcmp(w.name, "log") == 0) {
		log_put(m, &w, fd);
	} else if (good) {
		resource_forget(m, &w);
		if (fd >= 0 || (*w.text != '\0' && !is_listening(w.name)))
			resource_put(m, &w, fd);
	}
	arena_close(&scratch);
	return good;
}

static bool
hear_peer(struct home *m, uint32_t ticket, struct bytes body, int fd)
{
	struct word_peer  w;
	struct neighbour *n;

	(void)ticket;
	if (!word_unpack_peer(body, m->life, &w) || fd < 0)
		return false;
	m->introduced++;
	if (m->neighbours[w.role] == 0)
		neighbours_make(m, w.role, w.of);
	n = neighbour_of(m, w.role, w.index);
	if (n == NULL && w.role == KEEPER && (w.index & KEEPER_OF_USER) != 0)
		n = user_keeper_make(m, w.index);
	if (n == NULL)
		return false;
	/* It is told of before the end of the one that was there is seen. */
	if (n->link != NULL)
		link_hear_out(n->link);
	neighbour_lose(n);
	n->fd = fd;
	n->pid = w.pid;
	if (m->working)
		neighbour_meet(n);
	return true;
}

/* The threads of the pool and the files of the role come after the view and
   the account, so that all of it is theirs; then the cage is closed. */
static bool
settle(struct home *m, struct buffer *cage, struct buffer *errors)
{
	const struct system_user *user = house_user(&m->house);

	if (is_owner_index(m->house.index) && user != NULL) {
		if (!owner_user(&m->house.common, m->house.index, m->life, &m->user, errors))
			return false;
	} else if (user != NULL && !confine_user(m->house.index & ~KEEPER_OF_USER, &m->house.common,
	                                         m->life, &m->user, errors)) {
		m->refused = EX_NOUSER;
		return false;
	}
	if (user != NULL && !user->owner)
		m->user.pipe_gid = transports_group(m->house.settings, user->uid, user->gid);
	/* What executes commands must stand outside the cage. */
	if (user != NULL && !user->owner && (m->runner = runner_start(user)) < 0) {
		buffer_printf(errors, "no process for commands: %s", strerror(errno));
		return false;
	}
	if (m->card->prepare != NULL)
		m->card->prepare(&m->house);
	if (!confine_enter(m->house.role, user, &m->house.common, &m->root, cage, errors))
		return false;
	loop_warm(m->house.loop);
	return (m->card->start == NULL || m->card->start(&m->house)) &&
	       confine_close(m->house.role, &m->house.common, cage, errors);
}

/* What a crowd needed and nobody needs now goes back to the system, once for each crowd: glibc keeps what lies between
   that which is still used. */
static void
give_back(void *ctx)
{
	struct home *m = ctx;
	size_t       spare = mallinfo2().fordblks;

	if (spare < m->spare)
		m->spare = spare;
	if (spare - m->spare > SPARE_MOST) {
		(void)malloc_trim(0);
		m->spare = mallinfo2().fordblks;
	}
	timer_set(m->giving, GIVE_BACK_MS);
}

static void
go_to_work(struct home *m)
{
	struct buffer cage = { 0 }, errors = { 0 };

	m->working = settle(m, &cage, &errors);
	if (m->working) {
		meet_neighbours(m);
		link_say(m->postmaster, WORD_READY, 0, bytes_trim(buffer_bytes(&cage)), -1);
		if (m->card->work != NULL)
			m->card->work(&m->house);
		m->giving = timer_open(m->house.loop, give_back, m);
		timer_set(m->giving, GIVE_BACK_MS);
	} else if (errors.len > 0) {
		fault("%.*s", (int)errors.len, errors.at);
	}
	buffer_free(&cage);
	buffer_free(&errors);
}

/* The loop is left for it: threads are made in there. */
static bool
hear_go(struct home *m, uint32_t ticket, struct bytes body, int fd)
{
	(void)ticket;
	(void)body;
	(void)fd;
	if (m->house.settings == NULL || m->working)
		return false;
	loop_stop(m->house.loop);
	return true;
}

static bool
hear_tables(struct home *m, uint32_t ticket, struct bytes body, int fd)
{
	(void)ticket;
	(void)body;
	(void)fd;
	if (m->working && !m->house.leaving && m->card->tables != NULL)
		m->card->tables(&m->house);
	return true;
}

/* Our proportional share of memory in KiB, as the kernel counts it. */
static unsigned long
memory_used(const struct home *m)
{
	char    text[1024];
	ssize_t n = m->memory < 0 ? -1 : pread(m->memory, text, sizeof text - 1, 0);
	char   *at;

	if (n <= 0)
		return 0;
	text[n] = '\0';
	at = strstr(text, "\nPss:");
	return at == NULL ? 0 : strtoul(at + 5, NULL, 10);
}

static bool
hear_status(struct home *m, uint32_t ticket, struct bytes body, int fd)
{
	struct word_status w = { 0 };
	struct buffer      text = { 0 };

	(void)body;
	(void)fd;
	buffer_printf(&text, "memory=%lu", memory_used(m));
	if (m->working && !m->left && m->card->status != NULL) {
		buffer_add_char(&text, ' ');
		m->card->status(&m->house, &w.connections, &text);
	}
	buffer_add_char(&text, '\0');
	w.text = text.at;
	word_pack_status(link_begin(m->postmaster, WORD_STATUS_IS, ticket), &w);
	link_end(m->postmaster);
	buffer_free(&text);
	return true;
}

static bool
hear_stop(struct home *m, uint32_t ticket, struct bytes body, int fd)
{
	(void)ticket;
	(void)body;
	(void)fd;
	if (m->house.leaving)
		return true;
	m->house.leaving = true;
	if (m->working && m->card->stop != NULL)
		m->card->stop(&m->house);
	else
		house_leave(&m->house);
	return true;
}

/* The keeper that was wanted will not come: the role's business. */
static bool
hear_keeper_not(struct home *m, uint32_t ticket, struct bytes body, int fd)
{
	(void)fd;
	return !m->working || m->left ||
	       m->card->hear(&m->house, POSTMASTER, 0, WORD_KEEPER_NOT, ticket, body, -1);
}

static bool
hear_owner_is(struct home *m, uint32_t ticket, struct bytes body, int fd)
{
	(void)fd;
	return !m->working || m->left ||
	       m->card->hear(&m->house, POSTMASTER, 0, WORD_OWNER_IS, ticket, body, -1);
}

/* clang-format off */
static const struct order {
	enum word word;
	bool      carries;           /* a descriptor, which `hear` owns then */
	bool    (*hear)(struct home *, uint32_t ticket, struct bytes body, int fd);
} orders[] = {
	{ WORD_SETTINGS,   false, hear_settings },
	{ WORD_RESOURCE,   true,  hear_resource },
	{ WORD_PEER,       true,  hear_peer     },
	{ WORD_GO,         false, hear_go       },
	{ WORD_TABLES_NEW, false, hear_tables   },
	{ WORD_STATUS_ASK, false, hear_status   },
	{ WORD_STOP,       false, hear_stop     },
	{ WORD_KEEPER_NOT, false, hear_keeper_not },
	{ WORD_OWNER_IS,   false, hear_owner_is },
};
/* clang-format on */

static void
postmaster_said(void *ctx, struct link *l, uint16_t word, uint32_t ticket, struct bytes body,
                int fd)
{
	struct home *m = ctx;

	(void)l;
	for (size_t i = 0; i < COUNT(orders); i++) {
		if (orders[i].word != word)
			continue;
		if (fd >= 0 && !orders[i].carries)
			(void)close(fd);
		if (!orders[i].hear(m, ticket, body, fd))
			panic("the postmaster said %s in a way we do not understand",
			      word_name(word));
		return;
	}
	panic("the postmaster said %s, which is not for us", word_name(word));
}

/* Without a postmaster there is no house; what is on disk is safe. */
static void
postmaster_lost(void *ctx, struct link *l)
{
	(void)ctx;
	(void)l;
	journal_flush();
	_exit(EXIT_FAILURE);
}

static const struct link_events postmaster_events = { postmaster_said, postmaster_lost };

void
house_leave(struct house *h)
{
	h->leaving = true;
	home_of(h)->left = true;
	loop_stop(h->loop);
}

static void
flush_journal(void *ctx)
{
	(void)ctx;
	journal_flush();
}

/* What must be found before the cage closes, since libraries look for files when
   they are first used: the settings of OpenSSL, converters of charsets, the time
   zone; and our own figures. */
static void
make_ready(struct home *m)
{
	static const int deaf_to[] = { SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2 };

	for (size_t i = 0; i < COUNT(deaf_to); i++)
		(void)signal(deaf_to[i], SIG_IGN);
	(void)mallopt(M_ARENA_MAX, 1);
	/* What is large goes back to the system when it is given back; glibc would learn to keep it. */
	(void)mallopt(M_MMAP_THRESHOLD, 4 << 20);
	(void)mallopt(M_TRIM_THRESHOLD, 4 << 20);
	tzset();
	m->memory = open("/proc/self/smaps_rollup", O_RDONLY | O_CLOEXEC);
	if ((FROM(m->house.role) & (FROM(RECEIVER) | FROM(LOGIN) | FROM(SENDER) | FROM(SIGNER))) !=
	    0)
		(void)OPENSSL_init_ssl(OPENSSL_INIT_LOAD_SSL_STRINGS | OPENSSL_INIT_LOAD_CONFIG,
		                       NULL);
	if (m->house.role == VERIFIER || m->house.role == KEEPER)
		charset_warm();
}

int
house_live(const struct role_card *card, enum role role, uint32_t index, uint32_t of)
{
	struct home *m = memory_take(sizeof *m);

	m->house.role = role;
	m->house.index = index;
	m->house.of = of;
	m->house.loop = loop_open();
	m->life = arena_open(NULL);
	m->card = card;
	m->refused = EXIT_FAILURE;
	m->runner = -1;
	make_ready(m);
	m->postmaster = link_open(m->house.loop, LINK_OF_POSTMASTER, &postmaster_events, m);
	loop_at_rest(m->house.loop, flush_journal, NULL);
	loop_run(m->house.loop); /* until GO, or STOP */
	if (!m->house.leaving) {
		go_to_work(m);
		if (m->working && !m->house.leaving)
			loop_run(m->house.loop);
	}
	journal_flush();
	_exit(m->working || m->house.leaving ? EXIT_SUCCESS : m->refused);
}
