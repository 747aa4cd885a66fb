#include "access/imap/letter.h"

#include <errno.h>
#include <string.h>

void
letter_read_open(struct letter *l, struct account *account, struct arena *outer)
{
	*l = (struct letter){ .account = account, .arena = arena_open(outer) };
}

void
letter_begin(struct letter *l, uint64_t id)
{
	arena_clear(l->arena);
	l->id = id;
	l->depth = LETTER_UNREAD;
	l->why = 0;
	l->own = l->prefix = (struct bytes){ 0 };
}

int
letter_row(struct letter *l)
{
	if (l->why == 0 && l->depth < LETTER_ROW) {
		l->why = message_read(l->account, l->id, l->arena, &l->message);
		l->depth = LETTER_ROW;
		if (l->why == 0 && l->message.prefix_len == 0)
			l->own = l->message.head;
	}
	return l->why;
}

static void
join_own(struct letter *l)
{
	char *own;

	if (l->message.head.len == 0 || l->prefix.len == 0) {
		l->own = l->message.head.len == 0 ? l->prefix : l->message.head;
		return;
	}
	own = arena_take(l->arena, l->message.head.len + l->prefix.len);
	memcpy(own, l->message.head.at, l->message.head.len);
	memcpy(own + l->message.head.len, l->prefix.at, l->prefix.len);
	l->own = (struct bytes){ own, l->message.head.len + l->prefix.len };
}

int
letter_digest(struct letter *l)
{
	if (letter_row(l) == 0 && l->depth < LETTER_DIGEST) {
		l->why = message_digest(l->account, &l->message, l->arena, &l->digest, &l->prefix);
		if (l->why == 0)
			join_own(l);
		l->depth = LETTER_DIGEST;
	}
	return l->why;
}

int
letter_again(struct letter *l)
{
	struct arena  *scratch = arena_open(NULL);
	struct message now;
	int            why = message_read(l->account, l->id, scratch, &now);

	if (why == 0)
		l->message.place = now.place;
	arena_close(&scratch);
	return why;
}

struct bytes
letter_own(const struct letter *l)
{
	return l->own;
}

uint64_t
letter_own_len(const struct letter *l)
{
	return l->own.len;
}

int
letter_read(struct letter *l, uint64_t at, void *out, size_t len)
{
	return l->why = message_bytes(l->account, &l->message, l->prefix, at, out, len);
}

const char *
letter_take(struct letter *l, uint64_t at, size_t len)
{
	char *out = arena_take(l->arena, len > 0 ? len : 1);

	if ((errno = letter_read(l, at, out, len)) == 0)
		return out;
	return NULL;
}

void
letter_close(struct letter *l)
{
	arena_close(&l->arena);
}

int64_t
letter_saved(const struct letter *l, const struct entry *e)
{
	return e->saved > 0 ? (int64_t)e->saved : l->message.saved;
}
