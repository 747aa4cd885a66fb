/* ask -- one question to the running server, and its answer */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/arena.h"
#include "channel/link.h"
#include "channel/listener.h"
#include "channel/loop.h"
#include "command/command.h"
#include "role/wire.h"

struct answer {
	struct loop   *loop;
	struct buffer *said;                         /* NULL: it is printed at once */
	bool           loud;                         /* complaints are printed all the same */
	void (*take)(void *ctx, struct bytes lines); /* or NULL: hears of each line in *said */
	void *ctx;
	int   status;
	bool  whole; /* SAID was heard */
};

/* All lines that are whole. */
static void
hand_on(struct answer *a)
{
	ptrdiff_t end;

	if (a->take == NULL || (end = bytes_find_last(buffer_bytes(a->said), '\n')) < 0)
		return;
	a->take(a->ctx, bytes_cut(buffer_bytes(a->said), 0, (size_t)end + 1));
	buffer_eat(a->said, (size_t)end + 1);
}

static void
say(struct answer *a, int stream, struct bytes text)
{
	if (a->said != NULL && (stream == 1 || !a->loud)) {
		buffer_add(a->said, text);
		hand_on(a);
	} else
		command_print(text, stream == 1 ? stdout : stderr);
}

static void
hear_say(struct answer *a, struct bytes body)
{
	struct arena   *scratch = arena_open(NULL);
	struct word_say w;

	if (word_unpack_say(body, scratch, &w))
		say(a, w.stream, w.text);
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
		hear_say(a, body);
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

int
command_call(const struct common_settings *common, const char *role)
{
	struct sockaddr_un to;
	char               path[4096];
	int                directory, fd, why;

	(void)snprintf(path, sizeof path, "%.3900s/run/%s.sock", common->mail_directory, role);
	if (listener_path(path, &to, &directory) < 0)
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) < 0) {
		why = errno;
		(void)close(fd);
		errno = why;
		fd = -1;
	}
	if (directory >= 0) {
		why = errno;
		(void)close(directory);
		errno = why;
	}
	return fd;
}

bool
command_runs(const struct common_settings *common)
{
	int fd = command_call(common, "clerk");

	if (fd >= 0)
		(void)close(fd);
	return fd >= 0;
}

/* Its keeper has no socket of its own: the clerk brings it, and hands our end over.  -1: said, or with errno. */
static int
call_user_keeper(struct call *c, const char *uid, int *status)
{
	const char *argv[] = { "keeper", "call", uid };
	int         pair[2];

	if (link_pair(pair) < 0)
		return -1;
	*status =
		command_talk(c, "clerk", &(struct word_ask){ argv, 3, { NULL, 0 } }, pair[1], NULL);
	(void)close(pair[1]);
	if (*status == COMMAND_DONE)
		return pair[0];
	(void)close(pair[0]);
	return -1;
}

static void
say_why_not(struct answer *a, const struct call *c, const struct common_settings *common)
{
	struct buffer why = { 0 };

	if (errno == ENOENT || errno == ECONNREFUSED)
		buffer_printf(&why,
		              "mansio: no server is running for %s (nobody answers in %s/run); "
		              "start it with: mansio -c %s run\n",
		              c->config, common->mail_directory, c->config);
	else if (errno == EACCES)
		buffer_printf(
			&why,
			"mansio: the sockets in %s/run are for root, or whoever runs the server; "
			"try as that user\n",
			common->mail_directory);
	else
		buffer_printf(&why, "mansio: cannot reach the server in %s/run: %s\n",
		              common->mail_directory, strerror(errno));
	say(a, 2, buffer_bytes(&why));
	buffer_free(&why);
}

static int
talk(struct call *c, const char *role, const struct word_ask *ask, int given,
     const struct answer *how)
{
	struct common_settings common;
	struct settings       *s = command_settings(c, &common);
	struct answer          a = *how;
	struct link           *l;
	int                    fd, status = COMMAND_DONE;

	a.status = COMMAND_FAILED;
	if (s == NULL)
		return COMMAND_FAILED;
	fd = strncmp(role, KEEPER_FOR_USER, strlen(KEEPER_FOR_USER)) == 0
	             ? call_user_keeper(c, role + strlen(KEEPER_FOR_USER), &status)
	             : command_call(&common, role);
	if (fd < 0) {
		if (status == COMMAND_DONE)
			say_why_not(&a, c, &common);
		settings_close(&s);
		return status == COMMAND_DONE ? COMMAND_WRONG : status;
	}
	a.loop = loop_open();
	l = link_open(a.loop, fd, &answer_events, &a);
	word_pack_ask(link_begin(l, WORD_ASK, 0), ask);
	link_end_fd(l, given);
	loop_run(a.loop);
	link_close(&l);
	loop_close(&a.loop);
	settings_close(&s);
	if (!a.whole)
		say(&a, 2,
		    BYTES("mansio: the server hung up before it had answered; its log may say why\n"));
	return a.status;
}

int
command_hear(struct call *c, const char *role, const struct word_ask *ask, struct buffer *said)
{
	return talk(c, role, ask, -1, &(struct answer){ .said = said });
}

int
command_talk(struct call *c, const char *role, const struct word_ask *ask, int fd,
             struct buffer *said)
{
	return talk(c, role, ask, fd, &(struct answer){ .said = said, .loud = true });
}

int
command_stream(struct call *c, const char *role, const struct word_ask *ask,
               void (*take)(void *ctx, struct bytes lines), void *ctx)
{
	struct buffer said = { 0 };
	int           status =
		talk(c, role, ask, -1,
	             &(struct answer){ .said = &said, .loud = true, .take = take, .ctx = ctx });

	buffer_free(&said);
	return status;
}

int
command_ask(struct call *c, const char *role, int argc, const char *const *argv, struct bytes input)
{
	struct word_ask ask = { argv, (uint32_t)argc, input };

	return command_hear(c, role, &ask, NULL);
}
