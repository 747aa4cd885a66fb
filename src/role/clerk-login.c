/*
 * clerk-login -- who is it?  The exchanges of fronts that a user logs in by: AUTH_START,
 * AUTH_STEP, AUTH_DROP
 *
 * Passwords are checked in the thread pool, one for each processor at a time, at most
 * 256 waiting; then the answer is "later", never "no".  Who has logged in from where
 * they are before is checked ahead of strangers.
 */
#include "role/clerk-login.h"
#include "base/clock.h"
#include "role/pass.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

enum { CHECKS_WAITING_MOST = 256, EXCHANGES_MOST = 4096, PAUSES_MOST = EXCHANGES_MOST / 2 };
enum { SLOW_FOR_MS = 60000, SLOW_MOST_MS = 5000 };

static struct clerk *
clerk_of(struct house *h)
{
	return h->mine;
}

/* ---- exchanges ------------------------------------------------------------- */

static struct bytes
exchange_key(const enum role role, uint32_t index, uint32_t ticket, uint32_t out[static 3])
{
	out[0] = (uint32_t)role;
	out[1] = index;
	out[2] = ticket;
	return (struct bytes){ (const char *)out, 3 * sizeof *out };
}

void
exchange_close(struct exchange *e)
{
	uint32_t key[3];

	if (!e->dropped)
		(void)map_drop(clerk_of(e->house)->exchanges,
		               exchange_key(e->role, e->index, e->ticket, key));
	e->dropped = true;
	chain_end(e);
	if (e->busy)
		return; /* the pool still reads it */
	if (e->pause != NULL)
		clerk_of(e->house)->pauses--;
	timer_close(&e->pause);
	exchange_forget(e);
	if (e->password.len > 0)
		explicit_bzero((char *)(uintptr_t)e->password.at, e->password.len);
	arena_close(&e->life);
	memory_free(e);
}

static void
exchange_answer(struct exchange *e)
{
	struct link *l = e->caller != NULL ? NULL : house_link(e->house, e->role, e->index);

	if (e->caller != NULL)
		exchange_tell_caller(e);
	if (e->role == LOGIN && e->answer.answer == AUTH_OK && l != NULL)
		clerk_total_meet(e->house, e->answer.account);
	if (l != NULL && !e->dropped) {
		word_pack_auth_done(link_begin(l, WORD_AUTH_DONE, e->ticket), &e->answer);
		link_end(l);
	}
	exchange_close(e);
}

static void
pause_over(void *ctx)
{
	exchange_answer(ctx);
}

/* Answers so long after the question: what it took to find the answer, and so who knew the user, is not to be
   seen from outside.  When very many wait so already, at once, so that those who know
   their passwords are heard. */
static void
exchange_answer_in(struct exchange *e, int64_t ms)
{
	struct clerk *c = clerk_of(e->house);
	int64_t       took = clock_patient_ms() - e->heard_ms;

	ms = ms > took ? ms - took : 0;
	if (ms == 0 || c->pauses >= PAUSES_MOST) {
		exchange_answer(e);
		return;
	}
	c->pauses++;
	e->pause = timer_open(e->house->loop, pause_over, e);
	timer_set(e->pause, ms);
}

/* Back ends and kinds of hashes take their own time, some longer than any pause that is set: no refusal comes sooner than the
   slowest of the last minutes, or it would tell whether there is such a user. */
static int64_t
as_slow_as_any(struct clerk *c, int64_t took_ms)
{
	int64_t now = clock_patient_ms(), age = now - c->slow_since_ms;

	if (age >= SLOW_FOR_MS) {
		c->slow_before_ms = age < 2 * SLOW_FOR_MS ? c->slow_now_ms : 0;
		c->slow_now_ms = 0;
		c->slow_since_ms = now;
	}
	if (took_ms > c->slow_now_ms)
		c->slow_now_ms = took_ms < SLOW_MOST_MS ? took_ms : SLOW_MOST_MS;
	return c->slow_now_ms > c->slow_before_ms ? c->slow_now_ms : c->slow_before_ms;
}

static struct admission
admission_of(const struct exchange *e)
{
	return (struct admission){ .account = e->who.account,
		                   .user = e->counted.len > 0 ? e->counted : e->user,
		                   .network = e->network,
		                   .peer = &e->peer,
		                   .service = e->service,
		                   .device = e->device,
		                   .proved = e->proved,
		                   .no_password = e->mastered || (e->sasl != NULL &&
		                                                  sasl_proves_otherwise(e->sasl)) };
}

