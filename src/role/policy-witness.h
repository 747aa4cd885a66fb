/*
 * policy-witness -- whom the rules ask besides the clerk: the DNS, policy services, the greylist, other servers
 *
 * From:     role/policy
 * Touches:  policy/policy.db below the mail directory (policy/policydb.h)
 *
 * witnesses_open()    before the cage closes.  Without a database that can be used the greylist lets everybody in, and the
 *     log says so.  One that is damaged is moved aside.
 * witnesses_command() mansio policy greylist ..., verify ...; false: it is something else.
 */
#ifndef ROLE_POLICY_WITNESS_H
#define ROLE_POLICY_WITNESS_H

#include "role/policy.h"

struct witnesses;
struct witnesses *witnesses_open(struct house *);
void witnesses_reload(struct witnesses *);
/* What was learned is written; nothing is remembered from then on. */
void witnesses_stop(struct witnesses *);
void witnesses_status(const struct witnesses *, struct buffer *out);
bool witnesses_command(struct house *, struct caller *, const struct word_ask *);

/* policy-probe.c: addresses asked of their own servers, by a sender. */
struct probes;
struct policydb;
struct witness_settings;
struct probes *probes_open(struct house *, struct policydb *);
void probes_settings(struct probes *, const struct witness_settings *);
void probes_stop(struct probes *);
void probes_ask(struct policy_question *);
void probes_drop(struct policy_question *);
bool probes_routed(struct probes *, uint32_t ticket, struct bytes body);
bool probes_heard(struct probes *, uint32_t ticket, struct bytes body);
/* A sender, or the clerk, has died. */
void probes_lost(struct probes *, bool sender);
void witnesses_write_soon(struct house *);
struct probes *witnesses_probes(struct house *);

#endif
