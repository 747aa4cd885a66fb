/* landing.c -- files on their way to the disk, before the rows that name them (foreign.h) */
#include "store/foreign.h"

#include "spool/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char *
copied(const char *text)
{
	size_t n = strlen(text) + 1;

	return memcpy(memory_take(n), text, n);
}

static int
own(int fd)
{
	return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

void
landing_add(struct landing **list, int file, int from, const char *name, int to, const char *as)
{
	struct landing *l = memory_take(sizeof *l);

	*l = (struct landing){ .file = own(file),
		               .from = own(from),
		               .to = own(to),
		               .name = name != NULL ? copied(name) : NULL,
		               .as = as != NULL ? copied(as) : NULL,
		               .next = *list };
	*list = l;
}

/* The file's bytes, then its name.  A name that is taken is never overwritten. */
int
landing_do(struct landing *first)
{
	int why = 0;

	for (struct landing *l = first; l != NULL && why == 0; l = l->next) {
		if (l->file >= 0)
			why = disk_sync(l->file);
		if (why == 0 && l->from >= 0 &&
		    renameat2(l->from, l->name, l->to, l->as, 1 /* RENAME_NOREPLACE */) < 0 &&
		    (errno != EINVAL || renameat(l->from, l->name, l->to, l->as) < 0) &&
		    (errno != ENOENT || faccessat(l->to, l->as, F_OK, 0) < 0)) /* done before */
			why = errno;
	}
	for (struct landing *l = first; l != NULL && why == 0; l = l->next)
		if (l->to >= 0)
			why = disk_sync_name(l->to);
	return why;
}

void
landing_free(struct landing **list, bool undo)
{
	struct landing *l;

	while ((l = *list) != NULL) {
		*list = l->next;
		if (undo && l->from >= 0)
			(void)unlinkat(l->from, l->name, 0);
		if (l->file >= 0)
			(void)close(l->file);
		if (l->from >= 0)
			(void)close(l->from);
		if (l->to >= 0)
			(void)close(l->to);
		memory_free(l->name);
		memory_free(l->as);
		memory_free(l);
	}
}
