/*
 * strangers -- whether the settings would let somebody whom nobody knows send to anybody
 *
 * From:     settings-check
 * Touches:  the files of tables that it looks into
 *
 * strangers_warn()  asks the lists of every listener that takes letters without a login what they say of a few clients of the
 *     Internet, from the connection to RCPT for a recipient of another server, and appends a line for each way in that it finds:
 *     a mynetworks that has such a client, a list that permits one, a relay_domains that has every domain.
 *     A client's name is confirmed, its domain is there, services and lists of the DNS know nothing of it, and
 *     what a database says nobody asks: what is told of is so, and what is not told of may be.
 */
#ifndef ROLE_STRANGERS_H
#define ROLE_STRANGERS_H

#include "role/listeners.h"

void strangers_warn(struct settings *, const struct listeners *, const char *file, struct buffer *warnings);

#endif
