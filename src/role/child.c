#include "role/child.h"
#include "role/owner.h"
#include "role/transports.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/journal.h"

enum {
	LINK_IN_CHILD = 3,
	WAIT_LEAST_MS = 100,
	WAIT_MOST_MS = 5000,
	LIVED_MS = 60000,
	CHILDREN_MOST = 4,
	TRIES_MOST = 5
};

/*
 * How many there are
 */

/* One for so many cores.  Letters that share a receiver share its syncs, deliveries that share a
   keeper its commits: more of them than keep the cores busy cost more than they bring. */
static int64_t
by_cores(long each)
{
	long cores = (sysconf(_SC_NPROCESSORS_ONLN) + each - 1) / each;

	return cores < 1 ? 1 : cores > CHILDREN_MOST ? CHILDREN_MOST : cores;
}

uint32_t
children_of(const struct common_settings *common, enum role role)
{
	switch (role) {
	case RECEIVER:
		return (uint32_t)(common->receiver_processes > 0 ? common->receiver_processes
		                                                 : by_cores(2));
	case LOGIN:
		return (uint32_t)(common->login_processes > 0 ? common->login_processes
		                  : by_cores(1) < 4           ? 1
		                                              : 2);
	case VERIFIER:
		return (uint32_t)(common->verifier_processes > 0 ? common->verifier_processes
		                                                 : by_cores(1));
	case KEEPER:
		return (uint32_t)(common->keeper_processes > 0 ? common->keeper_processes
		                                               : by_cores(2));
	case SENDER:
		return (uint32_t)(common->sender_processes > 0 ? common->sender_processes
		                                               : by_cores(2));
	default: return 1;
	}
}

void
children_open(struct children *all, const struct common_settings *common)
{
	size_t n = 0;

	for (enum role role = POSTMASTER + 1; role < COMMAND; role++)
		n += children_of(common, role);
	all->pool = n;
	all->users = (size_t)common->user_keepers_most;
	all->count = n + (size_t)(common->user_keepers_most + common->owner_keepers_most);
	all->common = common;
	all->child = memory_take(all->count * sizeof *all->child);
	n = 0;
	for (enum role role = POSTMASTER + 1; role < COMMAND; role++)
		for (uint32_t i = 0; i < children_of(common, role); i++)
			all->child[n++] = (struct child){ .all = all,
				                          .role = role,
				                          .index = i,
				                          .of = children_of(common, role),
				                          .wait_ms = WAIT_LEAST_MS };
}

void
children_close(struct children *all)
{
	for (size_t i = 0; i < all->count; i++) {
		link_close(&all->child[i].link);
		timer_close(&all->child[i].again);
		memory_free(all->child[i].cage);
		memory_free(all->child[i].facts);
		memory_free(all->child[i].met);
	}
	memory_free(all->child);
	*all = (struct children){ .count = 0 };
}

/*
 * What they say to us
 */

static char *
text_copy(struct bytes b)
{
	char *copy = memory_take(b.len + 1);

	if (b.len > 0)
		memcpy(copy, b.at, b.len);
	return copy;
}

static bool
is_of_user(const struct child *c)
{
	return c->role == KEEPER && (c->index & KEEPER_OF_USER) != 0;
}

static struct child *
child_find(struct children *all, enum role role, uint32_t index)
{
	for (size_t i = 0; i < all->count; i++)
		if (all->child[i].role == role && all->child[i].index == index)
			return &all->child[i];
	return NULL;
}

static void
say_peer(struct child *to, const struct child *of, int fd)
{
	struct word_peer w = { of->role, of->index, of->of, (uint32_t)of->pid };

	word_pack_peer(link_begin(to->link, WORD_PEER, 0), &w);
	link_end_fd(to->link, fd);
}

/* A link between two children that may speak to one another. */
static void
introduce(struct child *a, struct child *b)
{
	int fd[2];

	if (a == b || a->link == NULL || b->link == NULL || !word_pair(a->role, b->role))
		return;
	if (link_pair(fd) < 0) {
		warn_("no link between %s %u and %s %u: %s", role_names[a->role], a->index,
		      role_names[b->role], b->index, strerror(errno));
		return;
	}
	say_peer(a, b, fd[0]);
	say_peer(b, a, fd[1]);
	a->introduced++;
	b->introduced++;
	if (a->met != NULL)
		a->met[b - b->all->child] = b->introduced;
	if (b->met != NULL)
		b->met[a - a->all->child] = a->introduced;
	(void)close(fd[0]);
	(void)close(fd[1]);
}

