/*
 * askers -- which users of this machine may ask the queue without being root, and send letters with sendmail
 *
 * As Postfix's lists of users: names, !names, /files of such, tables of such that are files, and static:anyone; the first that fits decides, and who is
 * not named may not.  Root may always, and who runs the server.
 *
 * askers_lines()   the lists with uids for names, "mailq any\nflush !1001 1000\nsubmit any\n": for the queue, which sees no
 *                  tables of the system.  A name nobody has is left out.
 * askers_check()   complains of tables in which nobody can be found; false then.
 * askers_may()     what these lines say of a uid.
 */
#ifndef ROLE_ASKERS_H
#define ROLE_ASKERS_H

#include "role/settings.h"
#include <sys/types.h>

enum { ASK_DENIED = 77 };              /* EX_NOPERM, as Postfix's commands end */

void askers_lines(struct settings *, struct buffer *lines);
bool askers_check(struct settings *, void (*complain)(void *ctx, const char *setting, const char *why), void *ctx);
bool askers_may(const char *lines, const char *what, uid_t);

extern const struct setting_table asker_setting_table;

#endif
