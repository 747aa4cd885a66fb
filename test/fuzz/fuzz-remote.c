/* Files of tables that others keep, and hostile keys in them: what is in quotes stays there. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "directory/remote.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

static int
open_bytes(void *ctx, const char *path)
{
	struct bytes *text = ctx;
	int           fd = memfd_create("cf", MFD_CLOEXEC);

	(void)path;
	if (fd >= 0 && write(fd, text->at, text->len) != (ssize_t)text->len)
		abort();
	return fd;
}

static bool
double_it(void *ctx, char q, struct bytes in, struct buffer *out)
{
	(void)ctx;
	for (size_t i = 0; i < in.len; i++) {
		if (in.at[i] == q)
			buffer_add_char(out, q);
		buffer_add_char(out, in.at[i]);
	}
	return true;
}

/* Quotes that are open at the end, as a database counts them. */
static char
open_at_end(struct bytes text)
{
	char open = '\0';

	for (size_t i = 0; i < text.len; i++)
		if (text.at[i] == '\'' || text.at[i] == '"')
			open = open == '\0' ? text.at[i] : open == text.at[i] ? '\0' : open;
	return open;
}

/* A key changes nothing of the shape of a question. */
static void
try_question(struct bytes text, struct bytes key)
{
	struct arena *a = arena_open(NULL);
	struct buffer hostile = { 0 }, tame = { 0 };
	struct template t;

	if (template_parse(&t, text, TEMPLATE_QUESTION, QUOTES_SQL, a) == NULL &&
	    template_expand(&t, key, NULL, double_it, NULL, &hostile) &&
	    template_expand(&t, BYTES("user@a.b.c.d.e.f.g.h.i.j"), NULL, double_it, NULL, &tame) &&
	    open_at_end(buffer_bytes(&hostile)) != open_at_end(buffer_bytes(&tame)))
		abort();
	buffer_free(&hostile);
	buffer_free(&tame);
	arena_close(&a);
}

int
LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
	static const char *const types[] = { "sqlite:/a", "pgsql:/a", "mysql:/a", "ldap:/a" };
	struct bytes             in = { (const char *)at, len }, rest = in, first = { NULL, 0 };
	struct table_source source = { .open = open_bytes, .ctx = &in, .default_type = "hash" };

	if (len > 1 << 16)
		return 0;
	for (size_t i = 0; i < COUNT(types); i++) {
		struct buffer errors = { 0 }, warnings = { 0 };
		struct reach  reach = { .ports = 0 };
		struct table *t = table_open(types[i], TABLE_PLAIN, &source, &errors, &warnings);
		if ((t == NULL) != (errors.len > 0))
			abort();
		if (t != NULL)
			table_reach(t, &reach);
		reach_free(&reach);
		table_close(&t);
		buffer_free(&errors);
		buffer_free(&warnings);
	}
	(void)bytes_split(&rest, '\n', &first);
	try_question(first, rest);
	return 0;
}
