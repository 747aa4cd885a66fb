#include "smtp/reply.h"

void
reply_text(struct buffer *out, struct bytes text)
{
	size_t n = text.len < REPLY_TEXT_MOST ? text.len : REPLY_TEXT_MOST;
	char  *room = buffer_room(out, n);

	for (size_t i = 0; i < n; i++)
		room[i] = text.at[i] >= ' ' && text.at[i] <= '~' ? text.at[i] : '?';
	buffer_took(out, n);
}

void
reply_text_as(struct buffer *out, struct bytes text, bool utf8)
{
	size_t from = 0;

	if (!utf8 || text.len > REPLY_TEXT_MOST) {
		reply_text(out, text);
		return;
	}
	while (from < text.len) {
		uint32_t rune;
		size_t   n = bytes_utf8(bytes_cut(text, from, text.len), &rune);

		/* Controls above 127 are controls, too. */
		if (n > 1 && rune >= 0xa0)
			buffer_add(out, bytes_cut(text, from, n));
		else
			reply_text(out, bytes_cut(text, from, n > 1 ? n : 1));
		from += n > 1 ? n : 1;
	}
}

bool
reply_error(struct bytes reply)
{
	return reply.len > 0 && (reply.at[0] == '4' || reply.at[0] == '5');
}
