/* the postmaster's eye on the directories where tables lie */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/journal.h"
#include "role/estate.h"
#include "role/tables.h"

enum { SETTLE_MS = 100, LOOK_MS = 60000 };

struct table_watch {
	int           fd;
	struct watch *watch;
	struct timer *timer;
	bool          soon; /* the timer runs because something happened */
	void (*changed)(void *ctx);
	void *ctx;
};

/* What happens together is heard of once. */
static void
happened(struct table_watch *w)
{
	if (!w->soon)
		timer_set(w->timer, SETTLE_MS);
	w->soon = true;
}

static void
due(void *ctx)
{
	struct table_watch *w = ctx;

	w->soon = false;
	timer_set(w->timer, LOOK_MS);
	w->changed(w->ctx);
}

/* Which file it was does not matter: the files are looked at. */
static void
ready(void *ctx, int bits)
{
	struct table_watch *w = ctx;
	char                events[4096];

	(void)bits;
	while (read(w->fd, events, sizeof events) > 0)
		continue;
	happened(w);
}

struct table_watch *
table_watch_open(struct loop *loop, void (*changed)(void *ctx), void *ctx)
{
	struct table_watch *w = memory_take(sizeof *w);

	w->changed = changed;
	w->ctx = ctx;
	w->timer = timer_open(loop, due, w);
	timer_set(w->timer, LOOK_MS);
	if ((w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) < 0) {
		warn_("changes of tables are noticed once a minute: inotify: %s", strerror(errno));
		return w;
	}
	w->watch = watch_open(loop, w->fd, ready, w);
	watch_want(w->watch, LOOP_READ);
	return w;
}

/* The directory of a path, or the nearest above it that is there. */
static void
watch_above(struct table_watch *w, const char *path)
{
	enum {
		EVENTS = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE |
		         IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR
	};
	char   above[PATH_MAX], *slash;
	size_t n = strlen(path);

	if (n >= sizeof above)
		return;
	memcpy(above, path, n + 1);
	while ((slash = strrchr(above, '/')) != NULL) {
		slash[slash == above] = '\0';
		if (inotify_add_watch(w->fd, above, EVENTS) >= 0 || slash == above)
			return;
	}
}

/* A link changes when it is changed, and when what it leads to is. */
static void
watch_file(void *ctx, const char *path, bool remote)
{
	char real[PATH_MAX];

	(void)remote;
	path = tables_included_path(path);
	if (*path != '/')
		return; /* lines of main.cf */
	watch_above(ctx, path);
	if (realpath(path, real) != NULL && strcmp(real, path) != 0)
		watch_above(ctx, real);
}

static void
watch_tls_file(void *ctx, const char *path)
{
	watch_file(ctx, path, false);
}

void
table_watch_files(struct table_watch *w, struct settings *s)
{
	if (w->fd < 0)
		return;
	tables_files(s, watch_file, w);
	estate_tls_files(s, watch_tls_file, w);
}

void
table_watch_close(struct table_watch **wp)
{
	struct table_watch *w = *wp;

	*wp = NULL;
	if (w == NULL)
		return;
	watch_close(&w->watch);
	timer_close(&w->timer);
	if (w->fd >= 0)
		(void)close(w->fd);
	memory_free(w);
}
