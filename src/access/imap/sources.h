/*
 * sources -- which mailboxes ESEARCH looks into (rfc7377:2.2)
 *
 * From:     ESEARCH
 * To:       reach, which knows what there is and who may see it
 *
 * sources_read()  esearch-source-opts; the scanner stands before "IN (".  Without it: the selected mailbox.
 *                 A selected mailbox must be there when it is asked for.
 * sources_list()  their names, sorted, each once; whether they can be read shows when they are taken.
 * selected_name() the selected mailbox as the reader calls it.
 */
#ifndef ACCESS_IMAP_SOURCES_H
#define ACCESS_IMAP_SOURCES_H

#include "access/imap/session.h"

struct source;
struct sources {
	struct source *first, **last;
	size_t         names;
	bool           others;         /* than the selected one were named        */
};

void sources_read(struct imap *, struct scan *, struct sources *);
size_t sources_list(struct imap *, const struct sources *, const char ***out);
const char *selected_name(struct imap *);

#endif
