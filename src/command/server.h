/*
 * server -- a server that a command starts for itself
 *
 * From:     command demo, command setup
 * To:       command run, in a process of its own
 *
 * server_start()  starts `mansio -c CONFIG run` as a child in a process group of its own, and hears
 *     what it tells systemd elsewhere.  From here on SIGTERM, SIGINT and SIGHUP do not end us:
 *     they are events.  If we die the server gets SIGTERM.  False with words.
 * server_wait()   the next event, or SERVER_NOTHING after `ms` (-1: no end to the patience).
 * server_event_fd()  readable as soon as something other than readiness happens.
 * server_stop()   ends it in order and waits for that; returns its exit status.  Safe when
 *     it is gone already.
 */
#ifndef COMMAND_SERVER_H
#define COMMAND_SERVER_H

#include <stdbool.h>
#include <sys/types.h>

enum server_event {
	SERVER_NOTHING,
	SERVER_READY,      /* every role is at work              */
	SERVER_ENDED,      /* by itself, or asked by others      */
	SERVER_LEAVE,      /* somebody wants us to end           */
};
struct server {
	pid_t pid;         /* 0: none                            */
	int   status;      /* of exit, once it is gone           */
	int   news, signals;
};
bool server_start(struct server *, const char *config);
enum server_event server_wait(struct server *, int ms);
int server_event_fd(const struct server *);
int server_stop(struct server *);

#endif
