#include "role/postmaster.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "role/certifier.h"
#include "role/child.h"
#include "role/complaints.h"
#include "role/confine.h"
#include "role/debug.h"
#include "role/estate.h"
#include "role/interfaces.h"
#include "role/notify.h"
#include "role/proxymap.h"
#include "role/tables.h"

enum {
	FILE_MOST = 4 << 20,
	STAGE_MS = 10000,      /* for each stage of an ordered stop             */
	RELOAD_MS = 10000,     /* for the roles to have the new settings        */
	HASTE_MS = 1000,       /* whoever asks again after this is in a hurry   */
	STATUS_MS = 1000,      /* for the roles to answer                       */
	SYSLOG_LOOK_MS = 5000, /* how soon a new syslogd is noticed             */
};

enum phase { OPENING, OPEN, CLOSING };

/* Settings of earlier days: what is fixed still points into the first of them. */
struct generation {
	struct generation *earlier;
	struct settings   *settings;
};

/* A `mansio status` that waits for the roles' answers. */
struct inquiry {
	struct inquiry    *next;
	struct postmaster *postmaster;
	struct caller     *caller;
	struct timer      *timer;
	uint32_t           ticket;
	size_t             waiting; /* so many have not answered yet */
	bool               json;
};

/* `mansio reload`, which waits until all are told. */
struct reloader {
	struct reloader *next;
	struct caller   *caller;
};

struct postmaster {
	struct house        house; /* its loop, settings and common ones    */
	const char         *file;
	struct buffer       text;
	struct generation  *generations;
	struct estate      *estate;
	struct estate      *before; /* while a reload is under way, else NULL */
	struct children     children;
	enum phase          phase;
	size_t              stage; /* of closing                            */
	struct timer       *stage_timer, *watchdog, *syslog_look;
	struct table_watch *tables;
	struct inquiry     *inquiries;
	struct caller      *stopper; /* waits until we are gone               */
	struct buffer       view;    /* confine_view() at the start           */
	struct reloader    *reloaders;
	struct timer       *reload_timer;
	uint32_t            tickets, reload_ticket;
	size_t              reload_waiting; /* so many have not said they are done */
	int64_t             began_ms, closing_ms;
	bool                failed;
	struct stat         syslog; /* /dev/log as we know it                */
};

/* Who leaves after whom: first those who speak with the world.  Keepers give their segments back to
   the queue, which goes last of these. */
static const unsigned stages[] = {
	FROM(RECEIVER) | FROM(LOGIN) | FROM(SENDER) | FROM(CERTIFIER),
	FROM(QUEUE) | FROM(KEEPER),
	FROM(CLERK) | FROM(VERIFIER) | FROM(PAM) | FROM(PROXYMAP) | FROM(POLICY),
	FROM(SIGNER) | FROM(CHRONICLE),
};

/*
 * The file
 */

static bool
read_file(const char *path, struct buffer *out, struct buffer *errors)
{
	int     fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	if (fd >= 0) {
		while (out->len < FILE_MOST && (n = read(fd, buffer_room(out, 4096), 4096)) > 0)
			buffer_took(out, (size_t)n);
	}
	if (n != 0)
		buffer_printf(errors, "%s: %s\n", path,
		              n > 0 ? "too long for a file of settings" : strerror(errno));
	if (fd >= 0)
		(void)close(fd);
	return n == 0;
}

static bool
names(const struct settings *s, const char *name)
{
	struct setting_entry e;

	for (size_t i = 0; settings_entry(s, i, &e); i++)
		if (strcmp(e.name, name) == 0)
			return true;
	return false;
}

/* What mynetworks is by mynetworks_style, behind the file's own lines: only we can still look. */
static struct settings *
add_networks(struct settings *s, const char *file, struct buffer *text, struct buffer *errors)
{
	struct common_settings common;
	struct buffer          unheard = { 0 };

	if (!house_is_set(s, "mynetworks_style") || names(s, "mynetworks") ||
	    !settings_fill(s, &common_setting_table, NULL, &common, errors))
		return s;
	buffer_add_string(text, "\nmynetworks = ");
	interfaces_networks(&common, text);
	buffer_add_char(text, '\n');
	settings_close(&s);
	s = house_settings_read(buffer_bytes(text), file, errors, &unheard);
	buffer_free(&unheard);
	return s;
}

