/*
 * policy-milter-checks -- header fields that filters made are looked at (milter_header_checks)
 *
 * milter_checks()  goes through the fields that are new in `edits` and `front` as header_checks are gone through, and
 *     changes both as the tables say.  What else they say is given back packed (policy/checks.h), "" when there is
 *     nothing; all of it lives in `life`.  With anything in `wanted` afterwards nothing was done: that is to be asked, and what
 *     comes of it is `known` when it is called again (policy/checks-elsewhere.h).
 */
#ifndef ROLE_POLICY_MILTER_CHECKS_H
#define ROLE_POLICY_MILTER_CHECKS_H

#include "message/edits.h"
#include "policy/checks.h"
#include "role/tables.h"

struct milter_looking {
	const struct setting_list *names;
	struct tables *tables;
	const char *default_type;      /* of tables                              */
	struct bytes known;
	struct buffer wanted;
};
struct bytes milter_checks(struct milter_looking *, struct arena *life, struct edits *edits, struct bytes *front);

#endif
