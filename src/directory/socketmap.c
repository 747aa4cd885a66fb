#include "directory/socketmap.h"

#include <string.h>

void
socketmap_question(struct bytes map, struct bytes key, struct buffer *out)
{
	buffer_printf(out, "%zu:", map.len + 1 + key.len);
	buffer_add(out, map);
	buffer_add_char(out, ' ');
	buffer_add(out, key);
	buffer_add_char(out, ',');
}

/* netstring = length ":" bytes "," */
static enum socketmap_reply
netstring_read(struct bytes arrived, struct bytes *inside)
{
	enum { DIGITS_MOST = 7 };
	ptrdiff_t colon = bytes_find(bytes_cut(arrived, 0, DIGITS_MOST + 1), ':');
	uint64_t  n;

	if (colon < 0)
		return arrived.len > DIGITS_MOST ? SOCKETMAP_NONSENSE : SOCKETMAP_SHORT;
	if (!bytes_number(bytes_cut(arrived, 0, (size_t)colon), &n) || n > SOCKETMAP_REPLY_MOST)
		return SOCKETMAP_NONSENSE;
	if (arrived.len < (size_t)colon + 1 + n + 1)
		return SOCKETMAP_SHORT;
	*inside = bytes_cut(arrived, (size_t)colon + 1, n);
	return arrived.len == (size_t)colon + 1 + n + 1 && arrived.at[arrived.len - 1] == ','
	               ? SOCKETMAP_OK
	               : SOCKETMAP_NONSENSE;
}

enum socketmap_reply
socketmap_reply_read(struct bytes arrived, struct buffer *value)
{
	static const struct {
		const char          *word;
		enum socketmap_reply is;
	} words[] = {
		{ "OK", SOCKETMAP_OK },      { "NOTFOUND", SOCKETMAP_NONE },
		{ "TEMP", SOCKETMAP_LATER }, { "TIMEOUT", SOCKETMAP_LATER },
		{ "PERM", SOCKETMAP_LATER },
	};
	struct bytes         inside = { NULL, 0 }, word, rest;
	enum socketmap_reply is = netstring_read(arrived, &inside);
	ptrdiff_t            blank;

	if (is != SOCKETMAP_OK)
		return is;
	blank = bytes_find(inside, ' ');
	word = blank < 0 ? inside : bytes_cut(inside, 0, (size_t)blank);
	rest = blank < 0 ? (struct bytes){ NULL, 0 }
	                 : bytes_cut(inside, (size_t)blank + 1, inside.len);
	for (size_t i = 0; i < COUNT(words); i++) {
		if (!bytes_equal(word, bytes_of(words[i].word)))
			continue;
		buffer_add(value, rest);
		/* A value of nothing is no value. */
		return words[i].is == SOCKETMAP_OK && rest.len == 0 ? SOCKETMAP_NONSENSE
		                                                    : words[i].is;
	}
	return SOCKETMAP_NONSENSE;
}

static bool
is_plain(char c)
{
	return c > ' ' && c <= '~' && c != '%';
}

void
tcp_question(struct bytes key, struct buffer *out)
{
	buffer_add_string(out, "get ");
	for (size_t i = 0; i < key.len; i++)
		if (is_plain(key.at[i]))
			buffer_add_char(out, key.at[i]);
		else
			buffer_printf(out, "%%%02X", (unsigned)(unsigned char)key.at[i]);
	buffer_add_char(out, '\n');
}

static int
hex(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
	                              : -1;
}

static bool
add_decoded(struct bytes in, struct buffer *out)
{
	for (size_t i = 0; i < in.len; i++) {
		if (in.at[i] != '%') {
			buffer_add_char(out, in.at[i]);
			continue;
		}
		if (i + 2 >= in.len || hex(in.at[i + 1]) < 0 || hex(in.at[i + 2]) < 0)
			return false;
		buffer_add_char(out, (char)(hex(in.at[i + 1]) * 16 + hex(in.at[i + 2])));
		i += 2;
	}
	return true;
}

/* reply = 3DIGIT " " text LF */
enum socketmap_reply
tcp_reply_read(struct bytes arrived, struct buffer *value)
{
	ptrdiff_t    end = bytes_find(arrived, '\n');
	struct bytes line, text;

	if (end < 0)
		return arrived.len > SOCKETMAP_REPLY_MOST ? SOCKETMAP_NONSENSE : SOCKETMAP_SHORT;
	line = bytes_cut(arrived, 0, (size_t)end);
	if (line.len > 0 && line.at[line.len - 1] == '\r')
		line = bytes_cut(line, 0, line.len - 1);
	text = bytes_cut(line, 4, line.len);
	if ((size_t)end + 1 != arrived.len || line.len < 4 || line.at[3] != ' ' ||
	    !add_decoded(text, value))
		return SOCKETMAP_NONSENSE;
	if (bytes_starts(line, BYTES("500 ")))
		return SOCKETMAP_NONE;
	if (bytes_starts(line, BYTES("400 ")))
		return SOCKETMAP_LATER;
	return bytes_starts(line, BYTES("200 ")) && value->len > 0 ? SOCKETMAP_OK
	                                                           : SOCKETMAP_NONSENSE;
}
