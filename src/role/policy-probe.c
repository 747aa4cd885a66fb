/* policy-probe.c -- whether addresses take letters: what is remembered of them */
#include "role/policy-witness.h"

#include "base/clock.h"
#include "policy/verified.h"
#include "policy/witness-settings.h"

struct probes {
	struct house                  *house;
	struct policydb               *db;
	const struct witness_settings *set;
};

struct probes *
probes_open(struct house *h, struct policydb *db)
{
	struct probes *p = memory_take(sizeof *p);

	p->house = h;
	p->db = db;
	return p;
}

void
probes_settings(struct probes *p, const struct witness_settings *set)
{
	p->set = set;
}

void
probes_stop(struct probes *p)
{
	p->db = NULL;
}

void
probes_ask(struct policy_question *q)
{
	static const enum rule_answer of[] = {
		[VERIFIED_GOOD] = RULE_ANSWER_FOUND,
		[VERIFIED_LATER] = RULE_ANSWER_LATER,
		[VERIFIED_BAD] = RULE_ANSWER_NONE,
		[VERIFIED_TODO] = RULE_ANSWER_LATER,
	};
	struct probes        *p = witnesses_probes(q->work->house);
	struct verified_known k = { VERIFIED_TODO, { "", 0 }, 0, 0 };

	if (p->db != NULL)
		(void)verified_find(p->db, &p->set->verified, q->key, clock_wall(), q->work->life,
		                    &k);
	policy_answered(q, of[k.outcome], k.text);
}

void
probes_drop(struct policy_question *q)
{
	(void)q;
}
