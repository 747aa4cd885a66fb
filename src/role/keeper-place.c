/*
 * keeper-place -- accounts whose letters lie outside: where, who reads them, what is new
 *
 * A new account lies where its own mail_location says, its domain's or that of main.cf, and stays there until
 * it is converted.  A letter that somebody put there is read by a verifier, like any other.
 */
#include "role/confine.h"
#include "role/keeper.h"
#include "store/location.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- where ---- */

/* The first on the way to it that is somebody else's, and whose rights are too small for us: in words; NULL: none. */
static const char *
strangers(struct arena *a, const char *root)
{
	char        part[4096];
	struct stat st;

	for (size_t n = 1; n < sizeof part && root[n - 1] != '\0'; n++) {
		bool whole = root[n] == '\0';

		if (!whole && root[n] != '/')
			continue;
		memcpy(part, root, n);
		part[n] = '\0';
		if (stat(part, &st) < 0)
			return NULL;
		if (st.st_uid == geteuid() || access(part, R_OK | W_OK | X_OK) == 0)
			continue;
		if (whole)
			return arena_printf(
				a,
				"it belongs to uid %u, and the mailboxes of this account to uid %u, gid %u: chown -R %u:%u %s gives it to them",
				(unsigned)st.st_uid, (unsigned)geteuid(), (unsigned)getegid(),
				(unsigned)geteuid(), (unsigned)getegid(), part);
		/* One that lets others pass is not what is wrong, unless nothing is behind it yet. */
		if (access(part, X_OK) < 0 || root[n + 1 + strcspn(root + n + 1, "/")] == '\0')
			return arena_printf(
				a,
				"%s belongs to uid %u, and uid %u, to whom the mailboxes of this account belong, may not make anything in it",
				part, (unsigned)st.st_uid, (unsigned)geteuid());
	}
	return NULL;
}

bool
keeper_place_unseen(struct keeper *k, const char *location)
{
	struct buffer   place = { 0 };
	struct location l;
	bool            is = false;

	if (location_read(location, k->scratch, &l) && l.kind != LOCATION_LOG) {
		buffer_add_string(&place, l.root);
		is = place.len > 0 && confine_unseen(&place, &k->view) != NULL;
	}
	buffer_free(&place);
	return is;
}

/* The place cannot be had: what is wrong with it, and what would help. */
void
keeper_misplace(struct keeper *k, struct bytes user, const char *location, int why)
{
	struct location l;
	const char     *whose = NULL;

	if (why == EACCES && location_read(location, k->scratch, &l) && l.kind != LOCATION_LOG)
		whose = strangers(k->scratch, l.root);
	if (whose != NULL) {
		k->misplaced = arena_printf(k->scratch, "%s cannot be opened: %s", location, whose);
	} else if (why == EINVAL) {
		k->misplaced = arena_printf(k->scratch, "%.*s cannot have a place in %s",
		                            (int)user.len, user.at, location);
	} else if ((why == ENOENT || why == EACCES || why == EROFS) &&
	           keeper_place_unseen(k, location)) {
		k->misplaced = arena_printf(
			k->scratch,
			"%s cannot be reached by a mansio that was started before its directory was set; restart it",
			location);
	} else {
		k->misplaced = arena_printf(k->scratch, "%s cannot be opened: %s", location,
		                            strerror(why));
	}
	warn_("%.*s: %s", (int)user.len, user.at, k->misplaced);
}

/* ---- what the clerk says of a new account ---- */

static char place_asked, place_told;

bool
keeper_place_known(struct house *h, uint64_t id, struct bytes user)
{
	struct keeper  *k = h->mine;
	struct link    *to = house_link(h, CLERK, 0);
	struct account *a;
	bool            settled;
	int             why;

	if (k->personal || map_get(k->places, map_number(&id)) == &place_told)
		return true;
	a = account_take(k->store, id, &why);
	settled = a == NULL || account_is_settled(a);
	account_drop(&a);
	if (settled || to == NULL || map_get(k->places, map_number(&id)) != NULL)
		return settled;
	keeper_limits_say(to, 0, arena_copy(k->scratch, user), NULL);
	buffer_add(&k->places_asked, (struct bytes){ (const char *)&id, sizeof id });
	(void)map_put(k->places, map_number(&id), &place_asked);
	return false;
}

