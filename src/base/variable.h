/*
 * variable -- the long names of Dovecot's variables
 *
 * Where a setting has %u, %n, %d and %h for a user's name, what stands before its @, the domain and the home, other
 * servers' files may say %{user}, %{username}, %{domain} and %{home}; with an L or a U before the brace, or |lower, |upper,
 * |username or |domain behind the name, as %L{user} or %{user|username|lower}.
 *
 * variable_shorten()  the same text with the short names.  What it does not know stays as it is, so that whoever reads
 *     the text says what is wrong with it.  The text itself where there is nothing to do.
 */
#ifndef BASE_VARIABLE_H
#define BASE_VARIABLE_H

#include "base/arena.h"

const char *variable_shorten(const char *text, struct arena *);

#endif