/* All keepers beyond the pool together may keep as much in memory as one of the pool: each is told its part.  It is a power of two,
   so that few words are said where many come and go. */
static void
tell_shares(struct children *all, const struct child *new)
{
	uint32_t at_work = 0, shares = 1;
	bool     other;

	for (size_t i = all->pool; i < all->count; i++)
		at_work += all->child[i].state == CHILD_WORKING;
	while (shares < at_work)
		shares *= 2;
	other = shares != all->shares;
	all->shares = shares;
	for (size_t i = all->pool; i < all->count && !all->stopping; i++) {
		struct child *c = &all->child[i];
		if (c->link == NULL || c->state != CHILD_WORKING || (!other && c != new))
			continue;
		pack_u32(link_begin(c->link, WORD_MEMORY, 0), shares);
		link_end(c->link);
	}
}

static bool hear_proxymap_want(struct child *, uint32_t ticket, struct bytes body);
static bool hear_keeper_want(struct child *, uint32_t ticket, struct bytes body);
static bool hear_keeper_rest(struct child *, uint32_t ticket, struct bytes body);
static bool hear_owner(struct child *, uint32_t ticket, struct bytes body);

static bool
hear_ready(struct child *c, uint32_t ticket, struct bytes body)
{
	(void)ticket;
	if (c->state != CHILD_COMING)
		return false;
	c->state = CHILD_WORKING;
	c->started_well = true;
	memory_free(c->cage);
	c->cage = text_copy(body);
	c->all->events->ready(c->all->ctx, c);
	if (is_of_user(c))
		tell_shares(c->all, c);
	for (size_t i = 0; i < c->all->pool && is_of_user(c); i++)
		introduce(c, &c->all->child[i]);
	return true;
}

static bool
hear_status(struct child *c, uint32_t ticket, struct bytes body)
{
	struct arena      *scratch = arena_open(NULL);
	struct word_status w;
	bool               good = word_unpack_status(body, scratch, &w);

	if (good) {
		c->connections = w.connections;
		memory_free(c->facts);
		c->facts = text_copy(bytes_of(w.text));
		c->all->events->told(c->all->ctx, c, ticket);
	}
	arena_close(&scratch);
	return good;
}

/* Who denounces another for a word that other may say, lies or is out of its mind;
   that is not ours to find out: the one who was named starts anew. */
static bool
hear_wrong(struct child *c, uint32_t ticket, struct bytes body)
{
	struct arena     *scratch = arena_open(NULL);
	struct word_wrong w;
	bool              good = word_unpack_wrong(body, scratch, &w);
	struct child     *speaker = good ? child_find(c->all, w.role, w.index) : NULL;

	(void)ticket;
	arena_close(&scratch);
	if (speaker == NULL)
		return false;
	warn_("%s %u said %s to %s %u, which it may not or not so: ending it", role_names[w.role],
	      w.index, word_name(w.word), role_names[c->role], c->index);
	if (speaker->pid > 0)
		(void)kill(speaker->pid, SIGKILL);
	return true;
}

static void
child_said(void *ctx, struct link *l, uint16_t word, uint32_t ticket, struct bytes body, int fd)
{
	static const struct {
		enum word word;
		bool (*hear)(struct child *, uint32_t ticket, struct bytes body);
	} words[] = {
		{ WORD_READY, hear_ready },
		{ WORD_STATUS_IS, hear_status },
		{ WORD_WRONG_MOUTH, hear_wrong },
		{ WORD_KEEPER_WANT, hear_keeper_want },
		{ WORD_PROXYMAP_WANT, hear_proxymap_want },
		{ WORD_KEEPER_REST, hear_keeper_rest },
		{ WORD_OWNER, hear_owner },
	};
	struct child *c = ctx;
	bool          good = false;

	(void)l;
	if (fd >= 0)
		(void)close(fd);
	for (size_t i = 0; i < COUNT(words); i++)
		if (words[i].word == word && word_allowed(word, c->role, POSTMASTER))
			good = words[i].hear(c, ticket, body);
	if (good)
		return;
	warn_("%s %u said %s to the postmaster, which it may not or not so: ending it",
	      role_names[c->role], c->index, word_name(word));
	(void)kill(c->pid, SIGKILL);
}

