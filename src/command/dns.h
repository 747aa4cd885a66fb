/*
 * dns -- the two halves of `mansio dns`: what there must be, and what there is
 *
 * dns_print()  the records in a form; the notes too, as comments, or on the standard error.
 * dns_check()  asks for all of them and says of each whether it is right; the exit status.
 */
#ifndef COMMAND_DNS_H
#define COMMAND_DNS_H

#include "command/records.h"

enum dns_form { DNS_ZONE, DNS_LINES, DNS_UPDATE, DNS_TABLE, DNS_CLOUD, DNS_JSON, DNS_FORMS };
void dns_print(struct facts *, const struct records *, enum dns_form);

/* What is said of a record, or of something beside the records. */
enum finding_state { FOUND_RIGHT, FOUND_ADVICE, FOUND_UNKNOWN, FOUND_MISSING, FOUND_WRONG, FINDING_STATES };
extern const char *const finding_names[FINDING_STATES];
enum { FINDINGS_MOST = 512 };
struct finding {
	enum finding_state state;
	struct bytes name;
	const char  *type;             /* "MX", or what it is about: "SPF", "DNSSEC"  */
	const char  *there, *says;             /* "" nothing                          */
	const char  *erase, *write;            /* lines of a zone file: these must go, these come */
	const char  *act;                      /* what no line of a zone does         */
};
struct findings { struct finding one[FINDINGS_MOST]; size_t count; };
struct inquiry;
/* Everything, into *out; what it points at lives as long as the facts and the inquiry. */
void dns_judge(struct call *, struct facts *, const struct records *, struct inquiry *, struct findings *out);
/* The part about SPF (rfc7208). */
void dns_judge_spf(struct facts *, const struct record *, struct inquiry *, struct findings *out);
/* The policy of MTA-STS that the domain's web server gives, and whether our host can stand by it (rfc8461). */
void dns_judge_policy(struct facts *, struct inquiry *, struct findings *out);
/* Lists in the DNS (dns_check_lists) that have our addresses; what one does with a new address. */
void dns_judge_lists(struct facts *, struct inquiry *, struct findings *out);
void dns_judge_age(struct facts *, struct findings *out);
/* From 0 to 100: how likely letters of ours are taken for what they are, as far as the DNS decides; of what it is made. */
unsigned dns_score(const struct findings *, struct buffer *parts);
struct finding *finding_new(struct findings *, enum finding_state, struct bytes name, const char *type);
/* The line of a zone file that a record is. */
const char *record_line(struct facts *, const struct record *);
/* One record of an answer, as a zone file has its value, bounded and printable. */
void answer_text(uint16_t type, const struct answer_record *, struct buffer *out);

#endif
