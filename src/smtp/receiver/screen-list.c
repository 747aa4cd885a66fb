#include "smtp/receiver/screen-list.h"

#include <string.h>

#include "smtp/receiver/settings.h"

static const struct {
	const char        *word;
	enum screen_access says;
} access_words[] = {
	{ "permit_mynetworks", ACCESS_ALLOWED },
	{ "permit", ACCESS_ALLOWED },
	{ "reject", ACCESS_DENIED },
	{ "dunno", ACCESS_OVER },
};

static enum screen_access
word_says(struct bytes word, bool trusted)
{
	for (size_t i = 0; i < COUNT(access_words); i++)
		if (bytes_is(word, access_words[i].word))
			return i > 0 || trusted ? access_words[i].says : ACCESS_NOTHING;
	return ACCESS_NOTHING;
}

static enum screen_access
words_say(struct bytes rest, bool trusted)
{
	enum screen_access says = ACCESS_NOTHING;

	for (size_t n = 0; says == ACCESS_NOTHING && rest.len > 0; n = 0) {
		while (n < rest.len && memchr(", \t\r\n", rest.at[n], 5) == NULL)
			n++;
		says = word_says(bytes_cut(rest, 0, n), trusted);
		rest = bytes_cut(rest, n + 1, SIZE_MAX);
	}
	return says == ACCESS_OVER ? ACCESS_NOTHING : says;
}

enum screen_access
screen_list_says(const struct setting_list *list, bool trusted, screen_find *find, void *ctx,
                 const char **by)
{
	struct arena      *a = arena_open(NULL);
	enum screen_access says = ACCESS_NOTHING;
	struct bytes       value;

	*by = "";
	for (size_t i = 0; i < list->count && says == ACCESS_NOTHING; i++) {
		if (strchr(list->item[i], ':') == NULL)
			says = word_says(bytes_of(list->item[i]), trusted);
		else if (find(ctx, list->item[i], a, &value))
			says = words_say(value, trusted);
		if (says != ACCESS_NOTHING)
			*by = list->item[i];
	}
	arena_close(&a);
	return says;
}

const char *
screen_access_wrong(const struct setting_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		bool known = strchr(list->item[i], ':') != NULL;

		for (size_t n = 0; n < COUNT(access_words); n++)
			known = known || bytes_is(bytes_of(list->item[i]), access_words[n].word);
		if (!known)
			return list->item[i];
	}
	return NULL;
}
