#include "role/owner.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/journal.h"

static void
place_of(const struct common_settings *common, uint32_t index, char out[static 4096])
{
	(void)snprintf(out, 4096, "%s/users/%u", common->mail_directory, index & ~KEEPER_OF_USER);
}

/* ---- by the postmaster ---- */

static bool
is_of_a_role(const struct common_settings *common, uid_t uid, gid_t gid)
{
	for (int role = POSTMASTER + 1; role < COMMAND; role++) {
		const struct role_account own = role_account((enum role)role, common);
		if (own.uid == uid || own.gid == gid)
			return true;
	}
	return false;
}

/* A number, which is not below `least`, or a name; the group of one without it is the user's.  What is
 * wrong with it; NULL: nothing. */
static const char *
find(const struct common_settings *common, const struct mail_owner *o, int64_t least, uid_t *uid,
     gid_t *gid)
{
	struct passwd *entry;
	struct group  *group;
	uint64_t       n;

	if (bytes_number(bytes_of(o->uid), &n) && n < DIRECTORY_OWNER_DOMAIN) {
		entry = getpwuid((uid_t)n);
		*uid = (uid_t)n;
		*gid = entry != NULL ? entry->pw_gid : (gid_t)n;
	} else {
		if ((entry = getpwnam(o->uid)) == NULL)
			return "there is no such user";
		least = common->first_valid_uid;
		*uid = entry->pw_uid;
		*gid = entry->pw_gid;
	}
	if (*o->gid != '\0' && bytes_number(bytes_of(o->gid), &n) && n < DIRECTORY_OWNER_DOMAIN)
		*gid = (gid_t)n;
	else if (*o->gid != '\0' && (group = getgrnam(o->gid)) != NULL)
		*gid = group->gr_gid;
	else if (*o->gid != '\0')
		return "there is no such group";
	if (*uid == 0 || *gid == 0)
		return "mailboxes do not belong to root";
	if (*uid < (uint64_t)least)
		return least == common->first_valid_uid ? "the uid is below first_valid_uid"
		                                        : "the uid is below virtual_minimum_uid";
	return is_of_a_role(common, *uid, *gid)
	               ? "that is the account or the group of one of our own processes"
	               : NULL;
}

const char *
owner_wrong(const struct common_settings *common, const struct mail_owner *o, int64_t least)
{
	uid_t uid;
	gid_t gid;

	return find(common, o, least, &uid, &gid);
}

/* Of a number the clerk knows who said it, and so what is too small; a name it cannot look up. */
static int64_t
least_of_any(const struct common_settings *common)
{
	return common->first_valid_uid < common->virtual_minimum_uid ? common->first_valid_uid
	                                                             : common->virtual_minimum_uid;
}

const char *
owner_make(const struct common_settings *common, uint32_t number, const struct mail_owner *o)
{
	const char *wrong = NULL;
	char        path[4096];
	struct stat st;
	uid_t       uid = geteuid();
	gid_t       gid = getegid();

	place_of(common, owner_index(number), path);
	if (uid == 0)
		wrong = find(common, o, least_of_any(common), &uid, &gid);
	/* Whom it belongs to is the owner, whatever the name means now. */
	if (wrong != NULL && owner_is_made(common, owner_index(number)))
		return NULL;
	if (wrong != NULL)
		return wrong;
	if ((mkdir(path, 0700) < 0 && errno != EEXIST) || lstat(path, &st) < 0 ||
	    (st.st_uid == 0 && uid != 0 && lchown(path, uid, gid) < 0)) {
		warn_("%s: %s", path, strerror(errno));
		return "the directory of their index cannot be made";
	}
	if (st.st_uid != 0 && (st.st_uid != uid || st.st_gid != gid))
		warn_("%s belongs to uid %u, gid %u, and so do the mailboxes of these "
		      "users; %s%s%s is uid %u, gid %u now",
		      path, st.st_uid, st.st_gid, o->uid, *o->gid != '\0' ? ":" : "", o->gid, uid,
		      gid);
	return NULL;
}

bool
owner_is_made(const struct common_settings *common, uint32_t index)
{
	char        path[4096];
	struct stat st;

	place_of(common, index, path);
	return lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && (st.st_uid != 0 || geteuid() != 0);
}

/* ---- the keeper ---- */

bool
owner_user(const struct common_settings *common, uint32_t index, struct arena *a,
           struct system_user *u, struct buffer *errors)
{
	const struct group *mail = *common->mail_privileged_group != '\0'
	                                   ? getgrnam(common->mail_privileged_group)
	                                   : NULL;
	char                path[4096];
	struct stat         st;

	place_of(common, index, path);
	if (lstat(path, &st) < 0 || !S_ISDIR(st.st_mode) || (geteuid() == 0 && st.st_uid == 0)) {
		buffer_printf(errors, "%s: it is not there, or belongs to nobody yet", path);
		return false;
	}
	*u = (struct system_user){ .uid = st.st_uid,
		                   .gid = st.st_gid,
		                   .pipe_gid = st.st_gid,
		                   .place = index & ~KEEPER_OF_USER,
		                   .owner = true,
		                   .name = arena_printf(a, "uid %u", st.st_uid),
		                   .home = "",
		                   .shell = "" };
	u->group = arena_take_array(a, 2, sizeof *u->group);
	u->group[u->groups++] = u->gid;
	u->own_groups = 1;
	if (mail != NULL && geteuid() == 0)
		u->group[u->groups++] = mail->gr_gid;
	return true;
}
