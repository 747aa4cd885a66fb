#include "smtp/receiver/words.h"

#include <string.h>

/* A table is asked for it in lower case. */
static bool
fits(struct network_tables *tables, const char *item, struct bytes word)
{
	char key[WORD_KEY_ROOM];

	if (bytes_is(word, item))
		return true;
	return tables != NULL && strchr(item, ':') != NULL && word_key(word, key) &&
	       tables->find(tables, item, key) == NETWORK_HAS;
}

bool
word_key(struct bytes word, char key[static WORD_KEY_ROOM])
{
	if (!bytes_string(bytes_cut(word, 0, WORD_KEY_ROOM - 1), key, WORD_KEY_ROOM))
		return false;
	for (char *c = key; *c != '\0'; c++)
		*c = ascii_lower(*c);
	return true;
}

bool
word_listed(struct network_tables *tables, const struct setting_list *list, struct bytes word)
{
	for (size_t i = 0; i < list->count; i++) {
		bool no = list->item[i][0] == '!';

		if (fits(tables, list->item[i] + no, word))
			return !no;
	}
	return false;
}

/* rfc5322:2.2: printable characters but the colon. */
bool
word_begins_field(struct bytes word)
{
	for (size_t i = 0; i < word.len; i++) {
		if (word.at[i] == ':')
			return i > 0;
		if (word.at[i] <= ' ' || word.at[i] > '~')
			return false;
	}
	return false;
}
