#include "base/service_line.h"

#include <string.h>

#include "base/buffer.h"

enum { COLUMNS = 8, TYPE = 1, PRIVATE = 2, WAKEUP = 5, LIMIT = 6, PROGRAM = 7 };

/* What is part of the server, by its program. */
/* clang-format off */
static const struct { const char *program, *note; } inside[] = {
	{ "pickup",          "letters of programs of this machine come in by sendmail" },
	{ "cleanup",         "it is part of the server" },
	{ "qmgr",            "the queue is part of the server" },
	{ "oqmgr",           "the queue is part of the server" },
	{ "tlsmgr",          "TLS is part of the server" },
	{ "trivial-rewrite", "it is part of the server" },
	{ "bounce",          "notices are made by the queue" },
	{ "verify",          "it is part of the server: reject_unverified_recipient and its kin ask it" },
	{ "flush",           "ETRN and sendmail -q work without it" },
	{ "proxymap",        "tables may be named with proxy: or without it" },
	{ "showq",           "mailq asks the queue" },
	{ "error",           "error: may stand in transport_maps" },
	{ "retry",           "retry: may stand in transport_maps" },
	{ "discard",         "discard: may stand in transport_maps" },
	{ "local",           "there always is a transport local" },
	{ "virtual",         "there always is a transport virtual" },
	{ "anvil",           "smtpd_client_connection_rate_limit and its kin need nothing besides" },
	{ "scache",          "smtp_connection_cache_on_demand needs nothing besides" },
	{ "postlogd",        "maillog_file needs nothing besides" },
	{ "dnsblog",         "lists in DNS are asked by the server itself" },
	{ "tlsproxy",        "TLS is part of the server" },
	{ "qmqpd",           "QMQP is not spoken; programs hand letters over by SMTP, LMTP or sendmail" },
};

static const struct { const char *port, *listener, *standard; } ports[] = {
	{ "smtp",        "smtp",        "25"  }, { "25",  "smtp",        "25"  },
	{ "submission",  "submission",  "587" }, { "587", "submission",  "587" },
	{ "submissions", "submissions", "465" }, { "465", "submissions", "465" },
	{ "smtps",       "submissions", "465" }, { "ssmtp", "submissions", "465" },
};

/* clang-format on */

