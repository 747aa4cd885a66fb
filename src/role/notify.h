/*
 * notify -- what systemd wants to hear (sd_notify(3)), without its library
 *
 * notify_say()       sends "READY=1" and the like; nothing happens where nobody listens.
 * notify_patience()  how often WATCHDOG=1 is due, in milliseconds; 0 never.
 */
#ifndef ROLE_NOTIFY_H
#define ROLE_NOTIFY_H

#include <stdint.h>

void    notify_say(const char *form, ...) __attribute__((format(printf, 1, 2)));
int64_t notify_patience(void);

#endif
