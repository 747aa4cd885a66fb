/*
 * rule-witness -- what the files of rules that ask others share
 *
 * rule_look_up()   what the DNS has: a text as witness.h says. "+A": whatever smtpd_dns_reply_filter makes of it, as hosts are found.
 * rule_tempfail()  what is said where a rule cannot know now, as a setting of tempfail actions has it.
 * rule_resolve()   what the directory says of another address than the recipient: RULE_OK, *is and *why, else what to return.
 *                  `how`: "", or "probe", by the ways of who only asks about it.
 * rule_listed()    whether a list in the DNS has the client's address: one that does not answer has nobody.
 * rule_score()     what all of postscreen_dnsbl_sites have, added up, and what becomes of it.
 * rule_site_parse() one of them: "zen.example=127.0.0.[2..11]*3"; false, with what would be right in *wrong.
 */
#ifndef POLICY_RULE_WITNESS_H
#define POLICY_RULE_WITNESS_H

#include "policy/dnsbl.h"
#include "policy/rule.h"
#include "policy/witness.h"

enum rule_answer rule_look_up(struct rule_work *, const char *type, struct bytes name, struct bytes *value);
enum rule_result rule_tempfail(struct rule_work *, int action, int code, const char *status, const char *text);
struct rule_site { struct dnsbl list; int64_t weight; };
bool rule_site_parse(struct bytes word, struct rule_site *, const char **wrong);
enum rule_answer rule_listed(struct rule_work *, const struct dnsbl *);
enum rule_result rule_score(struct rule_work *);
enum rule_result rule_resolve(struct rule_work *, const char *how, struct bytes address, uint8_t *is, struct bytes *why);

#endif