/* It has closed its link: it is dying, or must. */
static void
child_lost(void *ctx, struct link *l)
{
	struct child *c = ctx;

	(void)l;
	link_close(&c->link);
	if (!c->all->stopping && c->pid > 0)
		(void)kill(c->pid, SIGKILL);
}

static const struct link_events child_events = { child_said, child_lost };

/*
 * What we say to them
 */

/* A keeper's own, so that no keeper can write a pass for what another keeps. */
static void
say_pass_key(struct child *c, const struct holding *h)
{
	struct word_resource w = { h->name, "" };
	char                 master[PASS_KEY], key[PASS_KEY];
	int                  fd = -1;

	if (pread(h->fd, master, sizeof master, 0) == sizeof master) {
		pass_key(master, c->index, key);
		fd = estate_pass_descriptor(key);
	}
	explicit_bzero(master, sizeof master);
	explicit_bzero(key, sizeof key);
	word_pack_resource(link_begin(c->link, WORD_RESOURCE, 0), &w);
	link_end_fd(c->link, fd);
	if (fd >= 0)
		(void)close(fd);
}

static void
say_resource(struct child *c, const struct holding *h, bool given)
{
	struct word_resource w = { h->name, h->text };

	/* A user's keeper has the log, and nothing else that belongs to the house. */
	if (is_of_user(c) && strcmp(h->name, "log") != 0 && strcmp(h->name, "sharing") != 0 &&
	    strcmp(h->name, "debug") != 0 && strcmp(h->name, "transcripts") != 0 &&
	    strcmp(h->name, "pass-key") != 0)
		return;
	if (c->link == NULL || (h->roles & FROM(c->role)) == 0 ||
	    (h->index != EVERY_INDEX && h->index != (int64_t)c->index))
		return;
	if (given && c->role == KEEPER && strcmp(h->name, "pass-key") == 0) {
		say_pass_key(c, h);
		return;
	}
	if (!given && strncmp(h->name, "listener/", 9) != 0)
		w.text = "";
	word_pack_resource(link_begin(c->link, WORD_RESOURCE, 0), &w);
	link_end_fd(c->link, given ? h->fd : -1);
}

/* In the new process: the link becomes descriptor 3, all else is closed by exec. */
static _Noreturn void
execute(const struct child *c, int fd)
{
	char        index[16], of[16], name[32];
	const char *argv[] = { "mansio:", name, index, "of", of, NULL };

	(void)snprintf(name, sizeof name, "%s", role_names[c->role]);
	(void)snprintf(index, sizeof index, "%u", c->index);
	(void)snprintf(of, sizeof of, "%u", c->of);
	if (fd == LINK_IN_CHILD) {
		if (fcntl(fd, F_SETFD, 0) < 0)
			_exit(127);
	} else if (dup2(fd, LINK_IN_CHILD) < 0) {
		_exit(127);
	}
	/* execv() changes none of them, whatever its type says. */
	(void)execv("/proc/self/exe", (char *const *)(uintptr_t)argv);
	_exit(127);
}

/* A process for this place; it waits for GO. */
static bool
child_fork(struct child *c)
{
	int fd[2];

	if (link_pair(fd) < 0)
		return false;
	c->pid = fork();
	if (c->pid == 0)
		execute(c, fd[1]);
	(void)close(fd[1]);
	if (c->pid < 0) {
		c->pid = 0;
		(void)close(fd[0]);
		return false;
	}
	c->state = CHILD_COMING;
	c->introduced = 0;
	c->anew = false;
	c->started_ms = clock_patient_ms();
	c->link = link_open(c->all->loop, fd[0], &child_events, c);
	for (const struct holding *h = c->all->estate->first; h != NULL; h = h->next)
		say_resource(c, h, true);
	link_say(c->link, WORD_SETTINGS, 0, c->all->text, -1);
	return true;
}

