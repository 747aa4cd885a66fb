/*
 * checks-elsewhere -- what checks ask of tables that are elsewhere, between two passes over a letter
 *
 * From:     role/verifier and role/policy-milter-checks.c, which look; role/inquest.c, which asks
 * Touches:  nothing
 *
 * A pass asks elsewhere_find(); what is not known is noted, and what the pass says is void (checks_said.waits).  The
 * questions go packed to somebody who may ask, and come back answered; then the pass is made again.  Who looks at letters
 * is so connected to no table, and who asks for it knows which tables are the letter's.
 *
 * elsewhere_open()  with the answers so far, "" none: views into `packed` are kept.  NULL: broken.
 * elsewhere_wanted() packs what was noted.
 * A list of such questions: elsewhere_unpack(), NULL when broken or more than ELSEWHERE_MOST; elsewhere_pack().
 *
 * Bounded: in one pass ELSEWHERE_PASS_MOST questions and ELSEWHERE_PASS_SIZE bytes of keys are noted; then ENOUGH.
 */
#ifndef POLICY_CHECKS_ELSEWHERE_H
#define POLICY_CHECKS_ELSEWHERE_H

#include "policy/checks.h"

enum { ELSEWHERE_PASS_MOST = 20000, ELSEWHERE_PASS_SIZE = 2 << 20, ELSEWHERE_MOST = 200000 };

/* `answer` WAIT: not answered; LATER: `value` says why. */
struct elsewhere_question { struct bytes table, key, value; enum check_answer answer; };

struct elsewhere;
struct elsewhere *elsewhere_open(struct bytes packed);
enum check_answer elsewhere_find(struct elsewhere *, const char *table, struct bytes key, struct bytes *value);
void elsewhere_wanted(const struct elsewhere *, struct buffer *out);
void elsewhere_close(struct elsewhere **);

void elsewhere_pack(const struct elsewhere_question *, uint32_t count, struct buffer *out);
struct elsewhere_question *elsewhere_unpack(struct bytes packed, struct arena *, uint32_t *count);

#endif
