/*
 * policy-service -- requests to policy services, on connections that serve one after the other
 *
 * From:     role/policy, for check_policy_service
 * Touches:  sockets of its own, to where the services of the settings are
 *
 * services_ask()   `answered` comes once, later: with the action, or, `good` false, with why there is none.  A failure is
 *     tried again as the service's settings say; one of a connection that lay idle at once.
 * services_drop()  nobody waits for it any more.
 * services_reload() settings are new: idle connections end.
 *
 * A service has as many connections as there are requests, but no more than SERVICE_CONNECTIONS_MOST: then requests wait,
 * no longer than their time.  "localhost" and names in /etc/hosts are known; others are asked of the DNS.  A path without a
 * slash in front is looked for in the directories of lmtp_socket_directories.
 */
#ifndef ROLE_POLICY_SERVICE_H
#define ROLE_POLICY_SERVICE_H

#include "policy/service.h"
#include "role/house.h"
#include "role/policy-names.h"

enum { SERVICE_CONNECTIONS_MOST = 100, SERVICES_MOST = 1000 };
struct services;
struct service_request;
typedef void service_answered(void *ctx, bool good, struct bytes text);

struct services *services_open(struct house *, struct policy_names *);
void services_close(struct services **);
void services_reload(struct services *);
struct service_request *services_ask(struct services *, const struct service *, struct bytes request, service_answered *, void *ctx);
void services_drop(struct service_request **);
void services_status(const struct services *, struct buffer *out);

#endif
