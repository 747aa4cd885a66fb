/*
 * postconf-doubts -- what Postfix's postconf warns of, and what it refuses to do at once
 *
 * From:     command/postconf
 *
 * postconf_elsewhere()  a setting of Postfix that is none here.
 * postconf_unused()     each name in the first so many lines that neither we nor Postfix know and nothing asks for by $name.
 * postconf_overruled()  warns of names that stand there twice.
 * postconf_clash()      whether two of the letters that were given do not go together; `why` says which.
 * postconf_means_cage() nothing but chroot and its kin is to be set with -F, as tutorials have it.
 */
#ifndef COMMAND_POSTCONF_DOUBTS_H
#define COMMAND_POSTCONF_DOUBTS_H

#include "base/setting.h"

struct call;
bool postconf_elsewhere(const char *name);
void postconf_unused(const struct settings *, int lines, void (*each)(void *ctx, const struct setting_entry *), void *ctx);
void postconf_overruled(const struct call *, struct bytes text);
enum { POSTCONF_WHY = 64 };
bool postconf_clash(const bool given[static 128], char why[static POSTCONF_WHY]);
bool postconf_means_cage(int argc, char **argv);

#endif
