#include "role/places.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/journal.h"

enum { SETTLE_MS = 100, NAMES_MOST = 1024 };

/* A name in a directory that is watched. */
struct place {
	int         in;
	const char *name;
};
struct places {
	int           fd;
	struct arena *life;
	struct place  place[NAMES_MOST];
	size_t        count;
	struct watch *watch;
	struct timer *timer;
	void (*changed)(void *ctx);
	void *ctx;
};

static void
add_name(struct places *p, const char *above, struct bytes name)
{
	int in = inotify_add_watch(p->fd, above, IN_CREATE | IN_MOVED_TO | IN_ONLYDIR);

	if (in >= 0 && p->count < NAMES_MOST)
		p->place[p->count++] = (struct place){ in, arena_copy(p->life, name) };
}

/* Each name of /a/b/c in what is above it. */
static void
add_path(struct places *p, const char *path)
{
	char         above[PATH_MAX] = "/";
	struct bytes rest = bytes_of(path), name;
	size_t       n = 0;

	while (bytes_split(&rest, '/', &name)) {
		if (name.len == 0)
			continue;
		if (n + 1 + name.len >= sizeof above)
			return;
		add_name(p, above, name);
		above[n++] = '/';
		memcpy(above + n, name.at, name.len);
		n += name.len;
		above[n] = '\0';
	}
}

struct places *
places_open(const struct reach *reach)
{
	struct places *p = memory_take(sizeof *p);
	struct bytes   rest = buffer_bytes(&reach->paths), one;
	char           path[PATH_MAX], real[PATH_MAX];

	p->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (p->fd < 0) {
		warn_("a directory that takes the place of another is not noticed: inotify: %s",
		      strerror(errno));
		memory_free(p);
		return NULL;
	}
	p->life = arena_open(NULL);
	while (bytes_split(&rest, '\0', &one)) {
		if (!bytes_string(one, path, sizeof path))
			continue;
		add_path(p, path);
		if (realpath(path, real) != NULL && strcmp(real, path) != 0)
			add_path(p, real);
	}
	return p;
}

static void
due(void *ctx)
{
	struct places *p = ctx;

	p->changed(p->ctx);
}

/* A name we know has something else now: told of when it has been quiet for a moment. */
static void
look(struct places *p, const struct inotify_event *e)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->place[i].in == e->wd && e->len > 0 && strcmp(p->place[i].name, e->name) == 0)
			timer_set(p->timer, SETTLE_MS);
}

/* What the kernel has seen since. */
static void
ready(void *ctx, int bits)
{
	struct places                      *p = ctx;
	_Alignas(struct inotify_event) char events[8192];
	ssize_t                             n;

	(void)bits;
	while ((n = read(p->fd, events, sizeof events)) > 0)
		for (ssize_t at = 0; at < n;) {
			const struct inotify_event *e = (const void *)(events + at);
			look(p, e);
			at += (ssize_t)(sizeof *e + e->len);
		}
}

void
places_watch(struct places *p, struct loop *loop, void (*changed)(void *ctx), void *ctx)
{
	if (p == NULL)
		return;
	p->changed = changed;
	p->ctx = ctx;
	p->timer = timer_open(loop, due, p);
	p->watch = watch_open(loop, p->fd, ready, p);
	watch_want(p->watch, LOOP_READ);
}
