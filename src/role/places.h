/*
 * places -- the directories that a cage was built around, while another may take the place of one of them
 *
 * From:     role/proxymap
 * Touches:  inotify
 *
 * A cage shows a directory that was there when it was built; one that was put into its place since (mv, a link that is
 * switched, a service that made its directory in /run anew) is not seen from inside.
 *
 * places_open()   before the cage: remembers the names on the way to each path, also by links.  NULL: they cannot be watched, and that was
 *                 said.
 * places_watch()  in it: `changed` is called some moment after something has come to stand where one of these names was.
 */
#ifndef ROLE_PLACES_H
#define ROLE_PLACES_H

#include "channel/loop.h"
#include "directory/remote.h"

struct places;
struct places *places_open(const struct reach *);
void places_watch(struct places *, struct loop *, void (*changed)(void *ctx), void *ctx);

#endif
