/*
 * keeper-deliver -- letters for mailboxes: each is put in, put off until it can be, or answered with why not
 */
#include "base/clock.h"
#include "delivery/deliver.h"
#include "role/keeper.h"
#include "role/owner.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What another program has locked is tried again for so long, before it waits in the queue. */
enum { LOCKED_MOST_MS = 20000 };

/* An answer that waits for the barrier. */
struct parcel {
	struct house         *house;
	uint32_t              ticket, queue;
	struct word_delivered answer;
	char                  text[120];
};

void
keeper_delivered(struct house *h, uint32_t ticket, const struct word_delivered *w)
{
	struct link *l = house_link(h, QUEUE, 0);

	if (l == NULL)
		return; /* a new queue asks again; exactly once is the index's work */
	word_pack_delivered(link_begin(l, WORD_DELIVERED, ticket), w);
	link_end(l);
}

static void
parcel_safe(void *ctx, int why)
{
	struct parcel *p = ctx;

	keeper_of(p->house)->parcels--;
	if (why != 0)
		p->answer = (struct word_delivered){ .result = DELIVER_LATER,
			                             .status = "4.3.0",
			                             .text = strerror(why) };
	/* The ticket of a queue that died may mean another letter to its successor. */
	if (p->queue == keeper_of(p->house)->queues)
		keeper_delivered(p->house, p->ticket, &p->answer);
	memory_free(p);
}

static void
parcel_send(struct house *h, uint32_t ticket, const struct word_delivered *answer)
{
	struct keeper *k = keeper_of(h);
	struct parcel *p = memory_take(sizeof *p);

	*p = (struct parcel){ .house = h, .ticket = ticket, .queue = k->queues, .answer = *answer };
	(void)snprintf(p->text, sizeof p->text, "%s", answer->text);
	p->answer.text = p->text;
	k->parcels++;
	store_barrier_later(k->store, parcel_safe, p);
}

/* A DELIVER word that waits: since when, by the patient clock, and with it the letter, if it came in a file. */
struct put_off {
	uint32_t ticket, len;
	int64_t  since_ms;
	int      fd;
};

static void
put_off(struct buffer *to, const struct put_off *head, struct bytes body)
{
	buffer_add(to, (struct bytes){ (const char *)head, sizeof *head });
	buffer_add(to, body);
}

/* It does not come into its mailbox after all: what its domain may have promised for it goes back. */
static void
comes_not(struct house *h, const struct word_deliver *w)
{
	keeper_total_letter(h,
	                    keeper_of(h)->personal
	                            ? system_account(SYSTEM_MAILBOX, system_uid(w->account))
	                            : w->account,
	                    w->letter, false);
}

static void
deliver_not(struct house *h, const struct put_off *head, const struct word_deliver *w,
            const struct word_delivered *why)
{
	if (head->fd >= 0)
		close(head->fd);
	comes_not(h, w);
	keeper_delivered(h, head->ticket, why);
}

/* It is not known yet where its mailbox lies, or there is none: it waits, or the queue is answered. */
static bool
has_no_place(struct house *h, const struct put_off *head, const struct word_deliver *w,
             struct bytes own, struct bytes body)
{
	static const struct word_delivered moved = { .result = DELIVER_LATER,
		                                     .status = "4.2.1",
		                                     .text = "the account has moved or is gone" },
					   deleted = {
						   .result = DELIVER_REFUSED,
						   .status = "5.1.1",
						   .text = "unknown user: the account was deleted"
					   };
	struct keeper *k = keeper_of(h);

	if (map_get(k->gone, map_number(&w->account)) != NULL) {
		/* One whose files belong to a uid may have another id under another: whose it is now is asked anew. */
		deliver_not(h, head, w, is_owner_index(h->index) ? &moved : &deleted);
		return true;
	}
	/* Nor before the clerk has told which domains are limited as a whole. */
	if (k->personal ? !keeper_user_knows(h) || (!k->told && house_link(h, CLERK, 0) != NULL)
	                : !k->told || !keeper_place_known(h, w->account, own) ||
	                          keeper_locate(k, w->account, own) == EAGAIN) {
		put_off(&k->early, head, body);
		return true;
	}
	if (!k->personal && k->misplaced != NULL) {
		deliver_not(h, head, w,
		            &(struct word_delivered){ .result = DELIVER_LATER,
		                                      .status = "4.3.0",
		                                      .text = k->misplaced });
		return true;
	}
	return false;
}

