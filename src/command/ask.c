/* ask -- one question to the running server, and its answer */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/arena.h"
#include "channel/link.h"
#include "channel/loop.h"
#include "command/command.h"
#include "role/wire.h"

struct answer {
	struct loop *loop;
	int          status;
	bool         whole;        /* SAID was heard */
};

static void
hear_say(struct bytes body)
{
	struct arena   *scratch = arena_open(NULL);
	struct word_say w;

	if (word_unpack_say(body, scratch, &w))
		(void)fwrite(w.text.at, 1, w.text.len, w.stream == 1 ? stdout : stderr);
	arena_close(&scratch);
}

static void
heard(void *ctx, struct link *l, uint16_t word, uint32_t ticket, struct bytes body, int fd)
{
	struct answer *a = ctx;
	struct unpack  said = unpack_of(body);

	(void)l;
	(void)ticket;
	if (fd >= 0)
		(void)close(fd);
	if (word == WORD_SAY)
		hear_say(body);
	if (word != WORD_SAID)
		return;
	a->status = (int)unpack_u32(&said);
	a->whole = true;
	loop_stop(a->loop);
}

static void
lost(void *ctx, struct link *l)
{
	struct answer *a = ctx;

	(void)l;
	loop_stop(a->loop);
}

static const struct link_events answer_events = { heard, lost };

/* -1 with errno. */
static int
call_role(const struct common_settings *common, const char *role)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int n = snprintf(to.sun_path, sizeof to.sun_path, "%s/run/%s.sock", common->mail_directory, role);
	int fd, why;

	if (n < 0 || (size_t)n >= sizeof to.sun_path)
		return errno = ENAMETOOLONG, -1;
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) < 0)
		return -1;
	if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
		return fd;
	why = errno;
	(void)close(fd);
	errno = why;
	return -1;
}

static int
say_why_not(const struct call *c, const struct common_settings *common)
{
	if (errno == ENOENT || errno == ECONNREFUSED)
		(void)fprintf(stderr, "mansio: no server is running for %s (nobody answers in %s/run); "
		              "start it with: mansio -c %s run\n", c->config, common->mail_directory, c->config);
	else if (errno == EACCES)
		(void)fprintf(stderr, "mansio: the sockets in %s/run are for root, or whoever runs the server; "
		              "try as that user\n", common->mail_directory);
	else
		(void)fprintf(stderr, "mansio: cannot reach the server in %s/run: %s\n", common->mail_directory,
		              strerror(errno));
	return COMMAND_WRONG;
}

int
command_ask(struct call *c, const char *role, int argc, const char *const *argv, struct bytes input)
{
	struct common_settings common;
	struct settings       *s = command_settings(c, &common);
	struct answer          a = { .status = COMMAND_FAILED };
	struct word_ask        ask = { argv, (uint32_t)argc, input };
	struct link           *l;
	int                    fd;

	if (s == NULL)
		return COMMAND_FAILED;
	if ((fd = call_role(&common, role)) < 0) {
		a.status = say_why_not(c, &common);
		settings_close(&s);
		return a.status;
	}
	a.loop = loop_open();
	l = link_open(a.loop, fd, &answer_events, &a);
	word_pack_ask(link_begin(l, WORD_ASK, 0), &ask);
	link_end(l);
	loop_run(a.loop);
	link_close(&l);
	loop_close(&a.loop);
	settings_close(&s);
	if (!a.whole)
		(void)fprintf(stderr, "mansio: the server hung up before it had answered; its log may say why\n");
	return a.status;
}
