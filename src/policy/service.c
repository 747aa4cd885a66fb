#include "policy/service.h"

#include <string.h>

/* What stands in the braces, each with what it takes. */
enum option_kind { OPTION_TIME, OPTION_NUMBER, OPTION_TEXT };
#define AT(f) offsetof(struct service_settings, f)
/* clang-format off */
static const struct option {
	const char      *name;
	enum option_kind kind;
	size_t           where;
} options[] = {
	{ "default_action", OPTION_TEXT, AT(default_action) },
	{ "max_idle", OPTION_TIME, AT(max_idle) },
	{ "max_ttl", OPTION_TIME, AT(max_ttl) },
	{ "policy_context", OPTION_TEXT, AT(policy_context) },
	{ "request_limit", OPTION_NUMBER, AT(request_limit) },
	{ "retry_delay", OPTION_TIME, AT(retry_delay) },
	{ "timeout", OPTION_TIME, AT(timeout) },
	{ "try_limit", OPTION_NUMBER, AT(try_limit) },
};
static const struct { const char *unit; uint64_t worth; } units[] = {
	{ "", 1000 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 }, { "w", 604800000 },
};
/* clang-format on */
#undef AT

enum { NUMBER_MOST = 1000000000 };

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == ',';
}

/* number = 1*DIGIT [ unit ] */
static bool
option_number(struct bytes text, bool time, int64_t *out)
{
	size_t   n = 0;
	uint64_t number;

	while (n < text.len && text.at[n] >= '0' && text.at[n] <= '9')
		n++;
	if (!bytes_number(bytes_cut(text, 0, n), &number) || number > NUMBER_MOST)
		return false;
	*out = (int64_t)number;
	if (!time)
		return n == text.len;
	for (size_t i = 0; i < COUNT(units); i++)
		if (bytes_equal(bytes_cut(text, n, text.len), bytes_of(units[i].unit))) {
			*out = (int64_t)(number * units[i].worth);
			return true;
		}
	return false;
}

static bool
set_option(struct service_settings *set, struct bytes name, struct bytes value, struct arena *a)
{
	for (size_t i = 0; i < COUNT(options); i++) {
		void *where = (char *)set + options[i].where;
		if (!bytes_equal(name, bytes_of(options[i].name)))
			continue;
		if (options[i].kind == OPTION_TEXT) {
			*(const char **)where = arena_copy(a, value);
			return true;
		}
		return option_number(value, options[i].kind == OPTION_TIME, where);
	}
	return false;
}

/* address = "unix:" path / [ "inet:" ] host ":" port */
static bool
parse_address(struct bytes text, struct service *out)
{
	ptrdiff_t colon;

	if (bytes_starts(text, BYTES("unix:"))) {
		out->path = bytes_cut(text, 5, text.len);
		return out->path.len > 0;
	}
	if (bytes_starts(text, BYTES("inet:")))
		text = bytes_cut(text, 5, text.len);
	colon = bytes_find_last(text, ':');
	if (colon < 0 || (size_t)colon + 1 == text.len)
		return false;
	out->host = bytes_cut(text, 0, (size_t)colon);
	out->port = bytes_cut(text, (size_t)colon + 1, text.len);
	if (out->host.len > 1 && out->host.at[0] == '[' && out->host.at[out->host.len - 1] == ']')
		out->host = bytes_cut(out->host, 1, out->host.len - 2);
	if (out->host.len == 0)
		out->host = BYTES("localhost");
	return true;
}

/* option = name "=" value / "{" name "=" value "}", the value with blanks */
static bool
take_option(struct bytes *rest, struct bytes *option)
{
	size_t n = 0;

	if (rest->at[0] == '{') {
		ptrdiff_t end = bytes_find(*rest, '}');
		if (end < 0)
			return false;
		*option = bytes_trim(bytes_cut(*rest, 1, (size_t)end - 1));
		*rest = bytes_cut(*rest, (size_t)end + 1, rest->len);
		return true;
	}
	while (n < rest->len && !is_blank(rest->at[n]))
		n++;
	*option = bytes_cut(*rest, 0, n);
	*rest = bytes_cut(*rest, n, rest->len);
	return true;
}

