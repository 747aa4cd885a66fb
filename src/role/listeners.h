/*
 * listeners -- where clients come in: one for each service, and those an administrator names
 *
 * `listeners = reinject` makes a listener more, as a line of a master.cf does; what it speaks and where
 * it is are settings of its own (reinject/listener_service = smtp, reinject/listener_address =
 * 127.0.0.1:10026), and every other setting can be (reinject/content_filter =).
 *
 * listeners_read()  all of them, those of enum listener_service first, in its order, and pickup, whose unix socket in the state
 *     directory sendmail speaks to; `listeners` may name it to give it addresses besides.
 * listener_place()  which one has that name; `count` when none has.
 * listener_addresses()  where one that was named so listens; false when that cannot be read.
 * listener_rights()  whose its unix sockets are, and who may connect; false when that cannot be read.
 * listeners_check() complains of names that cannot be, and of those who speak nothing or nowhere;
 *     false then.  What a row says of a value goes to *errors as it is.
 *
 * Keeps:    names are those of the settings and live as long as they.
 */
#ifndef ROLE_LISTENERS_H
#define ROLE_LISTENERS_H

#include "role/settings.h"

enum { LISTENERS_MOST = 33, LISTENER_NAME_MOST = 15 };

struct listener_entry { const char *name; enum listener_service service; };
struct listeners { size_t count; struct listener_entry one[LISTENERS_MOST]; };

void   listeners_read(struct settings *, struct listeners *);
size_t listener_place(const struct listeners *, struct bytes name);
bool   listener_addresses(struct settings *, const char *name, struct setting_list *);
bool   listener_rights(struct settings *, const char *name, struct socket_rights *);
bool   listeners_check(struct settings *, void (*complain)(void *ctx, const char *setting, const char *why), void *ctx, struct buffer *errors);

extern const struct setting_table listener_setting_table;

#endif
