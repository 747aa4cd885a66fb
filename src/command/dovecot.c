#include "command/dovecot.h"

#include <string.h>

#include "access/pop3/uniqueid.h"
#include "base/arena.h"
#include "base/map.h"
#include "base/scan.h"
#include "command/dovecot-logins.h"
#include "role/settings.h"

enum { NEST_MOST = 8 };
/* message_size_limit, if nothing else is said. */
#define MESSAGE_SIZE ((uint64_t)50 << 20)

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
	struct logins  logins;
	struct buffer  warnings;    /* percents of quota_warning              */
	uint64_t       connections; /* the most that one of the protocols may */
	bool           least_tls;   /* ssl_min_protocol: ssl_protocols is old */
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

/* ---- quota ---- */

/* storage=1G, or KiB without a letter; T is 1024G. */
static void
put_storage(struct translation *t, struct bytes value)
{
	struct scan  r = scan_of(value);
	uint64_t     number = scan_number(&r, UINT64_MAX / 1024);
	struct bytes unit = bytes_trim(r.rest);
	char         letter = unit.len > 0 ? ascii_upper(unit.at[0]) : 'K';
	bool         large = letter == 'T';

	unit = bytes_of(arena_printf(t->arena, "%llu%s",
	                             (unsigned long long)(large ? number * 1024 : number),
	                             letter == 'B' ? ""
	                             : large       ? "G"
	                                           : (const char[]){ letter, 0 }));
	put(t, "quota_storage", "", unit);
	for (const char *l = letter == 'B' ? "" : large ? "KMGT" : "KMG"; *l != '\0'; l++) {
		number = number <= UINT64_MAX / 1024 ? number * 1024 : UINT64_MAX;
		if (*l == letter)
			break;
	}
	if (number > 0 && number < MESSAGE_SIZE) /* a letter must fit in */
		put(t, "message_size_limit", "", unit);
}

/* "*:storage=1G:messages=1000"; rules for single mailboxes have no meaning here. */
static bool
take_quota_rule(struct translation *t, struct bytes value)
{
	struct bytes rest = value, word, storage = BYTES("storage="), messages = BYTES("messages="),
		     bytes = BYTES("bytes=");
	bool taken = false;

	if (!bytes_split(&rest, ':', &word) || !(bytes_is(word, "*") || bytes_is(word, "?")))
		return false;
	while (bytes_split(&rest, ':', &word)) {
		uint64_t number;
		taken = true;
		if (bytes_starts(word, storage))
			put_storage(t, bytes_cut(word, storage.len, word.len));
		else if (bytes_starts(word, bytes))
			put_storage(t, bytes_of(arena_printf(t->arena, "%.*sB",
			                                     (int)(word.len - bytes.len),
			                                     word.at + bytes.len)));
		else if (bytes_starts(word, messages) &&
		         bytes_number(bytes_cut(word, messages.len, word.len), &number))
			put(t, "quota_messages", "", bytes_cut(word, messages.len, word.len));
		else
			taken = false;
	}
	return taken;
}

/* "95%%" and "10%" are 95 and 10. */
static bool
read_percent(struct bytes value, uint64_t *out)
{
	struct scan r = scan_of(value);

	*out = scan_number(&r, 100);
	return scan_ok(&r) && r.rest.len > 0 && r.rest.at[0] == '%';
}

/* plugin { quota_rule, quota_grace, quota_warning = storage=95%% ... } */
static bool
take_quota(struct translation *t, struct bytes name, struct bytes value)
{
	struct bytes of = BYTES("storage=");
	uint64_t     percent;

	if (t->depth != 1 || !bytes_is(t->section[0], "plugin"))
		return false;
	if (bytes_is(name, "quota")) /* it is always counted */
		return true;
	if (bytes_starts(name, BYTES("quota_rule")))
		return take_quota_rule(t, value);
	if (bytes_is(name, "quota_grace") && read_percent(value, &percent)) {
		put(t, "quota_grace", "",
		    bytes_of(arena_printf(t->arena, "%llu", (unsigned long long)percent)));
		return true;
	}
	if (!bytes_starts(name, BYTES("quota_warning")) || !bytes_starts(value, of) ||
	    !read_percent(bytes_cut(value, of.len, value.len), &percent) || percent == 0)
		return false;
	buffer_printf(&t->warnings, "%s%llu", t->warnings.len > 0 ? " " : "",
	              (unsigned long long)percent);
	return true;
}

/* ---- lines ---- */

/* What must be known with other things: where it is kept until all was read. */
static struct bytes *
said_later(struct translation *t, struct bytes name)
{
	return bytes_is(name, "mail_home")                    ? &t->logins.home
	       : bytes_is(name, "mail_location")              ? &t->logins.location
	       : bytes_is(name, "mail_uid")                   ? &t->logins.uid
	       : bytes_is(name, "mail_gid")                   ? &t->logins.gid
	       : bytes_is(name, "auth_master_user_separator") ? &t->logins.separator
	                                                      : NULL;
}

