/*
 * mbox-lock -- which locks an mbox is read and written under
 *
 * From:     role/keeper, role/settings
 * mbox_lock_order()  "dotlock", "fcntl", "flock" in the order they are taken, for all mboxes of this
 *                    process.  False: there is no such lock, and nothing is changed.
 */
#ifndef STORE_MBOX_LOCK_H
#define STORE_MBOX_LOCK_H

#include <stdbool.h>
#include <stddef.h>

bool mbox_lock_order(bool write, const char *const *name, size_t count);

#endif
