#include "role/letter-settings.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "policy/witness-settings.h"
#include "role/policy.h"
#include "role/tables.h"
#include "role/transports.h"
#include "smtp/receiver/settings.h"

struct letter_check {
	struct settings        *settings;
	const struct listeners *listeners;
	void (*say)(void *ctx, const char *setting, const char *text);
	void *ctx;
};

static __attribute__((format(printf, 3, 4))) void
complain(struct letter_check *c, const char *setting, const char *form, ...)
{
	struct buffer text = { 0 };
	va_list       list;

	va_start(list, form);
	buffer_vprintf(&text, form, list);
	va_end(list);
	buffer_add_char(&text, '\0');
	c->say(c->ctx, setting, text.at);
	buffer_free(&text);
}

static bool
filter_is_there(struct letter_check *c, const char *value)
{
	struct transports *all = memory_take(sizeof *all);
	struct arena      *a = arena_open(NULL);
	struct bytes       rest = bytes_of(value), name = { NULL, 0 };
	bool               there;

	transports_read(c->settings, a, all);
	there = bytes_find(rest, ':') > 0 && bytes_split(&rest, ':', &name) &&
	        transport_named(all, bytes_trim(name)) != NULL;
	arena_close(&a);
	memory_free(all);
	return there;
}

/* The way to a content filter and back. */
static void
check_filter(struct letter_check *c)
{
	for (int l = -1; l < (int)c->listeners->count; l++) {
		const char *listener = l < 0 ? NULL : c->listeners->one[l].name, *wrong;
		struct receiver_settings receiver;
		struct policy_settings   policy;

		if (!settings_fill(c->settings, &receiver_setting_table, listener, &receiver,
		                   NULL) ||
		    !settings_fill(c->settings, &policy_setting_table, listener, &policy, NULL))
			continue;
		if (*receiver.content_filter != '\0' &&
		    !filter_is_there(c, receiver.content_filter)) {
			complain(c, "content_filter",
			         "content_filter = %s: write a transport and where it leads, as "
			         "smtp:[127.0.0.1]:10025, or one that NAME/transport makes, as "
			         "filter:dummy",
			         receiver.content_filter);
			return;
		}
		(void)receive_overrides(&policy.overrides, &wrong);
		if (wrong != NULL) {
			complain(
				c, "receive_override_options",
				"receive_override_options = %s: write no_unknown_recipient_checks, "
				"no_address_mappings, no_header_body_checks or no_milters",
				wrong);
			return;
		}
	}
}

static void
check_scan(struct letter_check *c)
{
	struct scan_settings set;
	struct clamd_place   place;
	struct network       net;
	const char          *wrong = NULL;

	for (int l = -1; l < (int)c->listeners->count; l++) {
		if (!settings_fill(c->settings, &scan_setting_table,
		                   l < 0 ? NULL : c->listeners->one[l].name, &set, NULL))
			continue;
		if (*set.socket != '\0' &&
		    (wrong = clamd_place(bytes_of(set.socket), &place)) != NULL) {
			complain(c, "clamd_socket", "clamd_socket = %s: %s", set.socket, wrong);
			return;
		}
		for (size_t i = 0; i < set.networks.count; i++)
			if (!network_parse(bytes_of(set.networks.item[i]), &net, &wrong)) {
				complain(c, "clamd_network_exceptions",
				         "clamd_network_exceptions = %s: %s", set.networks.item[i],
				         wrong);
				return;
			}
	}
}

static void
check_proxy(struct letter_check *c)
{
	struct proxy_settings set;
	struct clamd_place    place;
	struct setting_entry  clash;
	char                  kept[300];
	const char           *wrong;

	if (proxy_settings_clash(c->settings, c->listeners, &clash))
		complain(c, clash.name,
		         "%s: letters of a listener with smtpd_proxy_filter go to that filter "
		         "unseen: say this for the listener that the filter gives them back to",
		         clash.name);
	for (int l = -1; l < (int)c->listeners->count; l++) {
		if (!settings_fill(c->settings, &proxy_setting_table,
		                   l < 0 ? NULL : c->listeners->one[l].name, &set, NULL))
			continue;
		if (*set.filter != '\0' &&
		    (wrong = proxy_place(set.filter, kept, sizeof kept, &place)) != NULL) {
			complain(c, "smtpd_proxy_filter", "smtpd_proxy_filter = %s: %s", set.filter,
			         wrong);
			return;
		}
		for (size_t i = 0; i < set.options.count; i++)
			if (strcmp(set.options.item[i], "speed_adjust") != 0) {
				complain(c, "smtpd_proxy_options",
				         "smtpd_proxy_options = %s: write speed_adjust",
				         set.options.item[i]);
				return;
			}
	}
}

/* Who hears clients and servers connects to nobody else. */
static bool
looks_good(struct letter_check *c, const char *name, const struct setting_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		if (table_is_remote(list->item[i], tables_default_type(c->settings))) {
			complain(c, name,
			         "%s = %s: what strangers are refused with has their own words "
			         "in it, and is asked in tables of files alone, so that no "
			         "database answers to them: write regexp:, pcre:, hash: or one of "
			         "their kind",
			         name, list->item[i]);
			return false;
		}
	return true;
}

static void
check_milters(struct letter_check *c)
{
	for (int l = -1; l < (int)c->listeners->count; l++) {
		struct milter_settings set;
		struct buffer          wrong = { 0 };
		struct milter_set     *all = NULL;

		if (settings_fill(c->settings, &milter_setting_table,
		                  l < 0 ? NULL : c->listeners->one[l].name, &set, NULL))
			all = milter_set_open(&set, &set.smtpd, &wrong);
		if (wrong.len > 0)
			complain(c, "smtpd_milters", "smtpd_milters: %.*s", (int)wrong.len - 1,
			         wrong.at);
		buffer_free(&wrong);
		if (all == NULL)
			return;
		milter_set_drop(&all);
	}
}

/* What is looked for in the midst of a session. */
static void
check_sessions(struct letter_check *c)
{
	for (int l = -1; l < (int)c->listeners->count; l++) {
		struct receiver_settings set;

		if (!settings_fill(c->settings, &receiver_setting_table,
		                   l < 0 ? NULL : c->listeners->one[l].name, &set, NULL))
			continue;
		if (!looks_good(c, "smtpd_reject_footer_maps", &set.footer_tables))
			return;
	}
}

void
letter_settings_check(struct settings *s, const struct listeners *listeners,
                      void (*say)(void *ctx, const char *setting, const char *text), void *ctx)
{
	struct letter_check c = { s, listeners, say, ctx };

	check_sessions(&c);
	check_scan(&c);
	check_proxy(&c);
	check_filter(&c);
	check_milters(&c);
}
