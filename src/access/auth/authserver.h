/*
 * authserver -- one program that asks us whether a login is right, by Dovecot's auth protocol (version 1.2):
 * a Postfix, an Exim, an ejabberd beside us
 *
 * From:     role/login-auth, which accepted it at one of auth_socket
 * To:       the clerk, through struct authserver_needs
 * Touches:  nothing: bytes in, bytes out
 *
 * authserver_open()   begins to say who we are: VERSION, MECH, SPID, CUID, COOKIE, DONE.
 * authserver_take()   understands whole lines; how many bytes are used up.  The rest must be given again with
 *     what follows.  False: the program breaks the protocol and is to be hung up on.
 * authserver_more(), authserver_done()  what the clerk said of a request; one that is unknown is ignored.
 * authserver_close()  requests that are open are dropped.
 *
 * Lines we speak: AUTH, CONT, CANCEL.  Values are escaped with \001 as Dovecot does.
 * Bounded: a line of 16 KiB, REQUESTS_MOST requests open at once (more fail for now).
 */
#ifndef ACCESS_AUTH_AUTHSERVER_H
#define ACCESS_AUTH_AUTHSERVER_H

#include "base/buffer.h"
#include "base/setting.h"
#include "channel/peer.h"

enum { AUTHSERVER_LINE = 16384, AUTHSERVER_REQUESTS = 256 };

struct authserver;
struct authserver_request {
	uint32_t     id;               /* its own name for it                    */
	const char  *service;          /* "submission" for smtp                  */
	struct bytes mechanism;        /* in capitals                            */
	bool         secured, has_initial;
	struct bytes initial;
	struct peer  peer;             /* rip=; AF_UNIX where it is not said     */
};
struct authserver_needs {
	struct buffer *(*out)(void *ctx);
	void (*start)(void *ctx, struct authserver *, const struct authserver_request *);
	void (*step)(void *ctx, struct authserver *, uint32_t id, struct bytes);
	void (*drop)(void *ctx, struct authserver *, uint32_t id);
};
enum authserver_answer { AUTHSERVER_OK, AUTHSERVER_WRONG, AUTHSERVER_TEMPORARY, AUTHSERVER_DISABLED };

struct authserver *authserver_open(const struct setting_list *mechanisms, uint32_t pid, uint32_t number,
                                   const struct authserver_needs *, void *ctx);
void authserver_close(struct authserver **);
bool authserver_take(struct authserver *, struct bytes arrived, size_t *used);
void authserver_more(struct authserver *, uint32_t id, struct bytes challenge);
/* `last`: data of the mechanism that goes with success. */
void authserver_done(struct authserver *, uint32_t id, enum authserver_answer, const char *user, struct bytes last);

#endif
