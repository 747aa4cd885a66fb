/*
 * postmaster-reload -- settings, certificates or tables are new: the signer hears first, since nobody may show a
 * certificate whose key it has not; then all others, and then whoever asked for it
 */
#include "role/postmaster_inner.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "role/certifier.h"
#include "role/complaints.h"
#include "role/confine.h"
#include "role/guide.h"
#include "role/notify.h"
#include "role/proxymap.h"

enum { RELOAD_MS = 10000 }; /* for the roles to have the new settings */

/* `mansio reload`, which waits until all are told. */
struct reloader {
	struct reloader *next;
	struct caller   *caller;
};

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
			"%s: mailboxes may lie in %s from the next start on: restart mansio; until then mail for accounts there waits, and they cannot log in\n",
			p->file, path);
	buffer_free(&now);
}

/* A user's keeper that runs sees a new directory of forward_path or mail_spool_directory when it has begun anew. */
static void
look_at_users(struct postmaster *p, const struct common_settings *new)
{
	struct buffer now = { 0 };

	confine_users_view(new, &now);
	p->users_anew = p->users_anew || confine_unseen(&now, &p->users_view) != NULL;
	buffer_free(&p->users_view);
	p->users_view = now;
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

unsigned
reload_roles_wanted(const struct postmaster *p)
{
	return (house_needs_pam(&p->house.common) ? FROM(PAM) : 0) |
	       (proxymap_is_wanted(p->house.settings) ? FROM(PROXYMAP) : 0) |
	       (certifier_wanted(p->house.settings) ? FROM(CERTIFIER) : 0) |
	       (guide_wanted(p->house.settings) ? FROM(GUIDE) : 0);
}

/* The signer has the new keys: now the fronts may show the new certificates. */
static void
reload_others(struct postmaster *p)
{
	static const unsigned others = ANYONE & ~FROM(SIGNER);

	if (p->phase != CLOSING) {
		children_reload(&p->children, others, p->before);
		if (p->users_anew)
			children_users_anew(&p->children);
		p->users_anew = false;
		for (enum role role = POSTMASTER + 1; role < COMMAND; role++)
			if ((CHILDREN_AT_TIMES & FROM(role)) != 0)
				children_want(&p->children, role,
				              (reload_roles_wanted(p) & FROM(role)) != 0);
	}
	estate_replace(&p->before, p->estate);
	p->before = NULL;
	reload_wait(p, others);
}

void
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

void
reload_begin(struct postmaster *p, struct estate *estate)
{
	p->before = p->estate;
	p->children.estate = p->estate = estate;
	postmaster_open_journal(p);
	table_watch_files(p->tables, p->house.settings);
	children_reload(&p->children, FROM(SIGNER), p->before);
	reload_wait(p, FROM(SIGNER));
}

void
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
	s = postmaster_read(p->file, &text, &common, errors, warnings);
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
	look_at_users(p, &common);
	postmaster_keep_settings(p, s);
	p->children.text = buffer_bytes(&p->text);
	reload_begin(p, estate);
	return true;
}

bool
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

void
reload_await(struct postmaster *p, struct caller *caller)
{
	struct reloader *r = memory_take(sizeof *r);

	*r = (struct reloader){ p->reloaders, caller };
	p->reloaders = r;
}