/* Text, settings and the common ones, all checked; NULL with words. */
static struct settings *
read_settings(const char *file, struct buffer *text, struct common_settings *common,
              struct buffer *errors, struct buffer *warnings)
{
	struct settings *s;
	size_t           whole;
	struct buffer    unheard = { 0 };

	if (!read_file(file, text, errors))
		return NULL;
	s = house_settings_read(buffer_bytes(text), file, errors, warnings);
	whole = text->len;
	if (s != NULL)
		house_settings_origin(s, text);
	if (text->len > whole) {
		settings_close(&s);
		s = house_settings_read(buffer_bytes(text), file, errors, &unheard);
	}
	buffer_free(&unheard);
	if (s != NULL)
		s = add_networks(s, file, text, errors);
	if (s != NULL && (!house_settings_check(s, file, errors, warnings) ||
	                  !settings_fill(s, &common_setting_table, NULL, common, errors)))
		settings_close(&s);
	if (s != NULL)
		tables_hide_parameters(s, text);
	return s;
}

static void
keep_settings(struct postmaster *p, struct settings *s)
{
	struct generation *g = memory_take(sizeof *g);

	*g = (struct generation){ p->generations, s };
	p->generations = g;
	p->house.settings = s;
}

/*
 * Closing
 */

static void stage_next(struct postmaster *);

static void
stage_late(void *ctx)
{
	struct postmaster *p = ctx;

	warn_("stopping takes too long: ending %zu processes",
	      children_alive(&p->children, stages[p->stage]));
	children_kill(&p->children, stages[p->stage]);
}

/* The last one is out: lock the door. */
static void
all_gone(struct postmaster *p)
{
	if (p->stopper != NULL)
		caller_done(p->stopper, p->failed ? 1 : 0);
	p->stopper = NULL;
	note("stopped");
	loop_stop(p->house.loop);
}

static void
stage_next(struct postmaster *p)
{
	while (p->stage < COUNT(stages) && children_alive(&p->children, stages[p->stage]) == 0)
		p->stage++;
	if (p->stage == COUNT(stages)) {
		timer_clear(p->stage_timer);
		all_gone(p);
		return;
	}
	children_stop(&p->children, stages[p->stage]);
	timer_set(p->stage_timer, STAGE_MS);
}

static void
stop(struct postmaster *p, const char *why)
{
	if (p->phase == CLOSING) {
		if (clock_patient_ms() - p->closing_ms > HASTE_MS)
			children_kill(&p->children, ANYONE);
		return;
	}
	p->closing_ms = clock_patient_ms();
	note("stopping: %s", why);
	notify_say("STOPPING=1");
	p->phase = CLOSING;
	p->children.stopping = true;
	p->stage = 0;
	p->stage_timer = timer_open(p->house.loop, stage_late, p);
	stage_next(p);
}

/*
 * Reloading
 */

/* Settings that shape the house itself count from the next start on. */
static void
warn_fixed(const struct postmaster *p, const struct common_settings *new, struct buffer *warnings)
{
	const struct common_settings *old = &p->house.common;
	bool                          counts = false;

	for (enum role role = POSTMASTER + 1; role < COMMAND; role++)
		counts = counts || children_of(old, role) != children_of(new, role);
	if (counts || old->mailbox_sharing != new->mailbox_sharing ||
	    old->user_keepers_most != new->user_keepers_most ||
	    old->owner_keepers_most != new->owner_keepers_most ||
	    strcmp(old->mail_directory, new->mail_directory) != 0 ||
	    strcmp(old->mail_owner, new->mail_owner) != 0 ||
	    old->role_account_base != new->role_account_base)
		buffer_printf(
			warnings,
			"%s: mail_directory, mail_owner, role_account_base, mailbox_sharing, user_keepers_limit, owner_keepers_limit and the numbers of "
			"processes count from the next start on\n",
			p->file);
}

/* What running keepers cannot see they cannot deliver into. */
static void
warn_unseen(const struct postmaster *p, const struct common_settings *new, struct buffer *warnings)
{
	struct buffer now = { 0 };
	const char   *path;

	confine_view(new, &now);
	if ((path = confine_unseen(&now, &p->view)) != NULL)
		buffer_printf(
			warnings,
			"%s: mailboxes or files of forward_path may lie in %s now, but the keepers that run were started without it: until mansio is restarted, "
			"mail for accounts there waits in the queue, and they cannot log in\n",
			p->file, path);
	buffer_free(&now);
}

