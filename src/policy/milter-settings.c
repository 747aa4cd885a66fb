#include "policy/milter-settings.h"

#include <stdlib.h>
#include <string.h>

enum { PATH_MOST = 90 }; /* sun_path, and a directory before it */

#define AT(f) offsetof(struct milter_settings, f)
/* clang-format off */
static const struct setting rows[] = {
	{ "smtpd_milters", SETTING_LIST, AT(smtpd), "",
	  "Mail filters (milters) that a session and its letters are shown to, in this order: inet:host:port, unix:/path, or "
	  "{ inet:host:port, connect_timeout = 3s, command_timeout = 30s, content_timeout = 5m, default_action = accept, protocol = 6, reuse = no }; reuse = yes is for a filter that knows QUIT_NC (rspamd, not one made with libmilter): its connection serves the next session too.", NULL, 0, 0, "0.2" },
	{ "smtpd_milter_maps", SETTING_TABLES, AT(maps), "",
	  "Tables with client addresses: the filters they list are used instead of smtpd_milters; DISABLE: none.", NULL, 0, 0, "0.2" },
	{ "smtpd_milter_map_filters", SETTING_LIST, AT(map_filters), "",
	  "The filters that files and servers of smtpd_milter_maps may name, where smtpd_milters do not: what stands in neither, role policy cannot reach.", NULL, 0, 0, "0.3" },
	{ "milter_header_checks", SETTING_TABLES, AT(checks), "",
	  "Tables of patterns that each header field a filter has made or changed is looked up in, with the actions of header_checks.", NULL, 0, 0, "0.2" },
	{ "milter_default_action", SETTING_CHOICE, AT(default_action), "tempfail",
	  "What is done when a filter cannot be reached, is too slow or speaks nonsense: accept (go on without it), reject, tempfail, "
	  "quarantine (take the letter and hold it), shutdown (421 and the end).", "accept,reject,tempfail,quarantine,shutdown", 0, 0, "0.2" },
	{ "milter_quarantine", SETTING_CHOICE, AT(quarantine), "hold",
	  "What becomes of a letter that a filter puts in quarantine: hold, it is held in the queue until mansio queue release or delete; mailbox, each user here finds it in quarantine_mailbox, and for anybody else it is held.", "hold,mailbox", 0, 0, "0.4" },
	{ "milter_protocol", SETTING_LIST, AT(protocol), "6",
	  "The version of the milter protocol to speak: 2, 3, 4 or 6; with no_header_reply for filters that do not answer each header field.", NULL, 0, 0, "0.2" },
	{ "milter_connect_timeout", SETTING_TIME, AT(connect_ms), "30s",
	  "How long connecting to a filter, and agreeing with it on the protocol, may take.", NULL, 1, 86400000, "0.2" },
	{ "milter_command_timeout", SETTING_TIME, AT(command_ms), "30s",
	  "How long a filter may take for the answer to one SMTP command.", NULL, 1, 86400000, "0.2" },
	{ "milter_content_timeout", SETTING_TIME, AT(content_ms), "300s",
	  "How long it may take for each answer about the content of a letter.", NULL, 1, 86400000, "0.2" },
	{ "milter_macro_daemon_name", SETTING_TEXT, AT(macro_daemon), "$myhostname",
	  "The macro {daemon_name}.", NULL, 0, 0, "0.2" },
	{ "milter_macro_v", SETTING_TEXT, AT(macro_v), "$mail_name",
	  "The macro v.", NULL, 0, 0, "0.2" },
	{ "milter_macro_defaults", SETTING_LIST, AT(macro_defaults), "",
	  "Values of macros that would have none: name=value.", NULL, 0, 0, "0.2" },
	{ "milter_connect_macros", SETTING_LIST, AT(macros[STAGE_CONNECT]), "j {daemon_name} {daemon_addr} v _",
	  "The macros told when a client has connected.", NULL, 0, 0, "0.2" },
	{ "milter_helo_macros", SETTING_LIST, AT(macros[STAGE_HELO]), "{tls_version} {cipher} {cipher_bits} {cert_subject} {cert_issuer}",
	  "The macros told with HELO or EHLO.", NULL, 0, 0, "0.2" },
	{ "milter_mail_macros", SETTING_LIST, AT(macros[STAGE_MAIL]), "i {auth_type} {auth_authen} {auth_author} {mail_addr} {mail_host} {mail_mailer}",
	  "The macros told with MAIL.", NULL, 0, 0, "0.2" },
	{ "milter_rcpt_macros", SETTING_LIST, AT(macros[STAGE_RCPT]), "i {rcpt_addr} {rcpt_host} {rcpt_mailer}",
	  "The macros told with RCPT.", NULL, 0, 0, "0.2" },
	{ "milter_data_macros", SETTING_LIST, AT(macros[STAGE_DATA]), "i",
	  "The macros told with DATA.", NULL, 0, 0, "0.2" },
	{ "milter_end_of_header_macros", SETTING_LIST, AT(macros[STAGE_END_OF_HEADER]), "i",
	  "The macros told when all fields of the header have been.", NULL, 0, 0, "0.2" },
	{ "milter_end_of_data_macros", SETTING_LIST, AT(macros[STAGE_END_OF_DATA]), "i",
	  "The macros told with the end of the letter.", NULL, 0, 0, "0.2" },
	{ "milter_unknown_command_macros", SETTING_LIST, AT(macros[STAGE_UNKNOWN]), "",
	  "The macros told with a command that is not known.", NULL, 0, 0, "0.2" },
};
/* clang-format on */
const struct setting_table milter_setting_table = { "Mail filters", rows, COUNT(rows) };

