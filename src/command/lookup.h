/*
 * lookup -- what Postfix's commands on tables and settings share: postmap, postalias, newaliases, postconf
 *
 * Their options, output and exit status (0, or 1 for whatever went wrong) are those of Postfix; complaints begin
 * with the name they were called by: "postmap: warning: ", "postmap: fatal: ".
 *
 * lookup_config()    the file of settings in the directory (or the file) that -c names.
 * lookup_settings()  reads it; without a file, the standard settings.  NULL after complaining of a bad one.
 */
#ifndef COMMAND_LOOKUP_H
#define COMMAND_LOOKUP_H

#include "command/command.h"

void lookup_warn(const struct call *, const char *form, ...) __attribute__((format(printf, 2, 3)));
int  lookup_fatal(const struct call *, const char *form, ...) __attribute__((format(printf, 2, 3)));      /* 1 */
const char *lookup_config(const char *of_option, struct arena *);
struct settings *lookup_settings(const struct call *);

#endif