/* Says no, after the pause that this network has earned. */
void
exchange_refuse(struct exchange *e, enum auth_answer answer, const char *why)
{
	struct clerk    *c = clerk_of(e->house);
	struct admission a = admission_of(e);
	int64_t          pause, least;

	if (e->caller == NULL)
		clerk_failed(c, &a, why);
	e->answer = (struct word_auth_done){ .answer = (uint8_t)answer,
		                             .user = arena_copy(e->life, e->user),
		                             .text = why };
	if (e->caller != NULL) {
		exchange_answer(e);
		return;
	}
	pause = guard_failed(c->guard, &c->limits, bytes_of(e->network), e->counted,
	                     clock_patient_ms());
	least = as_slow_as_any(c, clock_patient_ms() - e->heard_ms);
	exchange_answer_in(e, pause > least ? pause : least);
}

/* Who brings a session to a keeper shows what only we can have given. */
static struct bytes
pass_for(const struct exchange *e)
{
	struct buffer master = { 0 };
	char         *pass = arena_take(e->life, PASS_SIZE), key[PASS_KEY];
	bool          good = e->role == LOGIN && e->caller == NULL &&
	            house_resource_read(e->house, "pass-key", &master) == 0 &&
	            master.len == PASS_KEY;

	if (good) {
		pass_key(master.at, house_keeper_of(e->house, e->who.account), key);
		pass_write(key, e->who.account, e->who.address, clock_patient_ms() + PASS_MS, pass);
		explicit_bzero(key, sizeof key);
		explicit_bzero(master.at, master.len);
	}
	buffer_free(&master);
	return (struct bytes){ pass, good ? PASS_SIZE : 0 };
}

void
exchange_welcome(struct exchange *e, struct bytes last)
{
	struct clerk    *c = clerk_of(e->house);
	struct admission a = admission_of(e);
	const char      *why = "account is disabled";
	enum auth_answer admitted = AUTH_OK;

	e->proved = true;
	/* A name may be another's by now. */
	if (e->device != NULL && e->device->account != e->who.account) {
		admitted = AUTH_BAD;
		why = "the app password is another account's";
	} else
		admitted = !e->who.enabled ? AUTH_DISABLED : clerk_admits(c, &a, e->life, &why);
	if (admitted == AUTH_OK && e->before != 0) {
		a.account = e->before;
		admitted = clerk_admits(c, &a, e->life, &why);
		a.account = e->who.account;
	}
	if (admitted != AUTH_OK) {
		if (admitted == AUTH_LATER)
			exchange_later(e, why);
		else
			exchange_refuse(e, admitted, why);
		return;
	}
	if (e->caller == NULL && !e->mastered)
		clerk_passed(c, &a);
	e->answer = (struct word_auth_done){ .answer = AUTH_OK,
		                             .user = e->who.address,
		                             .account = e->who.account,
		                             .last = last,
		                             .pass = pass_for(e) };
	exchange_answer(e);
}

void
exchange_later(struct exchange *e, const char *why)
{
	e->answer = (struct word_auth_done){ .answer = AUTH_LATER,
		                             .user = arena_copy(e->life, e->user),
		                             .text = why };
	exchange_answer(e);
}

/* ---- checking passwords, in the pool ------------------------------------------ */

static void checks_start(struct clerk *);

static void
check_run(void *ctx)
{
	struct exchange *e = ctx;
	struct bytes     nobody = bytes_of(password_nobody());

	e->right = scheme_check(e->stored.len > 0 ? e->stored : nobody, e->fallback, e->user,
	                        e->password, &e->why);
	if (e->stored.len == 0)
		e->right = SCHEME_WRONG;
	if (e->right == SCHEME_RIGHT && e->old_hash)
		(void)password_make(e->password, &e->fresh);
}

static void
check_done(void *ctx)
{
	struct exchange *e = ctx;
	struct clerk    *c = clerk_of(e->house);

	e->busy = false;
	c->checking--;
	if (e->dropped)
		exchange_close(e);
	else
		chain_compared(e);
	checks_start(c);
}

static struct exchange *
check_next(struct clerk *c)
{
	for (size_t i = 0; i < COUNT(c->line); i++) {
		struct exchange *e = c->line[i].first;

		if (e == NULL)
			continue;
		c->line[i].first = e->next;
		if (e->next == NULL)
			c->line[i].last = &c->line[i].first;
		c->waiting--;
		return e;
	}
	return NULL;
}

