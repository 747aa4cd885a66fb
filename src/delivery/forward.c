#include "delivery/forward.h"

#include <string.h>

/* ---- one target ---- */

/* quoted = DQUOTE *( "\\" any / any ) DQUOTE; its text without the quotes, NULL when it does not end */
static char *
quoted(struct bytes *rest, struct arena *a, size_t *len)
{
	char  *out = arena_take(a, rest->len + 1);
	size_t n = 0;

	for (size_t i = 1; i < rest->len; i++) {
		if (rest->at[i] == '"') {
			*rest = bytes_cut(*rest, i + 1, SIZE_MAX);
			*len = n;
			return out;
		}
		if (rest->at[i] == '\\' && i + 1 < rest->len)
			i++;
		out[n++] = rest->at[i];
	}
	*rest = (struct bytes){ NULL, 0 };
	return NULL;
}

/* "Eva <eva@example.org>": what stands between the brackets. */
static struct bytes
address_of(struct bytes text)
{
	ptrdiff_t open = bytes_find_last(text, '<');

	if (open < 0 || text.at[text.len - 1] != '>')
		return text;
	return bytes_trim(bytes_cut(text, (size_t)open + 1, text.len - (size_t)open - 2));
}

static bool
has_blank(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.at[i] <= ' ' || text.at[i] == 0x7f)
			return true;
	return false;
}

/* What kind of target it is, by its first characters.  False: none. */
static bool
target_of(struct bytes text, bool was_quoted, struct forward_target *out)
{
	static const char include[] = ":include:";

	if (bytes_find(text, '\0') >= 0)
		return false;
	if (bytes_starts(text, BYTES("|"))) {
		*out = (struct forward_target){ FORWARD_COMMAND,
			                        bytes_trim(bytes_cut(text, 1, SIZE_MAX)) };
		return out->text.len > 0;
	}
	if (bytes_starts(text, BYTES("/"))) {
		*out = (struct forward_target){ FORWARD_FILE, text };
		return text.len > 1;
	}
	if (bytes_starts(text, bytes_of(include))) {
		*out = (struct forward_target){
			FORWARD_INCLUDE, bytes_trim(bytes_cut(text, sizeof include - 1, SIZE_MAX))
		};
		return bytes_starts(out->text, BYTES("/"));
	}
	if (!was_quoted && bytes_starts(text, BYTES("\\"))) {
		*out = (struct forward_target){ FORWARD_MAILBOX, bytes_cut(text, 1, SIZE_MAX) };
		return out->text.len > 0 && !has_blank(out->text);
	}
	*out = (struct forward_target){ FORWARD_ADDRESS, address_of(text) };
	return out->text.len > 0 && !has_blank(out->text);
}

/* ---- the file ---- */

/* The next target of a line; text.len 0: an empty place between commas. */
static struct bytes
next_of(struct bytes *line, struct arena *a, bool *was_quoted, bool *wrong)
{
	struct bytes part = { NULL, 0 };
	size_t       n = 0;
	char        *text;

	*line = bytes_trim(*line);
	*was_quoted = bytes_starts(*line, BYTES("\""));
	if (!*was_quoted) {
		(void)bytes_split(line, ',', &part);
		return bytes_trim(part);
	}
	text = quoted(line, a, &n);
	*line = bytes_trim(*line);
	if (text == NULL)
		*wrong = true;
	else
		part = bytes_trim((struct bytes){ text, n });
	/* "Eva" <eva@example.org>, "e va"@example.org: the rest of it is no quoted thing. */
	if (line->len > 0 && line->at[0] != ',') {
		struct bytes more;
		(void)bytes_split(line, ',', &more);
		more = bytes_trim(more);
		*was_quoted = false;
		if (bytes_starts(more, BYTES("<")))
			return more;
		*wrong = true;
		return (struct bytes){ NULL, 0 };
	}
	*line = bytes_cut(*line, line->len > 0, SIZE_MAX);
	return part;
}

size_t
forward_read(struct bytes text, struct arena *a,
             struct forward_target out[static FORWARD_TARGETS_MOST], bool *wrong)
{
	struct bytes line, part;
	size_t       n = 0;
	bool         was_quoted;

	*wrong = text.len > FORWARD_TEXT_MOST;
	text = bytes_cut(text, 0, FORWARD_TEXT_MOST);
	while (bytes_split(&text, '\n', &line)) {
		line = bytes_trim(line);
		if (bytes_starts(line, BYTES("#")))
			continue;
		while (line.len > 0) {
			part = next_of(&line, a, &was_quoted, wrong);
			if (part.len == 0)
				continue;
			if (n == FORWARD_TARGETS_MOST || !target_of(part, was_quoted, &out[n]))
				*wrong = true;
			else
				n++;
		}
	}
	return n;
}

/* ---- where it is ---- */

static bool
is_plain(struct bytes b)
{
	for (size_t i = 0; i < b.len; i++)
		if ((unsigned char)b.at[i] <= ' ' || b.at[i] == '/' || b.at[i] == 0x7f)
			return false;
	return true;
}

/* "home" or "{home}" behind a dollar, taken off the front. */
static struct bytes
name_of(struct bytes *rest)
{
	struct bytes name;
	size_t       n = 0;

	if (bytes_starts(*rest, BYTES("{"))) {
		ptrdiff_t end = bytes_find(*rest, '}');
		name = end < 0 ? (struct bytes){ NULL, 0 } : bytes_cut(*rest, 1, (size_t)end - 1);
		*rest = bytes_cut(*rest, end < 0 ? rest->len : (size_t)end + 1, SIZE_MAX);
		return name;
	}
	while (n < rest->len && rest->at[n] >= 'a' && rest->at[n] <= 'z')
		n++;
	name = bytes_cut(*rest, 0, n);
	*rest = bytes_cut(*rest, n, SIZE_MAX);
	return name;
}

bool
forward_path(struct bytes form, const struct forward_facts *f, struct buffer *out)
{
	const struct {
		const char  *name;
		struct bytes value;
		bool         ours;
	} names[] = {
		{ "home", f->home, true },
		{ "user", f->user, true },
		{ "local", f->local, false },
		{ "domain", f->domain, false },
		{ "extension", f->extension, false },
	};

	while (form.len > 0) {
		struct bytes name;
		size_t       i = 0;
		if (form.at[0] != '$') {
			buffer_add_char(out, form.at[0]);
			form = bytes_cut(form, 1, SIZE_MAX);
			continue;
		}
		form = bytes_cut(form, 1, SIZE_MAX);
		name = name_of(&form);
		while (i < COUNT(names) && !bytes_is(name, names[i].name))
			i++;
		if (i == COUNT(names) || (!names[i].ours && !is_plain(names[i].value)))
			return false;
		buffer_add(out, names[i].value);
	}
	return out->len > 0 && out->at[0] == '/';
}
