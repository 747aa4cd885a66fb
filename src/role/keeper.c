/*
 * keeper -- owns mailboxes: delivers into them, and serves IMAP and POP3 from them
 */
#include "role/keeper.h"
#include "base/clock.h"
#include "base/random.h"
#include "role/confine.h"
#include "role/debug.h"
#include "role/owner.h"
#include "role/pass.h"
#include "store/columns.h"
#include "store/mbox-lock.h"
#include "store/shares.h"
#include "store/text.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Deliveries nobody watches wait so long for others to share their commit; the letter is safe in the log. */
enum { GATHER_MS = 100 };

#define HARMLESS "1234567890!@%-_=+:,./abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define AT(f) offsetof(struct keeper_settings, f)
/* clang-format off */
static const struct setting rows[] = {
	{ "mail_history_time", SETTING_TIME, AT(history_ms), "1d", "How long the history of a mailbox (changes, expunged messages) is kept.", .since = "0.1" },
	{ "mail_max_userip_connections", SETTING_NUMBER, AT(per_user_address), "20", "IMAP and POP3 sessions of one user from one address; 0 means no limit.", .since = "0.1" },
	{ "mailbox_command", SETTING_TEXT, AT(mailbox_command), "", "The command that gets the mail of operating-system users instead of home_mailbox, as procmail -a \"$EXTENSION\"; every $ is the shell's, and no setting's.", .choices = "shell", .since = "0.2" },
	{ "command_time_limit", SETTING_TIME, AT(command_ms), "1000s", "How long a command may take for one letter.", .least = 1000, .most = 86400000, .since = "0.2" },
	{ "local_command_shell", SETTING_TEXT, AT(shell), "", "The shell for commands, as /usr/bin/smrsh -c without the -c; if empty /bin/sh, and only where a shell is needed.", .since = "0.2" },
	{ "command_execution_directory", SETTING_TEXT, AT(command_directory), "", "The directory in which commands of aliases, of .forward and of mailbox_command are executed, with $user, $home, $shell, $recipient, $extension, $domain and $local, ${name?text} and ${name:text}; mail waits while it cannot be entered. If empty, the home of the user.", .since = "0.2" },
	{ "execution_directory_expansion_filter", SETTING_TEXT, AT(directory_filter), HARMLESS, "The characters such a name may bring into command_execution_directory; of others there are underscores.", .since = "0.2" },
	{ "command_expansion_filter", SETTING_TEXT, AT(command_filter), HARMLESS, "The characters that the environment of these commands may have of addresses and other words of a letter; of others there are underscores.", .since = "0.2" },
	{ "export_environment", SETTING_LIST, AT(exported), "TZ MAIL_CONFIG LANG", "What these commands and those of pipes see of the server's environment: names, whose values are the server's own, but for LANG, which is C; or {name = value}.", .since = "0.2" },
	{ "user_keeper_idle_time", SETTING_TIME, AT(user_idle_ms), "60s", "How long the keeper of an operating-system user stays when it has nothing to do.", .since = "0.2" },
	{ "mailbox_size_limit", SETTING_SIZE, AT(mailbox_most), "0", "What quota_storage is if nothing else is said; 0 means no limit.", .since = "0.2" },
	{ "quota_storage", SETTING_SIZE, AT(quota_storage), "$mailbox_size_limit", "How much an account may hold, unless it or its domain says otherwise; 0 means no limit.", .since = "0.2" },
	{ "quota_messages", SETTING_NUMBER, AT(quota_messages), "0", "How many messages an account may hold, unless it or its domain says otherwise; 0 means no limit.", .since = "0.2" },
	{ "quota_grace", SETTING_NUMBER, AT(quota_grace), "10", "By how many percent of the limit the last letter delivered may be over.", .least = 0, .most = 100, .since = "0.2" },
	{ "quota_warning", SETTING_LIST, AT(quota_warning), "80 95", "Percents of a limit; an account that comes to hold more gets a letter that says so, once each time, and of what a domain holds its postmaster.", .since = "0.2" },
	{ "quota_full_tempfail", SETTING_BOOL, AT(quota_tempfail), "no", "yes: letters for a full account, or domain, wait and are tried again; no: they are returned to their senders.", .since = "0.2" },
	{ "quarantine_mailbox", SETTING_WORD, AT(quarantine), "Quarantine", "The mailbox of each user where letters with a virus lie when clamd_on_infected = mailbox; who moves one to another mailbox has released it.", .since = "0.4" },
	{ "quota_admins", SETTING_LIST, AT(quota_admins), "", "Addresses of those who may say with SETQUOTA how much accounts and domains may hold, and see it of all with GETQUOTA.", .since = "0.2" },
	{ "imap_append_limit", SETTING_SIZE, AT(append_most), "$message_size_limit", "Largest message taken by APPEND; 0 means no limit.", .since = "0.1" },
	{ "mbox_read_locks", SETTING_LIST, AT(read_locks), "fcntl", "The locks an mbox is read under, in the order they are taken: dotlock, fcntl, flock.", .since = "0.2" },
	{ "mbox_write_locks", SETTING_LIST, AT(write_locks), "dotlock fcntl", "The locks an mbox is written under, in the order they are taken.", .since = "0.2" },
	{ "search_index", SETTING_BOOL, AT(search_index), "yes", "Whether an index of the text of all mail, for SEARCH, and a file of the digests of each mailbox's letters, for FETCH of many, are made in the background.", .since = "0.1" },
	{ "search_memory", SETTING_SIZE, AT(search_memory), "512M", "How much of what SORT, THREAD and SEARCH ask of every message each keeper may keep in memory while nobody asks; those of operating-system users and of owners keep as much together.", .since = "0.1" },
};
/* clang-format on */
#undef AT
const struct setting_table keeper_setting_table = { "Mailboxes", rows, COUNT(rows) };

