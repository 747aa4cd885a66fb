/*
 * keeper-user -- the keeper of an operating-system user: runs under that user's uid, for that user's mail alone; and that of
 * an owner of virtual users' mailboxes (role/owner.h), which has many accounts, as those of the pool, and gets its letters as this one
 *
 * Letters come in files of their own and are durable in the user's Maildir or mbox before DELIVERED.  What a reader
 * appends goes through a file without a name in place of a segment of the letter log.  When nobody has anything for it
 * to do for a while it asks to be let go, and ends.
 */
#include "base/clock.h"
#include "delivery/beenhere.h"
#include "directory/resolve.h"
#include "role/confine.h"
#include "role/keeper.h"
#include "role/runner.h"
#include "store/location.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	LOOK_MS = 1000,
	MOMENT_MS = 1000,
	UNHEARD_LOOKS = 5,
	ROOM_SMALL = 4 << 20,
	ROOM_MORE = 1 << 20
};

struct user_keeper {
	const struct system_user *who;
	struct timer             *look;
	int64_t                   busy_ms; /* when it had something to do last */
	uint32_t                  segment; /* the last one made                */
	struct timer             *moment;  /* that what the clerk said is believed   */
	bool                      asked, known;
	unsigned unheard; /* looks at which somebody waited and there was no clerk */
	uint8_t  way;     /* enum mailbox_way, and its text         */
	char    *text;
	int      accounts;
	bool     looked; /* where it lies, and where it should */
	bool     anew;   /* it is to begin anew                */
};

/* ---- where ---- */

/* A percent sign of a home is none of location's. */
static void
add_plain(struct buffer *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '%')
			buffer_add_char(out, '%');
		buffer_add_char(out, *text);
	}
}

static bool
is_of_home(const char *location)
{
	return strchr(location, '~') != NULL || strstr(location, "%h") != NULL;
}

/* A slash at the end makes it Maildirs, as with Postfix's local(8). */
static bool
is_of_maildirs(const char *setting)
{
	size_t n = strlen(setting);

	return n > 0 && setting[n - 1] == '/';
}

/* mail_location, where it speaks of homes; else as Postfix's local delivery finds the mailbox. */
static void
location_of(struct keeper *k, struct buffer *out)
{
	const struct common_settings *s = &k->common;
	const struct system_user     *u = k->user->who;
	const char                   *place = s->home_mailbox, *spool = s->mail_spool_directory;
	struct buffer                 home = { 0 };

	add_plain(&home, u->home);
	buffer_add_char(&home, '\0');
	if (is_of_home(s->mail_location) &&
	    location_expand(s->mail_location, home.at, bytes_of(u->name), out))
		;
	else if (is_of_maildirs(place))
		buffer_printf(out, "maildir:%s/%s", u->home, place);
	else if (*place != '\0')
		buffer_printf(out, "mbox:%s/mail:INBOX=%s/%s", u->home, u->home, place);
	else if (is_of_maildirs(spool))
		buffer_printf(out, "maildir:%s%s", spool, u->name);
	else
		buffer_printf(out, "mbox:%s/mail:INBOX=%s/%s", u->home, spool, u->name);
	buffer_free(&home);
	buffer_add_char(out, '\0');
}

/* Mail stays where it lies until somebody moves it; whoever changed the setting is told how, once. */
static void
look_where(struct user_keeper *u, const struct account *a, const char *where)
{
	if (u->looked || strcmp(account_location(a), where) == 0)
		return;
	warn_("%s has the mailboxes in %s, where new mail goes on to be laid; the settings say %s: mansio mailbox convert %s --to '%s' moves them there",
	      u->who->name, account_location(a), where, u->who->name, where);
	u->looked = true;
}

int
keeper_user_settle(struct keeper *k, uint64_t id)
{
	struct buffer   where = { 0 };
	struct account *a;
	int             why = ENOENT;

	if (id != system_account(SYSTEM_MAILBOX, k->user->who->uid))
		return ENOENT;
	location_of(k, &where);
	if ((a = account_take(k->store, id, &why)) != NULL)
		why = account_locate(a, where.at);
	if (why == 0)
		look_where(k->user, a, where.at);
	account_drop(&a);
	buffer_free(&where);
	return why;
}

