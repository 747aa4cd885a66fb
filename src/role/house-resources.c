/*
 * house-resources -- what the postmaster gave a role: descriptors and texts by name, settings, paths
 */
#include "role/house_inner.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

bool
resource_is_listening(const char *name)
{
	return strncmp(name, "listener/", 9) == 0 || strncmp(name, "control/", 8) == 0;
}

struct resource *
resource_find(struct home *m, const char *name)
{
	for (struct resource *r = m->first; r != NULL; r = r->next)
		if (strcmp(r->name, name) == 0)
			return r;
	return NULL;
}

/* Listening sockets of one name are told apart by their address. */
void
resource_forget(struct home *m, const struct word_resource *w)
{
	struct resource **at = &m->first, *r;

	while ((r = *at) != NULL) {
		if (strcmp(r->name, w->name) != 0 ||
		    (resource_is_listening(w->name) && strcmp(r->text, w->text) != 0)) {
			at = &r->next;
			continue;
		}
		*at = r->next;
		if (r->fd >= 0 && !resource_is_listening(r->name))
			(void)close(r->fd);
		memory_free(r->name);
		memory_free(r->text);
		memory_free(r);
	}
}

static char *
string_copy(const char *s)
{
	size_t n = strlen(s);
	char  *copy = memory_take(n + 1);

	memcpy(copy, s, n + 1);
	return copy;
}

void
resource_put(struct home *m, const struct word_resource *w, int fd)
{
	struct resource **at = &m->first, *r = memory_take(sizeof *r);

	*r = (struct resource){ NULL, string_copy(w->name), string_copy(w->text), fd };
	while (*at != NULL)
		at = &(*at)->next;
	*at = r;
}

int
house_resource(struct house *h, const char *name)
{
	struct resource *r = resource_find(home_of(h), name);

	return r == NULL ? -1 : r->fd;
}

const char *
house_resource_text(struct house *h, const char *name)
{
	struct resource *r = resource_find(home_of(h), name);

	return r == NULL ? NULL : r->text;
}

int
house_resource_read(struct house *h, const char *name, struct buffer *out)
{
	enum { PIECE = 4096 };
	int     fd = house_resource(h, name);
	off_t   at = 0;
	ssize_t n;

	if (fd < 0)
		return ENOENT;
	while ((n = pread(fd, buffer_room(out, PIECE), PIECE, at)) > 0) {
		buffer_took(out, (size_t)n);
		at += n;
	}
	return n < 0 ? errno : 0;
}

bool
house_resource_next(struct house *h, const char *prefix, size_t *place, const char **name, int *fd)
{
	struct resource *r = home_of(h)->first;
	size_t           i = 0;

	for (; r != NULL; r = r->next, i++)
		if (i >= *place && strncmp(r->name, prefix, strlen(prefix)) == 0)
			break;
	if (r == NULL)
		return false;
	*place = i + 1;
	*name = r->name;
	*fd = r->fd;
	return true;
}

const char *
house_path(struct house *h, const char *under)
{
	struct home *m = home_of(h);

	return arena_printf(m->life, "%s/%s", m->root, under);
}

bool
house_settings(struct house *h, const struct setting_table *table, const char *listener, void *into)
{
	struct buffer errors = { 0 };
	bool          good = settings_fill(h->settings, table, listener, into, &errors);

	if (!good)
		fault("%.*s", (int)errors.len, errors.at);
	buffer_free(&errors);
	return good;
}
