#include "command/dovecot.h"

#include <string.h>

#include "base/arena.h"
#include "base/scan.h"
#include "role/settings.h"

enum { NEST_MOST = 8 };

enum how { AS_IT_IS, OF_A_FILE, AT_LEAST, PROTOCOLS };

/* Other names for the same; what is not here and has a row of ours is called the same. */
static const struct {
	const char *theirs, *ours;
	enum how    how;
} rows[] = {
	{ "protocols", "protocols", PROTOCOLS },
	{ "ssl_cert", "smtpd_tls_cert_file", OF_A_FILE },
	{ "ssl_key", "smtpd_tls_key_file", OF_A_FILE },
	{ "ssl_alt_cert", "smtpd_tls_eccert_file", OF_A_FILE },
	{ "ssl_alt_key", "smtpd_tls_eckey_file", OF_A_FILE },
	{ "ssl_ca", "smtpd_tls_CAfile", OF_A_FILE },
	{ "ssl_protocols", "smtpd_tls_protocols", AS_IT_IS },
	{ "ssl_min_protocol", "smtpd_tls_protocols", AT_LEAST },
	{ "ssl_cipher_list", "tls_high_cipherlist", AS_IT_IS },
	{ "ssl_prefer_server_ciphers", "tls_preempt_cipherlist", AS_IT_IS },
	{ "ssl_verify_client_cert", "smtpd_tls_ask_ccert", AS_IT_IS },
	{ "log_path", "maillog_file", AS_IT_IS },
	{ "hostname", "myhostname", AS_IT_IS },
	{ "auth_cache_ttl", "auth_cache_time", AS_IT_IS },
};

const char *
dovecot_name_here(const char *theirs)
{
	for (size_t i = 0; i < COUNT(rows); i++)
		if (strcmp(rows[i].theirs, theirs) == 0)
			return rows[i].ours;
	return theirs;
}

struct translation {
	struct arena  *arena;
	struct buffer *out;
	struct bytes   section[NEST_MOST]; /* "service imap-login"                   */
	size_t         depth;              /* may be more than are kept              */
	struct bytes   port, address;      /* of the inet_listener we are in         */
};

static void
put(struct translation *t, const char *name, const char *before, struct bytes value)
{
	buffer_add_string(t->out, name);
	buffer_add_string(t->out, value.len == 0 && before[0] == '\0' ? " =" : " = ");
	buffer_add_string(t->out, before);
	for (size_t i = 0; i < value.len; i++) {
		buffer_add_char(t->out, value.at[i]);
		if (value.at[i] == '$') /* a name would follow */
			buffer_add_char(t->out, '$');
	}
	buffer_add_char(t->out, '\n');
}

static void
left_out(struct translation *t, struct bytes line)
{
	buffer_add_string(t->out, "# not taken over: ");
	for (size_t i = 0; i < t->depth && i < NEST_MOST; i++) {
		buffer_add(t->out, t->section[i]);
		buffer_add_string(t->out, " / ");
	}
	buffer_add(t->out, line);
	buffer_add_char(t->out, '\n');
}

/* ---- values ---- */

static const struct setting *
row_of_ours(struct bytes name)
{
	const struct setting_table *table;

	for (size_t i = 0; (table = house_setting_table(i)) != NULL; i++)
		for (size_t r = 0; r < table->count; r++)
			if (bytes_equal(bytes_of(table->row[r].name), name))
				return &table->row[r];
	return NULL;
}

/* "30 mins" is 30m here, "100 msecs" 100ms. */
static struct bytes
time_as_here(struct translation *t, struct bytes value)
{
	struct scan  r = scan_of(value);
	uint64_t     number = scan_number(&r, INT64_MAX);
	struct bytes unit = bytes_trim(r.rest);
	bool         thousandths = bytes_starts_nocase(unit, BYTES("ms"));

	if (!scan_ok(&r) || unit.len == 0)
		return value;
	return bytes_of(
		arena_printf(t->arena, "%llu%s", (unsigned long long)number,
	                     thousandths ? "ms" : (const char[]){ ascii_lower(unit.at[0]), 0 }));
}

static void
put_protocols(struct translation *t, const char *name, struct bytes value)
{
	static const char *const here[] = { "imap", "pop3", "lmtp" };
	struct buffer            kept = { 0 };
	struct bytes             word, rest = value;

	while (bytes_split(&rest, ' ', &word)) {
		size_t i = 0;
		while (i < COUNT(here) && !bytes_is(word, here[i]))
			i++;
		if (i < COUNT(here))
			buffer_printf(&kept, "%s%s", kept.len > 0 ? " " : "", here[i]);
		else if (word.len > 0 && !bytes_is(word, "none"))
			left_out(t, bytes_of(arena_printf(t->arena, "protocols = %.*s",
			                                  (int)word.len, word.at)));
	}
	put(t, name, kept.len == 0 ? "none" : "", buffer_bytes(&kept));
	buffer_free(&kept);
}

/* ---- what belongs to a section ---- */

static bool
in_section(const struct translation *t, const char *outer, struct bytes *inner, const char *kind)
{
	struct bytes word = { 0 };

	if (t->depth != 2 || !bytes_is(t->section[0], outer))
		return false;
	*inner = t->section[1];
	return bytes_split(inner, ' ', &word) && bytes_is(word, kind);
}

/* service NAME { inet_listener LISTENER { port, address } } */
static bool
listener_of(const struct translation *t, struct bytes *name)
{
	static const struct {
		const char *service, *listener[2];
	} known[] = {
		{ "service imap-login", { "imap", "imaps" } },
		{ "service pop3-login", { "pop3", "pop3s" } },
		{ "service submission-login", { "submission", "submissions" } },
		{ "service lmtp", { "lmtp", "lmtp" } },
	};

	for (size_t i = 0; i < COUNT(known); i++)
		if (in_section(t, known[i].service, name, "inet_listener"))
			return bytes_is(*name, known[i].listener[0]) ||
			       bytes_is(*name, known[i].listener[1]);
	return false;
}

