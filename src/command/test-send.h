/*
 * test-send -- a letter sent by hand, told line by line, in the words of swaks
 *
 * From:     command test
 * Touches:  one connection, the files its options name
 *
 * test_send()  argv[0] is "send".  Exit status as swaks': 0, or where it went wrong (2 no connection, 6 it broke, 21 banner,
 *     22 EHLO, 23 MAIL, 24 no recipient, 25 DATA, 26 the letter, 27 QUIT, 28 AUTH, 29 TLS, 32 EHLO after TLS), 1 wrongly
 *     called.
 */
#ifndef COMMAND_TEST_SEND_H
#define COMMAND_TEST_SEND_H

#include "command/command.h"

int test_send(struct call *, int argc, char **argv);

/* test-relay.c.  relay_refused(): whether the server behind a unix socket, whose listener hears PROXY, relays for no
   stranger; tells of each probe that it takes, and of all together. */
int  test_relay(struct call *, int argc, char **argv);
bool relay_refused(const char *path, const char *domain);

#endif
