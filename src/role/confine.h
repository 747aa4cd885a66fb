/*
 * confine -- the cage of each role
 *
 * From:     house, of every role
 * Touches:  its own process and nothing else
 *
 * confine_enter()  before the role opens anything and before it has threads:
 *     limits, a view of the file system that holds its own directories and no
 *     more, its own account, no capabilities, no new privileges, Landlock.
 *     *root is what to put before paths inside the mail directory from now on
 *     ("" when the view has them at its root).  False, with words in *errors,
 *     when a process that was started as root cannot become somebody else, or
 *     cannot get rid of what it has: it must not work then.
 * confine_close()  after the role opened its files: seccomp, for all threads.
 * Both add to *words what the cage is made of and what this kernel refused.
 *
 * A verifier asks a resolver, if one is set: then it stays in the network of the host, may
 * make sockets for IP, and connect by TCP to that port, as far as this kernel tells ports apart.
 *
 * As an ordinary user there is no other account and no view; the rest holds.
 * The keeper of an operating-system user has that user's uid, gid and groups, and sees no more than the home,
 * mail_spool_directory, and users/UID of the mail directory, which is made here.
 *
 * Role proxymap is in the network of the host too, and connects by TCP to the ports its tables name, and to any
 * socket under /run.  It reads /etc and what its libraries load, makes threads, and what it may not do is refused
 * rather than fatal, since these libraries try much.
 *
 * The certifier is in the network of the host and connects to any port; it reads what role proxymap reads, makes threads,
 * and writes to its own directory alone.
 *
 * A sender is in the network of the host and connects to any port, and to sockets in lmtp_socket_directories; it opens no file.
 *
 * In a build with sanitizers, which need what a cage forbids, seccomp and the
 * limit of memory are left out, and the words say so.
 */
#ifndef ROLE_CONFINE_H
#define ROLE_CONFINE_H

#include <sys/types.h>

#include "base/buffer.h"
#include "directory/remote.h"
#include "role/settings.h"
#include "role/wire.h"

/* An operating-system user whose keeper this process is to be; or (`owner`) whom mailboxes of virtual users belong to: it
   sees what keepers of the pool see of the file system, but for the letter log (role/owner.h). */
struct system_user {
	uid_t       uid;
	gid_t       gid;
	uint32_t    place;             /* its index is in users/PLACE              */
	bool        owner;
	gid_t       pipe_gid;          /* that of pipes which are to run under another group; else gid */
	const char *name, *home, *shell;
	gid_t      *group;             /* also that of mail_privileged_group       */
	size_t      groups, own_groups;/* the first own_groups are the user's       */
};
/* Who has this uid, from the system's tables; strings in the arena.  False, in words: nobody, or one who gets no keeper. */
bool confine_user(uid_t, const struct common_settings *, struct arena *, struct system_user *out, struct buffer *errors);
/* `user` NULL: the role's own account. */
bool confine_enter(enum role, const struct system_user *user, const struct common_settings *, const char **root,
                   struct buffer *words, struct buffer *errors);
/* This process becomes the user, with the user's own groups alone, and nothing more: for commands. */
bool confine_become(const struct system_user *, struct buffer *errors);
bool confine_close(enum role, const struct common_settings *, struct buffer *words, struct buffer *errors);
/* The directories of mailboxes that a keeper started with these settings has in its view, each with its '\0'. */
void confine_view(const struct common_settings *, struct buffer *out);
/* Those that operating-system users' keepers have beside the users' homes, as far as they are there. */
void confine_users_view(const struct common_settings *, struct buffer *out);
/* The first of `now` that lies in none of `then`: it is out of reach until keepers are started anew.  NULL: none. */
const char *confine_unseen(const struct buffer *now, const struct buffer *then);
/* Where role proxymap or policy must be able to go, before confine_enter(); it lives as long. */
void confine_lead(const struct reach *);
/* The port of the resolver this role may ask itself; 0: it asks no names. */
uint16_t confine_asks(enum role, const struct common_settings *);

/* The account of a role when the postmaster is root: that of mail_owner
   (mansio-queue), or a number from role_account_base up where it does not exist. */
struct role_account { uid_t uid; gid_t gid; };
struct role_account role_account(enum role, const struct common_settings *);
/* "mansio-queue", for messages; room 64. */
void role_account_name(enum role, const struct common_settings *, char out[static 64]);

#endif