static void
say_go(struct child *c)
{
	if (c->link != NULL)
		link_say(c->link, WORD_GO, 0, (struct bytes){ NULL, 0 }, -1);
}

static void start_again(void *ctx);

static void
start_later(struct child *c)
{
	if (c->again == NULL)
		c->again = timer_open(c->all->loop, start_again, c);
	timer_set(c->again, c->wait_ms);
	c->wait_ms = c->wait_ms * 2 > WAIT_MOST_MS ? WAIT_MOST_MS : c->wait_ms * 2;
}

static void
child_begin(struct child *c)
{
	struct children *all = c->all;

	if (!child_fork(c)) {
		warn_("cannot start %s %u: %s", role_names[c->role], child_number(c),
		      strerror(errno));
		start_later(c);
		return;
	}
	/* A user's keeper may find that it cannot be one: it meets the others when it is ready. */
	for (size_t i = 0; i < all->count && !is_of_user(c); i++)
		introduce(c, &all->child[i]);
	say_go(c);
}

static void
start_again(void *ctx)
{
	struct child *c = ctx;

	/* One that was wanted meanwhile is there already. */
	if (c->all->stopping || c->pid > 0 || child_is_idle(c))
		return;
	c->restarts++;
	child_begin(c);
}

bool
child_is_idle(const struct child *c)
{
	return (CHILDREN_AT_TIMES & ~c->all->wanted & FROM(c->role)) != 0;
}

void
children_want(struct children *all, enum role role, bool wanted)
{
	struct child *c = child_find(all, role, 0);

	all->wanted = (all->wanted & ~FROM(role)) | (wanted ? FROM(role) : 0);
	if (wanted && c->pid == 0 && !all->stopping)
		child_begin(c);
	if (wanted || c->link == NULL)
		return;
	link_say(c->link, WORD_STOP, 0, (struct bytes){ NULL, 0 }, -1);
	/* It did nothing wrong: whoever wants it while it leaves has it soon. */
	c->wait_ms = WAIT_LEAST_MS;
}

/* Whoever asks about an operating-system user needs it, whatever the settings say. */
static bool
hear_proxymap_want(struct child *asker, uint32_t ticket, struct bytes body)
{
	(void)ticket;
	if ((asker->all->wanted & FROM(PROXYMAP)) == 0)
		children_want(asker->all, PROXYMAP, true);
	return body.len == 0;
}

/* ---- keepers of operating-system users ---- */

/* To all who may have asked: who did not, does not care. */
static void
say_not(struct children *all, uint32_t index, bool for_good, const char *why)
{
	for (size_t i = 0; i < all->pool; i++) {
		struct child  *c = &all->child[i];
		struct buffer *b;
		if (c->link == NULL || !word_allowed(WORD_KEEPER_NOT, POSTMASTER, c->role))
			continue;
		b = link_begin(c->link, WORD_KEEPER_NOT, 0);
		pack_u32(b, index);
		pack_bool(b, for_good);
		pack_string(b, why);
		link_end(c->link);
	}
}

static void
place_vacate(struct child *c)
{
	timer_close(&c->again);
	memory_free(c->cage);
	memory_free(c->facts);
	memory_free(c->met);
	*c = (struct child){ .all = c->all, .role = POSTMASTER };
}

/* Behind the pool are the places of users' keepers, and behind those of owners': neither takes the other's. */
static struct child *
place_take(struct children *all, uint32_t index)
{
	size_t users = all->pool + all->users;
	size_t from = is_owner_index(index) ? users : all->pool;
	size_t to = is_owner_index(index) ? all->count : users;

	for (size_t i = from; i < to; i++)
		if (child_is_vacant(&all->child[i])) {
			all->child[i] = (struct child){ .all = all,
				                        .role = KEEPER,
				                        .index = index,
				                        .of = children_of(all->common, KEEPER),
				                        .wait_ms = WAIT_LEAST_MS };
			all->child[i].met = memory_take(all->pool * sizeof(uint32_t));
			return &all->child[i];
		}
	return NULL;
}

/* A transport is a command of this user's. */
static bool
has_pipe(const struct children *all, uint32_t uid)
{
	const struct holding *pipes = estate_find(all->estate, "pipes");

	return pipes != NULL && transports_has_uid(pipes->text, uid);
}

