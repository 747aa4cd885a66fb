/* A session's view of a mailbox against a simple model: random changes by anybody,
   told at random moments; the client's own list of uids must follow. */
#include "unit.h"

#include "access/imap/view.h"
#include "lab.h"

enum { UIDS_MOST = 4000 };

struct model {
	uint32_t client[UIDS_MOST];        /* what the client has been told       */
	uint32_t count;
	unsigned dice;
};

static uint32_t
roll(struct model *m, uint32_t below)
{
	m->dice = m->dice * 1103515245u + 12345u;
	return m->dice / 65536u % below;
}

static void
no_news(void *ctx)
{
	(void)ctx;
}

static void
client_hears_vanished(struct model *m, struct ranges *gone)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < m->count; i++)
		if (!ranges_hold(gone, m->client[i]))
			m->client[kept++] = m->client[i];
	HOLDS("VANISHED names what the client has", m->count - kept == ranges_size(gone));
	m->count = kept;
	ranges_free(gone);
}

static void
client_hears(struct model *m, struct view *v, bool expunges)
{
	struct ranges gone = { 0 };
	uint32_t      number;

	/* Half of the time by uid, as rfc7162:3.2.10 has it. */
	if (expunges && roll(m, 2) == 0) {
		while (view_vanish(v, &gone))
			client_hears_vanished(m, &gone);
	}
	while (expunges && (number = view_expunge_next(v)) != 0) {
		HOLDS("an EXPUNGE names a message there is", number >= 1 && number <= m->count);
		memmove(&m->client[number - 1], &m->client[number], (m->count - number) * sizeof m->client[0]);
		m->count--;
	}
	if (v->arrived && view_arrive(v)) {
		HOLDS("EXISTS only grows", view_count(v) >= m->count);
		while (m->count < view_count(v)) {
			m->client[m->count] = view_uid(v, m->count + 1);
			m->count++;
		}
	}
}

static void
check_view(struct model *m, struct view *v)
{
	HOLDS("nothing was lost", !v->lost);
	HOLDS("rfc3501:5.5 the count is what was told", view_count(v) == m->count);
	for (uint32_t n = 1; n <= m->count; n++) {
		HOLDS("rfc3501:2.3.1.2 a number means its uid", view_uid(v, n) == m->client[n - 1]);
		HOLDS("a uid has its number", view_number(v, m->client[n - 1]) == n);
		HOLDS("the next is the next", view_next(v, n == 1 ? 1 : m->client[n - 2] + 1) == m->client[n - 1]);
	}
	HOLDS("behind the last is nothing", m->count == 0 || view_next(v, m->client[m->count - 1] + 1) == 0);
}

static void
somebody_expunges(struct model *m, struct mailbox *box)
{
	struct arena *scratch = arena_open(NULL);
	uint32_t there = mailbox_count(box);
	struct uid_range range;
	struct uid_set gone;

	if (there > 0) {
		range.first = mailbox_entry(box, roll(m, there)).uid;
		range.last = range.first + roll(m, 6);
		assert_int_equal(mailbox_expunge(box, &(struct uid_set){ &range, 1 }, true, scratch, &gone, NULL), 0);
	}
	arena_close(&scratch);
}

static void
test_follows(void **state)
{
	struct lab *l = lab_open();
	struct model m = { .dice = 42 };
	int why;
	struct account *account = account_take(l->store, LAB_ACCOUNT, &why);
	struct mailbox *box, *own;
	struct view *v;
	struct uid_set source;
	struct uid_range first = { 1, 1 }, made;

	(void)state;
	assert_int_equal(account_create(account, "work", USE_NONE), 0);
	lab_letter(l, "INBOX", (struct bytes){ 0 }, (struct bytes){ 0 }, BYTES("Subject: x\r\n\r\nx\r\n"), 0);
	own = mailbox_take(account, "INBOX", &why);
	box = mailbox_take(account, "work", &why);
	v = view_open(mailbox_take(account, "work", &why), false, true, no_news, NULL);
	for (int i = 0; i < 3000; i++) {
		struct arena *scratch = arena_open(NULL);
		switch (roll(&m, 5)) {
		case 0: case 1:
			assert_int_equal(mailbox_copy(own, &(struct uid_set){ &first, 1 }, box, false, scratch, &source, &made, NULL), 0);
			break;
		case 2:
			somebody_expunges(&m, box);
			break;
		case 3:
			client_hears(&m, v, false);
			break;
		case 4:
			client_hears(&m, v, roll(&m, 4) == 0);
			break;
		}
		if (i % 10 == 0)
			check_view(&m, v);
		arena_close(&scratch);
		if (i % 100 == 0)
			lab_settle(l, 0);
	}
	client_hears(&m, v, true);
	check_view(&m, v);
	HOLDS("both truths meet", m.count == mailbox_count(box));
	view_close(&v);
	mailbox_drop(&own);
	mailbox_drop(&box);
	account_drop(&account);
	lab_close(l);
}

UNIT(test_follows)
