/*
 * policy-names -- the DNS as the rules ask it: one resolver, answers as text, and how long a silent list is asked
 *
 * From:     role/policy
 *
 * policy_names_ask()  `answered` comes once: NULL is returned when it came from within the call, else what
 *     policy_names_drop() takes.  `what` is a type, "MX", or a type and a list behind it, "A zen.example.com"; the text is
 *     as policy/witness.h says, good until `answered` returns.  `filter`: tables of records that are not there (policy/dnsfilter.h), as long as the question
 *     lives; NULL none; "+A": they are not for it.
 *
 * A list (its address records) is waited for no longer than dnsbl_timeout.  When dnsbl_failure_limit questions have failed,
 * one after the other, it is not asked for dnsbl_rest_time, and every answer is witness_resting; then one question tries it.
 * Lists that seemed silent while nothing at all was answered are asked again as soon as anything is.
 */
#ifndef ROLE_POLICY_NAMES_H
#define ROLE_POLICY_NAMES_H

#include "role/house.h"

enum policy_names_outcome { POLICY_NAME_FOUND, POLICY_NAME_NONE, POLICY_NAME_LATER };
struct policy_names_patience { int64_t timeout, failures, rest; };       /* ms, how often, ms */
typedef void policy_names_answered(void *ctx, enum policy_names_outcome, struct bytes text);

struct policy_names;
struct policy_name_question;
struct policy_names *policy_names_open(struct house *, const struct policy_names_patience *);
/* Settings or the resolver are new: what is open is answered LATER. */
void policy_names_reload(struct policy_names *, const struct policy_names_patience *);
void policy_names_close(struct policy_names **);
struct policy_name_question *policy_names_ask(struct policy_names *, const struct setting_list *filter, const char *what,
                                              struct bytes name, policy_names_answered *, void *ctx);
void policy_names_drop(struct policy_name_question **);
/* "lists=3 resting=1" */
void policy_names_status(const struct policy_names *, struct buffer *out);

#endif