static struct bytes
skip_blanks(struct bytes b)
{
	while (b.len > 0 && is_blank(b.at[0]))
		b = bytes_cut(b, 1, b.len);
	return b;
}

/* inside = address *( blank option ) */
static bool
parse_inside(struct bytes inside, struct arena *a, struct service *out, const char **wrong)
{
	struct bytes rest = skip_blanks(inside), part;
	bool         first = true;

	while (rest.len > 0) {
		ptrdiff_t equals;
		if (!take_option(&rest, &part))
			return false;
		rest = skip_blanks(rest);
		if (first) {
			first = false;
			if (!parse_address(part, out))
				return false;
			continue;
		}
		equals = bytes_find(part, '=');
		if (equals < 0 ||
		    !set_option(&out->set, bytes_trim(bytes_cut(part, 0, (size_t)equals)),
		                bytes_trim(bytes_cut(part, (size_t)equals + 1, part.len)), a)) {
			*wrong = "options of a policy service are timeout=10s, default_action=..., "
				 "max_idle, max_ttl, retry_delay, try_limit, request_limit and "
				 "policy_context";
			return false;
		}
	}
	return !first;
}

bool
service_parse(struct bytes word, const struct service_settings *set, struct arena *a,
              struct service *out, const char **wrong)
{
	*out = (struct service){ .word = word, .set = *set };
	*wrong = "a policy service is written unix:/path, inet:host:port or "
		 "{ inet:host:port, timeout=10s }";
	if (word.len > 1 && word.at[0] == '{') {
		if (word.at[word.len - 1] != '}' ||
		    !parse_inside(bytes_cut(word, 1, word.len - 2), a, out, wrong))
			return false;
	} else if (!parse_address(word, out)) {
		return false;
	}
	if (out->set.try_limit < 1)
		out->set.try_limit = 1;
	return true;
}

void
service_attribute(struct buffer *request, const char *name, struct bytes value)
{
	buffer_add_string(request, name);
	buffer_add_char(request, '=');
	for (size_t i = 0; i < value.len; i++)
		if (value.at[i] != '\n' && value.at[i] != '\r' && value.at[i] != '\0')
			buffer_add_char(request, value.at[i]);
	buffer_add_char(request, '\n');
}

void
service_number(struct buffer *request, const char *name, uint64_t value)
{
	buffer_add_string(request, name);
	buffer_add_char(request, '=');
	buffer_add_number(request, value);
	buffer_add_char(request, '\n');
}

/* reply = *( name "=" value LF ) LF ; of which one is the action */
enum service_outcome
service_reply(struct bytes arrived, size_t *used, struct bytes *action)
{
	bool   found = false;
	size_t at = 0;

	for (int lines = 0; lines < SERVICE_LINES_MOST; lines++) {
		struct bytes rest = bytes_cut(arrived, at, SIZE_MAX), line;
		ptrdiff_t    end = bytes_find(rest, '\n'), equals;
		if (end < 0)
			return arrived.len > SERVICE_REPLY_MOST ? SERVICE_BROKEN : SERVICE_SHORT;
		at += (size_t)end + 1;
		line = bytes_cut(rest, 0, (size_t)end);
		if (line.len > 0 && line.at[line.len - 1] == '\r')
			line = bytes_cut(line, 0, line.len - 1);
		if (line.len == 0) {
			if (!found)
				return SERVICE_BROKEN;
			*used = at;
			return SERVICE_ANSWERED;
		}
		equals = bytes_find(line, '=');
		if (equals < 0 || at > SERVICE_REPLY_MOST || bytes_find(line, '\0') >= 0)
			return SERVICE_BROKEN;
		if (bytes_equal(bytes_trim(bytes_cut(line, 0, (size_t)equals)), BYTES("action"))) {
			*action = bytes_trim(bytes_cut(line, (size_t)equals + 1, line.len));
			found = true;
		}
	}
	return SERVICE_BROKEN;
}
