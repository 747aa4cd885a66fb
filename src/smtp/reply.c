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

bool
reply_error(struct bytes reply)
{
	return reply.len > 0 && (reply.at[0] == '4' || reply.at[0] == '5');
}