int
keeper_user_locate(struct house *h, uint64_t id)
{
	return keeper_user_settle(keeper_of(h), id);
}

int
keeper_user_ready(struct house *h)
{
	return keeper_user_locate(h, system_account(SYSTEM_MAILBOX, house_user(h)->uid));
}

const char *
keeper_user_home(const struct keeper *k)
{
	return k->user->who->home;
}

/* The words of Postfix, which log watchers know. */
const char *
keeper_user_text(struct house *h)
{
	struct keeper  *k = keeper_of(h);
	int             why;
	struct account *a =
		account_take(k->store, system_account(SYSTEM_MAILBOX, k->user->who->uid), &why);
	/* Where it lies, whatever the settings have said since. */
	bool maildir = a != NULL && strncmp(account_location(a), "maildir:", 8) == 0;

	account_drop(&a);
	return maildir ? "delivered to maildir" : "delivered to mailbox";
}

int
keeper_user_accounts(struct house *h)
{
	const char *path = arena_printf(keeper_of(h)->scratch, "users/%u", house_user(h)->place);
	int         fd = open(house_path(h, path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		fault("%s: %s", house_path(h, path), strerror(errno));
	keeper_of(h)->user->accounts = fd;
	return fd;
}

/* ---- whether it is a mailbox ---- */

static bool
is_said(struct house *h, const char *setting)
{
	const char *value = settings_value(h->settings, setting);

	return value != NULL && *value != '\0';
}

static void
set_way(struct user_keeper *u, enum mailbox_way way, struct bytes text)
{
	memory_free(u->text);
	u->text = memory_take(text.len + 1);
	if (text.len > 0)
		memcpy(u->text, text.at, text.len);
	u->way = (uint8_t)way;
	u->known = true;
	u->asked = false;
}

static void
moment_over(void *house)
{
	keeper_of(house)->user->known = false;
}

void
keeper_user_forget(struct house *h)
{
	if (keeper_of(h)->user != NULL)
		keeper_of(h)->user->known = false;
}

bool
keeper_user_knows(struct house *h)
{
	struct user_keeper *u = keeper_of(h)->user;
	struct link        *l = house_link(h, CLERK, 0);

	if (!is_said(h, "mailbox_command_maps") && !is_said(h, "mailbox_transport_maps") &&
	    !is_said(h, "mailbox_transport"))
		set_way(u, MAILBOX_OWN, (struct bytes){ NULL, 0 });
	if (u->known || u->asked || l == NULL)
		return u->known;
	link_say(l, WORD_MAILBOX_ASK, 0, bytes_of(u->who->name), -1);
	u->asked = true;
	return false;
}

bool
hear_mailbox_is(struct house *h, struct bytes body)
{
	struct user_keeper *u = keeper_of(h)->user;
	struct unpack       p = unpack_of(body);
	uint8_t             way = unpack_u8(&p);
	struct bytes        text = unpack_bytes(&p);

	if (!unpack_done(&p) || u == NULL || way >= MAILBOX_WAYS)
		return false;
	set_way(u, way, text);
	timer_set(u->moment, MOMENT_MS);
	return keeper_deliver_early(h);
}

/* Its successor is asked. */
void
keeper_user_clerk(struct house *h, bool here)
{
	struct keeper *k = keeper_of(h);

	if (!k->personal)
		return;
	k->user->asked = false;
	if (here && k->early.len > 0 && keeper_user_knows(h))
		(void)keeper_deliver_early(h);
}

/* The clerk's tables have a say.  True: it is not for the mailbox, and the queue is answered. */
static bool
goes_another_way(struct house *h, uint32_t ticket, const struct word_deliver *w)
{
	const struct user_keeper *u = keeper_of(h)->user;
	struct word_delivered     said = { .result = DELIVER_DONE,
		                           .status = "2.0.0",
		                           .text = "discarded by mailbox_transport" };
	const char               *blank;

	switch ((enum mailbox_way)u->way) {
	case MAILBOX_COMMAND:
		keeper_handoff(h, ticket, w, HANDOFF_COMMAND, bytes_of(u->text));
		return true;
	case MAILBOX_DISCARDED: break;
	case MAILBOX_REFUSED:
		blank = strchr(u->text, ' ');
		said.result = *u->text == '4' ? DELIVER_LATER : DELIVER_REFUSED;
		said.status = arena_copy(keeper_of(h)->scratch,
		                         (struct bytes){ u->text, (size_t)(blank - u->text) });
		said.text = blank + 1;
		break;
	case MAILBOX_LATER:
		said = (struct word_delivered){ .result = DELIVER_LATER,
			                        .status = "4.3.0",
			                        .text = "mailbox lookup failure" };
		break;
	default: return false;
	}
	keeper_delivered(h, ticket, &said);
	return true;
}

bool
keeper_has_been_here(struct keeper *k, uint32_t segment, uint64_t at, uint64_t letter,
                     struct bytes to)
{
	struct letter_place place = { .content_segment = segment };
	struct envelope     e;
	struct digest       d;

	if (keeper_letter_envelope(k, segment, at, letter, &e, &place.content_at) != 0 ||
	    !digest_view(e.digest, &d))
		return false;
	place.content_len = e.content_len;
	return been_here(k->letters, &place, &d, to);
}

/* As local(8): whatever is done with this user's mail, not with what has been here.  True: the queue is answered. */
static bool
comes_back(struct house *h, uint32_t ticket, const struct word_deliver *w)
{
	struct keeper *k = keeper_of(h);

	if (w->aside ||
	    !keeper_has_been_here(k, w->envelope_segment, w->envelope_at, w->letter, w->address))
		return false;
	keeper_delivered(h, ticket,
	                 &(struct word_delivered){
				 .result = DELIVER_REFUSED,
				 .status = "5.4.6",
				 .text = been_here_text(w->address, k->scratch) });
	return true;
}

/* Whether somebody else than the mailbox gets it. */
static bool
is_for_others(struct house *h, uint32_t ticket, const struct word_deliver *w)
{
	const char *command = keeper_of(h)->rows.mailbox_command;

	switch (system_kind_of(w->account)) {
	case SYSTEM_MAILBOX:
		if (keeper_forward(h, ticket, w))
			return true;
		break;
	case SYSTEM_COMMAND: keeper_handoff(h, ticket, w, HANDOFF_COMMAND, w->detail); return true;
	case SYSTEM_FILE: keeper_handoff(h, ticket, w, HANDOFF_FILE, w->detail); return true;
	default: break;
	}
	if (goes_another_way(h, ticket, w))
		return true;
	if (*command == '\0')
		return false;
	keeper_handoff(h, ticket, w, HANDOFF_COMMAND, bytes_of(command));
	return true;
}

bool
keeper_user_receive(struct house *h, uint32_t ticket, struct word_deliver *w, int fd)
{
	struct keeper *k = keeper_of(h);
	int            why = letters_lend(k->letters, w->envelope_segment, fd);

	if (why == 0 && k->personal && (comes_back(h, ticket, w) || is_for_others(h, ticket, w))) {
		letters_forget(k->letters, w->envelope_segment);
		return false;
	}
	if (k->personal)
		w->account = system_account(SYSTEM_MAILBOX, system_uid(w->account));
	if (why == 0 && (!k->personal || (why = keeper_user_locate(h, w->account)) == 0))
		return true;
	letters_forget(k->letters, w->envelope_segment);
	keeper_delivered(h, ticket,
	                 &(struct word_delivered){
				 .result = DELIVER_LATER,
				 .status = why == EDQUOT || why == ENOSPC ? "4.2.2" : "4.2.0",
				 .text = arena_printf(k->scratch, "mailbox is not available: %s",
	                                              strerror(why)) });
	return false;
}

/* ---- what stands for the letter log ---- */

/* A number no other segment of ours ever had, since letters are known by it; those of the log are small. */
static uint32_t
segment_number(struct user_keeper *u)
{
	uint32_t now = KEEPER_OF_USER | ((uint32_t)clock_wall() & ~KEEPER_OF_USER);

	u->segment = now > u->segment ? now : u->segment + 1;
	return u->segment;
}

/* Said after this turn, as the queue's answer would be. */
struct lending {
	struct house       *house;
	struct word_segment word;
	int                 fd;
};

static void
nothing(void *ctx)
{
	(void)ctx;
}

static void
lend(void *ctx)
{
	struct lending *l = ctx;

	(void)keeper_segment_lent(l->house, &l->word, l->fd);
	memory_free(l);
}

void
keeper_user_want(struct house *h, bool large, uint64_t size)
{
	struct keeper  *k = keeper_of(h);
	struct lending *l = memory_take(sizeof *l);
	uint64_t room = large && size + ROOM_MORE > ROOM_SMALL ? size + ROOM_MORE : ROOM_SMALL;
	uint32_t number = segment_number(k->user);
	int      read_fd;

	l->house = h;
	l->word = (struct word_segment){ .number = number, .size = room, .own = large };
	l->fd = openat(k->user->accounts, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (l->fd >= 0 && (ftruncate(l->fd, (off_t)room) < 0 || (read_fd = dup(l->fd)) < 0 ||
	                   (l->word.why = letters_lend(k->letters, number, read_fd)) != 0)) {
		close(l->fd);
		l->fd = -1;
	}
	if (l->fd < 0 && l->word.why == 0)
		l->word.why = errno;
	loop_job(h->loop, nothing, lend, l);
}

/* It is whole, but the letter in it comes into its mailbox when the command's last one is here. */
void
keeper_user_done(struct house *h, uint32_t segment)
{
	letters_release(keeper_of(h)->letters, segment);
}

/* ---- another view ---- */

void
keeper_user_anew(struct house *h)
{
	struct keeper *k = keeper_of(h);

	if (k->user == NULL || !k->user->anew || h->leaving || map_count(k->handoffs) > 0 ||
	    house_is_asked(h))
		return;
	note("there are new directories for the mail of %s: starting anew", k->user->who->name);
	h->leaving = true;
	keeper_card.stop(h);
}

bool
hear_keeper_anew(struct house *h)
{
	if (keeper_of(h)->user == NULL)
		return false;
	keeper_of(h)->user->anew = true;
	keeper_user_anew(h);
	return true;
}

/* ---- nothing to do ---- */

static bool
is_busy(struct house *h)
{
	struct keeper *k = keeper_of(h);

	return k->imap == NULL /* it ends */ || house_is_asked(h) ||
	       imap_service_count(k->imap) + pop3_service_count(k->pop3) > 0 || k->parcels > 0 ||
	       k->early.len > 0 || k->guests.len > 0 || store_dirty(k->store) ||
	       map_count(k->sessions) > 0 || k->locked.len > 0 || k->reading > 0;
}

/* A clerk that died has a successor soon; one that let go of us has not. */
static void
give_up_asking(struct house *h)
{
	struct keeper      *k = keeper_of(h);
	struct user_keeper *u = k->user;

	u->unheard = k->early.len > 0 && house_link(h, CLERK, 0) == NULL ? u->unheard + 1 : 0;
	if (u->unheard < UNHEARD_LOOKS || !k->personal)
		return;
	set_way(u, MAILBOX_LATER, (struct bytes){ NULL, 0 });
	(void)keeper_deliver_early(h);
	u->known = false;
}

static void
look(void *house)
{
	struct house       *h = house;
	struct keeper      *k = keeper_of(h);
	struct user_keeper *u = k->user;
	int64_t             now = clock_patient_ms();

	timer_set(u->look, LOOK_MS);
	keeper_user_anew(h);
	give_up_asking(h);
	if (is_busy(h))
		u->busy_ms = now;
	else if (now - u->busy_ms >= k->rows.user_idle_ms && house_is_alone(h))
		house_rest_for_good(h);
	else if (now - u->busy_ms >= k->rows.user_idle_ms)
		house_rest(h);
}

void
keeper_user_open(struct house *h)
{
	struct keeper *k = keeper_of(h);

	if (house_user(h) == NULL)
		return;
	k->user = memory_take(sizeof *k->user);
	k->user->who = house_user(h);
	k->personal = !k->user->who->owner;
	k->user->moment = timer_open(h->loop, moment_over, h);
}

void
keeper_user_work(struct house *h)
{
	struct user_keeper *u = keeper_of(h)->user;

	if (u == NULL)
		return;
	u->busy_ms = clock_patient_ms();
	u->look = timer_open(h->loop, look, h);
	timer_set(u->look, LOOK_MS);
}