static void
checks_start(struct clerk *c)
{
	struct exchange *e;

	while (c->checking < c->checkers && (e = check_next(c)) != NULL) {
		if (e->dropped) {
			e->busy = false;
			exchange_close(e);
			continue;
		}
		c->checking++;
		loop_job(e->house->loop, check_run, check_done, e);
	}
}

bool
exchange_name(struct exchange *e, struct bytes user)
{
	struct clerk *c = clerk_of(e->house);

	const struct credential_names names = {
		c->rows.username_format,
		c->rows.username_chars,
		c->rows.username_translation,
		c->rows.default_realm,
	};

	e->user = e->counted = arena_keep(e->life, user);
	/* A name that cannot be is nobody's. */
	if (!credential_name(&names, user, e->life, &e->user)) {
		e->user = arena_keep(e->life, user);
		e->nobody = true;
		return true;
	}
	e->counted = e->user;
	switch (directory_credential(c->directory, e->user, c->origin, e->life, &e->who)) {
	case DIRECTORY_OK: e->counted = bytes_of(e->who.address); return true;
	case DIRECTORY_LATER: return false;
	default: e->who = (struct credential){ 0 }; return true;
	}
}

/* True when it will be answered "later": too many have failed.  Not at once, or whoever guesses
   would ask as fast as lines go. */
bool
exchange_guarded(struct exchange *e)
{
	struct clerk *c = clerk_of(e->house);

	if (e->caller != NULL)
		return false;
	if (!clerk_is_banned(c, &e->peer) && guard_ask(c->guard, &c->limits, bytes_of(e->network),
	                                               e->counted, clock_patient_ms()) == GUARD_GO)
		return false;
	e->answer = (struct word_auth_done){ .answer = AUTH_LATER,
		                             .user = arena_copy(e->life, e->user),
		                             .text = "too many failed logins, try again later" };
	exchange_answer_in(e, c->limits.delay_ms);
	return true;
}

static void
checks_add(struct clerk *c, struct exchange *e, bool known)
{
	struct check_line *line = &c->line[known ? 0 : 1];

	e->busy = true;
	*line->last = e;
	line->last = &e->next;
	c->waiting++;
}

static enum directory_outcome
device_of(struct exchange *e, uint64_t account)
{
	struct app_password    found;
	enum directory_outcome o = DIRECTORY_NONE;

	if (account != 0)
		o = app_password_find(clerk_of(e->house)->directory, account, e->password, e->life,
		                      &found);
	if (o == DIRECTORY_OK) {
		e->device = arena_take(e->life, sizeof *e->device);
		*e->device = found;
	}
	return o;
}

/* Whether it is an app password of theirs: a lookup, nothing slow.  By the same name there may be somebody of a back end and an
   operating-system user; which of the two this is the back ends decide. */
static enum directory_outcome
exchange_device(struct exchange *e)
{
	enum directory_outcome o = device_of(e, e->who.account);

	if (o == DIRECTORY_NONE && (e->who.account == 0 || *e->who.source != '\0'))
		o = device_of(e, clerk_system_account(clerk_of(e->house), e->user));
	return o;
}

void
exchange_compare(struct exchange *e, struct bytes stored, const char *fallback)
{
	struct clerk *c = clerk_of(e->house);
	bool known = guard_knows(c->guard, bytes_of(e->network), e->counted, clock_patient_ms());

	e->stored = stored;
	e->fallback = fallback;
	e->hashed = true;
	/* However many strangers wait, there is room for those who were here before. */
	if (c->waiting >= (known ? 2 * CHECKS_WAITING_MOST : CHECKS_WAITING_MOST)) {
		exchange_later(e, "too many logins at once");
		return;
	}
	checks_add(c, e, known);
	checks_start(c);
}

/* User and password are known: look the user up, then ask the back ends. */
void
exchange_check(struct exchange *e, struct bytes user, struct bytes password)
{
	e->password = arena_keep(e->life, password);
	if (master_begin(e, user))
		return;
	if (!exchange_name(e, user))
		exchange_later(e, "directory is not available");
	else if (exchange_guarded(e))
		return;
	else if (exchange_device(e) == DIRECTORY_OK)
		chain_proved(e, BYTES("")); /* whom his back end has forgotten has none left */
	else
		chain_begin(e);
}

