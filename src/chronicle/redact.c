#include "chronicle/redact.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/map.h"

/* Of what may stand before the @ in a text; a quoted local part is taken back to its quote. */
static bool
is_local(char c)
{
	return (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') ||
	       (unsigned char)c >= 0x80 || (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~.", c) != NULL);
}

struct bytes
address_redact(struct bytes address, int how, const struct key_secret *secret, struct arena *a)
{
	ptrdiff_t    at = bytes_find_last(address, '@');
	struct bytes domain = at < 0 ? BYTES("") : bytes_cut(address, (size_t)at, SIZE_MAX);

	if (how == ADDRESSES_WHOLE || address.len == 0 || at == 0 || domain.len == 1)
		return address;
	if (how == ADDRESSES_DOMAIN)
		return bytes_of(arena_printf(a, "*%.*s", (int)domain.len, domain.at));
	return bytes_of(arena_printf(
		a, "~%012llx%.*s",
		(unsigned long long)(hash_with(secret->half, arena_lower(a, address)) >> 16),
		(int)domain.len, domain.at));
}

/* Where the local part that ends at `at` begins. */
static size_t
local_begins(struct bytes text, size_t at)
{
	size_t from = at;

	if (at > 1 && text.at[at - 1] == '"') {
		for (from = at - 1; from > 0 && text.at[from - 1] != '"';)
			from--;
		return from > 0 ? from - 1 : 0;
	}
	while (from > 0 && is_local(text.at[from - 1]))
		from--;
	return from;
}

static size_t
domain_ends(struct bytes text, size_t at)
{
	size_t to = at + 1;

	while (to < text.len &&
	       (is_local(text.at[to]) || text.at[to] == '[' || text.at[to] == ']' ||
	        text.at[to] == ':') &&
	       strchr("!#$%&'*+/=?^`{|}", text.at[to]) == NULL)
		to++;
	while (to > at + 1 && (text.at[to - 1] == '.' || text.at[to - 1] == ':'))
		to--;
	return to;
}

/* Every address in a text. */
static struct bytes
text_redact(struct bytes text, int how, const struct key_secret *secret, struct arena *a)
{
	struct buffer out = { 0 };
	struct bytes  kept;
	size_t        done = 0;

	if (bytes_find(text, '@') < 0)
		return text;
	for (size_t at = 0; at < text.len; at++) {
		size_t from, to;

		if (text.at[at] != '@')
			continue;
		from = local_begins(text, at);
		to = domain_ends(text, at);
		if (from < done || from == at)
			continue;
		buffer_add(&out, bytes_cut(text, done, from - done));
		buffer_add(&out, address_redact(bytes_cut(text, from, to - from), how, secret, a));
		done = to;
		at = to > at ? to - 1 : at;
	}
	buffer_add(&out, bytes_cut(text, done, SIZE_MAX));
	kept = arena_keep(a, buffer_bytes(&out));
	buffer_free(&out);
	return kept;
}

/* All of a list with NUL between. */
static struct bytes
list_redact(struct bytes list, int how, const struct key_secret *secret, struct arena *a)
{
	struct buffer out = { 0 };
	struct bytes  one, kept;

	while (bytes_split(&list, '\0', &one)) {
		if (out.len > 0)
			buffer_add_char(&out, '\0');
		buffer_add(&out, address_redact(one, how, secret, a));
	}
	kept = arena_keep(a, buffer_bytes(&out));
	buffer_free(&out);
	return kept;
}

/* "name[192.0.2.77]" or "192.0.2.77". */
static struct bytes
client_redact(struct bytes client, int how, struct arena *a)
{
	ptrdiff_t     open = bytes_find_last(client, '[');
	struct bytes  address = client;
	unsigned char raw[16] = { 0 };
	char          text[INET6_ADDRSTRLEN];

	if (how == CLIENTS_NONE)
		return BYTES("");
	if (open >= 0)
		address = bytes_cut(client, (size_t)open + 1, client.len - (size_t)open - 2);
	if (!bytes_string(address, text, sizeof text))
		return BYTES("");
	if (inet_pton(AF_INET, text, raw) == 1) {
		raw[3] = 0;
		(void)inet_ntop(AF_INET, raw, text, sizeof text);
		return bytes_of(arena_printf(a, "[%s/24]", text));
	}
	if (inet_pton(AF_INET6, text, raw) != 1)
		return BYTES("");
	memset(raw + 6, 0, 10);
	(void)inet_ntop(AF_INET6, raw, text, sizeof text);
	return bytes_of(arena_printf(a, "[%s/48]", text));
}

static struct bytes
without(struct bytes text, struct bytes word, struct arena *a)
{
	struct buffer out = { 0 };
	struct bytes  kept;
	ptrdiff_t     at;

	if (word.len < 3 || bytes_search_nocase(text, word) < 0)
		return text;
	while ((at = bytes_search_nocase(text, word)) >= 0) {
		buffer_add(&out, bytes_cut(text, 0, (size_t)at));
		buffer_add_char(&out, '*');
		text = bytes_cut(text, (size_t)at + word.len, SIZE_MAX);
	}
	buffer_add(&out, text);
	kept = arena_keep(a, buffer_bytes(&out));
	buffer_free(&out);
	return kept;
}

/* Replies quote the client's name and address. */
static void
client_hide(struct event *e, struct arena *a)
{
	static const uint8_t texts[] = { TEXT_REPLY, TEXT_RULE, TEXT_MOMENT };
	struct bytes         client = e->text[TEXT_CLIENT];
	ptrdiff_t            open = bytes_find_last(client, '[');

	for (size_t i = 0; i < COUNT(texts); i++) {
		struct bytes *t = &e->text[texts[i]];

		if (open > 0 && !bytes_is(bytes_cut(client, 0, (size_t)open), "unknown"))
			*t = without(*t, bytes_cut(client, 0, (size_t)open), a);
		if (open >= 0 && client.len > (size_t)open + 2)
			*t = without(*t,
			             bytes_cut(client, (size_t)open + 1,
			                       client.len - (size_t)open - 2),
			             a);
		*t = without(*t, e->text[TEXT_HELO], a);
	}
}

void
event_redact(struct event *e, const struct redaction *how, const struct key_secret *secret,
             struct arena *a)
{
	static const uint8_t lists[] = { TEXT_SENDER, TEXT_RECIPIENT, TEXT_ORIGINAL, TEXT_USER };
	static const uint8_t texts[] = { TEXT_REPLY, TEXT_STATUS, TEXT_HOW, TEXT_RULE,
		                         TEXT_MOMENT };

	if (how->clients != CLIENTS_WHOLE) {
		client_hide(e, a);
		e->text[TEXT_CLIENT] = client_redact(e->text[TEXT_CLIENT], how->clients, a);
		e->text[TEXT_HELO] = BYTES(""); /* the name it gives itself tells who it is */
	}
	if (how->addresses == ADDRESSES_WHOLE)
		return;
	for (size_t i = 0; i < COUNT(lists); i++)
		e->text[lists[i]] = list_redact(e->text[lists[i]], how->addresses, secret, a);
	for (size_t i = 0; i < COUNT(texts); i++)
		e->text[texts[i]] = text_redact(e->text[texts[i]], how->addresses, secret, a);
}
