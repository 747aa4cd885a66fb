/*
 * dns_inner -- what the judges of `mansio dns check` share
 *
 * judge_say()       a finding with its sentence.
 * judge_look()      the answer of the name service.
 * judge_unanswered() true when it says nothing; it has been said then.
 * judge_replace()   what stands under the record's name gives way to it.  A name that is an alias loses its CNAME.
 * judge_alias()     a name that must have records of its own and is an alias: told, with what takes its place.  False: it is none.
 * finding_erase()   one record that must go, finding_erase_all() all of an answer.
 * finding_write()   a line of a zone file that must come, finding_write_record() the line of a record of ours.
 *
 * What a finding erases and writes is such that the zone is right about it afterwards, whoever copies the lines.
 */
#ifndef COMMAND_DNS_INNER_H
#define COMMAND_DNS_INNER_H

#include "command/dns.h"

struct judging {
	struct call          *call;
	struct facts         *facts;
	const struct records *all;
	struct inquiry       *ask;
	struct findings      *out;
	bool                  secure;  /* the host's zone is signed, and we have seen it */
};

struct finding *judge_say(struct judging *, enum finding_state, struct bytes name, const char *type, const char *form, ...)
	__attribute__((format(printf, 5, 6)));
const struct answer *judge_look(struct judging *, struct bytes name, uint16_t type);
bool judge_unanswered(struct judging *, const struct answer *, struct bytes name, const char *type);
void judge_replace(struct judging *, struct finding *, const struct answer *, const struct record *);
bool judge_alias(struct judging *, struct bytes name, const char *why);
const char *judge_there(struct judging *, const struct answer *, uint16_t type);
/* What is missing of a record that need not be is advice. */
enum finding_state judge_missing(const struct record *);
void finding_erase(struct facts *, struct finding *, struct bytes name, uint16_t type, const struct answer_record *);
void finding_erase_all(struct facts *, struct finding *, uint16_t type, const struct answer *);
void finding_write(struct facts *, struct finding *, const char *line);
void finding_write_record(struct facts *, struct finding *, const struct record *);
/* Texts (SPF, DMARC, MTA-STS, TLSRPT), TLSA. */
void dns_judge_texts(struct judging *);
void dns_judge_dane(struct judging *);

#endif