static void
open_journal(struct postmaster *p)
{
	const struct holding *log = estate_find(p->estate, "log");
	char                  service[64];

	(void)snprintf(service, sizeof service, "%s/postmaster", p->house.common.syslog_name);
	journal_service(service);
	journal_open(strcmp(log->text, "syslog") == 0 ? JOURNAL_SYSLOG
	             : strcmp(log->text, "file") == 0 ? JOURNAL_FILE
	                                              : JOURNAL_STDERR,
	             log->fd, p->house.common.log_format == LOG_JSON, p->house.common.myhostname);
	(void)stat("/dev/log", &p->syslog);
}

/* What is fixed keeps its value until the next start. */
static void
keep_fixed(struct common_settings *new, const struct common_settings *old)
{
	new->mail_directory = old->mail_directory;
	new->mail_owner = old->mail_owner;
	new->role_account_base = old->role_account_base;
	new->receiver_processes = old->receiver_processes;
	new->login_processes = old->login_processes;
	new->verifier_processes = old->verifier_processes;
	new->keeper_processes = old->keeper_processes;
	new->sender_processes = old->sender_processes;
	new->mailbox_sharing = old->mailbox_sharing;
	new->user_keepers_most = old->user_keepers_most;
	new->owner_keepers_most = old->owner_keepers_most;
}

/* Everybody has the new settings, but for `late` processes that have not said so. */
static void
reload_end(struct postmaster *p, size_t late)
{
	struct reloader *r;

	timer_clear(p->reload_timer);
	while ((r = p->reloaders) != NULL) {
		p->reloaders = r->next;
		if (late > 0)
			caller_complain(r->caller,
			                "%zu processes have not said yet that they have it\n",
			                late);
		caller_say(r->caller, "%s is in force\n", p->file);
		caller_done(r->caller, 0);
		memory_free(r);
	}
}

/* So many answers to wait for; a process that does not answer is not waited for
   long. */
static void
reload_wait(struct postmaster *p, unsigned roles)
{
	p->reload_ticket = ++p->tickets;
	p->reload_waiting = children_ask(&p->children, roles, p->reload_ticket);
	timer_set(p->reload_timer, p->reload_waiting == 0 ? 0 : RELOAD_MS);
}

/* Of CHILDREN_AT_TIMES, those that the settings give something to do. */
static unsigned
roles_wanted(const struct postmaster *p)
{
	return (house_needs_pam(&p->house.common) ? FROM(PAM) : 0) |
	       (proxymap_is_wanted(p->house.settings) ? FROM(PROXYMAP) : 0) |
	       (certifier_wanted(p->house.settings) ? FROM(CERTIFIER) : 0);
}

/* The signer has the new keys: now the fronts may show the new certificates. */
static void
reload_others(struct postmaster *p)
{
	static const unsigned others = ANYONE & ~FROM(SIGNER);

	if (p->phase != CLOSING) {
		children_reload(&p->children, others, p->before);
		for (enum role role = POSTMASTER + 1; role < COMMAND; role++)
			if ((CHILDREN_AT_TIMES & FROM(role)) != 0)
				children_want(&p->children, role,
				              (roles_wanted(p) & FROM(role)) != 0);
	}
	estate_replace(&p->before, p->estate);
	p->before = NULL;
	reload_wait(p, others);
}

static void
reload_next(void *ctx)
{
	struct postmaster *p = ctx;

	size_t late = p->reload_waiting;

	p->reload_waiting = 0;
	if (p->before != NULL)
		reload_others(p);
	else
		reload_end(p, late);
}

/* The estate is new; the signer is the first to be told. */
static void
reload_begin(struct postmaster *p, struct estate *estate)
{
	p->before = p->estate;
	p->children.estate = p->estate = estate;
	open_journal(p);
	table_watch_files(p->tables, p->house.settings);
	children_reload(&p->children, FROM(SIGNER), p->before);
	reload_wait(p, FROM(SIGNER));
}

/* Of one that is under way everybody is told before the next begins.  Who waits for it goes on waiting: not before
   all have answered is it in force. */
static void
reload_hurry(struct postmaster *p)
{
	if (p->before != NULL)
		reload_others(p);
}

