#include "command/settling.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { AT_ONCE = 500, PATH_ROOM = 4096 };

bool
settling_begin(struct settling *s, const char *directory)
{
	settling_close(s);
	s->disk = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return s->disk >= 0;
}

/* First the bytes, then the names. */
static bool
settle(struct settling *s)
{
	struct bytes rest = buffer_bytes(&s->waiting), from, to;
	bool         good = s->count == 0 || syncfs(s->disk) == 0;

	while (good && bytes_split(&rest, '\0', &from) && bytes_split(&rest, '\0', &to))
		good = rename(from.at, to.at) == 0;
	buffer_reset(&s->waiting);
	s->count = 0;
	return good;
}

bool
settling_add(struct settling *s, const char *file, const char *to)
{
	buffer_add(&s->waiting, (struct bytes){ file, strlen(file) + 1 });
	buffer_add(&s->waiting, (struct bytes){ to, strlen(to) + 1 });
	return ++s->count < AT_ONCE || settle(s);
}

bool
settling_end(struct settling *s)
{
	return settle(s) && syncfs(s->disk) == 0;
}

bool
settling_above(const char *file)
{
	char  above[PATH_ROOM];
	char *slash;
	int   fd, why = 0;

	(void)snprintf(above, sizeof above, "%s", file);
	if ((slash = strrchr(above, '/')) != NULL)
		slash[slash == above] = '\0';
	if ((fd = open(slash != NULL ? above : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		return false;
	if (fsync(fd) < 0)
		why = errno;
	(void)close(fd);
	errno = why;
	return why == 0;
}

void
settling_close(struct settling *s)
{
	if (s->disk >= 0)
		(void)close(s->disk);
	buffer_free(&s->waiting);
	*s = (struct settling){ .disk = -1 };
}
