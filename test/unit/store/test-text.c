/* The text index: what it says is what a plain look through all texts says, on a file whole or not. */
#include "unit.h"

#include <dirent.h>

#include "base/buffer.h"
#include "kit.h"
#include "store/inside.h"
#include "store/text-inside.h"

enum { MESSAGES = 600 };
static const char *const words[] = { "alpha", "beta", "\xe4\xbc\x9a\xe8\xae\xae", "gamma", "x", "delta \xe5\x8c\x97\xe4\xba\xac", "report", "zz" };
static char body[MESSAGES][3000];
static char header[MESSAGES][100];

static void
make_texts(void)
{
	unsigned seed = 7;

	for (int i = 0; i < MESSAGES; i++) {
		size_t n = 0;
		while (n < 2000) {
			seed = seed * 1103515245 + 12345;
			n += (size_t)snprintf(body[i] + n, sizeof body[i] - n, "%s%u ", words[seed >> 16 & 7], seed >> 20 & 4095);
		}
		body[i][n] = '\xff';
		(void)snprintf(header[i], sizeof header[i], "subject: letter %d\xffx-of: %s\xff", i, words[i & 7]);
	}
}

static void
put_all(struct text *t, int from, int to)
{
	for (int i = from; i < to; i++)
		text_add(t, &(struct text_entry){ .message = (uint64_t)i + 1,
			                          .too_long = i % 100 == 99,
			                          .own = BYTES("delivered-to: jack@example.com\r\n\xff"),
			                          .header = bytes_of(header[i]),
			                          .body = bytes_of(body[i]) });
}

static bool
truth(int i, enum search_where where, const char *field, const char *needle)
{
	if (where == SEARCH_HEADER && strcmp(field, "subject") == 0)
		return memmem(header[i], (size_t)(strchr(header[i], '\xff') - header[i]), needle, strlen(needle)) != NULL;
	if (where == SEARCH_HEADER && strcmp(field, "delivered-to") == 0)
		return strstr("jack@example.com", needle) != NULL;
	if (where == SEARCH_HEADER)
		return strcmp(field, "x-of") == 0 && strstr(strstr(header[i], "x-of: ") + 6, needle) != NULL;
	return strstr(body[i], needle) != NULL || (where == SEARCH_TEXT && (strstr(header[i], needle) != NULL ||
		strstr("delivered-to: jack@example.com\r\n", needle) != NULL));
}

/* How many of the questions are asked of each damaged file. */
static size_t asks = SIZE_MAX;

/* Whatever the index knows is right; how many messages it knows. */
static int
check_all(const char *why, struct text *t)
{
	static const struct { enum search_where where; const char *needle, *field; } asked[] = {
		{ SEARCH_BODY, "alpha1", "" }, { SEARCH_BODY, "\xe4\xbc\x9a\xe8\xae\xae", "" }, { SEARCH_BODY, "\xe5\x8c\x97\xe4\xba\xac" "77", "" },
		{ SEARCH_TEXT, "letter 17", "" }, { SEARCH_BODY, "letter 17", "" }, { SEARCH_TEXT, "z", "" }, { SEARCH_TEXT, "never said", "" },
		{ SEARCH_TEXT, "jack@", "" }, { SEARCH_BODY, "jack@", "" }, { SEARCH_HEADER, "report", "x-of" }, { SEARCH_HEADER, "letter", "x-of" },
		/* what a field says is kept: asked once more, with other words, and others between */
		{ SEARCH_HEADER, "a", "x-of" }, { SEARCH_HEADER, "", "x-of" }, { SEARCH_HEADER, "e", "subject" },
		{ SEARCH_HEADER, "letter 1", "subject" }, { SEARCH_HEADER, "letter 17", "subject" }, { SEARCH_HEADER, "", "delivered-to" },
		{ SEARCH_HEADER, "jack@", "delivered-to" }, { SEARCH_HEADER, "report", "delivered-to" }, { SEARCH_HEADER, "report", "x-of" },
		{ SEARCH_HEADER, "", "x" }, { SEARCH_HEADER, "r", "f3" }, { SEARCH_HEADER, "r", "f4" }, { SEARCH_HEADER, "r", "f5" },
		{ SEARCH_HEADER, "r", "f6" }, { SEARCH_HEADER, "r", "f7" }, { SEARCH_HEADER, "r", "f8" }, { SEARCH_HEADER, "r", "x-of" },
	};
	int known = 0;

	for (size_t q = 0; q < COUNT(asked) && q < asks; q++) {
		struct arena *a = arena_open(NULL);
		struct text_ask ask = { .where = asked[q].where, .field = bytes_of(asked[q].field),
			                      .needle = bytes_of(asked[q].needle) };

		text_ask_open(&ask, t, a);
		for (uint64_t id = 1; id <= MESSAGES; id++)
			text_want(&ask, id);
		while (!text_ask_go(&ask, 1))
			;
		known = 0;
		for (int i = 0; i < MESSAGES; i++) {
			int64_t at = text_place(t, (uint64_t)i + 1);
			if (at < 0 || at >= ask.limit)
				continue;
			known++;
			HOLDS(why, (ask.bits[at / 64] >> (at % 64) & 1) == truth(i, ask.where, asked[q].field, asked[q].needle));
		}
		arena_close(&a);
	}
	return known;
}

static struct text *
open_text(struct kit *k, struct account **a)
{
	int why;
	struct text *t;

	text_wanted(k->store, true);
	*a = account_take(k->store, 1, &why);
	HOLDS("an account", *a != NULL);
	t = text_of(*a);
	HOLDS("an index", t != NULL);
	while (!text_load(t, 1))
		;
	return t;
}