static bool
reload(struct postmaster *p, struct buffer *errors, struct buffer *warnings)
{
	struct common_settings common;
	struct buffer          text = { 0 };
	struct settings       *s;
	struct estate         *estate = NULL;

	reload_hurry(p);
	s = read_settings(p->file, &text, &common, errors, warnings);
	if (s != NULL) {
		warn_fixed(p, &common, warnings);
		warn_unseen(p, &common, warnings);
		keep_fixed(&common, &p->house.common);
		estate = estate_open(&common, s, -1, children_of(&p->house.common, KEEPER),
		                     p->estate, errors);
	}
	if (estate == NULL) {
		settings_close(&s);
		buffer_free(&text);
		return false;
	}
	buffer_free(&p->text);
	p->text = text;
	p->house.common = common;
	keep_settings(p, s);
	p->children.text = buffer_bytes(&p->text);
	reload_begin(p, estate);
	return true;
}

static bool
reload_and_tell(struct postmaster *p, struct buffer *errors, struct buffer *warnings)
{
	bool good;

	notify_say("RELOADING=1\nMONOTONIC_USEC=%lld", (long long)clock_patient_ms() * 1000);
	good = reload(p, errors, warnings);
	complaints_warn(buffer_bytes(errors));
	complaints_warn(buffer_bytes(warnings));
	if (good)
		note("reload -- version %s, configuration %s", MANSIO_VERSION, p->file);
	else
		warn_("reload refused: %s is not as it should be; the settings from before stay",
		      p->file);
	notify_say("READY=1");
	return good;
}

/*
 * The command line
 */

static void
debug_list(const struct postmaster *p, struct buffer *out)
{
	const struct holding *h = estate_find(p->estate, "debug");

	if (h != NULL)
		buffer_add_string(out, h->text);
}

static void
inquiry_answer(struct inquiry *q)
{
	struct postmaster *p = q->postmaster;
	struct inquiry   **at = &p->inquiries;
	struct buffer      out = { 0 }, debugged = { 0 };

	while (*at != q)
		at = &(*at)->next;
	*at = q->next;
	if (q->json)
		status_json(&p->children, p->file, p->began_ms, &out);
	else
		status_table(&p->children, p->file, p->began_ms, &out);
	if (!q->json) {
		debug_list(p, &debugged);
		debug_switch_tell(buffer_bytes(&debugged), clock_wall(), &out);
		buffer_free(&debugged);
	}
	caller_say(q->caller, "%.*s", (int)out.len, out.at);
	caller_done(q->caller, children_ready(&p->children) ? 0 : 1);
	buffer_free(&out);
	timer_close(&q->timer);
	memory_free(q);
}

static void
inquiry_late(void *ctx)
{
	inquiry_answer(ctx);
}

static void
ask_status(struct postmaster *p, struct caller *caller, const struct word_ask *ask)
{
	struct inquiry *q = memory_take(sizeof *q);

	*q = (struct inquiry){ .next = p->inquiries,
		               .postmaster = p,
		               .caller = caller,
		               .timer = timer_open(p->house.loop, inquiry_late, q),
		               .ticket = ++p->tickets,
		               .json = ask->argc > 1 && strcmp(ask->argv[1], "--json") == 0 };
	p->inquiries = q;
	q->waiting = children_ask(&p->children, ANYONE, q->ticket);
	timer_set(q->timer, q->waiting == 0 ? 0 : STATUS_MS);
}

static void
ask_reload(struct postmaster *p, struct caller *caller, const struct word_ask *ask)
{
	struct buffer    errors = { 0 }, warnings = { 0 };
	bool             good = reload_and_tell(p, &errors, &warnings);
	struct reloader *r;

	(void)ask;
	if (errors.len + warnings.len > 0)
		caller_complain(caller, "%.*s%.*s", (int)errors.len, errors.at, (int)warnings.len,
		                warnings.at);
	if (!good)
		caller_complain(caller, "the settings from before stay in force\n");
	if (good) {
		r = memory_take(sizeof *r);
		*r = (struct reloader){ p->reloaders, caller };
		p->reloaders = r;
	} else {
		caller_done(caller, 1);
	}
	buffer_free(&errors);
	buffer_free(&warnings);
}

static void
ask_stop(struct postmaster *p, struct caller *caller, const struct word_ask *ask)
{
	(void)ask;
	if (p->stopper != NULL) {
		caller_complain(caller, "stopping already\n");
		caller_done(caller, 1);
		return;
	}
	p->stopper = caller;
	stop(p, "asked to");
}

