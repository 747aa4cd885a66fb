/*
 * postmaster -- opens the house, keeps it, closes it
 *
 * From:     command run
 * To:       every role, by child; systemd, by notify
 *
 * It reads main.cf, makes directories, takes the lock, opens ports, starts the roles
 * and starts again those that die.  It reads no byte of a client.  As root it keeps the
 * capabilities it needs for that and drops the others.
 *
 * postmaster_live()  works until SIGTERM or SIGINT (or `mansio stop`); SIGHUP (or
 *     `mansio reload`) reads the file again: a bad one is refused and the running one stays.
 *     Returns the exit status: 0 after an ordered stop, 1 when the house could not be
 *     opened; words stand on the standard error then.
 */
#ifndef ROLE_POSTMASTER_H
#define ROLE_POSTMASTER_H

#include "role/house.h"

int postmaster_live(const char *file);

/* What `mansio status` shows (role/status.c). */
struct children;
void status_table(const struct children *, const char *file, int64_t began_ms, struct buffer *out);
void status_json(const struct children *, const char *file, int64_t began_ms, struct buffer *out);

#endif
