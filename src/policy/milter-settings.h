/*
 * milter-settings -- the filters that settings name, and how each is spoken to
 *
 * milter_set_open()   compiles one list (smtpd_milters of a listener): items
 *      "inet:host:port", "inet:[2001:db8::1]:port", "unix:/path", or "{ inet:host:port, connect_timeout = 3s,
 *      command_timeout = ..., content_timeout = ..., default_action = accept, protocol = 6, reuse = yes }".
 *      NULL with words in *errors.  An empty list gives a set without filters.
 * milter_set_take(), milter_set_drop()  count its users; sessions keep the set they began with.
 */
#ifndef POLICY_MILTER_SETTINGS_H
#define POLICY_MILTER_SETTINGS_H

#include "base/setting.h"
#include "policy/milter.h"

enum milter_default { DEFAULT_ACCEPT, DEFAULT_REJECT, DEFAULT_TEMPFAIL, DEFAULT_QUARANTINE, DEFAULT_SHUTDOWN };
enum milter_quarantine { QUARANTINE_HOLD, QUARANTINE_MAILBOX };

struct milter_settings {
	struct setting_list smtpd, map_filters, maps, checks, macro_defaults, protocol;
	int     default_action;        /* enum milter_default                    */
	int     quarantine;            /* enum milter_quarantine                 */
	int64_t connect_ms, command_ms, content_ms;
	struct setting_list macros[MILTER_STAGES];
	const char *macro_daemon, *macro_v;
};
extern const struct setting_table milter_setting_table;

enum { MILTERS_MOST = 32 };
struct milter_line;
struct milter {
	const char *name;              /* "inet:127.0.0.1:8891": for the log     */
	const char *path;              /* of a unix socket; NULL: host and port  */
	const char *host;
	uint16_t port;
	int64_t connect_ms, command_ms, content_ms;
	int default_action, version;
	bool mute_headers;             /* no_header_reply                        */
	bool reuse;                    /* it knows QUIT_NEXT: a connection serves several sessions */
	/* what has become of it */
	bool failing;                  /* and the log knows                      */
	struct milter_line *idle;      /* connections that wait for a session    */
	uint32_t idles;
	uint64_t asked, failed;
};
struct milter_set {
	struct arena *life;
	unsigned users;
	bool gone;                     /* settings are new: nothing is kept idle any more */
	struct milter *each;
	size_t count;
	struct setting_list macros[MILTER_STAGES], macro_defaults;
	const char *daemon, *v;        /* values of {daemon_name} and v */
};
struct milter_set *milter_set_open(const struct milter_settings *, const struct setting_list *, struct buffer *errors);
struct milter_set *milter_set_take(struct milter_set *);
void milter_set_drop(struct milter_set **);

#endif
