/*
 * login-doors -- the listening sockets of readers, as settings and resources say
 *
 * login_doors_set()  brings the list up to date, after start and each reload.  A door that is no longer wanted
 *                    loses its listener and stays in the list, for its settings may be in use by sessions inside.
 */
#ifndef ROLE_LOGIN_DOORS_H
#define ROLE_LOGIN_DOORS_H

#include "access/login/login.h"
#include "access/pop3/pop3.h"
#include "channel/listener.h"
#include "channel/proxyline.h"

struct house;

/* One listening socket and what holds for those who come through it. */
struct door {
	struct house                *house;
	struct listener             *listener;
	int                          fd;
	char                         name[16];
	const struct login_protocol *protocol;
	bool                         tls_first, seen;
	struct login_config          config;
	struct pop3_settings         pop3;
	struct door                 *next;
};

void login_doors_set(struct house *, struct door **doors, struct proxylines *);

#endif