/* ---- sessions ---------------------------------------------------------------------- */

static struct bytes
ticket_key(uint32_t *ticket)
{
	return (struct bytes){ (const char *)ticket, sizeof *ticket };
}

static uint64_t
caller_count(struct keeper *k, const char *caller, int change)
{
	uintptr_t n = (uintptr_t)map_get(k->callers, bytes_of(caller));

	n = (uintptr_t)((intptr_t)n + change);
	if (n == 0)
		(void)map_drop(k->callers, bytes_of(caller));
	else if (change != 0)
		(void)map_put(k->callers, bytes_of(caller), (void *)n);
	return n;
}

static void
session_over_say(struct house *h, const struct visit *v)
{
	struct link *l = v->command ? NULL : house_link(h, LOGIN, v->login);

	if (l != NULL)
		link_say(l, WORD_SESSION_OVER, v->ticket, (struct bytes){ NULL, 0 }, -1);
}

void
keeper_session_over(void *house, uint32_t ticket, uint64_t account)
{
	struct house *h = house;
	struct visit *v = map_drop(keeper_of(h)->sessions, ticket_key(&ticket));
	(void)account;

	if (v == NULL)
		return;
	if (v->caller[0] != '\0')
		(void)caller_count(keeper_of(h), v->caller, -1);
	session_over_say(h, v);
	memory_free(v);
}

/* The client is nobody again: the login that brought it takes it back. */
void
keeper_session_back(void *house, uint32_t ticket, int fd, struct bytes unread)
{
	struct house *h = house;
	struct visit *v = map_get(keeper_of(h)->sessions, ticket_key(&ticket));
	struct link  *l = v == NULL || v->command ? NULL : house_link(h, LOGIN, v->login);

	if (l != NULL && v->ticket != 0) {
		link_say(l, WORD_SESSION_BACK, v->ticket, unread, fd);
		v->command = true; /* that is all the login is to hear of it */
	}
	close(fd);
	keeper_session_over(house, ticket, 0);
}

/* Said in the protocol's own words, then the end. */
static void
session_refuse(const struct word_session *w, int fd, const char *code, const char *words)
{
	char line[300];
	int  n;

	if (strcmp(w->protocol, "imap") == 0)
		n = snprintf(line, sizeof line, "%.64s NO [%s] %s\r\n", w->tag, code, words);
	else
		n = snprintf(line, sizeof line, "-ERR [%s] %s\r\n",
		             strcmp(code, "LIMIT") == 0 ? "IN-USE" : "SYS/TEMP", words);
	if (n > 0 && write(fd, line, (size_t)n) < 0)
		detail("the refused client is gone already");
	close(fd);
}