void
keeper_place_told(struct house *h)
{
	struct keeper *k = h->mine;
	uint64_t       id;

	if (k->places_asked.len < sizeof id)
		return;
	memcpy(&id, k->places_asked.at, sizeof id);
	buffer_eat(&k->places_asked, sizeof id);
	(void)map_put(k->places, map_number(&id), &place_told);
	(void)keeper_deliver_early(h);
	keeper_admit_early(h);
	keeper_early_over(h);
}

/* Its successor tells of all, and is asked again. */
void
keeper_place_unasked(struct keeper *k)
{
	buffer_reset(&k->places_asked);
	for (struct map_place p = { 0 }; map_next(k->places, &p);)
		if (p.value == &place_asked)
			(void)map_drop(k->places, p.key);
}

/* Letters of the letter log belong to nobody else than us. */
static int
keep_out_of_log(struct keeper *k, uint64_t id, struct bytes user)
{
	int             why;
	struct account *a = account_take(k->store, id, &why);

	if (a != NULL && !account_is_settled(a)) {
		why = EINVAL;
		k->misplaced = arena_printf(
			k->scratch,
			"%.*s has mailboxes that belong to uid %u, and they cannot be in the letter log: set mail_location",
			(int)user.len, user.at, (unsigned)geteuid());
		warn_("%s", k->misplaced);
	}
	account_drop(&a);
	return why;
}

/* In the place that is said: `have` is what the account does with it. */
static int
locate_in(struct keeper *k, uint64_t id, struct bytes user, const char *text,
          int (*have)(struct account *, const char *location))
{
	struct buffer   whole = { 0 };
	struct account *a;
	int             why = 0;

	if (*text == '\0' || strcmp(text, "log") == 0)
		return k->user != NULL ? keep_out_of_log(k, id, user) : 0;
	if (!location_expand(text, k->common.mail_home, user, &whole)) {
		/* One that has mail needs none. */
		if ((a = account_take(k->store, id, &why)) != NULL && !account_is_settled(a))
			keeper_misplace(k, user, text, why = EINVAL);
		account_drop(&a);
		buffer_free(&whole);
		return why;
	}
	buffer_add_char(&whole, '\0');
	if ((a = account_take(k->store, id, &why)) != NULL && (why = have(a, whole.at)) != 0)
		keeper_misplace(k, user, whole.at, why);
	account_drop(&a);
	buffer_free(&whole);
	return why;
}

/* Whoever needs the account finds it where it belongs, or not at all. */
int
keeper_locate(struct keeper *k, uint64_t id, struct bytes user)
{
	struct account *a;
	int             why = 0;

	k->misplaced = NULL;
	if (k->personal)
		return keeper_user_settle(k, id);
	if (!k->told) {
		/* Its domain may say otherwise, and where the first letter lies all others will. */
		a = account_take(k->store, id, &why);
		why = a == NULL ? why : account_is_settled(a) ? 0 : EAGAIN;
		account_drop(&a);
		return why;
	}
	return locate_in(k, id, user, keeper_location(k, id, user), account_locate);
}

/* Before it is kept: whether this place could be had.  What its domain and main.cf say was kept long ago. */
static int
try_place(struct keeper *k, uint64_t id, struct bytes user, const char *text)
{
	k->misplaced = NULL;
	return k->personal || strcmp(text, "default") == 0
	               ? 0
	               : locate_in(k, id, user, text, account_locatable);
}

