/*
 * transports -- the ways letters go on: those there always are, and those an administrator names
 *
 * `slow/transport = smtp` makes a transport more, as a line of a master.cf does, and every setting it uses can be its
 * own (slow/smtp_bind_address = 192.0.2.7).  `maildrop/transport = pipe flags=DRhu user=vmail argv=/usr/bin/maildrop
 * -d ${recipient}` gives letters to a command (delivery/pipe.h).  How many deliveries and recipients at once, and how
 * slowly, NAME_destination_concurrency_limit and its kin say, for any name.
 *
 * transports_read()    all of them, the built-in ones first.  What is wrong is left out; transports_check() tells of it.
 * transport_named()    NULL when there is none of that name.
 * transports_check()   complains of names that cannot be, and of values that say nothing; false then.
 * transports_know()    names of settings that exist since there is such a transport, or might be.
 * transport_pipe_user()     whose commands a pipe executes, by the system's tables; false with *why.
 * transports_group()   the group of pipes of this user that do not run under the user's own; `own` when there are none.
 * transports_users()   "vmail-pipe 5000\n": each pipe and the uid of its commands, for the queue, which sees no system tables.
 * transports_uid()     what these lines have for a pipe, or for whether a uid is one of them.
 *
 * Keeps:    names and values are those of the settings and live as long as they.
 */
#ifndef ROLE_TRANSPORTS_H
#define ROLE_TRANSPORTS_H

#include "delivery/pipe.h"
#include "queue/pace.h"
#include "role/settings.h"
#include "smtp/sender/settings.h"
#include <sys/types.h>

enum transport_kind { BY_SMTP, BY_LMTP, BY_PIPE, BY_LOCAL, BY_VIRTUAL, BY_ERROR, BY_RETRY, BY_DISCARD, BY_HOLD, TRANSPORT_KINDS };
struct transport {
	const char *name;
	enum transport_kind kind;
	const char *service;           /* as the log has it: "relay/smtp", "pipe"     */
	struct bytes command;          /* of a pipe: what stands behind the word      */
	bool        final;             /* its command is where letters end, and no relay */
	int64_t     concurrency, first_concurrency, recipients, cohorts;
	const char *good, *bad;        /* feedback, as it is written           */
	struct pace_rules pace;        /* all of that                          */
	int64_t     rate_ms;           /* so long between two deliveries to one destination; 0 at once */
	int64_t     spacing_ms, next_ms;       /* and between any two of the transport; when the next may be, patient (the queue's) */
};
enum { TRANSPORTS_MOST = 64, TRANSPORT_NAME_MOST = 31, TRANSPORTS_BUILT_IN = 10 };
/* rfc8314:3: TLS from the first byte, at port 465 unless another is said. */
#define TRANSPORT_SMTPS "smtps"
struct transports { size_t count; struct transport one[TRANSPORTS_MOST]; };

void transports_read(struct settings *, struct arena *, struct transports *);
struct transport *transport_named(struct transports *, struct bytes name);
bool transports_check(struct settings *, void (*complain)(void *ctx, const char *setting, const char *why), void *ctx);
void transports_know(struct settings *);
/* What one of this name is; TRANSPORT_KINDS: there is none. */
enum transport_kind transport_kind_of(const struct settings *, struct bytes name);
/* Their names, those of built-in ones too; `made`: those of the file alone.  NULL at the end. */
const char *transports_name(const struct settings *, bool made, size_t *place);
/* What holds for smtp_destination_rate_delay and its like where they are not set, as it is written; NULL: it is none of these. */
const char *transports_limit(const struct settings *, const char *name);
/* What a transport sends by: its own settings, those of LMTP where it speaks that. */
bool transport_sends_by(struct settings *, const char *name, struct sender_settings *, struct buffer *errors);
bool transport_pipe_user(const struct pipe_command *, uid_t *, gid_t *, bool *own_group, const char **why);

gid_t transports_group(struct settings *, uid_t, gid_t own);
void transports_users(struct settings *, struct buffer *lines);
bool transports_uid(const char *lines, const char *name, uint32_t *uid);
bool transports_has_uid(const char *lines, uint32_t uid);

extern const struct setting_table transport_setting_table;

#endif