uint32_t
keeper_visit(struct house *h, struct visit *v)
{
	struct keeper *k = keeper_of(h);
	uint32_t       mine;

	while (mine = ++k->next_ticket,
	       mine == 0 || map_get(k->sessions, ticket_key(&mine)) != NULL)
		continue;
	v->since = clock_wall();
	(void)map_put(k->sessions, ticket_key(&mine), v);
	return mine;
}

struct meeting {
	struct house *house;
	const char   *protocol;
};

/* Whether somebody wants to look into this session. */
static void
look_into(void *ctx, struct stream *s, const struct access_facts *facts)
{
	const struct meeting *m = ctx;
	char                  service[160];

	(void)snprintf(service, sizeof service, "%s/%s", m->house->common.syslog_name, m->protocol);
	debug_look(m->house, s,
	           &(struct debug_facts){ .protocol = strcmp(m->protocol, "pop3") == 0
	                                                      ? TRANSCRIPT_POP3
	                                                      : TRANSCRIPT_IMAP,
	                                  .service = service,
	                                  .client = facts->peer.text,
	                                  .peer = &facts->peer,
	                                  .user = facts->user });
}

/* Not what the login says, but what the clerk gave it to show. */
static bool
may_open(struct house *h, const struct word_session *w)
{
	struct buffer key = { 0 };
	bool          may = house_resource_read(h, "pass-key", &key) == 0 && key.len == PASS_KEY &&
	           pass_is_good(key.at, w->pass, w->account, w->user, clock_patient_ms(),
	                        keeper_of(h)->passes);

	if (key.at != NULL)
		explicit_bzero(key.at, key.len);
	buffer_free(&key);
	return may;
}

/* A SESSION word that waits. */
struct guest {
	uint32_t login, ticket, len;
	int      fd;
};

static bool
hear_session(struct house *h, uint32_t login, uint32_t ticket, struct bytes body, int fd)
{
	struct keeper      *k = keeper_of(h);
	struct word_session w;
	struct visit       *v;
	uint32_t            mine;
	int                 why;

	arena_clear(k->scratch);
	if (fd < 0 || !word_unpack_session(body, k->scratch, &w)) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	if (!keeper_place_known(h, w.account, bytes_of(w.user))) {
		struct guest g = { login, ticket, (uint32_t)body.len, fd };

		buffer_add(&k->guests, (struct bytes){ (const char *)&g, sizeof g });
		buffer_add(&k->guests, body);
		return true;
	}
	if (!may_open(h, &w)) {
		fault("session=<%s>: login %u shows no pass of the clerk for %s: refused",
		      w.session, login, w.user);
		session_refuse(&w, fd, "UNAVAILABLE", "Log in again, please.");
		session_over_say(h, &(struct visit){ .login = login, .ticket = ticket });
		return true;
	}
	v = memory_take(sizeof *v);
	*v = (struct visit){ .login = login, .ticket = ticket };
	(void)snprintf(v->caller, sizeof v->caller, "%" PRIu64 " %s", w.account, w.peer.text);
	if (k->rows.per_user_address > 0 &&
	    caller_count(k, v->caller, 0) >= (uint64_t)k->rows.per_user_address) {
		session_refuse(
			&w, fd, "LIMIT",
			"Maximum number of connections from user+IP exceeded (mail_max_userip_connections)");
		warn_("%s-login: %s from %s: mail_max_userip_connections reached", w.protocol,
		      w.user, w.peer.text);
		session_over_say(h, v);
		memory_free(v);
		return true;
	}
	(void)caller_count(k, v->caller, +1);
	mine = keeper_visit(h, v);

	if (k->personal && (why = keeper_user_locate(h, w.account)) != 0) {
		warn_("%s: the mailboxes cannot be opened: %s", w.user, strerror(why));
		session_refuse(&w, fd, "UNAVAILABLE",
		               "The mailboxes cannot be opened now, try again later.");
		keeper_session_over(h, mine, w.account);
		return true;
	}
	if (!k->personal && keeper_locate(k, w.account, bytes_of(w.user)) != 0 &&
	    k->misplaced != NULL) {
		session_refuse(&w, fd, "UNAVAILABLE",
		               "The mailboxes cannot be opened now, try again later.");
		keeper_session_over(h, mine, w.account);
		return true;
	}
	keeper_limit(h, w.account, bytes_of(w.user));
	struct access_facts facts = {
		.user = w.user,
		.account = w.account,
		.session = w.session,
		.tag = w.tag,
		.offers = w.offers,
		.peer = w.peer,
		.here = w.here,
		.tls = w.tls,
		.unread = w.unread,
		.met = look_into,
		.met_ctx = &(struct meeting){ h, w.protocol },
	};
	keeper_groups(h, &facts, k->scratch);
	if (strcmp(w.protocol, "pop3") == 0)
		pop3_open(k->pop3, fd, &facts, mine);
	else
		imap_open(k->imap, fd, &facts, mine);
	return true;
}

