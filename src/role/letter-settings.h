/*
 * letter-settings -- what rows alone cannot know of settings about what is done with letters: header and body checks, filters,
 * scanners for viruses
 *
 * From:     the check of settings
 * Touches:  nothing: no table is opened, nobody is connected to
 *
 * letter_settings_check() complains of each: which setting it is, and a text that begins with its name.  Of one kind the first
 *                         is enough.
 */
#ifndef ROLE_LETTER_SETTINGS_H
#define ROLE_LETTER_SETTINGS_H

#include "role/listeners.h"

void letter_settings_check(struct settings *, const struct listeners *, void (*complain)(void *ctx, const char *setting, const char *text), void *ctx);

#endif
