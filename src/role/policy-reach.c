/*
 * policy-reach -- where role policy must be able to go: the services, filters and scanners that settings name as
 * unix:/path and inet:host:port, wherever they do (restriction classes have names of their own)
 */
#include "role/policy.h"

#include <string.h>

#include "base/journal.h"
#include "role/confine.h"

static struct reach known;

/* What Postfix's daemons see from within its queue directory may lie there. */
static void
add_path(struct reach *r, struct bytes path)
{
	struct buffer whole = { 0 };

	if (bytes_starts(path, BYTES("/")))
		reach_path(r, path);
	buffer_printf(&whole, "/var/spool/postfix%s%.*s", bytes_starts(path, BYTES("/")) ? "" : "/",
	              (int)path.len, path.at);
	reach_path(r, buffer_bytes(&whole));
	buffer_free(&whole);
}

/* Where a path without a slash in front is looked for. */
static void
add_directories(struct settings *s, struct reach *r)
{
	struct bytes rest = bytes_of(settings_value(s, "lmtp_socket_directories")), one;

	while (bytes_split(&rest, ' ', &one))
		if (one.len > 1 && one.at[0] == '/')
			reach_path(r, one);
}

static void
add_word(struct settings *s, struct reach *r, struct bytes word)
{
	ptrdiff_t colon;
	uint64_t  port;

	if (bytes_starts(word, BYTES("unix:")) || bytes_starts(word, BYTES("local:")))
		add_path(r, bytes_cut(word, (size_t)bytes_find(word, ':') + 1, word.len));
	if (bytes_starts(word, BYTES("unix:")) && !bytes_starts(word, BYTES("unix:/")))
		add_directories(s, r);
	if (!bytes_starts(word, BYTES("inet:")) && !bytes_starts(word, BYTES("inet6:")))
		return;
	/* "inet:host:port" of Postfix, "inet:port@host" of milters */
	colon = bytes_find_last(word, ':');
	word = bytes_cut(word, (size_t)colon + 1, word.len);
	if (bytes_find(word, '@') >= 0)
		word.len = (size_t)bytes_find(word, '@');
	if (bytes_number(word, &port) && port > 0 && port <= UINT16_MAX)
		reach_port(r, port);
}

/* A place of smtpd_proxy_filter may do without inet: before it. */
static void
add_proxy(struct settings *s, struct reach *r, struct bytes name, const char *value)
{
	struct buffer word = { 0 };

	if (!bytes_ends_nocase(name, BYTES("smtpd_proxy_filter")) || *value == '\0')
		return;
	if (!bytes_starts(bytes_of(value), BYTES("unix:")))
		buffer_add(&word, BYTES("inet:"));
	buffer_add_string(&word, value);
	add_word(s, r, buffer_bytes(&word));
	buffer_free(&word);
}

static void
find(struct settings *s, struct reach *r)
{
	struct setting_entry e;

	for (size_t i = 0; settings_entry(s, i, &e); i++) {
		const char *at = strchr(e.name, '/') == NULL ? settings_value(s, e.name) : e.value;

		add_proxy(s, r, bytes_of(e.name), at == NULL ? e.value : at);
		for (at = at == NULL ? e.value : at; *at != '\0';) {
			size_t n = strcspn(at, " \t\n,{}");

			add_word(s, r, (struct bytes){ at, n });
			at += n + (at[n] != '\0');
		}
	}
}

void
policy_prepare(struct house *h)
{
	find(h->settings, &known);
	confine_lead(&known);
}

/* The cage was built for what settings said then. */
bool
policy_reaches(struct house *h)
{
	struct reach now = { .ports = 0 };
	bool         same;

	find(h->settings, &now);
	same = now.ports == known.ports &&
	       memcmp(now.port, known.port, now.ports * sizeof now.port[0]) == 0 &&
	       bytes_equal(buffer_bytes(&now.paths), buffer_bytes(&known.paths));
	reach_free(&now);
	return same;
}
