#include "role/house_inner.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "message/charset.h"
#include "role/owner.h"
#include "role/runner.h"
#include "role/transports.h"

enum { LINK_OF_POSTMASTER = 3, GIVE_BACK_MS = 20000, SPARE_MOST = 1 << 20 };

/* The service in the lines of a role's log where pflogsumm expects a name. */
static const char *const service_of[ROLES] = {
	[RECEIVER] = "smtpd",
	[QUEUE] = "qmgr",
};

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
		if (fd >= 0 || (*w.text != '\0' && !resource_is_listening(w.name)))
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
	n = neighbour_expect(m, w.role, w.index, w.of);
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
		neighbours_meet(m);
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

static bool
hear_keeper_anew(struct home *m, uint32_t ticket, struct bytes body, int fd)
{
	(void)fd;
	return !m->working || m->left ||
	       m->card->hear(&m->house, POSTMASTER, 0, WORD_KEEPER_ANEW, ticket, body, -1);
}

static bool
hear_memory(struct home *m, uint32_t ticket, struct bytes body, int fd)
{
	(void)fd;
	return !m->working || m->left ||
	       m->card->hear(&m->house, POSTMASTER, 0, WORD_MEMORY, ticket, body, -1);
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
	{ WORD_KEEPER_ANEW, false, hear_keeper_anew },
	{ WORD_MEMORY,     false, hear_memory   },
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
	if ((FROM(m->house.role) &
	     (FROM(RECEIVER) | FROM(LOGIN) | FROM(SENDER) | FROM(GUIDE) | FROM(SIGNER))) != 0)
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
