/* Threads of messages given as ids: rfc5256:3 step by step, and chains nobody would write by accident. */
#include "unit.h"

#include "access/imap/threads.h"

enum { MOST = 20000 };
static struct thread_message m[MOST];
static uint64_t reference[MOST][3];

/* One row: id, references, subject, whether a reply, date. */
struct row { uint64_t id, reference[3]; uint64_t subject; bool reply; int64_t date; };

static struct buffer
thread(enum thread_how how, uint32_t count, size_t most)
{
	struct arena *a = arena_open(NULL);
	struct threads *t = threads_open(how, m, count, a);
	struct buffer out = { 0 };

	while (!threads_go(t, most))
		;
	while (!threads_say(t, &out, out.len + 100))
		;
	threads_close(&t);
	arena_close(&a);
	return out;
}

static void
fill(const struct row *row, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		m[i] = (struct thread_message){ (uint32_t)i + 1, row[i].reply, row[i].id, row[i].subject, row[i].date, row[i].reference, 0 };
		while (m[i].references < 3 && row[i].reference[m[i].references] != 0)
			m[i].references++;
	}
}

static void
test_rules(void **state)
{
	static const struct {
		const char *why; enum thread_how how; struct row row[6]; const char *said;
	} rows[] = {
		{ "1A: parents from references, 6: by date", THREAD_REFERENCES,
		  { { 1, { 0 }, 0, false, 1 }, { 2, { 1 }, 0, true, 3 }, { 3, { 1 }, 0, true, 2 } }, "(1 (3)(2))" },
		{ "1A: a message not here joins others", THREAD_REFERENCES,
		  { { 1, { 9 }, 0, false, 1 }, { 2, { 9 }, 0, false, 2 } }, "((1)(2))" },
		{ "3: a dummy with one child is the child", THREAD_REFERENCES,
		  { { 1, { 9 }, 0, false, 1 }, { 2, { 1 }, 0, false, 2 } }, "(1 2)" },
		{ "1A: of one id twice only the first is referred to", THREAD_REFERENCES,
		  { { 1, { 0 }, 0, false, 1 }, { 1, { 0 }, 0, false, 2 }, { 3, { 1 }, 0, false, 3 } }, "(1 3)(2)" },
		{ "1A: no loop", THREAD_REFERENCES, { { 1, { 2 }, 0, false, 1 }, { 2, { 1 }, 0, false, 2 } }, "(2 1)" },
		{ "1A: its own parent", THREAD_REFERENCES, { { 1, { 1 }, 0, false, 1 } }, "(1)" },
		{ "1B: the last reference wins over what another said", THREAD_REFERENCES,
		  { { 3, { 1, 4 }, 0, false, 3 }, { 4, { 2 }, 0, false, 2 }, { 1, { 0 }, 0, false, 1 }, { 2, { 0 }, 0, false, 1 } }, "(3)(4 2 1)" },
		{ "4: threads by the date of their heads", THREAD_REFERENCES,
		  { { 1, { 0 }, 0, false, 5 }, { 2, { 0 }, 0, false, 2 }, { 3, { 2 }, 0, false, 9 } }, "(2 3)(1)" },
		{ "5: a reply by its subject alone", THREAD_REFERENCES,
		  { { 1, { 0 }, 7, false, 1 }, { 2, { 0 }, 7, true, 2 } }, "(1 2)" },
		{ "5: two heads that are no replies are brothers", THREAD_REFERENCES,
		  { { 1, { 0 }, 7, false, 1 }, { 2, { 0 }, 7, false, 2 } }, "((1)(2))" },
		{ "5: the reply came first", THREAD_REFERENCES,
		  { { 1, { 0 }, 7, true, 1 }, { 2, { 0 }, 7, false, 2 } }, "(2 1)" },
		{ "5: no subject, no merging", THREAD_REFERENCES,
		  { { 1, { 0 }, 0, true, 1 }, { 2, { 0 }, 0, false, 2 } }, "(1)(2)" },
		{ "5: three heads", THREAD_REFERENCES,
		  { { 1, { 0 }, 7, false, 1 }, { 2, { 0 }, 7, false, 2 }, { 3, { 0 }, 7, false, 3 } }, "((1)(2)(3))" },
		{ "REFS: subjects say nothing", THREAD_REFS, { { 1, { 0 }, 7, false, 1 }, { 2, { 0 }, 7, true, 2 } }, "(1)(2)" },
		{ "REFS: threads by their youngest", THREAD_REFS,
		  { { 1, { 0 }, 0, false, 1 }, { 2, { 0 }, 0, false, 2 }, { 3, { 1 }, 0, false, 3 } }, "(2)(1 3)" },
		{ "ORDEREDSUBJECT: the first is the thread, others its children", THREAD_ORDEREDSUBJECT,
		  { { 1, { 0 }, 7, false, 5 }, { 2, { 0 }, 8, false, 2 }, { 3, { 0 }, 7, true, 3 }, { 4, { 0 }, 7, true, 9 } }, "(2)(3 (1)(4))" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint32_t count = 0;
		while (count < 6 && rows[i].row[count].id != 0)
			count++;
		for (size_t most = 1; most <= 1000; most *= 31) {
			struct buffer said;
			fill(rows[i].row, count);
			said = thread(rows[i].how, count, most);
			SAME(rows[i].why, buffer_bytes(&said), bytes_of(rows[i].said));
			buffer_free(&said);
		}
	}
}

/* Each refers to the one before, to the one behind, all to one, and the two ends to one another. */
static void
test_long_chains(void **state)
{
	(void)state;
	for (int shape = 0; shape < 4; shape++) {
		struct buffer said;
		size_t numbers = 0;

		for (uint32_t i = 0; i < MOST; i++) {
			uint64_t other = shape == 0 ? i : shape == 1 ? i + 2 : shape == 2 ? 1 : i == 0 ? MOST : i;
			reference[i][0] = other;
			m[i] = (struct thread_message){ i + 1, false, i + 1, 0, (int64_t)(i * 7919 % MOST), reference[i], other != 0 };
		}
		said = thread(THREAD_REFERENCES, MOST, 500);
		for (size_t i = 0; i < said.len; i++)
			numbers += said.at[i] >= '0' && said.at[i] <= '9' && (i == 0 || said.at[i - 1] < '0' || said.at[i - 1] > '9');
		HOLDS("every message is said once", numbers == MOST);
		buffer_free(&said);
	}
}

static int
by_row(const void *ctx, const struct sort_item *a, const struct sort_item *b)
{
	(void)ctx;
	return a->row < b->row ? -1 : a->row > b->row;
}

static void
test_sorter(void **state)
{
	(void)state;
	for (uint32_t count = 0; count < 9000; count += count < 20 ? 1 : count < 200 ? 37 : 2111) {
		struct arena *a = arena_open(NULL);
		struct sort_item *item = arena_take_array(a, count + 1, sizeof *item);
		struct sorter s;

		for (uint32_t i = 0; i < count; i++)
			item[i] = (struct sort_item){ count < 3000 ? i * 7919 % 13 : count < 7000 ? (uint64_t)i * UINT64_C(0x9e3779b97f4a7c15) >> 3
				: ~(uint64_t)(i * 7919 % 4001), i, (count - i) / 3 };
		sorter_open(&s, item, count, a, by_row, NULL);
		while (!sorter_go(&s, 1 + count / 5))
			;
		for (uint32_t i = 1; i < count; i++)
			HOLDS("in order, what is equal in the order it had",
			      item[i - 1].key < item[i].key || (item[i - 1].key == item[i].key &&
			      (item[i - 1].row < item[i].row || (item[i - 1].row == item[i].row && item[i - 1].number < item[i].number))));
		arena_close(&a);
	}
	HOLDS("numbers below 0 come first", sort_key_of(-1) < sort_key_of(0));
	HOLDS("a prefix comes first", sort_key_of_text(BYTES("ab")) < sort_key_of_text(BYTES("abc")));
}

UNIT(test_rules, test_long_chains, test_sorter)
