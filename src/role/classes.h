/*
 * classes -- domains that two settings claim, of which one alone can have their mail
 *
 * From:     command config check
 * Touches:  the files of lists and tables, by the source that is given; nothing is connected to
 *
 * classes_check()  looks for every name of mydestination, virtual_alias_domains, virtual_mailbox_domains and relay_domains, and
 *     every domain of the directory (`ours`, one at the front of each line, "" none), in the others: words and /files, keys of tables whose
 *     files are here.  Each that is in two is warned of, with the lines of the settings.  Words against words are errors, and
 *     settings-check.c's.  Tables of a server that is elsewhere are asked when mail is refused (resolve.h, `claimed`).
 */
#ifndef ROLE_CLASSES_H
#define ROLE_CLASSES_H

#include "directory/table.h"
#include "base/setting.h"

void classes_check(struct settings *, const struct table_source *, struct bytes ours, struct buffer *warnings);

#endif
