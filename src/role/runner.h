/*
 * runner -- beside an operating-system user's keeper: executes commands and adds to files as that user
 *
 * From:     house, before the keeper's cage closes; keeper-handoff by the socket
 * To:       delivery/handoff
 *
 * runner_start()  a process with the user's uid and own groups, no capabilities and no new privileges, that sees the
 *     whole file system.  Returns a SOCK_SEQPACKET socket, non-blocking; -1 with errno.
 *     What is sent there: a packed handoff and the letter's descriptor; what comes back: runner_answer_unpack().
 *     Each handoff has a process of its own; RUNNER_MOST at a time, others wait in the socket.
 * It ends with the keeper.
 */
#ifndef ROLE_RUNNER_H
#define ROLE_RUNNER_H

#include "delivery/handoff.h"
#include "role/confine.h"

enum { RUNNER_MOST = 4, RUNNER_PACKET = 192 << 10 };
int runner_start(const struct system_user *);
/* Strings in the arena. */
bool runner_answer_unpack(struct bytes, struct arena *, uint32_t *ticket, struct delivery_answer *) __attribute__((warn_unused_result));

#endif
