#include "command/server.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"

enum { STOP_MS = 60000 };

static bool
refuse(const char *what)
{
	(void)fprintf(stderr, "mansio: %s: %s\n", what, strerror(errno));
	return false;
}

/* The kernel finds a name nobody has: @ and five characters. */
static bool
open_news(struct server *s, char name[static 16])
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	socklen_t          size = sizeof at.sun_family;

	s->news = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->news < 0 || bind(s->news, (struct sockaddr *)&at, size) < 0)
		return refuse("socket for news");
	size = sizeof at;
	if (getsockname(s->news, (struct sockaddr *)&at, &size) < 0 ||
	    size <= offsetof(struct sockaddr_un, sun_path) + 1 ||
	    size > offsetof(struct sockaddr_un, sun_path) + 15)
		return refuse("socket for news");
	size -= (socklen_t)offsetof(struct sockaddr_un, sun_path);
	memcpy(name, at.sun_path, size);
	name[0] = '@';
	name[size] = '\0';
	return true;
}

static bool
open_signals(struct server *s, sigset_t *before)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &set, before);
	s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return s->signals >= 0 || refuse("signalfd");
}

/* In the child: `mansio -c CONFIG run`, as if started by itself. */
static _Noreturn void
execute(const char *config, const char *news, pid_t parent, const sigset_t *mask)
{
	char        program[4096];
	const char *argv[] = { program, "-c", config, "run", NULL };
	int         nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
	ssize_t     n = readlink("/proc/self/exe", program, sizeof program - 1);

	if (n <= 0 || nothing < 0 || dup2(nothing, STDIN_FILENO) < 0)
		_exit(127);
	program[n] = '\0';
	(void)setpgid(0, 0);
	(void)sigprocmask(SIG_SETMASK, mask, NULL);
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
	if (getppid() != parent || setenv("NOTIFY_SOCKET", news, 1) < 0 ||
	    unsetenv("WATCHDOG_USEC") < 0)
		_exit(127);
	/* execv() changes none of them, whatever its type says. */
	(void)execv("/proc/self/exe", (char *const *)(uintptr_t)argv);
	_exit(127);
}

bool
server_start(struct server *s, const char *config)
{
	char     news[16];
	sigset_t mask;
	pid_t    parent = getpid();

	*s = (struct server){ .news = -1, .signals = -1 };
	if (!open_signals(s, &mask) || !open_news(s, news))
		return false;
	(void)fflush(stdout);
	s->pid = fork();
	if (s->pid == 0)
		execute(config, news, parent, &mask);
	if (s->pid > 0)
		return true;
	s->pid = 0;
	return refuse("fork");
}

int
server_event_fd(const struct server *s)
{
	return s->signals;
}

static bool
bury(struct server *s, int options)
{
	int status;

	if (s->pid == 0)
		return true;
	if (waitpid(s->pid, &status, options) != s->pid)
		return false;
	s->pid = 0;
	s->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	return true;
}

static enum server_event
hear_signals(struct server *s)
{
	struct signalfd_siginfo info;

	while (read(s->signals, &info, sizeof info) == (ssize_t)sizeof info)
		if (info.ssi_signo != SIGCHLD)
			return SERVER_LEAVE;
	return s->pid != 0 && bury(s, WNOHANG) ? SERVER_ENDED : SERVER_NOTHING;
}

static enum server_event
hear_news(struct server *s)
{
	char    text[512];
	ssize_t n = recv(s->news, text, sizeof text, 0);

	return n > 0 && bytes_starts((struct bytes){ text, (size_t)n }, BYTES("READY=1"))
	               ? SERVER_READY
	               : SERVER_NOTHING;
}

enum server_event
server_wait(struct server *s, int ms)
{
	int64_t           until = clock_patient_ms() + ms;
	struct pollfd     p[2] = { { s->signals, POLLIN, 0 }, { s->news, POLLIN, 0 } };
	enum server_event e;

	for (;;) {
		int64_t left = until - clock_patient_ms();
		if (poll(p, 2, ms < 0 ? -1 : left < 0 ? 0 : (int)left) < 0 && errno != EINTR)
			return SERVER_LEAVE;
		if (p[0].revents != 0 && (e = hear_signals(s)) != SERVER_NOTHING)
			return e;
		if (p[1].revents != 0 && (e = hear_news(s)) != SERVER_NOTHING)
			return e;
		if (ms >= 0 && clock_patient_ms() >= until)
			return SERVER_NOTHING;
	}
}

int
server_stop(struct server *s)
{
	int64_t until = clock_patient_ms() + STOP_MS;

	if (s->pid != 0)
		(void)kill(s->pid, SIGTERM);
	while (!bury(s, WNOHANG) && clock_patient_ms() < until)
		(void)server_wait(s, 100);
	if (s->pid != 0) {
		(void)kill(s->pid, SIGKILL);
		(void)bury(s, 0);
	}
	return s->status;
}