/* It is there, comes, or will never: the asker hears of a link to it, or KEEPER_NOT. */
static bool
hear_keeper_want(struct child *asker, uint32_t ticket, struct bytes body)
{
	struct children *all = asker->all;
	struct unpack    u = unpack_of(body);
	uint32_t         index = unpack_u32(&u), heard = unpack_u32(&u);
	struct child    *c;

	(void)ticket;
	if (!unpack_done(&u) || (index & KEEPER_OF_USER) == 0)
		return false;
	if (all->stopping)
		return true;
	if (index - KEEPER_OF_USER < (uint64_t)all->common->first_valid_uid &&
	    !has_pipe(all, index - KEEPER_OF_USER)) {
		say_not(all, index, true, "mail of this user goes by an alias to somebody else");
	} else if ((c = child_find(all, KEEPER, index)) != NULL) {
		if (c->resting)
			c->wanted = true;
		else if (c->state == CHILD_WORKING && c->met[asker - all->child] <= heard)
			introduce(c, asker); /* else it was, and has not heard of it yet */
	} else if ((c = place_take(all, index)) == NULL) {
		say_not(all, index, false,
		        is_owner_index(index)
		                ? "mailboxes of too many uids are in use at once (owner_keepers_limit)"
		                : "too many operating-system users get mail at once (user_keepers_limit)");
	} else if (is_owner_index(index) && !owner_is_made(all->common, index)) {
		start_later(c); /* what the clerk said of it is on its way to us */
	} else {
		child_begin(c);
	}
	return true;
}

static bool
hear_owner(struct child *c, uint32_t ticket, struct bytes body)
{
	struct unpack u = unpack_of(body);
	uint32_t      number = unpack_u32(&u);
	struct bytes  uid = unpack_bytes(&u), gid = unpack_bytes(&u);
	const char   *why = "no name of a user or group is as long";
	char          uid_text[200], gid_text[200];

	(void)ticket;
	if (!unpack_done(&u) || number == 0 || number > DIRECTORY_OWNERS_MOST)
		return false;
	/* A back end wrote it, and the directory keeps it: not the clerk's mistake, who would say it again for ever. */
	if (bytes_string(uid, uid_text, sizeof uid_text) &&
	    bytes_string(gid, gid_text, sizeof gid_text))
		why = owner_make(c->all->common, number,
		                 &(struct mail_owner){ uid_text, gid_text });
	if (c->link != NULL) {
		struct buffer *b = link_begin(c->link, WORD_OWNER_IS, 0);
		pack_u32(b, number);
		pack_string(b, why != NULL ? why : "");
		link_end(c->link);
	}
	return true;
}

/* Nobody has a link to it.  If somebody was just given one it will find that out. */
static bool
hear_keeper_rest(struct child *c, uint32_t ticket, struct bytes body)
{
	struct unpack u = unpack_of(body);
	uint32_t      introduced = unpack_u32(&u);

	(void)ticket;
	if (!unpack_done(&u) || !is_of_user(c))
		return false;
	if (introduced != c->introduced || c->resting)
		return true;
	c->resting = true;
	link_say(c->link, WORD_STOP, 0, (struct bytes){ NULL, 0 }, -1);
	return true;
}

/* As the others do: one that worked, or that somebody killed before it could; but not for ever. */
static bool
comes_again(const struct child *c, int status)
{
	return !c->resting &&
	       (c->started_well || (WIFSIGNALED(status) && c->restarts < TRIES_MOST));
}

/* One that rests makes room; one that could not even begin is not begun again until it is wanted. */
static void
bury_of_user(struct child *c, int status)
{
	bool     wanted = c->wanted, rested = c->resting;
	uint32_t index = c->index;

	if (c->all->stopping || comes_again(c, status))
		return;
	if (!rested)
		say_not(c->all, index, WIFEXITED(status) && WEXITSTATUS(status) == EX_NOUSER,
		        "this user's keeper cannot be started; the log says why");
	place_vacate(c);
	if (wanted && (c = place_take(c->all, index)) != NULL)
		child_begin(c);
}

