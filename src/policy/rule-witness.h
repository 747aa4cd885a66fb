/*
 * rule-witness -- what the files of rules that ask others share
 *
 * rule_look_up()   what the DNS has: a text as witness.h says.
 * rule_tempfail()  what is said where a rule cannot know now, as a setting of tempfail actions has it.
 * rule_resolve()   what the directory says of another address than the recipient: RULE_OK, *is and *why, else what to return.
 */
#ifndef POLICY_RULE_WITNESS_H
#define POLICY_RULE_WITNESS_H

#include "policy/rule.h"
#include "policy/witness.h"

enum rule_answer rule_look_up(struct rule_work *, const char *type, struct bytes name, struct bytes *value);
enum rule_result rule_tempfail(struct rule_work *, int action, int code, const char *status, const char *text);
enum rule_result rule_resolve(struct rule_work *, struct bytes address, uint8_t *is, struct bytes *why);

#endif
