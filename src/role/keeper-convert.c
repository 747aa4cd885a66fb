/*
 * keeper-convert -- `mansio mailbox convert`: an account's letters go to another mail_location
 *
 *     convert ID USER LOCATION [leave]
 *
 * The account is served meanwhile; at the switch its sessions end with BYE.  An asker who goes away stops it; asked
 * again, it goes on where it stood.
 */
#include "base/clock.h"
#include "role/keeper.h"
#include "store/convert.h"
#include "store/location.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum { TURN_MS = 5, BUSY_MS = 50, BUSY_MOST = 200, PIECE = 65536 };

struct moving_house {
	struct house        *house;
	struct caller       *caller;
	uint64_t             id;
	char                 user[256];
	struct account      *account;
	struct conversion   *conversion;
	struct timer        *turn;
	struct imap_append  *append; /* a letter on its way to the log          */
	uint64_t             sent;
	uint64_t             letters;
	unsigned             busy;
	bool                 awaits;    /* a barrier                              */
	bool                 gone;      /* the house stops: only the barrier knows  */
	const char          *misplaced; /* while it begins: why the place cannot be had */
	struct moving_house *next;
};

/* The letter nobody can read, and what helps. */
static const char *
damage(const struct moving_house *m, struct arena *a)
{
	struct buffer mailbox = { 0 }, file = { 0 };
	const char   *said = "its index or a letter is damaged; mansio store check says which";

	if (m->conversion != NULL)
		conversion_damaged(m->conversion, &mailbox, &file);
	if (file.len > 0)
		said = arena_printf(
			a,
			"in the mailbox %.*s a letter's file is gone or not as it was: %.*s; bring it back from a backup or remove "
			"it, and ask again: it goes on where it stood",
			(int)mailbox.len, mailbox.at, (int)file.len, file.at);
	else if (mailbox.len > 0)
		said = arena_printf(
			a, "in the mailbox %.*s a letter is damaged; mansio store check says which",
			(int)mailbox.len, mailbox.at);
	buffer_free(&mailbox);
	buffer_free(&file);
	return said;
}

/* A place that cannot be had, in words; NULL: the error says it. */
static const char *
misplaced(struct keeper *k, const struct moving_house *m, const char *location, int why)
{
	if (k->personal || (why != EACCES && why != ENOENT && why != EROFS))
		return NULL;
	if (m->account == NULL)
		return k->misplaced; /* where they lie now */
	if (keeper_place_unseen(k, location))
		return arena_printf(
			k->scratch,
			"%s is in no directory that mansio was started with: add one it is in to mail_location_directories in "
			"main.cf, and restart mansio",
			location);
	keeper_misplace(k, bytes_of(m->user), location, why);
	return k->misplaced;
}

static void
convert_end(struct moving_house *m, int why)
{
	struct keeper        *k = keeper_of(m->house);
	struct moving_house **at = &k->conversions;

	while (*at != m)
		at = &(*at)->next;
	*at = m->next;
	if (m->append != NULL)
		keeper_imap_needs.append_drop(m->append);
	if (why == 0)
		caller_say(m->caller,
		           "%s: %" PRIu64 " messages converted; the old place was left as it is\n",
		           m->user, m->letters);
	else
		caller_complain(
			m->caller, "mansio: %s: cannot be converted: %s\n", m->user,
			why == EBUSY
				? "somebody has a mailbox open, or an mbox locked, all the time"
			: why == EALREADY ? "its mailboxes lie there"
			: why == EEXIST
				? "letters lie there already, of an earlier stay perhaps, and would come into its mailboxes beside "
				  "those it has; move them away"
			: why == EINVAL
				? "this is not a location for it; as maildir:/var/vmail/%d/%n, mbox:/var/mail/%d/%n or log"
			: why == EISDIR || why == ENOTDIR
				? "a mailbox with others below it cannot be an mbox file; rename one of them"
			: why == ENOTSUP ? "an operating-system user has no place in the letter log"
			: why == EBADMSG ? damage(m, k->scratch)
			: m->misplaced != NULL ? m->misplaced
			: why == ECANCELED     ? "interrupted; ask again and it goes on"
					       : strerror(why));
	caller_done(m->caller, why == 0 ? 0 : 1);
	conversion_close(&m->conversion);
	account_drop(&m->account);
	timer_close(&m->turn);
	memory_free(m);
}

/* ---- into the log, as an APPEND would ---- */

static void feed(struct moving_house *);

static void
append_room(void *who)
{
	feed(who);
}

static void
append_done(void *who, int why, const struct imap_appended *made)
{
	struct moving_house *m = who;

	m->append = NULL;
	if (why == 0)
		why = conversion_came(m->conversion, made->letter, &made->place, made->sent_date);
	m->letters++;
	if (why != 0)
		convert_end(m, why);
	else
		timer_set(m->turn, 0);
}