/*
 * One filter
 */

struct reading {
	struct arena  *life;
	struct buffer *errors;
	const char    *item; /* as it stands in the settings */
};

static bool
wrong(struct reading *r, const char *right)
{
	buffer_printf(r->errors, "milter \"%s\": %s\n", r->item, right);
	return false;
}

/* inet:host:port; the host may stand in brackets. */
static bool
read_inet(struct reading *r, struct milter *m, struct bytes rest)
{
	ptrdiff_t    colon = bytes_find_last(rest, ':');
	struct bytes host = bytes_cut(rest, 0, colon > 0 ? (size_t)colon : 0);
	uint64_t     port;

	if (colon <= 0 || !bytes_number(bytes_cut(rest, (size_t)colon + 1, rest.len), &port) ||
	    port < 1 || port > 65535)
		return wrong(r, "write inet:host:port with a port from 1 to 65535");
	if (host.len > 2 && host.at[0] == '[' && host.at[host.len - 1] == ']')
		host = bytes_cut(host, 1, host.len - 2);
	m->host = arena_copy(r->life, host);
	m->port = (uint16_t)port;
	return true;
}

static bool
read_place(struct reading *r, struct milter *m, struct bytes place)
{
	struct bytes rest;

	m->name = arena_copy(r->life, place);
	if (bytes_starts(place, BYTES("inet:")))
		return read_inet(r, m, bytes_cut(place, 5, place.len));
	rest = bytes_cut(place, (size_t)(bytes_find(place, ':') + 1), place.len);
	if ((bytes_starts(place, BYTES("unix:")) || bytes_starts(place, BYTES("local:"))) &&
	    rest.len > 0 && rest.len < PATH_MOST) {
		m->path = arena_copy(r->life, rest);
		return true;
	}
	return wrong(r, "write inet:host:port or unix:/path");
}

static bool
read_version(struct reading *r, struct milter *m, struct bytes words)
{
	struct bytes word;

	m->version = 0;
	m->mute_headers = false;
	while (bytes_split(&words, ' ', &word)) {
		uint64_t n;

		if (word.len == 0)
			continue;
		if (bytes_is(word, "no_header_reply"))
			m->mute_headers = true;
		else if (bytes_number(word, &n) && n <= 6 && milter_steps_of((int)n) != 0)
			m->version = (int)n;
		else
			return wrong(r,
			             "the protocol is 2, 3, 4 or 6, perhaps with no_header_reply");
	}
	return m->version != 0 ||
	       wrong(r, "the protocol is 2, 3, 4 or 6, perhaps with no_header_reply");
}

static bool
read_time(struct reading *r, struct bytes text, int64_t *out)
{
	/* clang-format off */
	static const struct { const char *unit; int64_t ms; } units[] = {
		{ "", 1000 }, { "s", 1000 }, { "ms", 1 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 },
	};
	/* clang-format on */
	size_t   digits = 0;
	uint64_t n;

	while (digits < text.len && text.at[digits] >= '0' && text.at[digits] <= '9')
		digits++;
	for (size_t i = 0; i < COUNT(units); i++)
		if (bytes_is(bytes_cut(text, digits, text.len), units[i].unit) &&
		    bytes_number(bytes_cut(text, 0, digits), &n) && n > 0 && n <= 1000000) {
			*out = (int64_t)n * units[i].ms;
			return true;
		}
	return wrong(r, "a time is written as 30s or 5m");
}

static bool
read_action(struct reading *r, struct bytes word, int *out)
{
	static const char *const names[] = {
		[DEFAULT_ACCEPT] = "accept",     [DEFAULT_REJECT] = "reject",
		[DEFAULT_TEMPFAIL] = "tempfail", [DEFAULT_QUARANTINE] = "quarantine",
		[DEFAULT_SHUTDOWN] = "shutdown",
	};

	for (size_t i = 0; i < COUNT(names); i++)
		if (bytes_is(word, names[i])) {
			*out = (int)i;
			return true;
		}
	return wrong(r, "default_action is accept, reject, tempfail, quarantine or shutdown");
}

