/*
 * credential -- the back ends that know passwords, by name
 *
 * From:     role/clerk, role/pam, role/proxymap
 *
 * A back end is a word of auth_backends: `directory`, `pam`, `sql:/etc/x.cf`.  Each answers a user
 * name and a password with one of the outcomes below.  They are asked in order: NOBODY and UNSURE go on to the
 * next, everything else is the answer.
 *
 * They are asked one of four things.  CREDENTIAL_CHECK: is this the password?  CREDENTIAL_USER, with no password: is there such a user
 * (mail comes for him, or he has shown who he is otherwise); PASS is yes.  CREDENTIAL_SECRET, with none: what is stored, for the mechanisms
 * that never show a password; PASS has the field `password`.  CLOSED to the latter two: such a back end cannot say.  CREDENTIAL_PING, with
 * none: does it answer at all?  LATER is no.
 *
 * What a back end knows besides is told as fields, lines "name=value": those of Dovecot's userdb without the
 * prefix userdb_ (home, mail, quota_rule, uid, gid), and `user`, the name as the back end has it.  Of an
 * operating-system user `system_uid`.
 */
#ifndef DIRECTORY_CREDENTIAL_H
#define DIRECTORY_CREDENTIAL_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/setting.h"

enum credential_outcome {
	CREDENTIAL_PASS,
	CREDENTIAL_FAIL,          /* it is theirs, and the password is wrong             */
	CREDENTIAL_NOBODY,        /* not a user of this back end                         */
	CREDENTIAL_LATER,         /* cannot be told now; never "no"                      */
	CREDENTIAL_CLOSED,        /* the password is right, the account locked, expired or not for this */
	CREDENTIAL_UNSURE,        /* the password is wrong, or it is not a user of this back end, which cannot say which */
	CREDENTIAL_OUTCOMES,
	CREDENTIAL_WAIT = CREDENTIAL_OUTCOMES,   /* of who asks another process: it will be said later */
};
enum credential_mode { CREDENTIAL_CHECK, CREDENTIAL_USER, CREDENTIAL_SECRET, CREDENTIAL_PING, CREDENTIAL_MODES };
enum credential_kind {
	CREDENTIAL_DIRECTORY, CREDENTIAL_PASSWD_FILE, CREDENTIAL_PAM, CREDENTIAL_SQL, CREDENTIAL_LDAP,
	CREDENTIAL_SASLAUTHD, CREDENTIAL_DOVECOT, CREDENTIAL_KINDS
};
/* "sql", "passwd-file" ... */
extern const char *const credential_kind_names[CREDENTIAL_KINDS];

/* Whether it is the name of one: who made a shadow account. */
bool credential_is_source(struct bytes source);
/* `argument` is what stands behind the colon: a path, or the service of PAM ("mansio" when there is none). */
/* `example.com=ldap:/x.cf` is asked for users of that domain alone; domain "": for all. */
struct credential_backend { enum credential_kind kind; const char *word, *argument; struct bytes domain; };
/* Whether it is asked for this user; a name without a domain is of `origin`. */
bool credential_backend_asks(const struct credential_backend *, struct bytes user, const char *origin);
/* NULL, or what is wrong with the word and what would be right.  The argument points into it. */
const char *credential_backend_parse(const char *word, struct credential_backend *out);

/* A user name as back ends are asked for it: auth_username_translation, _chars, auth_default_realm and _format. */
struct credential_names { const char *format, *chars, *translation, *realm; };
/* NULL, or what is wrong with the format. */
const char *credential_format_wrong(const char *format);
/* False: a character that is not allowed. */
/* Whether one of auth_backends is PAM by this service: no other in /etc/pam.d, or outside of it, is anybody's to ask. */
bool credential_names_service(const struct setting_list *backends, const char *service);
bool credential_name(const struct credential_names *, struct bytes user, struct arena *, struct bytes *out);

/* One of the lines; "" and false when it is not there. */
bool credential_field(struct bytes fields, const char *name, struct bytes *value);
/* A line more; what has a newline or a NUL in it is left out. */
void credential_field_add(struct buffer *fields, const char *name, struct bytes value);

#endif