/* The settings may say otherwise now: who reads an account without mail reads it where it belongs, or not at all. */
void
keeper_locate_again(struct house *h, uint64_t id, struct bytes user)
{
	struct keeper *k = keeper_of(h);

	if (k->personal || !k->told)
		return;
	(void)keeper_locate(k, id, user);
	if (k->misplaced == NULL)
		return;
	(void)imap_service_kick(
		k->imap, id, "[UNAVAILABLE] The mailboxes cannot be opened now, try again later.");
	(void)pop3_service_kick(k->pop3, id,
	                        "The mailboxes cannot be opened now, try again later.");
}

/* A session may reach another's account before that one's owner came. */
int
keeper_locate_shared(void *house, uint64_t id, const char *address)
{
	struct keeper *k = keeper_of(house);

	if (k->personal)
		return 0;
	return keeper_locate(k, id, bytes_of(address)) == EAGAIN || k->misplaced != NULL ? EAGAIN
	                                                                                 : 0;
}

/* ---- commands that came before it was known where ---- */

struct early {
	struct early  *next;
	struct caller *caller;
	int            fd;
	char          *id, *user;
};

static char *
copy_of(const char *text)
{
	size_t len = strlen(text) + 1;

	return memcpy(memory_take(len), text, len);
}

static void
early_free(struct early *e)
{
	memory_free(e->id);
	memory_free(e->user);
	memory_free(e);
}

void
keeper_early_add(struct keeper *k, struct caller *caller, int fd, const char *id, const char *user)
{
	struct early *e = memory_take(sizeof *e), **p = &k->early_commands;

	*e = (struct early){ NULL, caller, fd, copy_of(id), copy_of(user) };
	while (*p != NULL)
		p = &(*p)->next;
	*p = e;
}

void
keeper_early_over(struct house *h)
{
	struct keeper *k = keeper_of(h);
	struct early  *e, *all = k->early_commands;

	k->early_commands = NULL;
	while ((e = all) != NULL) {
		all = e->next;
		keeper_session_command(h, e->caller, e->id, e->user, e->fd);
		early_free(e);
	}
}

void
keeper_early_drop(struct keeper *k)
{
	struct early *e;

	while ((e = k->early_commands) != NULL) {
		k->early_commands = e->next;
		close(e->fd);
		caller_done(e->caller, 1);
		early_free(e);
	}
}

/* locate ID USER LOCATION [try]: said by `mansio account set ... --mail-location`, with `try` before it changes that,
   and after it. */
void
keeper_locate_new(struct house *h, struct caller *caller, const struct word_ask *w)
{
	struct keeper  *k = keeper_of(h);
	struct bytes    user = bytes_of(w->argv[2]);
	struct buffer   whole = { 0 };
	struct account *a;
	uint64_t        id;
	bool            trying = w->argc > 4 && strcmp(w->argv[4], "try") == 0;
	int             why;

	if (!bytes_number(bytes_of(w->argv[1]), &id) || house_keeper_of(h, id) != h->index) {
		caller_done(caller, 0); /* another keeper's */
		return;
	}
	why = trying ? try_place(k, id, user, w->argv[3]) : keeper_locate(k, id, user);
	if (why == 0 && !trying && (a = account_take(k->store, id, &why)) != NULL) {
		const char *text = w->argv[3];
		if (strcmp(text, "log") != 0 && strcmp(text, "default") != 0)
			(void)location_expand(text, k->common.mail_home, user, &whole);
		buffer_add_char(&whole, '\0');
		if (strcmp(text, "default") != 0 && strcmp(whole.at, account_location(a)) != 0)
			caller_say(
				caller,
				"%s has its mailboxes in %s, and they stay there; this moves them:\n"
				"    mansio mailbox convert %s --to '%s'\n",
				w->argv[2],
				*account_location(a) ? account_location(a) : "the letter log",
				w->argv[2], text);
		buffer_free(&whole);
		account_drop(&a);
	}
	if (why != 0)
		caller_complain(caller, "mansio: %s: its place cannot be used%s: %s\n", w->argv[2],
		                trying ? ", and nothing was changed" : "",
		                k->misplaced != NULL ? k->misplaced : strerror(why));
	caller_done(caller, why == 0 ? 0 : 1);
}