/* Options that are said otherwise: TLS by the listener's service, and a transport's name is in the log in any case. */
static bool
is_unsaid(const struct service_line *s, struct bytes option)
{
	return bytes_equal(option, s->kind == SERVICE_TRANSPORT ? BYTES("syslog_name")
	                                                        : BYTES("smtpd_tls_wrappermode"));
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* The next word; what stands in braces is one. */
static bool
word_take(struct bytes *rest, struct bytes *word)
{
	size_t n = 0, depth = 0;

	*rest = bytes_trim(*rest);
	for (; n < rest->len && (depth > 0 || !is_blank(rest->at[n])); n++)
		if (rest->at[n] == '{')
			depth++;
		else if (rest->at[n] == '}' && depth > 0)
			depth--;
	*word = bytes_cut(*rest, 0, n);
	*rest = bytes_trim(bytes_cut(*rest, n, SIZE_MAX));
	return n > 0;
}

static bool
is_one_of(struct bytes word, const char *const *words, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (bytes_equal(word, bytes_of(words[i])))
			return true;
	return false;
}

/* "-", "60", "1000?" */
static bool
is_count(struct bytes word)
{
	uint64_t n;

	if (word.len > 1 && word.at[word.len - 1] == '?')
		word.len--;
	return bytes_equal(word, BYTES("-")) || bytes_number(word, &n);
}

static bool
columns_take(struct bytes *rest, struct bytes column[static COLUMNS])
{
	static const char *const types[] = { "inet", "unix", "unix-dgram", "fifo", "pass", "pipe" },
				 *const flags[] = { "y", "n", "-" };

	for (size_t i = 0; i < COLUMNS; i++)
		if (!word_take(rest, &column[i]))
			return false;
	for (size_t i = PRIVATE; i < WAKEUP; i++)
		if (!is_one_of(column[i], flags, COUNT(flags)))
			return false;
	return is_one_of(column[TYPE], types, COUNT(types)) && is_count(column[WAKEUP]) &&
	       is_count(column[LIMIT]);
}

bool
service_line_begins(struct bytes line)
{
	struct bytes column[COLUMNS];

	return columns_take(&line, column);
}

/* ---- what is said of it ---- */

static void
say(struct service_line *s, struct arena *a, const char *name, const char *value)
{
	if (s->pairs == s->room) {
		struct service_pair *more = arena_take_array(a, 2 * s->room + 16, sizeof *more);

		if (s->pairs > 0)
			memcpy(more, s->pair, s->pairs * sizeof *more);
		s->pair = more;
		s->room = 2 * s->room + 16;
	}
	s->pair[s->pairs++] = (struct service_pair){ name, value };
}

static void
say_own(struct service_line *s, struct arena *a, const char *name, struct bytes value)
{
	say(s, a, arena_printf(a, "%s/%s", s->name, name), arena_copy(a, value));
}

/* "-o name=value", also in braces and without the blank; false: it is no option. */
static bool
option_take(struct bytes *rest, struct bytes *name, struct bytes *value)
{
	struct bytes word;
	ptrdiff_t    equals;

	*name = *value = (struct bytes){ NULL, 0 };
	if (!word_take(rest, &word) || !bytes_starts(word, BYTES("-")))
		return false;
	if (!bytes_starts(word, BYTES("-o")))
		return true;
	word = bytes_cut(word, 2, SIZE_MAX);
	if (word.len == 0 && !word_take(rest, &word))
		return true;
	if (word.len > 1 && word.at[0] == '{' && word.at[word.len - 1] == '}')
		word = bytes_trim(bytes_cut(word, 1, word.len - 2));
	if ((equals = bytes_find(word, '=')) <= 0)
		return true;
	*name = bytes_trim(bytes_cut(word, 0, (size_t)equals));
	*value = bytes_trim(bytes_cut(word, (size_t)equals + 1, SIZE_MAX));
	return true;
}

/* What the options say of TLS from the first byte. */
static bool
is_wrapped(struct bytes rest)
{
	struct bytes name, value;
	bool         wrapped = false;

	while (option_take(&rest, &name, &value))
		if (bytes_equal(name, BYTES("smtpd_tls_wrappermode")))
			wrapped = bytes_is(value, "yes");
	return wrapped;
}

static void
options_say(struct service_line *s, struct arena *a, struct bytes rest)
{
	struct bytes name, value;

	while (option_take(&rest, &name, &value))
		if (name.len > 0 && !is_unsaid(s, name))
			say_own(s, a, arena_copy(a, name), value);
}

/* "127.0.0.1:submission": where it is, as listen_... and listener_address have it. */
static void
listener_say(struct service_line *s, struct arena *a, struct bytes rest)
{
	ptrdiff_t    colon = bytes_find_last(s->service, ':');
	struct bytes host = bytes_cut(s->service, 0, colon < 0 ? 0 : (size_t)colon),
		     port = bytes_cut(s->service, (size_t)(colon + 1), SIZE_MAX);
	const char *listener = NULL, *at;

	if (host.len == 0)
		host = BYTES("*");
	else if (bytes_is(host, "localhost"))
		host = BYTES("127.0.0.1");
	for (size_t i = 0; i < COUNT(ports); i++)
		if (bytes_equal(port, bytes_of(ports[i].port))) {
			listener = ports[i].listener;
			port = bytes_of(ports[i].standard);
		}
	at = arena_printf(a, "%.*s:%.*s", (int)host.len, host.at, (int)port.len, port.at);
	if (listener != NULL) {
		s->name = listener;
		say(s, a, arena_printf(a, "listen_%s", listener), at);
	} else {
		uint64_t number;
		s->named = true;
		s->name = arena_printf(a, bytes_number(port, &number) ? "port%.*s" : "%.*s",
		                       (int)port.len, port.at);
		say_own(s, a, "listener_service",
		        is_wrapped(rest) ? BYTES("submissions") : BYTES("smtp"));
		say_own(s, a, "listener_address", bytes_of(at));
	}
	options_say(s, a, rest);
}

static void
transport_say(struct service_line *s, struct arena *a, struct bytes program, struct bytes limit,
              struct bytes rest)
{
	static const char *const built_in[] = { "smtp", "relay", "lmtp" };
	bool                     pipe = bytes_equal(program, BYTES("pipe"));
	uint64_t                 most;

	s->name = arena_copy(a, s->service);
	/* "pipe -o flags=R user=...", as some have written it, is meant without the -o. */
	while (pipe && bytes_starts(rest, BYTES("-o ")))
		rest = bytes_trim(bytes_cut(rest, 2, SIZE_MAX));
	if (!is_one_of(s->service, built_in, COUNT(built_in)))
		say_own(s, a, "transport",
		        bytes_trim(
				bytes_of(arena_printf(a, "%.*s %.*s", (int)program.len, program.at,
		                                      pipe ? (int)rest.len : 0, rest.at))));
	if (bytes_number(limit, &most) && most > 0)
		say(s, a, arena_printf(a, "%s_destination_concurrency_limit", s->name),
		    arena_copy(a, limit));
	if (!pipe)
		options_say(s, a, rest);
	if (s->pairs == 0) {
		s->kind = SERVICE_INSIDE;
		s->note = "there always is a transport of this name";
	}
}

static void
program_say(struct service_line *s, struct arena *a, struct bytes program)
{
	for (size_t i = 0; i < COUNT(inside); i++)
		if (bytes_equal(program, bytes_of(inside[i].program))) {
			s->note = inside[i].note;
			return;
		}
	s->kind = SERVICE_PROGRAM;
	if (bytes_equal(program, BYTES("spawn")))
		s->note = arena_printf(
			a,
			"the server starts no program for each connection: let systemd listen for it, at a socket with "
			"Accept=yes as /run/%.*s, and write check_policy_service unix:/run/%.*s where its place in the "
			"restrictions is",
			(int)s->service.len, s->service.at, (int)s->service.len, s->service.at);
	else
		s->note =
			"there is no such service here; what else listens or delivers is a listener of "
			"listeners, or a transport as maildrop/transport = pipe ...";
}

bool
service_line_read(struct bytes entry, struct arena *a, struct service_line *out)
{
	struct bytes column[COLUMNS], program;

	*out = (struct service_line){ .kind = SERVICE_INSIDE, .name = "", .note = "" };
	if (!columns_take(&entry, column))
		return false;
	out->service = column[0];
	program = column[PROGRAM];
	if (bytes_equal(program, BYTES("smtpd")) && bytes_equal(column[TYPE], BYTES("inet"))) {
		out->kind = SERVICE_LISTENER;
		listener_say(out, a, entry);
	} else if (bytes_equal(program, BYTES("smtpd"))) {
		out->note = "it is part of the server: listen_smtp, and postscreen_enable = yes";
	} else if (bytes_equal(program, BYTES("postscreen"))) {
		out->kind = SERVICE_LISTENER;
		listener_say(out, a, entry);
		say(out, a, "postscreen_enable", "yes");
	} else if (bytes_equal(program, BYTES("smtp")) || bytes_equal(program, BYTES("lmtp")) ||
	           bytes_equal(program, BYTES("pipe"))) {
		out->kind = SERVICE_TRANSPORT;
		transport_say(out, a, program, column[LIMIT], entry);
	} else
		program_say(out, a, program);
	return true;
}

const char *
service_line_advice(const struct service_line *s, struct arena *a)
{
	struct buffer text = { 0 };
	const char   *said;
	int           n = s->service.len < 80 ? (int)s->service.len : 80;

	buffer_printf(&text,
	              "\"%.*s\" is a service of a master.cf, which there is none of here: ", n,
	              s->service.at);
	if (s->kind == SERVICE_INSIDE)
		buffer_printf(&text, "%s; take these lines away", s->note);
	else if (s->kind == SERVICE_PROGRAM)
		buffer_add_string(&text, s->note);
	else
		buffer_printf(&text, "write%s%s%s", s->named ? " " : "", s->named ? s->name : "",
		              s->named ? " behind \"listeners =\", and in the place of these lines"
		                       : " in its place");
	for (size_t i = 0; i < s->pairs; i++)
		buffer_printf(&text, "\n%s =%s%s", s->pair[i].name,
		              *s->pair[i].value != '\0' ? " " : "", s->pair[i].value);
	said = arena_copy(a, buffer_bytes(&text));
	buffer_free(&text);
	return said;
}
