/* The place of a uid among others, with gaps of every kind, against counting from the front. */
#include "../unit.h"

#include "store/rows.h"

static uint32_t
counted(const struct rows *r, uint32_t uid)
{
	uint32_t i = 0;

	while (i < r->count && r->uid[i] < uid)
		i++;
	return i;
}

static void
fill(struct rows *r, uint32_t count, uint32_t gap, uint32_t jump_at, uint32_t jump)
{
	uint32_t uid = 0, dice = count * 7 + gap;

	for (uint32_t i = 0; i < count; i++) {
		dice = dice * 1103515245u + 12345u;
		uid += 1 + (gap > 0 ? dice / 65536u % gap : 0) + (i == jump_at ? jump : 0);
		rows_add(r, &(struct entry){ .uid = uid });
	}
}

static void
the_place_is_the_one_counted(void **state)
{
	static const struct {
		const char *why;
		uint32_t    count, gap, jump_at, jump;
	} rows[] = {
		{ "none", 0, 0, 0, 0 },
		{ "one", 1, 0, 0, 4 },
		{ "two", 2, 0, 1, 9 },
		{ "no gaps", 500, 0, 0, 0 },
		{ "small gaps", 400, 5, 0, 0 },
		{ "a long way before the first", 100, 0, 0, 800 },
		{ "all at the front, one far behind", 300, 0, 299, 1500 },
		{ "one at the front, all far behind", 300, 0, 1, 1500 },
		{ "a hole in the middle", 300, 3, 150, 1000 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct rows r = { 0 };
		fill(&r, rows[i].count, rows[i].gap, rows[i].jump_at, rows[i].jump);
		for (uint32_t uid = 0; uid < 3000; uid++)
			HOLDS(rows[i].why, rows_first_at_least(&r, uid) == counted(&r, uid));
		HOLDS(rows[i].why, rows_first_at_least(&r, UINT32_MAX) == r.count);
		rows_free(&r);
	}
}

UNIT(the_place_is_the_one_counted)
