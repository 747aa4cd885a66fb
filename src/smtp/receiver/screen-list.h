/*
 * screen-list -- postscreen_access_list: who is tested before the greeting, who is not, and who is not wanted
 *
 * From:     smtp/receiver/screen, and mansio policy explain
 *
 * The words are permit_mynetworks, permit, reject, dunno and tables; what a table has for an address is such a list
 * again, without tables, and its dunno ends that one alone.  The first that says something decides.
 *
 * screen_list_says()   what it says of a client; `find` looks an address up in a table (false: it has nothing, or
 *     cannot be asked now).  *by: the word or table that decided, "" nothing did.
 * screen_access_wrong() in settings.h: the word that is none.
 */
#ifndef SMTP_RECEIVER_SCREEN_LIST_H
#define SMTP_RECEIVER_SCREEN_LIST_H

#include "base/arena.h"
#include "base/setting.h"

enum screen_access { ACCESS_NOTHING, ACCESS_OVER, ACCESS_ALLOWED, ACCESS_DENIED };
typedef bool screen_find(void *ctx, const char *table, struct arena *, struct bytes *out);
enum screen_access screen_list_says(const struct setting_list *, bool trusted, screen_find *find, void *ctx, const char **by);

#endif
