/* estate-sockets.c -- listening sockets in the file system, each for whom it is */
#include "role/estate_inner.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/journal.h"
#include "channel/listener.h"
#include "role/listeners.h"

/* One of them, from the estate before or new; nobody may connect before it is theirs. */
static bool
open_one(struct opening *o, const char *name, const char *address, unsigned roles,
         const struct socket_rights *rights)
{
	const char *path = address + strlen("unix:");
	int         fd;

	if (estate_take_over(o, name, address, roles) == NULL &&
	    estate_take_address(o, name, address, roles) == NULL) {
		if ((fd = listener_bind(address, 0600, o->errors)) < 0)
			return false;
		(void)estate_hold(o, name, address, fd, roles);
	}
	/* The directory may be another's, who may have put a link there meanwhile. */
	if (lchown(path, rights->owner, rights->group) < 0 ||
	    fchmodat(AT_FDCWD, path, (mode_t)rights->mode, AT_SYMLINK_NOFOLLOW) < 0) {
		buffer_printf(o->errors, "%s: %s\n", path, strerror(errno));
		return false;
	}
	return true;
}

bool
estate_open_socket(struct opening *o, const char *name, const char *address, unsigned roles)
{
	struct socket_rights rights;
	const char          *slash = strchr(name, '/');

	if (!listener_rights(o->settings, slash == NULL ? name : slash + 1, &rights)) {
		buffer_printf(o->errors,
		              "%s: listener_mode, listener_owner or listener_group are wrong\n",
		              address);
		return false;
	}
	return open_one(o, name, address, roles, &rights);
}

bool
estate_open_auth_sockets(struct opening *o)
{
	struct socket_rights rights;
	char                 address[PATH_MAX + 8];

	if (o->common->auth_socket.count > 0 && !auth_socket_rights(o->common, &rights)) {
		buffer_printf(o->errors, "auth_socket: mode, owner or group are wrong\n");
		return false;
	}
	for (size_t i = 0; i < o->common->auth_socket.count; i++) {
		(void)snprintf(address, sizeof address, "unix:%s", o->common->auth_socket.item[i]);
		if (!open_one(o, "listener/auth", address, FROM(LOGIN), &rights))
			return false;
	}
	return true;
}
