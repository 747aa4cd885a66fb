/*
 * words -- what a client says where a command should be, and the lists of such words
 *
 * word_listed()        whether a list has it: words, in any case, tables that have it, with ! before those that say no;
 *                      the first that fits decides.
 * word_key()           as which tables are asked for it: in lower case, and not longer than that; false: it has a NUL.
 * word_begins_field()  "From:", "subject:hello": the line is one of a letter.
 *
 * Touches:  the tables of the list alone.
 */
#ifndef SMTP_RECEIVER_WORDS_H
#define SMTP_RECEIVER_WORDS_H

#include "smtp/receiver/settings.h"

enum { WORD_KEY_ROOM = 256 };
bool word_key(struct bytes word, char key[static WORD_KEY_ROOM]);
bool word_listed(struct network_tables *, const struct setting_list *, struct bytes word);
bool word_begins_field(struct bytes word);

#endif
