#include "chronicle/key.h"

#include "base/arena.h"
#include "base/map.h"
#include "message/domain.h"

enum { VALUE_MOST = 1000 };

/* "<id@host>" is id@host. */
static struct bytes
bare(struct bytes id)
{
	id = bytes_trim(id);
	if (id.len > 1 && id.at[0] == '<' && id.at[id.len - 1] == '>')
		return bytes_cut(id, 1, id.len - 2);
	return id;
}

static bool
is_beyond_ascii(struct bytes b)
{
	for (size_t i = 0; i < b.len; i++)
		if ((unsigned char)b.at[i] >= 0x80)
			return true;
	return false;
}

/* The address with its domain as the DNS has it. */
static struct bytes
canonical(struct bytes address, struct arena *a)
{
	ptrdiff_t    at = bytes_find_last(address, '@');
	struct bytes domain = bytes_cut(address, (size_t)at + 1, SIZE_MAX), name;

	if (at < 0 || !domain_canonical(domain, a, &name))
		return address;
	return bytes_of(arena_printf(a, "%.*s@%.*s", (int)at, address.at, (int)name.len, name.at));
}

uint64_t
key_of(const struct key_secret *secret, enum key_kind kind, struct bytes value)
{
	char          text[VALUE_MOST + 1];
	struct arena *a = NULL;

	if (kind == KEY_ADDRESS && is_beyond_ascii(value))
		value = canonical(bare(value), a = arena_open(NULL));
	if (kind == KEY_MESSAGE_ID || kind == KEY_ADDRESS)
		value = bare(value);
	value = bytes_cut(value, 0, VALUE_MOST);
	text[0] = (char)kind;
	for (size_t i = 0; i < value.len; i++)
		text[i + 1] = kind == KEY_MESSAGE_ID ? value.at[i] : ascii_lower(value.at[i]);
	arena_close(&a);
	return hash_with(secret->half, (struct bytes){ text, value.len + 1 });
}

uint64_t
key_of_number(const struct key_secret *secret, enum key_kind kind, uint64_t value)
{
	char text[9] = { (char)kind };

	for (int i = 0; i < 8; i++)
		text[i + 1] = (char)(value >> 8 * i & 0xff);
	return hash_with(secret->half, (struct bytes){ text, sizeof text });
}

void
event_keys(const struct key_secret *secret, const struct event *e,
           void (*each)(void *ctx, uint64_t key), void         *ctx)
{
	static const uint8_t people[] = { TEXT_SENDER, TEXT_RECIPIENT, TEXT_ORIGINAL, TEXT_USER };
	struct bytes         rest, one;

	if (e->letter != 0)
		each(ctx, key_of_number(secret, KEY_LETTER, e->letter));
	if (e->other != 0)
		each(ctx, key_of_number(secret, KEY_LETTER, e->other));
	if (e->session != 0)
		each(ctx, key_of_number(secret, KEY_SESSION, e->session));
	if (e->kind == LIFE_GAP)
		each(ctx, key_of_number(secret, KEY_GAP, 0));
	if (e->text[TEXT_ID].len > 0)
		each(ctx, key_of(secret, KEY_REFUSAL, e->text[TEXT_ID]));
	if (e->text[TEXT_MESSAGE_ID].len > 0)
		each(ctx, key_of(secret, KEY_MESSAGE_ID, e->text[TEXT_MESSAGE_ID]));
	for (size_t i = 0; i < COUNT(people); i++)
		for (rest = e->text[people[i]]; bytes_split(&rest, '\0', &one);)
			if (one.len > 0)
				each(ctx, key_of(secret, KEY_ADDRESS, one));
}

struct wanted {
	uint64_t key;
	bool     found;
};

static void
look(void *ctx, uint64_t key)
{
	struct wanted *w = ctx;

	w->found |= key == w->key;
}

bool
event_has_key(const struct key_secret *secret, const struct event *e, uint64_t key)
{
	struct wanted w = { key, false };

	event_keys(secret, e, look, &w);
	return w.found;
}