/* rfc1939:7  The digest of our stamp and the password, which was kept for this. */
static void
exchange_apop(struct exchange *e)
{
	struct bytes      secret = { NULL, 0 };
	char              right[33] = "";
	enum sasl_outcome o = SASL_LATER;

	if (exchange_name(e, e->heard)) {
		if (exchange_guarded(e))
			return;
		o = exchange_secret(e, e->heard, e->life, &secret);
	}
	if (o == SASL_LATER && e->question != 0)
		return;
	if (o == SASL_LATER)
		exchange_later(e, "directory is not available");
	else if (o == SASL_PROVED) {
		e->password = secret;
		if (password_apop(e->stamp, secret, right) &&
		    bytes_equal_secret(bytes_of(right), e->digest))
			chain_proved(e, BYTES(""));
		else
			chain_doubt(e, "password mismatch");
	} else
		chain_doubt(e, e->who.account == 0 ? "unknown user" : "no plain secret is kept");
}

static void
apop_begin(struct exchange *e, const struct word_auth_start *w)
{
	e->apop = true;
	e->heard = arena_keep(e->life, w->user);
	e->stamp = arena_keep(e->life, w->initial);
	e->digest = arena_keep(e->life, w->password);
	exchange_apop(e);
}

void
exchange_again(struct exchange *e)
{
	if (e->apop)
		exchange_apop(e);
	else
		exchange_step(e, e->has_heard, e->heard);
}

/* ---- words of fronts ---------------------------------------------------------------- */

static struct exchange *
exchange_open(struct house *h, enum role role, uint32_t index, uint32_t ticket)
{
	struct exchange *e = memory_take(sizeof *e), *before;
	uint32_t         key[3];

	*e = (struct exchange){
		.house = h,
		.role = role,
		.index = index,
		.ticket = ticket,
		.life = arena_open(NULL),
		.heard_ms = clock_patient_ms(),
	};
	before = map_put(clerk_of(h)->exchanges, exchange_key(role, index, ticket, key), e);
	if (before != NULL) {
		before->dropped = true; /* a ticket used again: the old question is void */
		exchange_close(before);
	}
	return e;
}

/* "rip=192.0.2.1", "service=imap"; what else Dovecot knows changes nothing here. */
static void
suppose(struct exchange *e, const char *fact)
{
	struct sockaddr_storage from = { .ss_family = AF_UNSPEC };
	struct sockaddr_in     *v4 = (struct sockaddr_in *)&from;
	struct sockaddr_in6    *v6 = (struct sockaddr_in6 *)&from;

	if (strncmp(fact, "--master=", 9) == 0)
		e->master = arena_lower(e->life, bytes_of(fact + 9));
	if (strncmp(fact, "service=", 8) == 0)
		(void)snprintf(e->service, sizeof e->service, "%.15s", fact + 8);
	if (strncmp(fact, "rip=", 4) != 0)
		return;
	if (inet_pton(AF_INET, fact + 4, &v4->sin_addr) == 1)
		from.ss_family = AF_INET;
	else if (inet_pton(AF_INET6, fact + 4, &v6->sin6_addr) == 1)
		from.ss_family = AF_INET6;
	if (from.ss_family != AF_UNSPEC && peer_from(&from, &e->peer))
		peer_network(&e->peer, e->network);
}

/* What a login would come to, for a command: nobody is counted or put off, and no rule of networks or protocols is asked
   unless one was said. */
void
login_test(struct house *h, struct caller *caller, const struct word_ask *ask,
           struct bytes password)
{
	struct exchange *e = exchange_open(h, COMMAND, 0, ++clerk_of(h)->tests);

	e->caller = caller;
	for (uint32_t i = 3; i < ask->argc; i++)
		if (strcmp(ask->argv[i], "--classic") == 0)
			e->classic = arena_copy(e->life, bytes_of(ask->argv[2]));
		else
			suppose(e, ask->argv[i]);
	/* As oneself nobody needs to be a master. */
	if (bytes_equal_nocase(e->master, bytes_of(ask->argv[2])))
		e->master = (struct bytes){ NULL, 0 };
	if (e->master.len == 0)
		exchange_check(e, bytes_of(ask->argv[2]), password);
	else if (*h->common.auth_master_passwd_file == '\0')
		exchange_refuse(e, AUTH_BAD,
		                "there are no master users: auth_master_passwd_file is not set");
	else
		master_as(e, bytes_of(ask->argv[2]), e->master, password);
}

/* As doveadm(1) has it: whose the password was to be, and behind a login who came in by it. */
static void
tell_classic(struct exchange *e, bool good)
{
	const char *master = arena_copy(e->life, e->master);

	caller_say(e->caller, "passdb: %s auth %s\nextra fields:\n  user=%s\n", e->classic,
	           good ? "succeeded" : "failed",
	           !good && *master != '\0' ? master : e->answer.user);
	if (good && *master != '\0')
		caller_say(e->caller, "  original_user=%s\n  auth_user=%s\n", master, master);
}

