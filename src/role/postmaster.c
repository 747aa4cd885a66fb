#include "role/postmaster_inner.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "role/complaints.h"
#include "role/confine.h"
#include "role/notify.h"

enum {
	STAGE_MS = 10000,      /* for each stage of an ordered stop             */
	HASTE_MS = 1000,       /* whoever asks again after this is in a hurry   */
	SYSLOG_LOOK_MS = 5000, /* how soon a new syslogd is noticed             */
};

/* Who leaves after whom: first those who speak with the world.  Keepers give their segments back to
   the queue, which goes last of these. */
static const unsigned stages[] = {
	FROM(RECEIVER) | FROM(LOGIN) | FROM(SENDER) | FROM(CERTIFIER) | FROM(GUIDE),
	FROM(QUEUE) | FROM(KEEPER),
	FROM(CLERK) | FROM(VERIFIER) | FROM(PAM) | FROM(PROXYMAP) | FROM(POLICY),
	FROM(SIGNER) | FROM(CHRONICLE),
};

void
postmaster_open_journal(struct postmaster *p)
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

void
postmaster_stop(struct postmaster *p, const char *why)
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
	else if ((p->phase != CLOSING && !c->resting && !c->anew && !child_is_idle(c)) ||
	         WEXITSTATUS(status) != 0)
		warn_("%s %u (process %d) ended with status %d", name, child_number(c), c->pid,
		      WEXITSTATUS(status));
	if (p->phase == OPENING && (c->index & KEEPER_OF_USER) == 0 && WIFEXITED(status) &&
	    WEXITSTATUS(status) != 0) {
		fault("%s %u cannot start; what stands above says why", name, c->index);
		p->failed = true;
		c->pid = 0;
		postmaster_stop(p, "the house cannot be opened");
	}
}

static void
child_told(void *ctx, struct child *c, uint32_t ticket)
{
	struct postmaster *p = ctx;

	(void)c;
	if (ticket == p->reload_ticket && p->reload_waiting > 0 && --p->reload_waiting == 0)
		reload_next(p);
	inquiry_heard(p, ticket);
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
		postmaster_stop(p, strsignal(signal));
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
	struct settings        *s = postmaster_read(p->file, &p->text, common, errors, warnings);
	int                     lock;

	if (s == NULL)
		return false;
	postmaster_keep_settings(p, s);
	if (!estate_make_directories(common, errors))
		return false;
	if ((lock = estate_lock(common, p->file, errors)) < 0)
		return false;
	p->estate = estate_open(common, s, lock, children_of(common, KEEPER), NULL, errors);
	if (p->estate == NULL)
		estate_unlock(common);
	confine_view(common, &p->view);
	confine_users_view(common, &p->users_view);
	return p->estate != NULL;
}

/* For commands that are executed by us and ask where the settings are (export_environment). */
static void
tell_of_settings(const char *file)
{
	char *path = realpath(file, NULL), *slash = path != NULL ? strrchr(path, '/') : NULL;

	if (slash != NULL && strcmp(slash, "/main.cf") == 0)
		*slash = '\0';
	if (path != NULL)
		(void)setenv("MAIL_CONFIG", path, 1);
	free(path);
}

static void
begin(struct postmaster *p)
{
	if (geteuid() == 0)
		drop_capabilities();
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	(void)prctl(PR_SET_NAME, "mansio", 0, 0, 0);
	tell_of_settings(p->file);
	listen_to_signals(p);
	loop_at_rest(p->house.loop, flush_journal, NULL);
	p->children = (struct children){ .loop = p->house.loop,
		                         .text = buffer_bytes(&p->text),
		                         .estate = p->estate,
		                         .events = &child_events,
		                         .ctx = p };
	p->children.wanted = reload_roles_wanted(p);
	children_open(&p->children, &p->house.common);
	children_start(&p->children);
	house_commands(&p->house,
	               fcntl(estate_find(p->estate, "control/postmaster")->fd, F_DUPFD_CLOEXEC, 0),
	               postmaster_asked);
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
	buffer_free(&p->users_view);
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
		postmaster_open_journal(p);
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
