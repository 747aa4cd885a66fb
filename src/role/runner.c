#include "role/runner.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/pack.h"

enum { LOOK_MS = 500 };

/* Handoffs under way. */
struct running {
	pid_t    pid; /* 0: none */
	uint32_t ticket;
};

bool
runner_answer_unpack(struct bytes body, struct arena *a, uint32_t *ticket,
                     struct delivery_answer *out)
{
	static const enum delivery_result results[] = { DELIVERY_DONE, DELIVERY_LATER,
		                                        DELIVERY_REFUSED };
	struct unpack                     u = unpack_of(body);
	uint8_t                           result;

	*ticket = unpack_u32(&u);
	result = unpack_u8(&u);
	out->again = false;
	out->status = arena_copy(a, unpack_bytes(&u));
	out->text = arena_copy(a, unpack_bytes(&u));
	if (!unpack_done(&u) || result >= COUNT(results))
		return false;
	out->result = results[result];
	return true;
}

static void
answer_send(int to, uint32_t ticket, const struct delivery_answer *got)
{
	struct buffer b = { 0 };

	pack_u32(&b, ticket);
	pack_u8(&b, got->result == DELIVERY_DONE ? 0 : got->result == DELIVERY_LATER ? 1 : 2);
	pack_string(&b, got->status);
	pack_string(&b, got->text);
	(void)send(to, b.at, b.len, MSG_NOSIGNAL);
	buffer_free(&b);
}

/* ---- handoffs ---- */

/* The oldest that has ended is looked after; with `wait` one will. */
static void
look_after(struct running *running, size_t *count, int to, bool wait)
{
	static const struct delivery_answer died = { DELIVERY_LATER, false, "4.3.0",
		                                     "the process that delivers died" };
	int                                 status;
	pid_t                               pid;

	while ((pid = waitpid(-1, &status, wait ? 0 : WNOHANG)) > 0) {
		wait = false;
		for (size_t i = 0; i < RUNNER_MOST; i++) {
			if (running[i].pid != pid)
				continue;
			if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
				answer_send(to, running[i].ticket, &died);
			running[i].pid = 0;
			(*count)--;
		}
	}
}

static _Noreturn void
handoff_process(const struct handoff *e, int letter, int to)
{
	struct arena          *a = arena_open(NULL);
	struct delivery_answer got = handoff_do(e, letter, a);

	answer_send(to, e->ticket, &got);
	_exit(EXIT_SUCCESS);
}

static ssize_t
receive(int from, char *body, size_t room, int *fd)
{
	struct iovec  part = { body, room };
	char          control[CMSG_SPACE(sizeof(int))];
	struct msghdr m = { .msg_iov = &part,
		            .msg_iovlen = 1,
		            .msg_control = control,
		            .msg_controllen = sizeof control };
	ssize_t       n = recvmsg(from, &m, MSG_CMSG_CLOEXEC);

	*fd = -1;
	for (struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&m) : NULL; c != NULL;
	     c = CMSG_NXTHDR(&m, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
			memcpy(fd, CMSG_DATA(c), sizeof *fd);
	return n;
}

static void
begin(struct running *running, size_t *count, struct bytes body, int letter, int to)
{
	struct handoff e;
	pid_t          pid;

	if (!handoff_unpack(body, &e) || letter < 0)
		return;
	if ((pid = fork()) == 0)
		handoff_process(&e, letter, to);
	if (pid < 0) {
		answer_send(to, e.ticket,
		            &(struct delivery_answer){ DELIVERY_LATER, false, "4.3.0",
		                                       "no process for the delivery" });
		return;
	}
	for (size_t i = 0; i < RUNNER_MOST; i++)
		if (running[i].pid == 0) {
			running[i] = (struct running){ pid, e.ticket };
			(*count)++;
			return;
		}
}

static _Noreturn void
runner_live(int socket)
{
	static char    body[RUNNER_PACKET];
	struct running running[RUNNER_MOST] = { { 0, 0 } };
	size_t         count = 0;
	ssize_t        n;
	int            letter;

	for (;;) {
		struct pollfd at = { .fd = socket, .events = POLLIN };
		look_after(running, &count, socket, count == RUNNER_MOST);
		if (poll(&at, 1, count > 0 ? LOOK_MS : -1) <= 0)
			continue;
		n = receive(socket, body, sizeof body, &letter);
		if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
			_exit(EXIT_SUCCESS); /* the keeper has gone */
		if (n > 0)
			begin(running, &count, (struct bytes){ body, (size_t)n }, letter, socket);
		if (letter >= 0)
			(void)close(letter);
	}
}

/* ---- its beginning ---- */

/* Nothing of the keeper's stays open; the first three are nothing. */
static bool
alone(int *socket)
{
	int nothing;

	if (dup2(*socket, 3) < 0 || close_range(4, ~0U, 0) < 0)
		return false;
	*socket = 3;
	if (fcntl(3, F_SETFD, FD_CLOEXEC) < 0 || (nothing = open("/dev/null", O_RDWR)) < 0)
		return false;
	return dup2(nothing, 0) >= 0 && dup2(nothing, 1) >= 0 && dup2(nothing, 2) >= 0 &&
	       (nothing <= 3 || close(nothing) == 0);
}

int
runner_start(const struct system_user *user)
{
	static const struct rlimit none = { 0, 0 };
	struct buffer              errors = { 0 };
	int                        pair[2];
	pid_t                      pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	if ((pid = fork()) == 0) {
		(void)prctl(PR_SET_NAME, "mansio/runner", 0, 0, 0);
		(void)setrlimit(RLIMIT_CORE, &none);
		if (!alone(&pair[1]) || !confine_become(user, &errors))
			_exit(EXIT_FAILURE);
		runner_live(pair[1]);
	}
	(void)close(pair[1]);
	if (pid > 0 && fcntl(pair[0], F_SETFL, O_NONBLOCK) == 0)
		return pair[0];
	(void)close(pair[0]);
	return -1;
}
