/*
 * sendmail-speak -- sendmail speaks with the server: by the socket of the state directory, where the server sees who we are,
 * else by the network
 *
 * post_deliver()  takes the letter from standard input and hands it over, or with `only_ask` asks whether recipients would be
 *                 taken.  The status of sysexits.h.
 * post_speak()    carries SMTP between standard input and output and the server, until one of them ends.
 */
#ifndef COMMAND_SENDMAIL_SPEAK_H
#define COMMAND_SENDMAIL_SPEAK_H

#include "command/sendmail-letter.h"

int post_deliver(struct post *, bool only_ask);
int post_speak(struct post *);

#endif
