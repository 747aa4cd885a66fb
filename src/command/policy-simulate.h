/*
 * policy-simulate -- letters of which it is written down what was said of them, asked again
 *
 * From:     command policy
 * To:       the role policy, for each letter as `policy explain` asks it
 *
 * A line is a letter: "client=192.0.2.1 helo=mx.example.org from=a@example.org to=b@example.com => 250", its words in any
 * order, `=> REPLY` what was said; `#` begins a remark.
 *
 * policy_simulate()   the exit status: 0 all is as it was, 1 something is not, 2 it could not be asked.
 * simulation_parse()  one line; false with *why.  What is found lies in the line, which is cut.
 */
#ifndef COMMAND_POLICY_SIMULATE_H
#define COMMAND_POLICY_SIMULATE_H

#include "command/command.h"
#include "role/wire.h"

enum { SIMULATION_WORDS = 8 };         /* as policy explain has them: listener client name helo from to auth tls */
struct simulation { const char *word[SIMULATION_WORDS]; struct bytes said; };
bool simulation_parse(char *line, struct simulation *out, const char **why);
int policy_simulate(struct call *, const char *path, bool save);

#endif