static bool
read_option(struct reading *r, struct milter *m, struct bytes option)
{
	ptrdiff_t    equals = bytes_find(option, '=');
	struct bytes name = bytes_trim(bytes_cut(option, 0, equals > 0 ? (size_t)equals : 0));
	struct bytes value = bytes_trim(bytes_cut(option, (size_t)equals + 1, option.len));

	if (equals > 0 && bytes_is(name, "connect_timeout"))
		return read_time(r, value, &m->connect_ms);
	if (equals > 0 && bytes_is(name, "command_timeout"))
		return read_time(r, value, &m->command_ms);
	if (equals > 0 && bytes_is(name, "content_timeout"))
		return read_time(r, value, &m->content_ms);
	if (equals > 0 && bytes_is(name, "default_action"))
		return read_action(r, value, &m->default_action);
	if (equals > 0 && bytes_is(name, "protocol"))
		return read_version(r, m, value);
	if (equals > 0 && bytes_is(name, "reuse") &&
	    (bytes_is(value, "yes") || bytes_is(value, "no"))) {
		m->reuse = bytes_is(value, "yes");
		return true;
	}
	return wrong(r, "what may follow are connect_timeout, command_timeout, content_timeout, "
	                "default_action, protocol and reuse, each with = and a value");
}

/* { inet:host:port, name = value, ... } */
static bool
read_milter(struct reading *r, struct milter *m)
{
	struct bytes text = bytes_trim(bytes_of(r->item)), part;

	if (text.len < 2 || text.at[0] != '{' || text.at[text.len - 1] != '}')
		return read_place(r, m, text);
	text = bytes_trim(bytes_cut(text, 1, text.len - 2));
	if (!bytes_split(&text, ',', &part) || !read_place(r, m, bytes_trim(part)))
		return false;
	while (bytes_split(&text, ',', &part))
		if (bytes_trim(part).len > 0 && !read_option(r, m, bytes_trim(part)))
			return false;
	return true;
}

/*
 * All of them
 */

static struct setting_list
keep_list(struct arena *life, const struct setting_list *list)
{
	const char **item = arena_take_array(life, list->count + 1, sizeof *item);

	for (size_t i = 0; i < list->count; i++)
		item[i] = arena_copy(life, bytes_of(list->item[i]));
	return (struct setting_list){ item, list->count };
}

static bool
read_standard_version(struct reading *r, const struct setting_list *protocol, struct milter *m)
{
	struct buffer words = { 0 };
	bool          good;

	for (size_t i = 0; i < protocol->count; i++)
		buffer_printf(&words, "%s ", protocol->item[i]);
	r->item = "milter_protocol";
	good = read_version(r, m, buffer_bytes(&words));
	buffer_free(&words);
	return good;
}

static bool
read_all(struct reading *r, const struct milter_settings *s, const struct setting_list *list,
         struct milter_set *set)
{
	struct milter standard = {
		.connect_ms = s->connect_ms,
		.command_ms = s->command_ms,
		.content_ms = s->content_ms,
		.default_action = s->default_action,
	};

	if (list->count > 0 && !read_standard_version(r, &s->protocol, &standard))
		return false;
	for (size_t i = 0; i < list->count; i++) {
		struct milter *m = &set->each[set->count];

		r->item = list->item[i];
		if (set->count == MILTERS_MOST)
			return wrong(r, "there are too many filters");
		*m = standard;
		if (!read_milter(r, m))
			return false;
		set->count++;
	}
	return true;
}

struct milter_set *
milter_set_open(const struct milter_settings *s, const struct setting_list *list,
                struct buffer *errors)
{
	struct arena      *life = arena_open(NULL);
	struct milter_set *set = arena_take(life, sizeof *set);
	struct reading     r = { life, errors, "" };

	set->life = life;
	set->users = 1;
	set->each = arena_take_array(life, MILTERS_MOST, sizeof *set->each);
	for (size_t i = 0; i < MILTER_STAGES; i++)
		set->macros[i] = keep_list(life, &s->macros[i]);
	set->daemon = arena_copy(life, bytes_of(s->macro_daemon));
	set->v = arena_copy(life, bytes_of(s->macro_v));
	set->macro_defaults = keep_list(life, &s->macro_defaults);
	if (read_all(&r, s, list, set))
		return set;
	arena_close(&life);
	return NULL;
}

struct milter_set *
milter_set_take(struct milter_set *set)
{
	set->users++;
	return set;
}

void
milter_set_drop(struct milter_set **sp)
{
	struct milter_set *set = *sp;
	struct arena      *life;

	*sp = NULL;
	if (set == NULL || --set->users > 0)
		return;
	life = set->life;
	arena_close(&life);
}