/* What is switched on now; the house hears of it. */
static void
debug_give(struct postmaster *p, struct buffer *list)
{
	const struct holding *h;

	buffer_add_char(list, '\0');
	h = estate_debug(p->estate, list->at);
	list->len--;
	children_give(&p->children, h);
}

/* "debug on PEER SECONDS", "debug off [PEER]", "debug list" */
static void
ask_debug(struct postmaster *p, struct caller *caller, const struct word_ask *ask)
{
	const char *what = ask->argc > 1 ? ask->argv[1] : "list",
		   *peer = ask->argc > 2 ? ask->argv[2] : "";
	struct buffer list = { 0 }, said = { 0 };
	uint64_t      seconds = 0;
	int           status = 0;

	debug_list(p, &list);
	(void)debug_switch_tidy(&list, clock_wall());
	if (strcmp(what, "on") == 0) {
		if (ask->argc != 4 || debug_peer_wrong(peer) != NULL ||
		    !bytes_number(bytes_of(ask->argv[3]), &seconds) || seconds == 0 ||
		    seconds > DEBUG_MOST_S ||
		    !debug_switch_on(&list, peer, clock_wall() + (int64_t)seconds)) {
			caller_complain(caller, "%s: %s\n", peer,
			                debug_peer_wrong(peer) != NULL
			                        ? debug_peer_wrong(peer)
			                        : "no more can be switched on");
			status = 1;
		} else {
			note("debug: sessions of %s are told for %" PRIu64 " seconds", peer,
			     seconds);
			debug_give(p, &list);
		}
	} else if (strcmp(what, "off") == 0) {
		if (!debug_switch_off(&list, peer)) {
			caller_complain(caller, "%s is not switched on\n",
			                *peer != '\0' ? peer : "debug");
			status = 1;
		} else {
			note("debug: off%s%s", *peer != '\0' ? " for " : "", peer);
			debug_give(p, &list);
		}
	}
	debug_switch_tell(buffer_bytes(&list), clock_wall(), &said);
	caller_say(caller, "%.*s", (int)said.len, said.len > 0 ? said.at : "");
	caller_done(caller, status);
	buffer_free(&list);
	buffer_free(&said);
}

static void
asked(struct house *h, struct caller *caller, const struct word_ask *ask)
{
	static const struct {
		const char *name;
		void (*ask)(struct postmaster *, struct caller *, const struct word_ask *);
	} questions[] = { { "status", ask_status },
		          { "reload", ask_reload },
		          { "stop", ask_stop },
		          { "debug", ask_debug } };

	for (size_t i = 0; i < COUNT(questions) && ask->argc > 0; i++)
		if (strcmp(ask->argv[0], questions[i].name) == 0) {
			questions[i].ask((struct postmaster *)h, caller, ask);
			return;
		}
	caller_complain(caller, "the postmaster does not know \"%s\"\n",
	                ask->argc > 0 ? ask->argv[0] : "");
	caller_done(caller, 1);
}

/*
 * What happens to children
 */

static void
child_ready(void *ctx, struct child *c)
{
	struct postmaster *p = ctx;

	note("%s %u: ready pid=%d cage=%s", role_names[c->role], child_number(c), c->pid, c->cage);
	if (p->phase != OPENING || !children_ready(&p->children))
		return;
	p->phase = OPEN;
	note("daemon started -- version %s, configuration %s, ready in %lld ms", MANSIO_VERSION,
	     p->file, (long long)(clock_patient_ms() - p->began_ms));
	notify_say("READY=1\nSTATUS=%zu processes at work", children_alive(&p->children, ~0U));
}

static void
child_died(void *ctx, struct child *c, int status)
{
	struct postmaster *p = ctx;
	const char        *name = role_names[c->role];

	if (WIFSIGNALED(status))
		warn_("%s %u (process %d) was killed by signal %d (%s)", name, child_number(c),
		      c->pid, WTERMSIG(status), strsignal(WTERMSIG(status)));
	else if ((p->phase != CLOSING && !c->resting && !child_is_idle(c)) ||
	         WEXITSTATUS(status) != 0)
		warn_("%s %u (process %d) ended with status %d", name, child_number(c), c->pid,
		      WEXITSTATUS(status));
	if (p->phase == OPENING && (c->index & KEEPER_OF_USER) == 0 && WIFEXITED(status) &&
	    WEXITSTATUS(status) != 0) {
		fault("%s %u cannot start; what stands above says why", name, c->index);
		p->failed = true;
		c->pid = 0;
		stop(p, "the house cannot be opened");
	}
}