/* The clerk has told where their mailboxes lie. */
void
keeper_admit_early(struct house *h)
{
	struct keeper *k = keeper_of(h);
	struct buffer  words = k->guests;
	struct guest   g;

	k->guests = (struct buffer){ 0 };
	for (size_t at = 0; at < words.len; at += sizeof g + g.len) {
		memcpy(&g, words.at + at, sizeof g);
		(void)hear_session(h, g.login, g.ticket,
		                   (struct bytes){ words.at + at + sizeof g, g.len }, g.fd);
	}
	buffer_free(&words);
}

/* The login stops in order, and TLS ends with it: its readers are told while they can be. */
static bool
hear_sessions_end(struct house *h, uint32_t login)
{
	struct keeper *k = keeper_of(h);
	struct buffer  tickets = { 0 };

	for (struct map_place p = { 0 }; map_next(k->sessions, &p);)
		if (((struct visit *)p.value)->login == login &&
		    !((struct visit *)p.value)->command)
			buffer_add(&tickets, p.key);
	for (size_t at = 0; at < tickets.len; at += sizeof(uint32_t)) {
		uint32_t mine;
		memcpy(&mine, tickets.at + at, sizeof mine);
		if (!imap_service_end(k->imap, mine, "Server shutting down."))
			(void)pop3_service_end(k->pop3, mine, "Server shutting down.");
	}
	buffer_free(&tickets);
	return true;
}

/* An account that was deleted: its mailboxes are still there, or are not. */
static char account_leaving, account_left;

static bool
hear_account_gone(struct house *h, struct bytes body)
{
	struct keeper *k = keeper_of(h);
	struct unpack  u = unpack_of(body);
	uint64_t       id = unpack_u64(&u);
	struct bytes   address = unpack_bytes(&u);
	int64_t        at = unpack_i64(&u);

	if (!unpack_done(&u))
		return false;
	/* An address may be: whoever has it next inherits nothing. */
	if (address.len > 0)
		shares_revoke(k->store, address, at);
	/* An id is never given again: what the queue still has for it is for nobody. */
	(void)map_put(k->gone, map_number(&id), &account_leaving);
	keeper_total_gone(k, id);
	(void)imap_service_kick(k->imap, id, "[UNAVAILABLE] This account was deleted");
	(void)pop3_service_kick(k->pop3, id, "This account was deleted");
	keeper_remove_gone(h);
	return true;
}

/* Sessions end; the account stays. */
static bool
hear_account_out(struct house *h, struct bytes body)
{
	struct keeper *k = keeper_of(h);
	struct unpack  u = unpack_of(body);
	uint64_t       id = unpack_u64(&u);
	struct bytes   words = unpack_bytes(&u);
	char           text[120], bye[140];

	if (!unpack_done(&u) || id == 0 || !bytes_string(words, text, sizeof text))
		return false;
	(void)snprintf(bye, sizeof bye, "[UNAVAILABLE] %s", text);
	(void)imap_service_kick(k->imap, id, bye);
	(void)pop3_service_kick(k->pop3, id, text);
	return true;
}

/* What a session still holds is tried again by the sweeper. */
void
keeper_remove_gone(struct house *h)
{
	struct keeper *k = keeper_of(h);

	for (struct map_place p = { 0 }; map_next(k->gone, &p);) {
		uint64_t id;
		int      why;

		if (p.value != &account_leaving)
			continue;
		memcpy(&id, p.key.at, sizeof id);
		why = account_remove(k->store, id);
		if (why == EBUSY)
			continue;
		if (why != 0 && why != ENOENT)
			warn_("account %" PRIu64 ": its mailboxes cannot be removed: %s", id,
			      strerror(why));
		(void)map_put(k->gone, p.key, &account_left);
	}
}

