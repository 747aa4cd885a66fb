/*
 * estate_inner -- what the files of the estate share: estate.c (directories, sockets, tables), estate-names.c
 * (resolver, addresses), estate-tls.c (certificates, keys, tickets)
 */
#ifndef ROLE_ESTATE_INNER_H
#define ROLE_ESTATE_INNER_H

#include <sys/stat.h>

#include "role/estate.h"

struct opening {
	struct estate                *estate;
	const struct common_settings *common;
	struct settings              *settings;
	const struct estate          *before;
	struct buffer                *errors;
};
struct holding *estate_hold(struct opening *, const char *name, const char *text, int fd, unsigned roles);
/* What the estate before has under this name and text; NULL: it has not. */
struct holding *estate_take_over(struct opening *, const char *name, const char *text, unsigned roles);
/* The same socket, whatever the listener was called then. */
struct holding *estate_take_address(struct opening *, const char *name, const char *address, unsigned roles);
/* A socket for an address; with may_fail one that cannot be had is warned of. */
bool estate_open_listener(struct opening *, const char *name, const char *address, unsigned roles, bool may_fail);
bool estate_read(const char *path, struct buffer *out);        /* false with errno */
char *estate_stamp(const struct stat *);                       /* which file it is and as of when */

/* estate-sockets.c: those in the file system, with the rights that settings give them */
bool estate_open_socket(struct opening *, const char *name, const char *address, unsigned roles);
bool estate_open_auth_sockets(struct opening *);

/* estate-tally.c */
bool estate_open_tally(struct opening *);

/* estate-names.c */
void estate_open_names(struct opening *);

/* estate-tls.c */
bool estate_open_tls(struct opening *);
bool estate_open_guide(struct opening *);
bool estate_open_acme(struct opening *);       /* after that of the guide */

#endif