static void
child_told(void *ctx, struct child *c, uint32_t ticket)
{
	struct postmaster *p = ctx;

	(void)c;
	if (ticket == p->reload_ticket && p->reload_waiting > 0 && --p->reload_waiting == 0)
		reload_next(p);
	for (struct inquiry *q = p->inquiries; q != NULL; q = q->next)
		if (q->ticket == ticket) {
			if (--q->waiting == 0)
				inquiry_answer(q);
			return;
		}
}

static const struct child_events child_events = { child_ready, child_died, child_told };

/*
 * Signals and the clock
 */

static void
heard_signal(void *ctx, int signal)
{
	struct postmaster *p = ctx;
	struct buffer      errors = { 0 }, warnings = { 0 };

	if (signal == SIGCHLD) {
		children_look(&p->children);
		if (p->phase == CLOSING)
			stage_next(p);
	} else if (signal == SIGHUP) {
		if (p->phase == OPEN)
			(void)reload_and_tell(p, &errors, &warnings);
	} else {
		stop(p, strsignal(signal));
	}
	buffer_free(&errors);
	buffer_free(&warnings);
}

static void
watchdog_due(void *ctx)
{
	struct postmaster *p = ctx;

	notify_say("WATCHDOG=1");
	timer_set(p->watchdog, notify_patience());
}

/* The same settings, and what they name as it is now. */
static void
renew_estate(struct postmaster *p)
{
	struct buffer  errors = { 0 };
	struct estate *estate;

	reload_hurry(p);
	estate = estate_open(&p->house.common, p->house.settings, -1,
	                     children_of(&p->house.common, KEEPER), p->estate, &errors);
	if (estate != NULL)
		reload_begin(p, estate);
	else
		complaints_warn(buffer_bytes(&errors));
	buffer_free(&errors);
}

/* The roles cannot connect to a syslogd that was started anew; we can, and hand
   them the socket. */
static void
syslog_due(void *ctx)
{
	struct postmaster *p = ctx;
	struct stat        now;

	timer_set(p->syslog_look, SYSLOG_LOOK_MS);
	estate_keep_tally(&p->house.common);
	if (*p->house.common.maillog_file != '\0' || stat("/dev/log", &now) < 0 ||
	    (now.st_ino == p->syslog.st_ino && now.st_dev == p->syslog.st_dev))
		return;
	renew_estate(p);
}

static void
give_table(void *ctx, const struct holding *h)
{
	struct postmaster *p = ctx;

	note("%s is new", h->name);
	children_give(&p->children, h);
}

/* Something happened where tables lie. */
static void
tables_changed(void *ctx)
{
	struct postmaster    *p = ctx;
	const struct holding *tickets;

	table_watch_files(p->tables, p->house.settings);
	if (p->phase == CLOSING)
		return;
	reload_hurry(p);
	if (estate_renew_tables(p->estate, p->house.settings, give_table, p) > 0)
		children_say(&p->children,
		             TABLE_ROLES | TABLE_ROLES_REMOTE | FROM(RECEIVER) | FROM(VERIFIER) |
		                     FROM(SENDER) | FROM(QUEUE),
		             WORD_TABLES_NEW);
	if ((tickets = estate_renew_tickets(p->estate, &p->house.common)) != NULL)
		children_give(&p->children, tickets);
	if (estate_tls_changed(p->estate, &p->house.common, p->house.settings)) {
		note("certificates are new");
		renew_estate(p);
	}
}

/* Capabilities for what is still to be done: roles that die are started again,
   and they need these until they have become themselves. */
