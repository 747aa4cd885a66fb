/*
 * postconf-templates -- postconf -t and -b: the texts of notices as they are written, and with every $name put in
 *
 * templates_show()  those of the file (NULL: of bounce_template_file), and our own where it has none.  The exit status.
 */
#ifndef COMMAND_POSTCONF_TEMPLATES_H
#define COMMAND_POSTCONF_TEMPLATES_H

#include "base/setting.h"

int templates_show(struct settings *, const char *file, bool expanded);

#endif
