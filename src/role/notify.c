#include "role/notify.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/bytes.h"

static void
send_to(const char *path, const char *text, size_t len)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	socklen_t          size;
	int                fd;

	if (!bytes_string(bytes_of(path), to.sun_path, sizeof to.sun_path))
		return;
	size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	if (to.sun_path[0] == '@')
		to.sun_path[0] = '\0'; /* an abstract one */
	if ((fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) < 0)
		return;
	(void)sendto(fd, text, len, MSG_NOSIGNAL, (struct sockaddr *)&to, size);
	(void)close(fd);
}

void
notify_say(const char *form, ...)
{
	const char *path = getenv("NOTIFY_SOCKET");
	char        text[512];
	va_list     list;
	int         n;

	if (path == NULL || *path == '\0')
		return;
	va_start(list, form);
	n = vsnprintf(text, sizeof text, form, list);
	va_end(list);
	if (n > 0 && (size_t)n < sizeof text)
		send_to(path, text, (size_t)n);
}

/* Half of what systemd waits, as sd_watchdog_enabled(3) advises. */
int64_t
notify_patience(void)
{
	const char *us = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	uint64_t    n;

	if (us == NULL || !bytes_number(bytes_of(us), &n))
		return 0;
	if (pid != NULL && strtol(pid, NULL, 10) != (long)getpid())
		return 0;
	return (int64_t)(n / 2000);
}
