/* postscreen_access_list and what its tables say, and message_reject_characters: before | the setting, behind it what
   each table has. */
#include <stdlib.h>
#include <string.h>

#include "smtp/receiver/screen-list.h"
#include "smtp/receiver/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

static bool
find(void *ctx, const char *table, struct arena *a, struct bytes *out)
{
	if (strchr(table, ':') == NULL)
		abort();
	*out = arena_keep(a, *(const struct bytes *)ctx);
	return true;
}

static void
ask(const struct setting_list *list, struct bytes value, bool trusted)
{
	const char        *by = NULL;
	enum screen_access says = screen_list_says(list, trusted, find, &value, &by);

	if (by == NULL || (says == ACCESS_NOTHING) != (by[0] == '\0'))
		abort();
	if (says == ACCESS_ALLOWED && !trusted && strcmp(by, "permit_mynetworks") == 0)
		abort();
	(void)screen_access_wrong(list);
}

int
LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
	struct arena       *a = arena_open(NULL);
	struct bytes        in = { (const char *)at, len }, setting, word;
	const char        **item = arena_take_array(a, len + 1, sizeof *item);
	struct setting_list list = { item, 0 };
	char                bytes[CHARACTERS_MOST];
	const char         *wrong = NULL;

	setting = bytes_cut(in, 0,
	                    memchr(at, '|', len) != NULL
	                            ? (size_t)((const uint8_t *)memchr(at, '|', len) - at)
	                            : len);
	for (struct bytes rest = setting; bytes_split(&rest, ' ', &word);)
		if (word.len > 0)
			item[list.count++] = arena_copy(a, word);
	ask(&list, bytes_cut(in, setting.len + 1, SIZE_MAX), false);
	ask(&list, bytes_cut(in, setting.len + 1, SIZE_MAX), true);
	if (characters_parse(arena_copy(a, in), bytes, &wrong) > CHARACTERS_MOST)
		abort();
	arena_close(&a);
	return 0;
}