/* ---- the card ------------------------------------------------------------------------ */

static void
store_job(void *house, void (*run)(void *), void (*done)(void *), void *job)
{
	loop_job(((struct house *)house)->loop, run, done, job);
}

static void
store_job_brief(void *house, void (*run)(void *), void (*done)(void *), void *job)
{
	loop_job_brief(((struct house *)house)->loop, run, done, job);
}

static const struct pop3_needs pop3_needs = { keeper_session_over };

static bool
is_ours(void *house, uint64_t account)
{
	struct house *h = house;

	return house_keeper_of(h, account) == h->index;
}

/* Another program has a file locked. */
static void
store_wants_later(void *house)
{
	timer_set(keeper_of(house)->later, KEEPER_LATER_MS);
}

static const struct store_needs store_needs = { .job = store_job,
	                                        .job_brief = store_job_brief,
	                                        .digest = keeper_digest,
	                                        .later = store_wants_later,
	                                        .ours = is_ours,
	                                        .quota = keeper_quota };

static void
gathered(void *house)
{
	struct keeper *k = keeper_of(house);

	k->gathering = false;
	store_hurry(k->store);
}

static void
try_later(void *house)
{
	(void)keeper_deliver_again(house, &keeper_of(house)->locked);
	store_later(keeper_of(house)->store);
}

/* The clerk has said whether there is room for letters that waited. */
static void
try_heard(void *house)
{
	(void)keeper_deliver_again(house, &keeper_of(house)->locked);
}

static void
store_rest(void *house)
{
	struct keeper *k = keeper_of(house);

	if (!store_patient(k->store)) {
		store_at_rest(k->store);
	} else if (!k->gathering) {
		k->gathering = true;
		timer_set(k->gather, GATHER_MS);
	}
}

static void
configs(struct house *h, struct imap_config *imap, struct pop3_config *pop3)
{
	struct keeper *k = keeper_of(h);

	*imap = (struct imap_config){ .version = MANSIO_VERSION };
	*pop3 = (struct pop3_config){ 0 };
	(void)house_settings(h, &keeper_setting_table, NULL, &k->rows);
	(void)house_settings(h, &common_setting_table, NULL, &k->common);
	(void)house_settings(h, &imap_setting_table, NULL, &imap->rows);
	(void)house_settings(h, &pop3_setting_table, NULL, &pop3->rows);
	if (!mbox_lock_order(false, k->rows.read_locks.item, k->rows.read_locks.count) ||
	    !mbox_lock_order(true, k->rows.write_locks.item, k->rows.write_locks.count))
		warn_("mbox_read_locks and mbox_write_locks are lists of dotlock, fcntl and flock");
	imap->message_size_limit = (uint64_t)k->rows.append_most;
	imap->rows.answers_most /= k->memory_parts;
}

static void
settings_to_store(struct house *h)
{
	struct keeper *k = keeper_of(h);

	text_wanted(k->store, k->rows.search_index);
	columns_memory_most(k->store, (size_t)k->rows.search_memory / k->memory_parts);
	store_room_keep((uint64_t)h->common.queue_minfree);
}

static void
keeper_reload(struct house *h)
{
	struct imap_config imap;
	struct pop3_config pop3;

	configs(h, &imap, &pop3);
	settings_to_store(h);
	imap_service_config(keeper_of(h)->imap, &imap);
	pop3_service_config(keeper_of(h)->pop3, &pop3);
	keeper_limits_again(h);
	keeper_user_forget(h);
	keeper_pipes_forget(keeper_of(h));
}

/* There are more of us, or fewer. */
static bool
hear_memory(struct house *h, struct bytes body)
{
	struct keeper     *k = keeper_of(h);
	struct unpack      u = unpack_of(body);
	uint32_t           parts = unpack_u32(&u);
	struct imap_config imap;
	struct pop3_config pop3;

	if (!unpack_done(&u) || parts == 0)
		return false;
	k->memory_parts = parts;
	configs(h, &imap, &pop3);
	settings_to_store(h);
	imap_service_config(k->imap, &imap);
	return true;
}

