/*
 * dovecot-logins -- who may log in and where mail lies, as the passdb and userdb blocks of a dovecot.conf say it
 *
 * From:     command/dovecot
 *
 * logins_begin()  a block begins: passdb, or with `users` userdb.
 * logins_take()   a line of it.
 * logins_end()    it ends: NULL, or why it has no meaning here (memory from the arena).
 * logins_say()    what came of all of them, as lines for main.cf: auth_backends, auth_master_passwd_file, mail_uid, mail_gid, and
 *                 mail_home and mail_location, which need one another; of operating-system users home_mailbox or mail_spool_directory.
 */
#ifndef COMMAND_DOVECOT_LOGINS_H
#define COMMAND_DOVECOT_LOGINS_H

#include "base/arena.h"
#include "base/buffer.h"

struct logins {
	struct arena *arena;
	bool          users, master, deny;         /* of the block we are in       */
	struct bytes  driver, args;
	struct buffer backends;                    /* " sql:/etc/x.cf"             */
	struct bytes  masters, separator;          /* a file; auth_master_user_separator */
	bool          system;                      /* homes are those of passwd    */
	struct bytes  home, location;              /* mail_home, mail_location     */
	struct bytes  uid, gid;                    /* mail_uid, mail_gid           */
};
void        logins_begin(struct logins *, bool users);
void        logins_take(struct logins *, struct bytes name, struct bytes value);
const char *logins_end(struct logins *);
void        logins_say(struct logins *, void (*put)(void *ctx, const char *name, struct bytes value),
                       void (*remark)(void *ctx, const char *text), void *ctx);

#endif
