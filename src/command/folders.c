#include "command/folders.h"

#include <stdio.h>
#include <string.h>

#include "access/imap/pattern.h"

struct listing {
	struct arena *arena;
	struct buffer all; /* of struct folder */
};

static void
note_attribute(struct listing *l, struct folder *f, struct bytes word)
{
	static const char *const uses[] = { "\\Drafts",  "\\Sent", "\\Junk",    "\\Trash",
		                            "\\Archive", "\\All",  "\\Flagged", "\\Important" };

	if (bytes_is(word, "\\Noselect") || bytes_is(word, "\\NonExistent"))
		f->exists = false;
	if (bytes_is(word, "\\Subscribed"))
		f->subscribed = true;
	if (bytes_is(word, "\\HasChildren"))
		f->children = true;
	for (size_t i = 0; i < COUNT(uses); i++)
		if (bytes_is(word, uses[i]))
			f->use = arena_copy(l->arena, bytes_cut(word, 1, word.len));
}

/* mailbox-list = "(" attributes ")" SP quoted-char SP mailbox   rfc3501:9 */
static void
listed(void *ctx, struct client *c, const struct client_answer *a)
{
	struct listing     *l = ctx;
	struct folder       f = { .exists = true, .use = "" };
	struct client_value v;
	struct buffer       name = { 0 };

	if (!bytes_is(a->word, "LIST"))
		return;
	client_next(c, &v);
	while (v.kind != VALUE_CLOSE && v.kind != VALUE_END) {
		if (v.kind == VALUE_ATOM)
			note_attribute(l, &f, v.text);
		client_next(c, &v);
	}
	client_next(c, &v); /* the separator */
	client_next(c, &v);
	client_gather(c, &v, &name, 4096);
	f.name = arena_copy(l->arena, buffer_bytes(&name));
	buffer_free(&name);
	buffer_add(&l->all, (struct bytes){ (const char *)&f, sizeof f });
}

int
folders_list(struct client *c, struct arena *arena, bool subscribed, struct folders *out)
{
	struct listing      l = { .arena = arena };
	enum client_outcome o =
		client_say(c, listed, &l,
	                   "LIST%s \"\" \"*\" RETURN (SUBSCRIBED SPECIAL-USE CHILDREN)",
	                   subscribed ? " (SUBSCRIBED)" : "");

	out->count = l.all.len / sizeof *out->one;
	out->one = arena_take_array(arena, out->count + 1, sizeof *out->one);
	if (l.all.len > 0)
		memcpy(out->one, l.all.at, l.all.len);
	buffer_free(&l.all);
	if (o != CLIENT_OK)
		(void)fprintf(stderr, "mansio: %s: %s\n", client_user(c), client_said(c));
	return o == CLIENT_OK ? 0 : -1;
}

static void
id_told(void *ctx, struct client *c, const struct client_answer *a)
{
	char               *out = ctx;
	struct client_value v;
	uint64_t            n;

	if (!bytes_is(a->word, "STATUS"))
		return;
	do
		client_next(c, &v);
	while (v.kind != VALUE_OPEN && v.kind != VALUE_END);
	client_next(c, &v);
	do
		client_next(c, &v);
	while (v.kind == VALUE_OPEN);
	if (v.kind == VALUE_ATOM && bytes_number(v.text, &n) && n <= UINT32_MAX)
		(void)snprintf(out, 64, "%08x", (unsigned)n);
	else if (v.kind == VALUE_ATOM)
		(void)bytes_string(v.text, out, 64);
}

bool
folder_id(struct client *c, const char *name, char out[static 64])
{
	out[0] = '\0';
	buffer_add_string(client_begin(c), "STATUS ");
	client_put_mailbox(c, name);
	buffer_add_string(client_out(c),
	                  client_can(c, "OBJECTID") ? " (MAILBOXID)" : " (UIDVALIDITY)");
	return client_run(c, id_told, out) == CLIENT_OK;
}

bool
pattern_of_any(char *const *patterns, int count, const char *name)
{
	bool any = count == 0;

	for (int i = 0; i < count && !any; i++)
		any = pattern_matches(bytes_of(patterns[i]), bytes_of(name));
	return any;
}
