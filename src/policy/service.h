/*
 * service -- the words between a mail server and a policy service
 *
 * From:     the rule check_policy_service; role/policy carries the words
 *
 * A service is written "unix:private/policy", "inet:127.0.0.1:10023", or with its own settings
 * "{ inet:127.0.0.1:10023, timeout=10s, default_action=DUNNO }".  A request is lines "name=value" and an empty one, the
 * answer is "action=..." and an empty one; the connection serves one request after the other.
 *
 * service_parse()     such a word, over what the settings say for all.  False with what would be right in *wrong.
 * service_attribute() one line of a request; bytes that would end it are left out.
 * service_reply()     looks at what has arrived: SERVICE_SHORT, SERVICE_ANSWERED with the action, in the bytes, and how
 *     many of them are used, or SERVICE_BROKEN: no line of an answer, or too long.
 * See:      Postfix SMTPD_POLICY_README
 */
#ifndef POLICY_SERVICE_H
#define POLICY_SERVICE_H

#include "base/arena.h"
#include "base/buffer.h"

enum { SERVICE_REPLY_MOST = 16 << 10, SERVICE_LINES_MOST = 100 };

struct service_settings {
	int64_t     timeout, max_idle, max_ttl, retry_delay;   /* ms                   */
	int64_t     try_limit, request_limit;                  /* request_limit 0: any */
	const char *default_action, *policy_context;
};
struct service {
	struct bytes word;             /* as it was written: its key               */
	struct bytes path;             /* of unix:, or ""                          */
	struct bytes host, port;       /* of inet:, or ""                          */
	struct service_settings set;
};
bool service_parse(struct bytes word, const struct service_settings *, struct arena *, struct service *out, const char **wrong);
void service_attribute(struct buffer *request, const char *name, struct bytes value);
void service_number(struct buffer *request, const char *name, uint64_t value);

enum service_outcome { SERVICE_SHORT, SERVICE_ANSWERED, SERVICE_BROKEN };
enum service_outcome service_reply(struct bytes arrived, size_t *used, struct bytes *action)
	__attribute__((warn_unused_result));

#endif
