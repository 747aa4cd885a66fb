/* policy-command.c -- mansio policy why ID, and what the others are asked */
#include "role/policy.h"

#include <string.h>

#include "role/policy-witness.h"

static void
why(struct house *h, struct caller *c, const char *id)
{
	struct buffer text = { 0 };
	bool          known = refusals_find(policy_of(h)->refusals, bytes_of(id), &text);

	if (known)
		caller_say(c, "%.*s", (int)text.len, text.at);
	else
		caller_complain(
			c, "mansio: no refusal %s is remembered; they are kept for some days\n",
			id);
	buffer_free(&text);
	caller_done(c, known ? 0 : 1);
}

void
policy_command(struct house *h, struct caller *c, const struct word_ask *w)
{
	if (w->argc == 3 && strcmp(w->argv[1], "why") == 0) {
		why(h, c, w->argv[2]);
		return;
	}
	if ((w->argc == 10 || w->argc == 11) && strcmp(w->argv[1], "explain") == 0) {
		policy_explain(h, c, w);
		return;
	}
	if (witnesses_command(h, c, w))
		return;
	caller_complain(c, "mansio: policy wants: why ID\n");
	caller_done(c, 2);
}
