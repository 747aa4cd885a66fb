/*
 * proxymap -- the one role that asks other servers about tables and keeps their passwords
 *
 * From:     postmaster (whether it is wanted), role/settings
 *
 * It lives only while the settings name something that is kept elsewhere.  Each table has a lane
 * (role/lanes.h) of `table_connections` threads, so that a database that is away holds up nobody else's
 * questions; what waits is bounded.  Its cage is built around what the .cf files lead to: when they
 * lead elsewhere after a reload, it starts anew.
 */
#ifndef ROLE_PROXYMAP_H
#define ROLE_PROXYMAP_H

#include "base/setting.h"

struct proxymap_settings {
	int64_t connections;           /* of one table at once                     */
	int64_t cache_ms;              /* how long an answer is known to who asked */
	int64_t cache_most;            /* answers                                  */
	int64_t login_ms;              /* of saslauthd and of Dovecot              */
};
extern const struct setting_table proxymap_setting_table;
bool proxymap_is_wanted(struct settings *);

#endif