/* place ID USER: where its letters lie, if that is not what is said of it or of all. */
void
keeper_place_say(struct house *h, struct caller *caller, const struct word_ask *w)
{
	struct keeper  *k = keeper_of(h);
	struct bytes    user = bytes_of(w->argv[2]);
	struct buffer   whole = { 0 };
	struct account *a = NULL;
	const char     *meant, *real;
	uint64_t        id;
	int             why = 0;

	if (!bytes_number(bytes_of(w->argv[1]), &id) || house_keeper_of(h, id) != h->index) {
		caller_done(caller, 0); /* another keeper's */
		return;
	}
	if (k->personal)
		why = keeper_user_locate(h, id);
	if (why == 0 && (a = account_take(k->store, id, &why)) != NULL && account_is_settled(a)) {
		meant = keeper_location(k, id, user);
		real = account_location(a);
		if (strcmp(meant, "log") != 0)
			(void)location_expand(meant, k->common.mail_home, user, &whole);
		buffer_add_char(&whole, '\0');
		if (strcmp(whole.at, real) != 0)
			caller_say(caller, "%s\n", *real != '\0' ? real : "log");
		buffer_free(&whole);
	}
	account_drop(&a);
	if (why != 0)
		caller_complain(caller, "mansio: %s: the mailboxes cannot be opened: %s\n",
		                w->argv[2], strerror(why));
	caller_done(caller, why == 0 ? 0 : 1);
}

/* ---- who reads them ---- */

struct reading {
	struct question question; /* first                                 */
	struct house   *house;
	int             fd;
	uint64_t        at, len;
	void (*answered)(void *who, int why, struct bytes digest);
	void *who;
};

static void
reading_ask(struct question *q)
{
	struct reading   *r = (struct reading *)q;
	struct word_judge w = { .append = true, .at = r->at, .len = r->len };
	struct link      *l = house_link(r->house, VERIFIER, q->verifier);

	word_pack_judge(link_begin(l, WORD_JUDGE, q->ticket), &w);
	link_end_fd(l, r->fd);
}

static void
reading_answered(struct question *q, const struct bytes *body)
{
	struct reading    *r = (struct reading *)q;
	struct arena      *scratch = arena_open(NULL);
	struct word_judged w;
	bool               good =
		body != NULL && word_unpack_judged(*body, scratch, &w) && w.verdict == JUDGE_ACCEPT;

	r->answered(r->who, good ? 0 : EIO, good ? w.digest : (struct bytes){ NULL, 0 });
	arena_close(&scratch);
	close(r->fd);
	memory_free(r);
}

void
keeper_digest(void *house, int fd, uint64_t at, uint64_t len,
              void (*answered)(void *who, int why, struct bytes digest), void *who)
{
	struct house   *h = house;
	struct reading *r = memory_take(sizeof *r);

	*r = (struct reading){
		.house = h, .fd = dup(fd), .at = at, .len = len, .answered = answered, .who = who
	};
	r->question.weight = (uint32_t)(len >> 20);
	r->question.ask = reading_ask;
	r->question.answered = reading_answered;
	if (r->fd >= 0) {
		question_ask(&keeper_of(h)->questions, &r->question);
		return;
	}
	fault("a letter cannot be given to a verifier: %s", strerror(errno));
	memory_free(r);
}

/* ---- what is new ---- */

static void
news_came(void *house, int bits)
{
	(void)bits;
	store_news(keeper_of(house)->store);
}

void
keeper_news_open(struct house *h)
{
	struct keeper *k = keeper_of(h);
	int            fd = store_news_fd(k->store);

	if (fd < 0)
		return;
	k->news = watch_open(h->loop, fd, news_came, h);
	watch_want(k->news, LOOP_READ);
}
