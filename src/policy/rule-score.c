/* rule-score.c -- many lists in the DNS, each with a weight: what they know of a client together (Postfix's POSTSCREEN_README) */
#include "policy/rule-witness.h"

enum { WEIGHT_MOST = 1000000 };

/* domain [ "=" filter ] [ "*" [ "-" ] number ] */
bool
rule_site_parse(struct bytes word, struct rule_site *out, const char **wrong)
{
	ptrdiff_t    star = bytes_find_last(word, '*');
	struct bytes digits;
	bool         less;
	uint64_t     n = 1;

	*out = (struct rule_site){ .weight = 1 };
	if (star >= 0) {
		digits = bytes_cut(word, (size_t)star + 1, SIZE_MAX);
		word = bytes_cut(word, 0, (size_t)star);
		less = digits.len > 0 && digits.at[0] == '-';
		if (!bytes_number(bytes_cut(digits, less, SIZE_MAX), &n) || n > WEIGHT_MOST) {
			*wrong = "behind * write a number, as *3 or *-2";
			return false;
		}
		out->weight = less ? -(int64_t)n : (int64_t)n;
	}
	return dnsbl_parse(word, &out->list, wrong);
}

/* Its name as clients may see it. */
static enum rule_answer
name_of(struct rule_work *w, struct bytes domain, struct bytes *out)
{
	const struct setting_list *tables = &w->set->witness.score_replies;

	*out = domain;
	for (size_t i = 0; i < tables->count; i++) {
		enum rule_answer a = rule_ask(w, ASK_TABLE, tables->item[i], domain, out);

		if (a != RULE_ANSWER_NONE)
			return a;
		*out = domain;
	}
	return RULE_ANSWER_FOUND;
}

static enum rule_result
act(struct rule_work *w, int64_t score, struct bytes worst)
{
	bool         drop = w->set->witness.score_action == SCORE_DROP;
	struct bytes name = worst;

	rule_note(w, "info", "DNSBL rank %lld for [%s]:%s", (long long)score,
	          rule_shown(w, w->facts->address), rule_shown(w, w->facts->port));
	if (w->set->witness.score_action == SCORE_IGNORE)
		return RULE_DUNNO;
	switch (name_of(w, worst, &name)) {
	case RULE_ANSWER_WAIT: return RULE_WAITS;
	case RULE_ANSWER_LATER: name = BYTES("a list"); break;
	default: break;
	}
	return rule_reject(w, drop ? 521 : 550, "5.7.1",
	                   "Service unavailable; client [%s] blocked using %s",
	                   rule_shown(w, w->facts->address), rule_shown(w, name));
}

/* Who is refused at RCPT is not told of before. */
static bool
is_time(const struct rule_work *w)
{
	return w->facts->moment != AT_CONNECT || w->set->witness.score_action == SCORE_DROP;
}

/* All are asked at once; the one that weighs most is named. */
enum rule_result
rule_score(struct rule_work *w)
{
	const struct witness_settings *set = &w->set->witness;
	int64_t                        score = 0, most = 0;
	struct bytes                   worst = BYTES("");
	const char                    *wrong, *before = w->rule;
	bool                           waits = false;
	enum rule_result               r = RULE_DUNNO;

	if (!w->facts->tested || set->score_sites.count == 0)
		return RULE_DUNNO;
	w->rule = "postscreen_dnsbl_sites";
	for (size_t i = 0; i < set->score_sites.count; i++) {
		struct rule_site site;
		enum rule_answer a = RULE_ANSWER_NONE;

		if (rule_site_parse(bytes_of(set->score_sites.item[i]), &site, &wrong))
			a = rule_listed(w, &site.list);
		waits = waits || a == RULE_ANSWER_WAIT;
		if (a != RULE_ANSWER_FOUND)
			continue;
		score += site.weight;
		if (site.weight > most) {
			most = site.weight;
			worst = site.list.domain;
		}
	}
	if (waits) {
		r = RULE_WAITS;
	} else {
		rule_tell(w, "%s: the score is %lld of %lld", w->rule, (long long)score,
		          (long long)set->score_most);
		if (score >= set->score_most && is_time(w))
			r = act(w, score, worst);
		if (set->score_allow < 0 && score <= set->score_allow &&
		    w->facts->moment == AT_CONNECT)
			rule_act(w, DEED_PASS, BYTES("lists in the DNS speak for it"));
	}
	w->rule = before;
	return r;
}