/* The directory of all accounts is the keepers' to make: whichever comes first. */
static bool
accounts_make(struct house *h)
{
	const char *path = house_path(h, "store/accounts");
	int         store;

	if (mkdir(path, 0700) < 0 && errno != EEXIST) {
		fault("%s: %s", path, strerror(errno));
		return false;
	}
	store = open(house_path(h, "store"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (store < 0 || fsync(store) < 0) {
		fault("%s: %s", house_path(h, "store"), strerror(errno));
		if (store >= 0)
			close(store);
		return false;
	}
	close(store);
	return true;
}

static int
directory_of(struct house *h, const char *under)
{
	int fd = open(house_path(h, under), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		fault("%s: %s", house_path(h, under), strerror(errno));
	return fd;
}

static bool
keeper_start(struct house *h)
{
	struct keeper     *k = memory_take(sizeof *k);
	struct imap_config imap;
	struct pop3_config pop3;
	int                accounts, letters;

	h->mine = k;
	k->memory_parts = 1;
	k->scratch = arena_open(NULL);
	k->sessions = map_open();
	k->callers = map_open();
	k->passes = map_open();
	k->gone = map_open();
	k->limits = map_open();
	k->groups = map_open();
	k->asked = map_open();
	k->next_asked = (uint32_t)random_number();
	k->full = map_open();
	k->named = map_open();
	k->limits_asked = map_open();
	k->totals = map_open();
	k->shares = map_open();
	k->rooms = map_open();
	k->letter_rooms = map_open();
	k->totals_asked = map_open();
	k->places = map_open();
	questions_open(&k->questions, h);
	configs(h, &imap, &pop3);
	confine_view(&h->common, &k->view);
	keeper_user_open(h);
	keeper_handoffs_open(h);
	if (k->user == NULL && !accounts_make(h))
		return false;
	accounts = k->user != NULL ? keeper_user_accounts(h) : directory_of(h, "store/accounts");
	letters = k->user != NULL ? -1 : directory_of(h, "spool/letters");
	if (accounts < 0 || (letters < 0 && k->user == NULL))
		return false;
	k->letters = letters_open(letters);
	k->store = store_open(accounts, k->letters, k->rows.history_ms, &store_needs, h);
	if (k->store == NULL)
		return false;
	settings_to_store(h);
	keeper_writer_open(h);
	keeper_news_open(h);
	k->gather = timer_open(h->loop, gathered, h);
	k->later = timer_open(h->loop, try_later, h);
	k->heard = timer_open(h->loop, try_heard, h);
	loop_at_rest(h->loop, store_rest, h);
	k->imap = imap_service_open(h->loop, k->store, &imap, &keeper_imap_needs, h);
	k->pop3 = pop3_service_open(h->loop, k->store, &pop3, &pop3_needs, h);
	return true;
}

static void
keeper_work(struct house *h)
{
	int fd = house_resource(h, "control/keeper");

	keeper_care_start(h);
	keeper_text_start(h);
	keeper_user_work(h);
	if (fd >= 0 || house_user(h) != NULL)
		house_commands(h, fd, keeper_command);
}

static bool
keeper_hear(struct house *h, enum role from, uint32_t index, enum word word, uint32_t ticket,
            struct bytes body, int fd)
{
	(void)from;
	/* Those who serve are gone, and its last word is on the way to the disk: whoever asks now asks the next one. */
	if (keeper_of(h)->imap == NULL) {
		if (fd >= 0)
			close(fd);
		return true;
	}
	switch (word) {
	case WORD_SESSION: return hear_session(h, index, ticket, body, fd);
	case WORD_DELIVER: return hear_deliver(h, ticket, body, fd);
	case WORD_PIPE: return hear_pipe(h, ticket, body, fd);
	case WORD_SEGMENT_LENT:
	case WORD_SEGMENT_REFUSED: return hear_segment(h, word, body, fd);
	case WORD_URL_READ: return hear_url_read(h, body, fd);
	case WORD_CALLER:
		if (fd >= 0)
			house_caller(h, fd);
		return fd >= 0;
	default: break;
	}
	if (fd >= 0)
		close(fd);
	switch (word) {
	case WORD_SESSIONS_END: return hear_sessions_end(h, index);
	case WORD_JUDGED:
	case WORD_SOUGHT:
	case WORD_TEXTED:
	case WORD_DECODED: return question_heard(&keeper_of(h)->questions, ticket, body);
	case WORD_REFERS: return hear_refers(h, ticket, body);
	case WORD_MOVED: return hear_moved(h, ticket, body);
	case WORD_SEGMENT_GONE: return hear_segment_gone(h, body);
	case WORD_ACCOUNT_GONE: return hear_account_gone(h, body);
	case WORD_LIMITS: return hear_limits(h, body);
	case WORD_TOTAL: return hear_total(h, body);
	case WORD_SHARE_ASK: return hear_share_ask(h, body);
	case WORD_ROOM_SAID: return hear_room_said(h, ticket, body);
	case WORD_TOTAL_IS: return hear_total_is(h, ticket, body);
	case WORD_LIMIT_DONE: return hear_limit_done(h, ticket, body);
	case WORD_GROUP: return hear_group(h, body);
	case WORD_WHO_IS: return hear_who_is(h, ticket, body);
	case WORD_ACCOUNT_OUT: return hear_account_out(h, body);
	case WORD_TABLE_SAID: return debug_heard(ticket, body);
	case WORD_MEMORY: return hear_memory(h, body);
	case WORD_MAILBOX_IS: return hear_mailbox_is(h, body);
	case WORD_KEEPER_ANEW: return hear_keeper_anew(h);
	case WORD_DIRECTORY_NEW:
		keeper_people_new(h);
		keeper_user_forget(h);
		return true;
	default: return false;
	}
}

static void
keeper_peer(struct house *h, enum role role, uint32_t index)
{
	(void)index;
	if (role == VERIFIER)
		questions_wait_over(&keeper_of(h)->questions);
	if (role == QUEUE)
		keeper_queue_came(h);
	if (role == PROXYMAP)
		debug_proxymap(true);
	if (role == CLERK) {
		keeper_tell_full(h);
		keeper_total_clerk_came(h);
		keeper_user_clerk(h, true);
	}
}

static void
keeper_lost(struct house *h, enum role role, uint32_t index)
{
	struct keeper *k = keeper_of(h);

	if (role == VERIFIER)
		questions_lost(&k->questions, index);
	if (role == PROXYMAP)
		debug_proxymap(false);
	if (role == QUEUE) {
		k->queues++;
		keeper_deliver_never(&k->early);
		keeper_deliver_never(&k->locked);
		keeper_total_queue_lost(k);
	}
	if (role == CLERK) {
		keeper_place_unasked(k);
		keeper_who_lost(k);
		keeper_total_clerk_lost(k);
		keeper_user_clerk(h, false);
	}
	keeper_limits_lost(h);
	if (role != LOGIN)
		return;
	/* TLS sessions ended with the login that carried them and end by themselves; plain ones live on. */
	for (struct map_place p = { 0 }; map_next(k->sessions, &p);) {
		struct visit *v = p.value;
		if (v->login == index)
			v->ticket = 0;
	}
}

static void
last_word(void *ctx, int why)
{
	if (why != 0)
		fault("the last changes are not on disk: %s", strerror(why));
	keeper_of(ctx)->leaving = true;
	loop_again(((struct house *)ctx)->loop);
}

static void
keeper_stop(struct house *h)
{
	struct keeper *k = keeper_of(h);

	keeper_early_drop(k);
	keeper_commands_end(h);
	keeper_readings_end(k);
	imap_service_close(&k->imap);
	pop3_service_close(&k->pop3);
	keeper_text_stop(h);
	store_parting(k->store);
	store_barrier(k->store, last_word, h);
}

static void
keeper_status(struct house *h, uint32_t *connections, struct buffer *text)
{
	struct keeper *k = keeper_of(h);

	*connections = (uint32_t)(imap_service_count(k->imap) + pop3_service_count(k->pop3));
	buffer_printf(text, "imap=%zu pop3=%zu kept=%zu share=%u", imap_service_count(k->imap),
	              pop3_service_count(k->pop3), imap_service_kept(k->imap), k->memory_parts);
}

const struct role_card keeper_card = {
	.name = "keeper",
	.start = keeper_start,
	.work = keeper_work,
	.hear = keeper_hear,
	.peer = keeper_peer,
	.lost = keeper_lost,
	.reload = keeper_reload,
	.stop = keeper_stop,
	.status = keeper_status,
};