static bool
take_setting(struct translation *t, struct bytes name, struct bytes value)
{
	const struct setting *same;
	struct bytes         *later;

	for (size_t i = 0; i < COUNT(rows); i++) {
		if (!bytes_is(name, rows[i].theirs))
			continue;
		if (rows[i].how == PROTOCOLS) {
			put_protocols(t, rows[i].ours, value);
			return true;
		}
		if (rows[i].how == AS_IT_IS && t->least_tls && bytes_is(name, "ssl_protocols"))
			return false;
		if (rows[i].how == OF_A_FILE && (value.len < 2 || value.at[0] != '<'))
			return false;
		put(t, rows[i].ours, rows[i].how == AT_LEAST ? ">=" : "",
		    rows[i].how == OF_A_FILE ? bytes_trim(bytes_cut(value, 1, value.len)) : value);
		return true;
	}
	if ((later = said_later(t, name)) != NULL) {
		*later = value;
		return true;
	}
	if ((same = row_of_ours(name)) == NULL ||
	    (bytes_is(name, "pop3_uidl_format") &&
	     uniqueid_complain(arena_copy(t->arena, value)) != NULL))
		return false;
	put(t, same->name, "", same->kind == SETTING_TIME ? time_as_here(t, value) : value);
	return true;
}

/* protocol imap { ... }: what has a name here holds for all protocols; of the numbers of connections the largest. */
static bool
take_of_protocol(struct translation *t, struct bytes name, struct bytes value)
{
	uint64_t number;

	if (t->depth != 1 || !bytes_starts(t->section[0], BYTES("protocol ")))
		return false;
	if (!bytes_is(name, "mail_max_userip_connections"))
		return take_setting(t, name, value);
	if (!bytes_number(value, &number))
		return false;
	if (number > t->connections || number == 0)
		t->connections = number == 0 ? UINT64_MAX : number; /* no limit */
	return true;
}

static bool
of_logins(const struct translation *t, bool *users)
{
	*users = t->depth == 1 && bytes_is(t->section[0], "userdb");
	return *users || (t->depth == 1 && bytes_is(t->section[0], "passdb"));
}

static void
logins_over(struct translation *t)
{
	const char *why = logins_end(&t->logins);

	if (why != NULL)
		left_out(t, bytes_of(arena_printf(t->arena, "driver = %.*s (%s)",
		                                  (int)t->logins.driver.len, t->logins.driver.at,
		                                  why)));
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
	bool         users;

	if (line.at[line.len - 1] == '{') {
		if (t->depth < NEST_MOST)
			t->section[t->depth] = bytes_trim(bytes_cut(line, 0, line.len - 1));
		t->depth++;
		(void)socket_begins(t);
		if (of_logins(t, &users))
			logins_begin(&t->logins, users);
		return;
	}
	if (line.at[0] == '}') {
		if (of_logins(t, &users))
			logins_over(t);
		section_over(t);
		return;
	}
	value = equals < 0 ? (struct bytes){ 0 }
	                   : bytes_trim(bytes_cut(line, (size_t)equals + 1, line.len));
	value = without_quotes(value);
	if (equals >= 0 && of_logins(t, &users)) {
		logins_take(&t->logins, name, value);
		return;
	}
	if (equals < 0 || (value.len > 0 && value.at[0] == '#') ||
	    !(t->depth == 0 ? take_setting(t, name, value)
	                    : take_inside(t, name, value) || take_quota(t, name, value) ||
	                              take_of_protocol(t, name, value)))
		left_out(t, line);
}

static void
say_put(void *ctx, const char *name, struct bytes value)
{
	put(ctx, name, "", value);
}

static void
say_remark(void *ctx, const char *text)
{
	left_out(ctx, bytes_of(text));
}

/* What is known when all was read. */
static void
say_rest(struct translation *t)
{
	t->depth = 0;
	logins_say(&t->logins, say_put, say_remark, t);
	if (t->warnings.len > 0)
		put(t, "quota_warning", "", buffer_bytes(&t->warnings));
	if (t->connections > 0)
		put(t, "mail_max_userip_connections", "",
		    bytes_of(arena_printf(t->arena, "%llu",
		                          (unsigned long long)(t->connections == UINT64_MAX
		                                                       ? 0
		                                                       : t->connections))));
	buffer_free(&t->warnings);
}

static struct bytes
name_of_line(struct bytes line)
{
	ptrdiff_t equals = bytes_find(line, '=');

	return line.len == 0 || line.at[0] == '#' || equals < 0
	               ? (struct bytes){ 0 }
	               : bytes_trim(bytes_cut(line, 0, (size_t)equals));
}

/* Each name once, with the value said last. */
static void
say_once(struct bytes lines, struct buffer *out)
{
	struct map  *last = map_open();
	struct bytes rest = lines, line;

	while (bytes_split(&rest, '\n', &line)) {
		struct bytes name = name_of_line(line);
		if (name.len > 0)
			(void)map_put(last, name, (void *)(uintptr_t)line.at);
	}
	rest = lines;
	while (bytes_split(&rest, '\n', &line)) {
		struct bytes name = name_of_line(line);
		if (line.len == 0 || (name.len > 0 && map_get(last, name) != line.at))
			continue;
		buffer_add(out, line);
		buffer_add_char(out, '\n');
	}
	map_close(&last);
}

void
dovecot_translate(struct bytes text, struct buffer *out)
{
	struct buffer      lines = { 0 };
	struct translation t = { .arena = arena_open(NULL), .out = &lines };
	struct bytes       line;

	t.logins.arena = t.arena;
	t.least_tls = bytes_search(text, BYTES("ssl_min_protocol")) >= 0;
	while (bytes_split(&text, '\n', &line)) {
		line = bytes_trim(line);
		if (line.len > 0 && line.at[0] != '#')
			take_line(&t, line);
	}
	say_rest(&t);
	say_once(buffer_bytes(&lines), out);
	buffer_free(&lines);
	arena_close(&t.arena);
}
