/*
 * edition -- a file that is read, edited and written anew, by one process at a time
 *
 * From:     config set, postconf
 * Touches:  the file, and one with ".new" behind its name
 *
 * FILE.new is the lock and the draft in one: who holds it alone reads FILE, and FILE.new becomes FILE when it is whole.  Nobody but
 * the owner can open it while it waits, so nobody else can keep others waiting.
 *
 * edition_open()   waits for whoever is editing FILE.  What is read from now on is the last that was written.
 * edition_write()  puts the text in the place of FILE, with its owner and mode; it is on the disk then.  Once.
 * edition_close()  lets the next one in.  Without edition_write() FILE stays as it was.
 *
 * Fails:    false with errno.
 */
#ifndef COMMAND_EDITION_H
#define COMMAND_EDITION_H

#include "base/bytes.h"

enum { EDITION_PATH = 4096 };

struct edition {
	const char *path;
	int         fd; /* -1: not open, or in its place */
	char        draft[EDITION_PATH];
};

bool edition_open(struct edition *, const char *path);
bool edition_write(struct edition *, struct bytes text);
void edition_close(struct edition *);

#endif