static void
feed(struct moving_house *m)
{
	char     piece[PIECE];
	uint64_t size = conversion_letter(m->conversion);

	while (m->sent < size) {
		size_t n = size - m->sent < PIECE ? (size_t)(size - m->sent) : PIECE;
		int    why = conversion_bytes(m->conversion, m->sent, piece, n);
		if (why != 0) {
			convert_end(m, why);
			return;
		}
		m->sent += n;
		if (!keeper_imap_needs.append_add(m->append, (struct bytes){ piece, n }) &&
		    m->sent < size)
			return;
	}
	keeper_imap_needs.append_end(m->append);
}

static void
append_letter(struct moving_house *m)
{
	static const struct imap_append_events events = { .room = append_room,
		                                          .done = append_done };
	struct access_facts facts = { .user = m->user, .peer = { .text = "local" } };

	m->sent = 0;
	m->append = keeper_imap_needs.append_begin(m->house, &facts,
	                                           conversion_letter(m->conversion), &events, m);
	if (m->append != NULL)
		feed(m);
	else if (errno == EAGAIN)
		timer_set(m->turn, BUSY_MS);
	else
		convert_end(m, errno);
}

/* ---- turns ---- */

static void
switched(void *ctx, int why)
{
	struct moving_house *m = ctx;

	if (m->gone)
		memory_free(m);
	else
		convert_end(m, why);
}

static void
try_switch(struct moving_house *m)
{
	struct keeper *k = keeper_of(m->house);
	int            why;

	(void)imap_service_kick(k->imap, m->id, "[UNAVAILABLE] The mailboxes move; come again");
	(void)pop3_service_kick(k->pop3, m->id, "The mailboxes move; come again");
	why = conversion_over(m->conversion);
	if (why == 0) {
		m->awaits = true;
		account_barrier(m->account, switched, m);
	} else if ((why == EBUSY || why == EAGAIN) && ++m->busy < BUSY_MOST) {
		timer_set(m->turn, BUSY_MS);
	} else
		convert_end(m, why);
}

static void
convert_turn(void *ctx)
{
	struct moving_house *m = ctx;
	int64_t              ends = clock_patient_ms() + TURN_MS;
	int                  why = 0;

	if (caller_gone(m->caller))
		why = ECANCELED;
	while (why == 0 && clock_patient_ms() < ends)
		if ((why = conversion_step(m->conversion)) == 0)
			m->letters++;
	if (why == 0)
		timer_set(m->turn, 1);
	else if (why == EAGAIN)
		try_switch(m);
	else if (why == ENOSYS)
		append_letter(m);
	else if (why == EBUSY && ++m->busy < BUSY_MOST)
		timer_set(m->turn, BUSY_MS); /* another program has an mbox locked */
	else
		convert_end(m, why);
}

/* Where it goes is written down, so that what is written there now is known for its own whatever happens. */
static void
begun(void *ctx, int why)
{
	struct moving_house *m = ctx;

	m->awaits = false;
	if (m->gone)
		memory_free(m);
	else if (why != 0)
		convert_end(m, why);
	else
		timer_set(m->turn, 0);
}

void
keeper_convert(struct house *h, struct caller *caller, const struct word_ask *w)
{
	struct keeper       *k = keeper_of(h);
	struct moving_house *m;
	struct buffer        location = { 0 };
	const char          *home;
	uint64_t             id;
	int                  why = 0;

	if (!bytes_number(bytes_of(w->argv[1]), &id) || house_keeper_of(h, id) != h->index) {
		caller_done(caller, 0); /* another keeper's */
		return;
	}
	k->misplaced = NULL;
	m = memory_take(sizeof *m);
	*m = (struct moving_house){
		.house = h, .caller = caller, .id = id, .next = k->conversions
	};
	k->conversions = m;
	(void)bytes_string(bytes_of(w->argv[2]), m->user, sizeof m->user);
	m->turn = timer_open(h->loop, convert_turn, m);
	home = k->personal ? keeper_user_home(k) : k->common.mail_home;
	if (strcmp(w->argv[3], "log") == 0)
		why = k->user != NULL ? ENOTSUP : 0;
	else if (!location_expand(w->argv[3], home, bytes_of(m->user), &location))
		why = EINVAL;
	buffer_add_char(&location, '\0');
	for (struct moving_house *other = m->next; other != NULL; other = other->next)
		if (other->id == id)
			why = EINPROGRESS;
	if (why == 0)
		why = keeper_locate(k, id, bytes_of(m->user));
	if (why == 0 && (m->account = account_take(k->store, id, &why)) != NULL)
		m->conversion = conversion_open(m->account, location.at, &why);
	if (why != 0)
		m->misplaced = misplaced(k, m, location.at, why);
	buffer_free(&location);
	if (why != 0) {
		convert_end(m, why);
	} else {
		m->awaits = true;
		account_barrier(m->account, begun, m);
	}
}

void
keeper_conversions_end(struct house *h)
{
	struct keeper *k = keeper_of(h);

	while (k->conversions != NULL) {
		struct moving_house *m = k->conversions;
		if (!m->awaits) {
			convert_end(m, ECANCELED);
			continue;
		}
		/* Its barrier is still to come. */
		k->conversions = m->next;
		caller_complain(m->caller, "mansio: the server stops\n");
		caller_done(m->caller, 1);
		conversion_close(&m->conversion);
		account_drop(&m->account);
		timer_close(&m->turn);
		m->gone = true;
	}
}
