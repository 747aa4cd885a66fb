#include "role/scope.h"

#include <string.h>

#include "access/imap/imap.h"
#include "directory/resolve.h"
#include "directory/srs.h"
#include "policy/witness-settings.h"
#include "role/certifier.h"
#include "role/chronicle.h"
#include "role/clerk.h"
#include "role/debug.h"
#include "role/guide.h"
#include "role/keeper.h"
#include "role/pam.h"
#include "role/proxymap.h"
#include "role/queue.h"
#include "role/sasl-settings.h"
#include "role/transports.h"

/* Tables that are read once for all. */
static const struct setting_table *const whole[] = {
	&common_setting_table,    &imap_setting_table,      &clerk_setting_table,
	&queue_setting_table,     &keeper_setting_table,    &pam_setting_table,
	&resolve_setting_table,   &proxymap_setting_table,  &sasl_setting_table,
	&debug_setting_table,     &chronicle_setting_table, &srs_setting_table,
	&certifier_setting_table, &guide_setting_table
};
/* What a listener may say of itself, of what is otherwise one for all: who is trusted, and what it is called. */
static const char *const selves[] = { "mynetworks", "syslog_name", "myhostname",
	                              "mydomain",   "myorigin",    "mail_name" };
/* Of rules that ask others: what was learned, and how it is asked for, belongs to all listeners. */
static const char *const shared[] = { "dnsbl_", "address_verify_", "greylist_limit" };

/* Learned for all listeners: said of one it would be wrong. */
static bool
is_shared(const char *name)
{
	for (size_t i = 0; i < COUNT(shared); i++)
		if (strncmp(name, shared[i], strlen(shared[i])) == 0)
			return setting_table_has(&witness_setting_table, name);
	return false;
}

/* Read once, for the whole server. */
static bool
is_whole(const char *name)
{
	for (size_t i = 0; i < COUNT(selves); i++)
		if (strcmp(name, selves[i]) == 0)
			return false;
	for (size_t i = 0; i < COUNT(whole); i++)
		if (setting_table_has(whole[i], name))
			return true;
	return false;
}

/* Whether another value has it as $name: then it is read of the listener. */
struct asking {
	const char *name;
	bool        found;
};

static void
asks(void *ctx, struct bytes name)
{
	struct asking *a = ctx;

	a->found = a->found || bytes_is(name, a->name);
}

/* Some value has it as $name. */
static bool
is_asked_for(const struct settings *s, const char *name)
{
	struct asking        a = { name, false };
	struct setting_entry e;

	for (size_t i = 0; settings_entry(s, i, &e); i++)
		settings_asks(bytes_of(e.value), asks, &a);
	return a.found;
}

/* smtp and lmtp are transports, too, which have settings of their own. */
static bool
is_of_transport(const struct settings *s, struct bytes name, const char *setting)
{
	size_t      place = 0;
	const char *one;

	while ((one = transports_name(s, false, &place)) != NULL)
		if (bytes_is(name, one))
			return setting_table_has(&transport_setting_table, setting);
	return false;
}

bool
scope_check(struct settings *s, const struct listeners *all, const char *file,
            struct buffer *errors, struct buffer *warnings)
{
	struct setting_entry e;
	bool                 good = true;

	for (size_t i = 0; settings_entry(s, i, &e); i++) {
		const char  *slash = strchr(e.name, '/'), *name = slash == NULL ? "" : slash + 1;
		struct bytes listener = { e.name, slash == NULL ? 0 : (size_t)(slash - e.name) };

		if (listener_place(all, listener) == all->count ||
		    is_of_transport(s, listener, name))
			continue;
		if (is_shared(name)) {
			buffer_printf(errors,
			              "%s:%d: %s: all listeners have one; write %s = %s for all\n",
			              file, e.line, e.name, name, e.value);
			good = false;
		} else if (is_whole(name) && !is_asked_for(s, name))
			buffer_printf(
				warnings,
				"%s:%d: %s: it is the whole server's and no listener has one of "
				"its own: nobody reads this line; write %s for all\n",
				file, e.line, e.name, name);
	}
	return good;
}
