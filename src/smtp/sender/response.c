#include "smtp/sender/response.h"

#include <stdio.h>

enum { CODE = 3, STATUS_MOST = 9, WORDS_MOST = 900 };

void
response_begin(struct response *r)
{
	r->code = 0;
	r->lines = 0;
	buffer_reset(&r->text);
}

void
response_free(struct response *r)
{
	buffer_free(&r->text);
	buffer_free(&r->instead);
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* What came is shown to people: no controls; bytes above 127 only as they may be in rfc6531:3.7.4.1. */
static void
keep_line(struct response *r, struct bytes line)
{
	if (r->text.len > 0 && r->text.len < RESPONSE_TEXT_MOST)
		buffer_add_char(&r->text, '\n');
	for (size_t i = 0; i < line.len && r->text.len < RESPONSE_TEXT_MOST; i++) {
		char c = line.at[i];

		buffer_add_char(&r->text, (c >= ' ' && c < 127) || c == '\t' ? c : '?');
	}
}

/* One line without its end: SHORT when others follow. */
static enum response_outcome
take_line(struct response *r, struct bytes line)
{
	if (line.len < CODE || !is_digit(line.at[0]) || !is_digit(line.at[1]) ||
	    !is_digit(line.at[2]) || line.at[0] < '2' || line.at[0] > '5' ||
	    (line.len > CODE && line.at[CODE] != ' ' && line.at[CODE] != '-'))
		return RESPONSE_NONSENSE;
	if (++r->lines > RESPONSE_LINES_MOST)
		return RESPONSE_NONSENSE;
	r->code = (uint16_t)((line.at[0] - '0') * 100 + (line.at[1] - '0') * 10 + line.at[2] - '0');
	keep_line(r, line);
	return line.len > CODE && line.at[CODE] == '-' ? RESPONSE_SHORT : RESPONSE_WHOLE;
}

/* What a filter makes of a line; SHORT: it is there. */
static enum response_outcome
filter_line(struct response *r, struct bytes *line, bool *waits)
{
	enum response_filtered f = FILTERED_NOT;

	buffer_reset(&r->instead);
	if (r->filter != NULL)
		f = r->filter(r->ctx, *line, &r->instead);
	if (f == FILTERED)
		*line = bytes_cut(buffer_bytes(&r->instead), 0, RESPONSE_LINE_MOST);
	*waits = f == FILTERED_WAIT;
	return f == FILTERED_LATER ? RESPONSE_UNSURE : RESPONSE_SHORT;
}

enum response_outcome
response_take(struct response *r, struct bytes arrived, size_t *used)
{
	enum response_outcome o = RESPONSE_SHORT;

	*used = 0;
	while (o == RESPONSE_SHORT) {
		struct bytes line = bytes_cut(arrived, *used, SIZE_MAX);
		ptrdiff_t    end = bytes_find(line, '\n');
		bool         waits;

		if (end < 0)
			return line.len > RESPONSE_LINE_MOST ? RESPONSE_NONSENSE : RESPONSE_SHORT;
		line.len = (size_t)end;
		if (line.len > RESPONSE_LINE_MOST) {
			*used += (size_t)end + 1;
			return RESPONSE_NONSENSE;
		}
		if (line.len > 0 && line.at[line.len - 1] == '\r')
			line.len--;
		if ((o = filter_line(r, &line, &waits)) != RESPONSE_SHORT || waits)
			return o;
		*used += (size_t)end + 1;
		o = take_line(r, line);
	}
	return o;
}

bool
response_line(struct bytes *rest, struct bytes *words)
{
	if (!bytes_split(rest, '\n', words))
		return false;
	*words = bytes_cut(*words, CODE + 1, SIZE_MAX);
	return true;
}

/* "5.1.1": the length, 0 when the words begin with none of this class. */
static size_t
status_length(struct bytes words, char class)
{
	size_t n = 2, digits = 0, parts = 0;

	if (words.len < 5 || words.at[0] != class || words.at[1] != '.')
		return 0;
	for (; n < words.len && n <= STATUS_MOST; n++) {
		if (is_digit(words.at[n])) {
			if (++digits > 3)
				return 0;
		} else if (words.at[n] == '.' && digits > 0 && parts == 0) {
			parts++;
			digits = 0;
		} else {
			break;
		}
	}
	return parts == 1 && digits > 0 && (n == words.len || words.at[n] == ' ') ? n : 0;
}

void
response_status(const struct response *r, char out[static 12])
{
	struct bytes rest = buffer_bytes(&r->text), words = { NULL, 0 };
	char class = (char)('0' + r->code / 100);
	size_t n = 0;

	/* The line whose code holds is the last: where those before it say something else, its status counts. */
	while (n == 0 && response_line(&rest, &words))
		n = status_length(words, class);
	if (n == 0 || !bytes_string(bytes_cut(words, 0, n), out, 12))
		(void)snprintf(out, 12, "%c.0.0", class);
}

void
response_words(const struct response *r, struct buffer *out)
{
	struct bytes words = bytes_cut(buffer_bytes(&r->text), 0, WORDS_MOST);

	for (size_t i = 0; i < words.len; i++)
		buffer_add_char(out,
		                words.at[i] == '\n' || words.at[i] == '\t' ? ' ' : words.at[i]);
	while (out->len > 0 && out->at[out->len - 1] == ' ')
		out->len--;
}