void
children_start(struct children *all)
{
	for (size_t i = 0; i < all->count; i++)
		if (!child_is_vacant(&all->child[i]) && !child_is_idle(&all->child[i]) &&
		    !child_fork(&all->child[i]))
			start_later(&all->child[i]);
	for (size_t i = 0; i < all->pool; i++)
		for (size_t j = i + 1; j < all->pool; j++)
			introduce(&all->child[i], &all->child[j]);
	for (size_t i = 0; i < all->count; i++)
		say_go(&all->child[i]);
}

static void
child_bury(struct child *c, int status)
{
	int64_t lived = clock_patient_ms() - c->started_ms;

	link_close(&c->link);
	c->state = CHILD_AWAY;
	if (lived >= LIVED_MS)
		c->wait_ms = WAIT_LEAST_MS;
	/* A user's keeper that worked comes again as the others do; see bury_of_user(). */
	if (!c->all->stopping && !child_is_idle(c) && (!is_of_user(c) || comes_again(c, status)))
		start_later(c);
	c->all->events->died(c->all->ctx, c, status);
	c->pid = 0;
	if (is_of_user(c)) {
		tell_shares(c->all, NULL);
		bury_of_user(c, status);
	}
}

void
children_look(struct children *all)
{
	int status;

	for (size_t i = 0; i < all->count; i++)
		if (all->child[i].pid > 0 &&
		    waitpid(all->child[i].pid, &status, WNOHANG) == all->child[i].pid)
			child_bury(&all->child[i], status);
}

void
children_reload(struct children *all, unsigned roles, const struct estate *before)
{
	for (size_t i = 0; i < all->count; i++) {
		struct child *c = &all->child[i];
		if (c->link == NULL || (roles & FROM(c->role)) == 0)
			continue;
		for (const struct holding *h = before->first; h != NULL; h = h->next)
			if (estate_same(all->estate, h) == NULL)
				say_resource(c, h, false);
		for (const struct holding *h = all->estate->first; h != NULL; h = h->next)
			if (estate_same(before, h) == NULL)
				say_resource(c, h, true);
		link_say(c->link, WORD_SETTINGS, 0, all->text, -1);
	}
}

void
children_give(struct children *all, const struct holding *h)
{
	for (size_t i = 0; i < all->count; i++)
		say_resource(&all->child[i], h, true);
}

void
children_say(struct children *all, unsigned roles, uint16_t word)
{
	for (size_t i = 0; i < all->count; i++)
		if ((roles & FROM(all->child[i].role)) != 0 && all->child[i].link != NULL)
			link_say(all->child[i].link, word, 0, (struct bytes){ NULL, 0 }, -1);
}

void
children_users_anew(struct children *all)
{
	for (size_t i = all->pool; i < all->pool + all->users; i++) {
		struct child *c = &all->child[i];
		if (c->link == NULL || c->resting)
			continue;
		c->anew = true;
		link_say(c->link, WORD_KEEPER_ANEW, 0, (struct bytes){ NULL, 0 }, -1);
	}
}

void
children_stop(struct children *all, unsigned roles)
{
	children_say(all, roles, WORD_STOP);
}

void
children_kill(struct children *all, unsigned roles)
{
	for (size_t i = 0; i < all->count; i++)
		if ((roles & FROM(all->child[i].role)) != 0 && all->child[i].pid > 0)
			(void)kill(all->child[i].pid, SIGKILL);
}

size_t
children_alive(const struct children *all, unsigned roles)
{
	size_t n = 0;

	for (size_t i = 0; i < all->count; i++)
		n += (roles & FROM(all->child[i].role)) != 0 && all->child[i].pid > 0;
	return n;
}

bool
children_ready(const struct children *all)
{
	for (size_t i = 0; i < all->pool; i++)
		if (all->child[i].state != CHILD_WORKING && !child_is_idle(&all->child[i]))
			return false;
	return true;
}

size_t
children_ask(struct children *all, unsigned roles, uint32_t ticket)
{
	size_t n = 0;

	for (size_t i = 0; i < all->count; i++) {
		struct child *c = &all->child[i];
		if (c->state != CHILD_WORKING || c->link == NULL || (roles & FROM(c->role)) == 0)
			continue;
		link_say(c->link, WORD_STATUS_ASK, ticket, (struct bytes){ NULL, 0 }, -1);
		n++;
	}
	return n;
}