static void
close_all(struct kit *k, struct account **a)
{
	account_drop(a);
	kit_turns(k);
	kit_close(k);
}

static void
test_says_what_is_there(void **state)
{
	struct kit k;
	struct account *a;
	struct text *t;

	(void)state;
	make_texts();
	memset(&k, 0, sizeof k);
	kit_folder(&k);
	kit_open(&k);
	t = open_text(&k, &a);
	HOLDS("an empty one knows nothing", check_all("empty", t) == 0);
	put_all(t, 0, 50);
	HOLDS("too long ones are left out", check_all("in memory", t) == 50);
	put_all(t, 20, MESSAGES);
	HOLDS("all", check_all("in blocks and memory", t) == MESSAGES - 6);
	close_all(&k, &a);
	kit_open(&k);
	t = open_text(&k, &a);
	HOLDS("all after opening", check_all("opened", t) == MESSAGES - 6);
	text_drop(t);
	HOLDS("dropped", check_all("dropped", t) == 0);
	put_all(t, 0, MESSAGES);
	HOLDS("made anew", check_all("anew", t) == MESSAGES - 6);
	close_all(&k, &a);
	kit_remove(&k);
}

static long
file_of(struct kit *k, const char *mode, char *all, long len, long flip)
{
	char path[128];
	FILE *f;
	long n = len;

	(void)snprintf(path, sizeof path, "%s/01/1/text", k->path);
	f = fopen(path, mode);
	HOLDS("the file", f != NULL);
	if (mode[0] == 'r')
		n = (long)fread(all, 1, (size_t)len, f);
	else {
		if (flip >= 0)
			all[flip] = (char)~all[flip];
		HOLDS("written", (long)fwrite(all, 1, (size_t)len, f) == len);
		if (flip >= 0)
			all[flip] = (char)~all[flip];
	}
	fclose(f);
	return n;
}

static void
test_a_torn_or_damaged_file_lies_never(void **state)
{
	enum { ROOM = 4 << 20 };
	char *all = malloc(ROOM);
	struct kit k;
	struct account *a;
	struct text *t;
	long size;

	(void)state;
	make_texts();
	memset(&k, 0, sizeof k);
	kit_folder(&k);
	kit_open(&k);
	t = open_text(&k, &a);
	put_all(t, 0, MESSAGES);
	close_all(&k, &a);
	size = file_of(&k, "rb", all, ROOM, -1);
	HOLDS("of some blocks", size > 100000);
	asks = 12;
	for (long cut = 0; cut < size; cut += size / 37) {
		file_of(&k, "wb", all, cut, -1);
		kit_open(&k);
		t = open_text(&k, &a);
		HOLDS("cut", check_all("cut", t) < MESSAGES);
		put_all(t, 0, MESSAGES);
		HOLDS("made whole", check_all("made whole", t) == MESSAGES - 6);
		close_all(&k, &a);
	}
	for (long flip = 0; flip < size; flip += flip < 300 ? 7 : size / 41) {
		file_of(&k, "wb", all, size, flip);
		kit_open(&k);
		t = open_text(&k, &a);
		(void)check_all("flipped", t);
		put_all(t, 0, MESSAGES);
		HOLDS("made whole", check_all("made whole", t) == MESSAGES - 6);
		close_all(&k, &a);
	}
	asks = SIZE_MAX;
	kit_remove(&k);
	free(all);
}

static void
message_row(struct account *a, uint64_t message)
{
	sqlite3_stmt *s = index_ready(a->index, MESSAGE_PUT);

	(void)sqlite3_bind_int64(s, 1, (int64_t)message);
	for (int i = 2; i <= sqlite3_bind_parameter_count(s); i++)
		(void)sqlite3_bind_int(s, i, 0);
	HOLDS("a row", index_do(a->index, s) == 0);
}

static void
test_what_is_gone_leaves_the_file(void **state)
{
	struct kit k;
	struct account *a;
	struct text *t;
	uint64_t size;
	uint32_t made;

	(void)state;
	make_texts();
	memset(&k, 0, sizeof k);
	kit_folder(&k);
	kit_open(&k);
	t = open_text(&k, &a);
	put_all(t, 0, MESSAGES);
	for (int i = 0; i < MESSAGES; i++)
		message_row(a, (uint64_t)i + 1);
	HOLDS("while all live nothing is done", !text_gather(t));
	for (int i = 0; i < MESSAGES; i++)
		if (i % 5 != 0) {
			sqlite3_stmt *s = index_ready(a->index, MESSAGE_DELETE);
			(void)sqlite3_bind_int64(s, 1, i + 1);
			HOLDS("gone", index_do(a->index, s) == 0);
		}
	HOLDS("not looked at again so soon", !text_gather(t));
	t->sampled_ms = 0;
	size = text_size(t);
	made = text_generation(t);
	HOLDS("some work", text_gather(t));
	put_all(t, 0, MESSAGES);
	while (text_gather(t))
		;
	HOLDS("those that live", text_count(t) == MESSAGES / 5);
	HOLDS("places are others", text_generation(t) != made);
	HOLDS("small", text_size(t) < size / 3);
	HOLDS("they say the same", check_all("gathered", t) == MESSAGES / 5);
	put_all(t, 0, MESSAGES);
	HOLDS("it goes on", check_all("gone on", t) == MESSAGES - 6);
	close_all(&k, &a);
	kit_open(&k);
	t = open_text(&k, &a);
	HOLDS("and is opened", check_all("opened", t) == MESSAGES - 6);
	close_all(&k, &a);
	kit_remove(&k);
}

UNIT(test_what_is_gone_leaves_the_file, test_says_what_is_there, test_a_torn_or_damaged_file_lies_never)