void
exchange_tell_caller(struct exchange *e)
{
	static const char *const plain[] = { [AUTH_OK] = "",
		                             [AUTH_BAD] = "wrong",
		                             [AUTH_LATER] = "later",
		                             [AUTH_DISABLED] = "closed" };
	enum auth_answer         said = (enum auth_answer)e->answer.answer;

	if (e->classic != NULL)
		tell_classic(e, said == AUTH_OK);
	if (said == AUTH_OK)
		caller_say(e->caller, "%s%s", e->classic != NULL ? "" : e->answer.user,
		           e->classic != NULL ? "" : "\n");
	else if (strcmp(e->answer.text, "password mismatch") == 0)
		caller_complain(e->caller, "mansio: the password is wrong\n");
	else if (strcmp(e->answer.text, "unknown user") == 0)
		caller_complain(e->caller, "mansio: there is no such account\n");
	else if (strcmp(e->answer.text, "account is disabled") == 0)
		caller_complain(e->caller, "mansio: the account is disabled\n");
	else
		caller_complain(e->caller, "mansio: %s: %s\n",
		                said < COUNT(plain) && plain[said] != NULL ? plain[said] : "no",
		                e->answer.text);
	/* doveadm(1) ends the same way when it cannot be told. */
	caller_done(e->caller, said == AUTH_OK                            ? 0
	                       : said == AUTH_LATER && e->classic == NULL ? 1
	                                                                  : COMPARED_WRONG);
}

bool
hear_auth_start(struct house *h, enum role from, uint32_t index, uint32_t ticket, struct bytes body)
{
	struct arena          *scratch = arena_open(NULL);
	struct word_auth_start w;
	struct exchange       *e;
	bool                   whole = word_unpack_auth_start(body, scratch, &w);

	if (whole) {
		e = exchange_open(h, from, index, ticket);
		/* What another program says of its client counts for what that program asks, and bans nobody. */
		if (w.lent)
			e->network[0] = LENT_MARK;
		peer_network(&w.peer, e->network + w.lent);
		e->peer = w.peer;
		(void)snprintf(e->service, sizeof e->service, "%.15s", w.service);
		if (map_count(clerk_of(h)->exchanges) > EXCHANGES_MOST)
			exchange_later(e, "too many logins at once");
		else if (w.mechanism.len == 0)
			exchange_check(e, w.user, w.password);
		else if (bytes_is(w.mechanism, "APOP") && strcmp(w.service, "pop3") == 0)
			apop_begin(e, &w);
		else if (!exchange_sasl(e, &w)) {
			e->answer = (struct word_auth_done){ .answer = AUTH_NO_MECHANISM,
				                             .user = "",
				                             .text = "no such mechanism" };
			exchange_answer(e);
		}
	}
	arena_close(&scratch);
	return whole;
}

bool
hear_auth_step(struct house *h, enum role from, uint32_t index, uint32_t ticket, struct bytes body)
{
	uint32_t         key[3];
	struct exchange *e =
		map_get(clerk_of(h)->exchanges, exchange_key(from, index, ticket, key));

	/* Nothing to say to an exchange that is over or being checked: answers crossed. */
	if (e != NULL && e->sasl != NULL && !e->busy && e->pause == NULL && e->question == 0 &&
	    !e->enquiring) {
		e->heard_ms = clock_patient_ms();
		exchange_step(e, true, body);
	}
	return true;
}

bool
hear_auth_drop(struct house *h, enum role from, uint32_t index, uint32_t ticket, struct bytes body)
{
	uint32_t         key[3];
	struct exchange *e =
		map_get(clerk_of(h)->exchanges, exchange_key(from, index, ticket, key));
	(void)body;

	if (e != NULL)
		exchange_close(e);
	return true;
}

/* A front died: its questions die with it.  Who was asked died: nobody knows now. */
void
clerk_lost(struct house *h, enum role role, uint32_t index)
{
	chain_lost(h, role);
	if (role == KEEPER)
		clerk_total_keeper_lost(h, index);
	if (role == PROXYMAP)
		enquiries_lost(clerk_of(h)->enquiries);
	for (struct map_place p = { 0 }; map_next(clerk_of(h)->exchanges, &p);) {
		struct exchange *e = p.value;
		if (e->role == role && e->index == index)
			exchange_close(e);
	}
}