static struct delivery_answer
deliver_into(struct house *h, const struct word_deliver *w)
{
	struct keeper         *k = keeper_of(h);
	struct delivery        d = { w->letter,
		                     w->envelope_segment,
		                     w->envelope_at,
		                     w->account,
		                     w->sender,
		                     w->address,
                              k->personal          ? keeper_delivered_to(h, w, "file")
		                     : w->entered.len > 0 ? w->entered
		                                          : w->address,
		                     w->passed,
		                     w->original,
		                     w->detail,
		                     (unsigned)k->rows.quota_grace,
		                     k->rows.quota_tempfail,
                              w->aside ? k->rows.quarantine : NULL,
		                     keeper_total_room,
		                     h };
	struct delivery_answer got = deliver(k->store, k->letters, &d, k->scratch);

	if (got.result != DELIVERY_LOCKED)
		keeper_total_letter(h, w->account, w->letter,
		                    got.result == DELIVERY_DONE && !got.again);
	if (k->user != NULL) {
		letters_forget(k->letters, w->envelope_segment);
		if (got.result == DELIVERY_DONE && k->personal)
			got.text = keeper_user_text(h);
	}
	return got;
}

/* `fd`: the letter in a file of its own, -1: it lies in the log. */
static bool
deliver_word(struct house *h, struct put_off head, struct bytes body)
{
	/* clang-format off */
	static const uint8_t result[] = {
		[DELIVERY_DONE] = DELIVER_DONE, [DELIVERY_LATER] = DELIVER_LATER, [DELIVERY_LOCKED] = DELIVER_LATER, [DELIVERY_REFUSED] = DELIVER_REFUSED,
	};
	/* clang-format on */
	struct keeper         *k = keeper_of(h);
	struct delivery_answer got;
	struct word_delivered  answer;
	struct word_deliver    w;
	struct bytes           own;
	int                    kept = -1;

	arena_clear(k->scratch);
	if (!word_unpack_deliver(body, k->scratch, &w) || (head.fd >= 0) != (k->user != NULL)) {
		if (head.fd >= 0)
			close(head.fd);
		return false;
	}
	own = house_plain_address(h, k->scratch, w.address, w.detail);
	if (has_no_place(h, &head, &w, own, body))
		return true;
	if (k->user != NULL)
		kept = fcntl(head.fd, F_DUPFD_CLOEXEC, 0);
	/* A user's letter may be for somebody else, or for a command. */
	if (k->user != NULL && !keeper_user_receive(h, head.ticket, &w, head.fd)) {
		if (kept >= 0)
			close(kept);
		comes_not(h, &w);
		return true;
	}
	keeper_limit(h, w.account, own);
	got = deliver_into(h, &w);
	head.fd = kept;
	if (got.result == DELIVERY_LOCKED && (k->user == NULL || kept >= 0) &&
	    clock_patient_ms() - head.since_ms < LOCKED_MOST_MS) {
		put_off(&k->locked, &head, body);
		timer_set(k->later, KEEPER_LATER_MS);
		return true;
	}
	if (kept >= 0)
		close(kept);
	if (got.result == DELIVERY_LOCKED)
		comes_not(h, &w);
	answer = (struct word_delivered){ .result = result[got.result],
		                          .status = got.status,
		                          .text = got.text,
		                          .again = got.again };
	if (got.result == DELIVERY_DONE)
		parcel_send(h, head.ticket, &answer);
	else
		keeper_delivered(h, head.ticket, &answer);
	return true;
}

bool
hear_deliver(struct house *h, uint32_t ticket, struct bytes body, int fd)
{
	struct put_off head = { ticket, (uint32_t)body.len, clock_patient_ms(), fd };

	return deliver_word(h, head, body);
}

bool
keeper_deliver_again(struct house *h, struct buffer *from)
{
	struct buffer  words = *from;
	struct put_off head;
	bool           good = true;

	*from = (struct buffer){ 0 };
	for (size_t at = 0; good && at < words.len; at += sizeof head + head.len) {
		memcpy(&head, words.at + at, sizeof head);
		good = deliver_word(h, head,
		                    (struct bytes){ words.at + at + sizeof head, head.len });
	}
	buffer_free(&words);
	return good;
}

/* Who asked is no more; its successor asks again. */
void
keeper_deliver_never(struct buffer *words)
{
	struct put_off head;

	for (size_t at = 0; at < words->len; at += sizeof head + head.len) {
		memcpy(&head, words->at + at, sizeof head);
		if (head.fd >= 0)
			close(head.fd);
	}
	buffer_reset(words);
}

/* The clerk has told where mailboxes lie: what waited for that is delivered. */
bool
keeper_deliver_early(struct house *h)
{
	return keeper_deliver_again(h, &keeper_of(h)->early);
}
