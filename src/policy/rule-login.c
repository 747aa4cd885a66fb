/* rule-login.c -- whether they may send as the address they do */
#include "policy/rule.h"

static enum rule_result
unowned(struct rule_work *w)
{
	return rule_reject(w, 553, "5.7.1", "<%s>: Sender address rejected: not owned by user %s",
	                   rule_shown(w, rule_meant(w, w->facts->sender)),
	                   rule_shown(w, w->facts->user));
}

/* Whose the address is; WAITS while that is asked. */
static enum rule_result
find_owner(struct rule_work *w, enum rule_owner *out)
{
	const struct rule_facts *f = w->facts;
	struct bytes             value;
	enum rule_answer         a;

	*out = (enum rule_owner)f->owner;
	if (f->owner != OWNED_UNASKED)
		return *out == OWNED_LATER ? rule_unsure(w, f->sender) : RULE_DUNNO;
	a = rule_ask(w, ASK_OWNER, arena_copy(w->life, f->user), f->sender_whole, &value);
	if (a == RULE_ANSWER_WAIT)
		return RULE_WAITS;
	*out = a == RULE_ANSWER_FOUND && value.len == 1 &&
	                       (unsigned char)value.at[0] < OWNED_CLASSES
	               ? (enum rule_owner)value.at[0]
	               : OWNED_LATER;
	return *out == OWNED_LATER || *out == OWNED_UNASKED ? rule_unsure(w, f->sender)
	                                                    : RULE_DUNNO;
}

enum { OF_USERS = 1, OF_STRANGERS = 2, ONLY_KNOWN = 4 };

static enum rule_result
look(struct rule_work *w, unsigned whose)
{
	const struct rule_facts *f = w->facts;
	bool                     user = f->user.len > 0;
	enum rule_owner          o;
	enum rule_result         r;

	if (f->lmtp || f->sender_whole.len == 0 || !(whose & (user ? OF_USERS : OF_STRANGERS)))
		return RULE_DUNNO;
	if ((r = find_owner(w, &o)) != RULE_DUNNO)
		return r;
	if (!user && o != OWNED_BY_NONE)
		return rule_reject(w, 553, "5.7.1", "<%s>: Sender address rejected: not logged in",
		                   rule_shown(w, rule_meant(w, f->sender)));
	if (user && o != OWNED_BY_SELF && !(o == OWNED_BY_NONE && whose & ONLY_KNOWN))
		return unowned(w);
	rule_tell(w, "%s: <%s> is %s", w->rule, rule_shown(w, rule_meant(w, f->sender)),
	          o == OWNED_BY_NONE ? "nobody's" : "their own");
	return RULE_DUNNO;
}

static enum rule_result
reject_mismatch(struct rule_work *w, const struct rule_step *s)
{
	(void)s;
	return look(w, OF_USERS | OF_STRANGERS);
}

static enum rule_result
reject_of_users(struct rule_work *w, const struct rule_step *s)
{
	(void)s;
	return look(w, OF_USERS);
}

static enum rule_result
reject_of_known(struct rule_work *w, const struct rule_step *s)
{
	(void)s;
	return look(w, OF_USERS | OF_STRANGERS | ONLY_KNOWN);
}

static enum rule_result
reject_of_strangers(struct rule_work *w, const struct rule_step *s)
{
	(void)s;
	return look(w, OF_STRANGERS);
}

/* smtpd_sender_login_check: clients of mynetworks that have not logged in may send as anybody. */
enum rule_result
rule_sender_checked(struct rule_work *w)
{
	static const unsigned whose[] = {
		[LOGIN_UNCHECKED] = 0,
		[LOGIN_OF_USERS] = OF_USERS,
		[LOGIN_OF_STRANGERS] = OF_STRANGERS,
		[LOGIN_OF_ALL] = OF_USERS | OF_STRANGERS,
		[LOGIN_KNOWN] = OF_USERS | OF_STRANGERS | ONLY_KNOWN,
	};
	unsigned of = whose[w->set->sender_check];

	w->rule = "smtpd_sender_login_check";
	return look(w, w->facts->trusted ? of & ~(unsigned)OF_STRANGERS : of);
}

/* clang-format off */
static const struct rule rows[] = {
	{ .name = "reject_sender_login_mismatch",                 .run = reject_mismatch,     .owner = true },
	{ .name = "reject_authenticated_sender_login_mismatch",   .run = reject_of_users,     .owner = true },
	{ .name = "reject_known_sender_login_mismatch",           .run = reject_of_known,     .owner = true },
	{ .name = "reject_unauthenticated_sender_login_mismatch", .run = reject_of_strangers, .owner = true },
};
/* clang-format on */
const struct rule_rows rule_rows_login = { rows, COUNT(rows) };
