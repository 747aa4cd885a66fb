/*
 * keeper-quota -- an account comes to hold much, or all it may: the clerk hears what it has room for, so that letters
 * are refused at the door, and its owner gets a letter
 */
#include "role/keeper.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"

/* Where nothing says how large a letter may be. */
enum { LARGEST = 64 << 20 };

/* ---- little room: told to the clerk ---- */

static void
say_room(struct house *h, uint64_t account, uint64_t room)
{
	struct link *l = house_link(h, CLERK, 0);

	if (l == NULL)
		return; /* told when it comes */
	struct buffer *b = link_begin(l, WORD_FULL, 0);
	pack_u64(b, account);
	pack_u64(b, room);
	link_end(l);
}

void
keeper_tell_full(struct house *h)
{
	for (struct map_place p = { 0 }; map_next(keeper_of(h)->full, &p);) {
		uint64_t id;
		memcpy(&id, p.key.at, sizeof id);
		say_room(h, id, (uint64_t)(uintptr_t)p.value - 1);
	}
}

/* ---- warned: a letter to its owner ---- */

/* A letter on its way through the log, then into the INBOX. */
struct warning {
	struct house *house;
	uint64_t      account;
	uint64_t      size;
};

static void
warning_done(void *who, int why, const struct imap_appended *appended)
{
	struct warning *w = who;
	struct keeper  *k = keeper_of(w->house);
	struct account *a = why == 0 ? account_take(k->store, w->account, &why) : NULL;
	struct mailbox *inbox = a != NULL ? mailbox_take(a, "INBOX", &why) : NULL;
	uint32_t        uid;

	if (inbox != NULL)
		why = mailbox_arrive(inbox,
		                     &(struct arrival){ .letter = appended->letter,
		                                        .place = appended->place,
		                                        .size = w->size,
		                                        .internal_date = clock_wall(),
		                                        .sent_date = appended->sent_date },
		                     &uid);
	if (why != 0)
		warn_("account %" PRIu64 ": the quota warning could not be put into its INBOX: %s",
		      w->account, strerror(why));
	mailbox_drop(&inbox);
	account_drop(&a);
	memory_free(w);
}

static void
warning_room(void *who)
{
	(void)who;
}

static void
warning_text(struct keeper *k, const char *to, uint64_t account, unsigned percent,
             struct buffer *out)
{
	char date[64];

	clock_rfc5322(clock_wall(), date, sizeof date);
	buffer_printf(
		out,
		"From: Mail Delivery System <postmaster@%s>\r\nTo: %s\r\nSubject: Your mailbox is %u%% full\r\n"
		"Date: %s\r\nMessage-ID: <quota-%" PRIu64 "-%" PRId64 "@%s>\r\n"
		"Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"
		"Your mailbox holds more than %u%% of what it may. When it is full, mail for you will be\r\n"
		"refused. Please delete what you do not need, and empty the trash.\r\n",
		k->common.mydomain, to, percent, date, account, clock_wall(), k->common.myhostname,
		percent);
}

static void
warn_owner(struct house *h, uint64_t account, unsigned percent)
{
	static const struct imap_append_events events = { .room = warning_room,
		                                          .done = warning_done };
	struct keeper                         *k = keeper_of(h);
	const char                            *to = map_get(k->named, map_number(&account));
	struct access_facts facts = { .user = to, .account = account, .session = "quota" };
	struct buffer       text = { 0 };
	struct warning     *w;
	struct imap_append *a;

	note_as("mansio/keeper", "account %" PRIu64 " (%s) holds more than %u%% of what it may",
	        account, to != NULL ? to : "?", percent);
	if (to == NULL)
		return;
	warning_text(k, to, account, percent, &text);
	w = memory_take(sizeof *w);
	*w = (struct warning){ .house = h, .account = account, .size = text.len };
	a = keeper_imap_needs.append_begin(h, &facts, text.len, &events, w);
	if (a == NULL) {
		warn_("account %" PRIu64 ": no room for a quota warning", account);
		memory_free(w);
	} else {
		(void)keeper_imap_needs.append_add(a, buffer_bytes(&text));
		keeper_imap_needs.append_end(a);
	}
	buffer_free(&text);
}

/* ---- what the store says before a commit ---- */

static bool
over(uint64_t used, uint64_t limit, uint64_t percent)
{
	return limit != 0 && used > limit / 100 * percent + limit % 100 * percent / 100;
}

static bool
holds_more(const struct quota *q, uint64_t percent)
{
	return over(q->bytes, q->limit.bytes, percent) ||
	       over(q->messages, q->limit.messages, percent);
}

/* How large the next letter may be: 0 where the account is full, UINT64_MAX where there is room for the largest. */
static uint64_t
room_of(const struct keeper *k, const struct quota *q)
{
	uint64_t largest = k->rows.append_most > 0 ? (uint64_t)k->rows.append_most : LARGEST;
	uint64_t room;

	if ((q->limit.bytes != 0 && q->bytes >= q->limit.bytes) ||
	    (q->limit.messages != 0 && q->messages >= q->limit.messages))
		return 0;
	if (q->limit.bytes == 0)
		return UINT64_MAX;
	room = q->limit.bytes - q->bytes + q->limit.bytes / 100 * (uint64_t)k->rows.quota_grace;
	return room < largest ? room : UINT64_MAX;
}

/* Told when it changes. */
static void
room_is(struct house *h, uint64_t account, const struct quota *q)
{
	struct keeper *k = keeper_of(h);
	uintptr_t      was = (uintptr_t)map_get(k->full, map_number(&account));
	uint64_t       room = room_of(k, q);

	if (room == (was == 0 ? UINT64_MAX : was - 1))
		return;
	if (room != UINT64_MAX)
		(void)map_put(k->full, map_number(&account), (void *)(uintptr_t)(room + 1));
	else
		(void)map_drop(k->full, map_number(&account));
	say_room(h, account, room);
}

/* One that is full since long, and one whose limit was raised while nobody had it open. */
void
keeper_quota_look(struct house *h, struct account *a)
{
	uint64_t     account = account_id(a);
	struct quota q;

	if (account_quota(a, &q) == 0)
		room_is(h, account, &q);
}

void
keeper_quota(void *house, uint64_t account, const struct quota *before, const struct quota *after)
{
	struct house  *h = house;
	struct keeper *k = keeper_of(h);
	uint64_t       highest = 0;

	for (size_t i = 0; i < k->rows.quota_warning.count; i++) {
		uint64_t percent;
		if (bytes_number(bytes_of(k->rows.quota_warning.item[i]), &percent) &&
		    percent <= 100 && percent > highest && holds_more(after, percent) &&
		    !holds_more(before, percent))
			highest = percent;
	}
	if (highest > 0)
		warn_owner(h, account, (unsigned)highest);
	room_is(h, account, after);
	keeper_total_changed(h, account, after);
}