static void
section_over(struct translation *t)
{
	struct bytes name, word;

	if (listener_of(t, &name) && t->port.len > 0) {
		const char *listen = arena_printf(t->arena, "listen_%.*s", (int)name.len, name.at);
		struct buffer all = { 0 };
		if (t->address.len == 0)
			t->address = BYTES("*");
		while (!bytes_is(t->port, "0") && bytes_split(&t->address, ' ', &word)) {
			bool six = bytes_find(word, ':') >= 0 && word.at[0] != '[';
			word.len -= word.len > 0 && word.at[word.len - 1] == ',';
			if (word.len > 0)
				buffer_printf(&all, "%s%s%.*s%s:%.*s", all.len > 0 ? " " : "",
				              six ? "[" : "", (int)word.len, word.at,
				              six ? "]" : "", (int)t->port.len, t->port.at);
		}
		put(t, listen, "", buffer_bytes(&all));
		buffer_free(&all);
	}
	t->port = t->address = (struct bytes){ 0 };
	if (t->depth > 0)
		t->depth--;
}

/* Sockets of others' that have a place of their own: where LMTP is spoken, where logins are asked about. */
static bool
socket_begins(struct translation *t)
{
	struct bytes path;

	if (in_section(t, "service lmtp", &path, "unix_listener") && path.len > 0 &&
	    path.at[0] == '/')
		put(t, "listen_lmtp", "unix:", path);
	else if (in_section(t, "service auth", &path, "unix_listener") && path.len > 0 &&
	         path.at[0] == '/')
		put(t, "auth_socket", "", path);
	else
		return false;
	return true;
}

static bool
take_inside(struct translation *t, struct bytes name, struct bytes value)
{
	static const struct {
		const char *theirs, *lmtp, *auth;
	} rights[] = {
		{ "mode", "lmtp/listener_mode", "auth_socket_mode" },
		{ "user", "lmtp/listener_owner", "auth_socket_owner" },
		{ "group", "lmtp/listener_group", "auth_socket_group" },
	};
	struct bytes what;
	bool         lmtp = in_section(t, "service lmtp", &what, "unix_listener");

	if (listener_of(t, &what) && (bytes_is(name, "port") || bytes_is(name, "address"))) {
		*(bytes_is(name, "port") ? &t->port : &t->address) = value;
		return true;
	}
	/* Which of imaps and imap has TLS from the first byte its name says. */
	if (listener_of(t, &what) && bytes_is(name, "ssl"))
		return true;
	if (!lmtp && !in_section(t, "service auth", &what, "unix_listener"))
		return false;
	for (size_t i = 0; i < COUNT(rights) && what.len > 0 && what.at[0] == '/'; i++)
		if (bytes_is(name, rights[i].theirs)) {
			put(t, lmtp ? rights[i].lmtp : rights[i].auth, "", value);
			return true;
		}
	return false;
}

/* ---- lines ---- */

static bool
take_setting(struct translation *t, struct bytes name, struct bytes value)
{
	const struct setting *same;

	for (size_t i = 0; i < COUNT(rows); i++) {
		if (!bytes_is(name, rows[i].theirs))
			continue;
		if (rows[i].how == PROTOCOLS) {
			put_protocols(t, rows[i].ours, value);
			return true;
		}
		if (rows[i].how == OF_A_FILE && (value.len < 2 || value.at[0] != '<'))
			return false;
		put(t, rows[i].ours, rows[i].how == AT_LEAST ? ">=" : "",
		    rows[i].how == OF_A_FILE ? bytes_trim(bytes_cut(value, 1, value.len)) : value);
		return true;
	}
	if ((same = row_of_ours(name)) == NULL)
		return false;
	put(t, same->name, "", same->kind == SETTING_TIME ? time_as_here(t, value) : value);
	return true;
}

static struct bytes
without_quotes(struct bytes value)
{
	if (value.len >= 2 && value.at[0] == '"' && value.at[value.len - 1] == '"')
		value = bytes_cut(value, 1, value.len - 2);
	return bytes_trim(value);
}

static void
take_line(struct translation *t, struct bytes line)
{
	ptrdiff_t    equals = bytes_find(line, '=');
	struct bytes name = bytes_trim(bytes_cut(line, 0, equals < 0 ? line.len : (size_t)equals));
	struct bytes value;

	if (line.at[line.len - 1] == '{') {
		if (t->depth < NEST_MOST)
			t->section[t->depth] = bytes_trim(bytes_cut(line, 0, line.len - 1));
		t->depth++;
		(void)socket_begins(t);
		return;
	}
	if (line.at[0] == '}') {
		section_over(t);
		return;
	}
	value = equals < 0 ? (struct bytes){ 0 }
	                   : bytes_trim(bytes_cut(line, (size_t)equals + 1, line.len));
	value = without_quotes(value);
	if (equals < 0 || (value.len > 0 && value.at[0] == '#') ||
	    !(t->depth == 0 ? take_setting(t, name, value) : take_inside(t, name, value)))
		left_out(t, line);
}

void
dovecot_translate(struct bytes text, struct buffer *out)
{
	struct translation t = { .arena = arena_open(NULL), .out = out };
	struct bytes       line;

	while (bytes_split(&text, '\n', &line)) {
		line = bytes_trim(line);
		if (line.len > 0 && line.at[0] != '#')
			take_line(&t, line);
	}
	arena_close(&t.arena);
}