static void
drop_capabilities(void)
{
	static const unsigned kept[] = {
		CAP_CHOWN,     CAP_DAC_OVERRIDE, CAP_FOWNER,  CAP_FSETID,           CAP_KILL,
		CAP_SETGID,    CAP_SETUID,       CAP_SETPCAP, CAP_NET_BIND_SERVICE, CAP_SYS_CHROOT,
		CAP_SYS_ADMIN, CAP_SYS_RESOURCE,
	};
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct   now[2];
	uint32_t                        keep[2] = { 0, 0 };

	for (size_t i = 0; i < COUNT(kept); i++)
		keep[kept[i] / 32] |= 1u << kept[i] % 32;
	for (unsigned cap = 0; cap < 64; cap++)
		if ((keep[cap / 32] & 1u << cap % 32) == 0)
			(void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	if (syscall(SYS_capget, &head, now) < 0)
		return;
	for (int i = 0; i < 2; i++) {
		now[i].permitted &= keep[i];
		now[i].effective = now[i].permitted;
		now[i].inheritable = 0;
	}
	(void)syscall(SYS_capset, &head, now);
}

static void
flush_journal(void *ctx)
{
	(void)ctx;
	journal_flush();
}

static void
listen_to_signals(struct postmaster *p)
{
	static const int signals[] = { SIGCHLD, SIGHUP, SIGTERM, SIGINT };

	for (size_t i = 0; i < COUNT(signals); i++)
		loop_signal(p->house.loop, signals[i], heard_signal, p);
	p->watchdog = timer_open(p->house.loop, watchdog_due, p);
	if (notify_patience() > 0)
		watchdog_due(p);
	p->reload_timer = timer_open(p->house.loop, reload_next, p);
	p->tables = table_watch_open(p->house.loop, tables_changed, p);
	table_watch_files(p->tables, p->house.settings);
	p->syslog_look = timer_open(p->house.loop, syslog_due, p);
	timer_set(p->syslog_look, SYSLOG_LOOK_MS);
}

/* All that can be refused, in words, before anything runs. */
static bool
open_house(struct postmaster *p, struct buffer *errors, struct buffer *warnings)
{
	struct common_settings *common = &p->house.common;
	struct settings        *s = read_settings(p->file, &p->text, common, errors, warnings);
	int                     lock;

	if (s == NULL)
		return false;
	keep_settings(p, s);
	if (!estate_make_directories(common, errors))
		return false;
	if ((lock = estate_lock(common, p->file, errors)) < 0)
		return false;
	p->estate = estate_open(common, s, lock, children_of(common, KEEPER), NULL, errors);
	if (p->estate == NULL)
		estate_unlock(common);
	confine_view(common, &p->view);
	return p->estate != NULL;
}

static void
begin(struct postmaster *p)
{
	if (geteuid() == 0)
		drop_capabilities();
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	(void)prctl(PR_SET_NAME, "mansio", 0, 0, 0);
	listen_to_signals(p);
	loop_at_rest(p->house.loop, flush_journal, NULL);
	p->children = (struct children){ .loop = p->house.loop,
		                         .text = buffer_bytes(&p->text),
		                         .estate = p->estate,
		                         .events = &child_events,
		                         .ctx = p };
	p->children.wanted = roles_wanted(p);
	children_open(&p->children, &p->house.common);
	children_start(&p->children);
	house_commands(&p->house,
	               fcntl(estate_find(p->estate, "control/postmaster")->fd, F_DUPFD_CLOEXEC, 0),
	               asked);
}

static void
forget(struct postmaster *p)
{
	struct generation *g;

	house_commands_end(&p->house);
	estate_keep_tally(&p->house.common);
	children_close(&p->children);
	timer_close(&p->stage_timer);
	timer_close(&p->reload_timer);
	timer_close(&p->watchdog);
	timer_close(&p->syslog_look);
	table_watch_close(&p->tables);
	loop_close(&p->house.loop);
	while ((g = p->generations) != NULL) {
		p->generations = g->earlier;
		settings_close(&g->settings);
		memory_free(g);
	}
	buffer_free(&p->text);
	buffer_free(&p->view);
	memory_free(p);
}

int
postmaster_live(const char *file)
{
	struct postmaster *p = memory_take(sizeof *p);
	struct buffer      errors = { 0 }, warnings = { 0 };
	bool               opened;
	int                status;

	p->began_ms = clock_patient_ms();
	p->file = file;
	p->house.role = POSTMASTER;
	p->house.loop = loop_open();
	(void)umask(0022);
	opened = open_house(p, &errors, &warnings);
	if (opened) {
		open_journal(p);
		complaints_warn(buffer_bytes(&warnings));
		begin(p);
		loop_run(p->house.loop);
		estate_close(&p->estate);
		estate_unlock(&p->house.common);
		journal_flush();
	} else {
		(void)fprintf(stderr, "%.*s%.*s", (int)errors.len, errors.at, (int)warnings.len,
		              warnings.at);
	}
	status = opened && !p->failed ? EXIT_SUCCESS : EXIT_FAILURE;
	buffer_free(&errors);
	buffer_free(&warnings);
	forget(p);
	return status;
}
